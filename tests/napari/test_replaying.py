"""Replay: the same result here and in the worker, and colours that become channels."""

import dask.array
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Points

from napari_tessera.core.jobs import CancelToken, Result
from napari_tessera.napari_plugin.filtering.applying import Application
from napari_tessera.napari_plugin.filtering.filter_widget import FilterWidget
from napari_tessera.napari_plugin.home import current_home
from napari_tessera.napari_plugin.jobs import inputs
from napari_tessera.napari_plugin.recipes.recipe_bar import recipe_of
from napari_tessera.napari_plugin.recipes.recording_layers import made_by_hand, remembered
from napari_tessera.napari_plugin.recipes.replaying import Replay
from napari_tessera.operations.registry import build_operation
from napari_tessera.pipeline.dispatch import run_request
from napari_tessera.pipeline.recipes.recipe_files import save_recipe

from .filter_helpers import cells

pytestmark = pytest.mark.gui


def made(name, layer, axes="yx", parameters=None, **layers):
    work = Application(build_operation(name, parameters or {}), layer, axes, layers, current_home())
    list(work.run(CancelToken()))
    (result,) = work.results()
    return result


def saved(layers, path):
    recipe = recipe_of(layers)
    save_recipe(recipe, path, made_by_hand(recipe, current_home().folder / "arrays"))
    return path


def by_worker(replay):
    """Do what the worker does, in this process."""
    request = replay(CancelToken())
    for event in run_request(request, CancelToken()):
        if isinstance(event, Result):
            replay.take(event)
    replay.clean()
    assert isinstance(list(replay.collect(CancelToken()))[-1], Result)
    return replay.results()


def here(replay):
    assert replay.in_memory
    list(replay.run(CancelToken()))
    return replay.results()


def test_the_worker_gives_the_same_bytes(qapp, tmp_path):
    layer = Image(cells((3, 60, 70)), name="cells", scale=(2, 0.5, 0.5), translate=(1, 2, 3), units=("um",) * 3)
    seeds = Points([[1.0, 20.0, 20.0]], name="seeds")
    median = made("median", layer, "zyx")
    grown = made("grow_regions", median, "zyx", {"tolerance": 40.0}, seeds=seeds)
    otsu = made("otsu", median, "zyx")
    path = saved([grown, otsu], tmp_path / "recipe.yaml")
    session = current_home()
    first = here(Replay(path, layer, "zyx", [], session))
    second = by_worker(Replay(path, layer, "zyx", [], session))
    assert len(first) == len(second) == 2
    for ours, theirs in zip(first, second, strict=True):
        assert type(ours) is type(theirs)
        assert ours.name == theirs.name
        np.testing.assert_array_equal(ours.data, theirs.data)
        assert ours.data.dtype == theirs.data.dtype
        np.testing.assert_allclose(ours.scale, theirs.scale)
        np.testing.assert_allclose(ours.translate, theirs.translate)
        assert remembered(ours).sha256 == remembered(theirs).sha256
        assert remembered(ours).recipe.steps == remembered(theirs).recipe.steps
    assert not list((session.folder / "scratch").iterdir())


def test_points_of_the_worker(qapp, tmp_path):
    x = np.arange(64)[np.newaxis].repeat(64, 0)
    layer = Image((100 + 50 * np.sin(2 * np.pi * x / 8)).astype(np.float32), name="striped", scale=(0.3, 0.3))
    found = made("suggest_notches", layer)
    path = saved([found], tmp_path / "recipe.yaml")
    (again,) = by_worker(Replay(path, layer, "yx", [], current_home()))
    np.testing.assert_array_equal(again.data, found.data)
    assert remembered(again).sha256 == remembered(found).sha256


def test_large_and_lazy_images_go_to_the_worker(qtbot, runner, tmp_path, monkeypatch):
    viewer = ViewerModel()
    layer = viewer.add_image(cells(), name="cells")
    lazy = viewer.add_image(dask.array.from_array(cells(), chunks=50), name="lazy")
    path = saved([made("median", layer)], tmp_path / "recipe.yaml")
    session = current_home()
    assert Replay(path, layer, "yx", [], session).in_memory
    assert not Replay(path, lazy, "yx", [], session).in_memory
    widget = FilterWidget(viewer, runner)
    qtbot.addWidget(widget)
    sent = []
    monkeypatch.setattr(widget, "run", lambda work, _text: sent.append(work))
    widget.choose("median", lazy)
    widget.replay(path)
    assert [work.layer for work in sent] == [lazy]
    monkeypatch.setattr(inputs, "MOST_IN_MEMORY", 10)
    assert not Replay(path, layer, "yx", [], session).in_memory
    assert not Application(build_operation("median", {}), layer, "yx", {}, session).in_memory
    widget.close()


def test_a_second_image_goes_to_the_worker_too(qapp, tmp_path):
    layer, other = Image(cells(), name="cells"), Image(cells(seed=1), name="other")
    path = saved([made("difference", layer, other=other)], tmp_path / "recipe.yaml")
    replay = Replay(path, layer, "yx", [layer, other], current_home())
    (result,) = by_worker(replay)
    (expected,) = here(Replay(path, layer, "yx", [layer, other], current_home()))
    np.testing.assert_array_equal(result.data, expected.data)


def test_colours_that_became_channels_stay_a_step(qapp, tmp_path):
    layer = Image(np.stack([cells(), cells(seed=1), cells(seed=2)], -1), rgb=True, name="colours")
    edges = made("sobel", layer, "yxc")
    assert edges.data.shape == (3, 120, 100)
    blurred = made("gaussian", edges, "cyx")
    recipe = remembered(blurred).recipe
    assert [step.operation for step in recipe.steps] == ["sobel", "gaussian"]
    assert not recipe.arrays
    (again,) = here(Replay(saved([blurred], tmp_path / "recipe.yaml"), layer, "yxc", [], current_home()))
    np.testing.assert_array_equal(again.data, blurred.data)
    assert remembered(again).sha256 == remembered(blurred).sha256

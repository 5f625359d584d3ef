"""Filter & threshold in a real viewer."""

import threading

import dask.array
import numpy as np
import pytest
from napari.layers import Image, Labels, Points
from qtpy.QtCore import QPoint, Qt

from napari_tessera.config.recipe import Recipe
from napari_tessera.core.jobs import CancelToken, Result
from napari_tessera.napari_plugin.filtering import applying
from napari_tessera.napari_plugin.filtering.filter_widget import DISPLAY_NAME, FilterWidget
from napari_tessera.napari_plugin.jobs.runner import JobRunner, RunState
from napari_tessera.napari_plugin.layers import results
from napari_tessera.napari_plugin.layers.view_tracker import camera_of
from napari_tessera.napari_plugin.recipes.recording_layers import remembered
from napari_tessera.napari_plugin.training.training_job import TRAINING
from napari_tessera.operations.registry import all_operations, build_operation
from napari_tessera.pipeline.api import apply

from .conftest import fake_job
from .filter_helpers import apply_to, cells, click, finished, preview_of, save, settled

pytestmark = pytest.mark.gui


def test_an_empty_viewer_says_what_to_do(widget):
    assert not widget.apply_button.isEnabled()
    assert "Open an image" in widget.panel.status.text()
    widget.choose("median")
    assert "Open an image" in widget.apply_button.toolTip()
    widget.choose("remove_small")
    assert "labels" in widget.apply_button.toolTip()
    assert not widget.recipes.save_button.isEnabled()
    assert not widget.recipes.replay_button.isEnabled()


def test_nothing_is_previewed_before_an_operation_is_chosen(widget, viewer, qtbot):
    viewer.add_image(cells())
    settled(widget, qtbot)
    assert preview_of(widget) is None
    assert "Choose an operation" in widget.apply_button.toolTip()


def test_the_preview_follows_a_parameter(widget, viewer, qtbot):
    array = cells()
    layer = viewer.add_image(array, name="cells", scale=(2, 2), translate=(5, 7), units=("um", "um"))
    widget.choose("median")
    settled(widget, qtbot, whole=True)
    shown = preview_of(widget)
    assert isinstance(shown, Image)
    np.testing.assert_array_equal(shown.data, apply(build_operation("median", {}), array))
    np.testing.assert_allclose(shown.translate, layer.translate)
    np.testing.assert_allclose(shown.scale, layer.scale)
    assert shown.units == layer.units
    assert tuple(shown.contrast_limits) == tuple(layer.contrast_limits)
    box = widget.panel_of_operation.form.controls["size"].box
    box.setFocus()
    box.selectAll()
    qtbot.keyClicks(box, "7")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    settled(widget, qtbot)
    assert preview_of(widget) is shown
    np.testing.assert_array_equal(shown.data, apply(build_operation("median", {"size": 7}), array))


def test_the_preview_follows_the_view_and_the_slice(widget, viewer, qtbot):
    array = cells((5, 120, 100))
    array[3] = 255 - array[3]
    viewer.add_image(array)
    widget.choose("median")
    widget.panel_of_operation.form.set_values({"per_plane": True})
    viewer.dims.set_point(0, 3)
    settled(widget, qtbot, whole=True)
    whole = apply(build_operation("median", {"per_plane": True}), array)
    np.testing.assert_array_equal(preview_of(widget).data, whole[3])
    viewer.dims.set_point(0, 1)
    settled(widget, qtbot)
    np.testing.assert_array_equal(preview_of(widget).data, whole[1])
    camera_of(viewer).zoom *= 4
    settled(widget, qtbot)
    shown = preview_of(widget)
    assert 0 < shown.data.size < array[0].size
    top, left = (round(value) for value in shown.translate)
    height, width = shown.data.shape
    np.testing.assert_array_equal(shown.data, whole[1, top : top + height, left : left + width])


def test_pyramids_are_previewed_at_the_displayed_level(widget, viewer, qtbot):
    full = cells((4096, 4096))
    layer = viewer.add_image([full, full[::2, ::2], full[::4, ::4], full[::8, ::8]])
    widget.choose("gaussian")
    settled(widget, qtbot, whole=True)
    factor = 2**layer.data_level
    assert factor > 1
    assert f"1/{factor}" in widget.note.text()
    np.testing.assert_allclose(preview_of(widget).scale, (factor, factor))
    widget.choose("invert")  # exact at any resolution
    settled(widget, qtbot)
    np.testing.assert_array_equal(preview_of(widget).data, 255 - layer.data[layer.data_level])


def test_three_dimensional_view_says_what_to_do(widget, viewer, qtbot):
    viewer.add_image(cells((5, 30, 20)))
    widget.choose("median")
    viewer.dims.ndisplay = 3
    settled(widget, qtbot)
    assert "2D view" in widget.note.text()


def test_the_preview_is_gone_before_a_volume_is_drawn(widget, viewer, qtbot):
    """napari 0.9 crashes in OpenGL once a layer of two dimensions is removed that was in the 3D view of a stack."""
    viewer.add_image(cells((2, 5, 60, 80)))
    widget.choose("median")
    settled(widget, qtbot)
    assert preview_of(widget) is not None
    viewer.dims.ndisplay = 3
    assert len(viewer.layers) == 1
    settled(widget, qtbot)
    assert len(viewer.layers) == 1
    assert widget.preview_box.isChecked()
    viewer.dims.ndisplay = 2
    settled(widget, qtbot)
    assert preview_of(widget) is not None


def test_before_and_after(widget, viewer, qtbot):
    viewer.add_image(cells())
    widget.choose("median")
    settled(widget, qtbot)
    click(qtbot, widget.before_button)
    assert not preview_of(widget).visible
    assert widget.before_button.text() == "Show after"
    click(qtbot, widget.before_button)
    assert preview_of(widget).visible


def test_the_preview_is_no_layer_to_work_on(widget, viewer, runner, qtbot):
    viewer.add_image(cells(), name="cells")
    widget.choose("median")
    settled(widget, qtbot)
    assert [widget.images.itemText(index) for index in range(widget.images.count())] == ["cells"]
    click(qtbot, widget.preview_box)
    settled(widget, qtbot)
    assert preview_of(widget) is None
    assert [layer.name for layer in viewer.layers] == ["cells"]


def test_a_preview_taken_away_by_hand_stays_away(widget, viewer, qtbot):
    viewer.add_image(cells())
    widget.choose("median")
    settled(widget, qtbot)
    viewer.layers.remove(preview_of(widget))
    settled(widget, qtbot)
    assert not widget.preview_box.isChecked()
    assert len(viewer.layers) == 1


def test_deleting_all_layers_leaves_previews_on(widget, viewer, qtbot):
    viewer.add_image(cells())
    widget.choose("median")
    settled(widget, qtbot)
    viewer.layers.select_all()
    viewer.layers.remove_selected()
    settled(widget, qtbot)
    assert len(viewer.layers) == 0
    viewer.add_image(cells())
    settled(widget, qtbot)
    assert preview_of(widget) is not None


def test_what_an_operation_goes_along_is_there(widget, viewer):
    series = viewer.add_image(cells((3, 30, 70)), axis_labels=("t", "y", "x"))
    stack = viewer.add_image(cells((3, 30, 70)), axis_labels=("z", "y", "x"))
    widget.choose("project", series)
    axis = widget.panel_of_operation.form.controls["axis"]
    assert axis.value() == "t"
    widget.images.layer = stack
    assert axis.value() == "z"
    assert widget.why_not == ""


def test_an_error_is_one_sentence_in_the_widget(widget, viewer, qtbot):
    viewer.add_image(np.full((20, 20), 7, np.uint8))
    widget.choose("otsu")
    settled(widget, qtbot)
    assert "constant" in widget.note.text()
    assert preview_of(widget) is None
    widget.choose("median")
    settled(widget, qtbot)
    assert widget.note.text() == ""
    widget.panel_of_operation.form.set_values({"size": 4})
    assert "must be odd" in widget.note.text()
    assert "must be odd" in widget.apply_button.toolTip()


def test_thresholds_are_drawn_and_dragged(widget, viewer, qtbot):
    array = cells()
    viewer.add_image(array)
    widget.choose("otsu")
    settled(widget, qtbot, whole=True)
    histogram = widget.panel_of_operation.histogram
    assert histogram.data.counts.sum() == array.size
    assert [line.value for line in histogram.lines] == [preview_levels(array, 2)]
    widget.panel_of_operation.form.set_values({"classes": 3})
    settled(widget, qtbot)
    assert len(histogram.lines) == 2

    widget.choose("manual_threshold")
    settled(widget, qtbot)
    form = widget.panel_of_operation.form
    start = QPoint(round(histogram.position(form.values()["threshold"])), histogram.height() // 2)
    end = QPoint(round(histogram.position(170)), histogram.height() // 2)
    qtbot.mousePress(histogram, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(histogram, end)
    qtbot.mouseRelease(histogram, Qt.MouseButton.LeftButton, pos=end)
    level = form.values()["threshold"]
    assert abs(level - 170) <= 2
    settled(widget, qtbot)
    np.testing.assert_array_equal(preview_of(widget).data, array > level)


def preview_levels(array, classes):
    from napari_tessera.operations.reductions.histograms import histogram
    from napari_tessera.operations.thresholding.thresholds import multi_otsu

    return multi_otsu(histogram(array), classes)[0]


def test_two_lines_push_each_other(widget, viewer, qtbot):
    viewer.add_image(cells())
    widget.choose("hysteresis")
    settled(widget, qtbot)
    form, histogram = widget.panel_of_operation.form, widget.panel_of_operation.histogram
    form.set_values({"low": 60.0, "high": 120.0})
    y = histogram.height() // 2
    qtbot.mousePress(histogram, Qt.MouseButton.LeftButton, pos=QPoint(round(histogram.position(60)), y))
    qtbot.mouseMove(histogram, QPoint(round(histogram.position(180)), y))
    qtbot.mouseRelease(histogram, Qt.MouseButton.LeftButton, pos=QPoint(round(histogram.position(180)), y))
    values = form.values()
    assert values["low"] == values["high"] > 170


@pytest.mark.parametrize("held", ["threshold", "upper"])
def test_lines_that_may_not_meet_keep_a_gap(widget, viewer, qtbot, held):
    viewer.add_image(cells())
    widget.choose("manual_threshold")
    settled(widget, qtbot)
    form, histogram = widget.panel_of_operation.form, widget.panel_of_operation.histogram
    form.set_values({"keep": "between", "threshold": 60.0, "upper": 120.0})
    y, width = histogram.height() // 2, histogram.width()
    start = QPoint(round(histogram.position(form.values()[held])), y)
    qtbot.mousePress(histogram, Qt.MouseButton.LeftButton, pos=start)
    end = round(histogram.position(150 if held == "threshold" else 30))
    for x, pushed in ((end, True), (width if held == "threshold" else 0, False)):
        qtbot.mouseMove(histogram, QPoint(x, y))
        values = form.values()
        assert values["upper"] - values["threshold"] == 1
        assert widget.panel_of_operation.why_not == ""
        assert (values[held] not in (histogram.value_at(-1e9), histogram.value_at(1e9))) or not pushed
    qtbot.mouseRelease(histogram, Qt.MouseButton.LeftButton, pos=QPoint(end, y))
    low, high = histogram.value_at(-1e9), histogram.value_at(1e9)
    assert (values["upper"] == high) if held == "threshold" else (values["threshold"] == low)
    settled(widget, qtbot)
    assert preview_of(widget) is not None
    # taken hold of on the side that is free, they come apart again
    x = round(histogram.position(values["threshold"])) + (-3 if held == "threshold" else 3)
    to = QPoint(round(histogram.position(100)), y)
    qtbot.mousePress(histogram, Qt.MouseButton.LeftButton, pos=QPoint(x, y))
    qtbot.mouseMove(histogram, to)
    qtbot.mouseRelease(histogram, Qt.MouseButton.LeftButton, pos=to)
    assert form.values()["upper"] - form.values()["threshold"] > 50


def test_one_line_is_drawn_where_one_level_is_used(widget, viewer, qtbot):
    viewer.add_image(cells())
    widget.choose("manual_threshold")
    settled(widget, qtbot)
    widget.panel_of_operation.form.set_values({"keep": "above", "threshold": 90.0, "upper": 90.0})
    assert [line.parameter for line in widget.panel_of_operation.histogram.lines] == ["threshold"]


def test_a_threshold_that_divides_nothing_starts_in_the_histogram(widget, viewer, qtbot):
    viewer.add_image(np.random.default_rng(0).random((50, 50)).astype(np.float32))
    widget.choose("manual_threshold")
    settled(widget, qtbot)
    assert 0 < widget.panel_of_operation.form.values()["threshold"] < 1
    assert not widget.panel_of_operation.form.controls["upper"].isEnabled()


def test_apply_makes_a_layer_that_knows_how(widget, viewer, qtbot):
    array = cells((3, 60, 70))
    layer = viewer.add_image(array, name="cells", scale=(2, 0.5, 0.5), translate=(1, 2, 3), units=("um",) * 3)
    widget.choose("otsu")
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    result = viewer.layers[-1]
    assert isinstance(result, Labels)
    assert result.name == "cells · Otsu threshold"
    np.testing.assert_array_equal(result.data, apply(build_operation("otsu", {}), array))
    np.testing.assert_allclose(result.scale, layer.scale)
    np.testing.assert_allclose(result.translate, layer.translate)
    assert result.units == layer.units
    recipe = result.metadata["tessera"]["recipe"]
    assert [step["operation"] for step in recipe["steps"]] == ["otsu"]
    assert recipe["inputs"]["image"]["sha256"]
    settled(widget, qtbot)
    assert preview_of(widget) is None  # the result is what is looked at
    widget.panel_of_operation.form.set_values({"classes": 3})
    settled(widget, qtbot)
    assert preview_of(widget) is not None


def test_steps_add_up_in_the_recipe(widget, viewer, qtbot):
    viewer.add_image(cells(), name="cells")
    for name in ("median", "otsu", "connected_components"):
        widget.choose(name, viewer.layers[-1])
        click(qtbot, widget.apply_button)
        finished(widget, qtbot)
    recipe = viewer.layers[-1].metadata["tessera"]["recipe"]
    assert [step["operation"] for step in recipe["steps"]] == ["median", "otsu", "connected_components"]
    assert viewer.layers[-1].data.dtype == np.uint32


def test_a_recipe_is_saved_and_replayed_to_the_same_bytes(widget, viewer, qtbot, tmp_path):
    layer = viewer.add_image(cells(), name="cells")
    points = viewer.add_points([[40.0, 50.0]], name="seeds")
    widget.choose("median", layer)
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    widget.choose("grow_regions", viewer.layers[-1])
    widget.panel_of_operation.inputs.rows["seeds"].picker.layer = points
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    made = viewer.layers[-1]
    assert viewer.layers.selection.active is made
    assert widget.recipes.save_button.isEnabled()
    path = tmp_path / "recipe.yaml"
    save(widget, [made], path, qtbot)
    assert len(list((tmp_path / "recipe.arrays").iterdir())) == 1
    widget.choose("median", layer)
    widget.replay(path)
    finished(widget, qtbot)
    again = viewer.layers[-1]
    assert again is not made, widget.panel.status.text()
    assert again.data.tobytes() == made.data.tobytes()
    assert again.metadata["tessera"]["sha256"] == made.metadata["tessera"]["sha256"]
    widget.replay(tmp_path / "none.yaml")
    assert "no file" in widget.panel.status.text()


def test_labels_that_were_edited_are_kept_in_the_recipe(widget, viewer, qtbot, session_folder):
    viewer.add_image(cells(), name="cells")
    widget.choose("otsu")
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    mask = viewer.layers[-1]
    mask.data_setitem((np.array([1, 1]), np.array([1, 2])), 1)
    widget.choose("fill_holes", mask)
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    recipe = viewer.layers[-1].metadata["tessera"]["recipe"]
    assert [step["operation"] for step in recipe["steps"]] == ["fill_holes"]
    (kept,) = recipe["arrays"].values()
    assert (session_folder / "arrays" / f"{kept['sha256']}.npy").exists()


def by_the_worker(widget, name, layer):
    """Return a result as it comes from the worker, without starting one."""
    work = applying.Application(build_operation(name, {}), layer, "yx", {}, widget.home)
    work(CancelToken())
    work.clean()
    apply(work.operation, np.asarray(layer.data), out=work.out)
    assert [type(event) for event in work.collect(CancelToken())] == [Result]
    (result,) = work.results()
    return widget.viewer.add_layer(result)


def test_labels_of_the_worker_that_were_edited_are_kept_in_the_recipe(widget, viewer, qtbot):
    layer = viewer.add_image(cells(), name="cells")
    mask = by_the_worker(widget, "otsu", layer)
    assert isinstance(mask.data, np.ndarray)
    untouched = apply_to(widget, "fill_holes", mask, qtbot).metadata["tessera"]["recipe"]
    assert [step["operation"] for step in untouched["steps"]] == ["otsu", "fill_holes"]
    assert not untouched["arrays"]
    mask.data_setitem((np.array([1, 1]), np.array([1, 2])), 1)
    painted = apply_to(widget, "fill_holes", mask, qtbot).metadata["tessera"]["recipe"]
    assert [step["operation"] for step in painted["steps"]] == ["fill_holes"]
    assert len(painted["arrays"]) == 1


def test_large_labels_of_the_worker_are_known_by_their_graph(widget, viewer, qtbot, monkeypatch):
    monkeypatch.setattr(results, "LARGE", 10)
    layer = viewer.add_image(cells(), name="cells")
    mask = by_the_worker(widget, "otsu", layer)
    lazy = mask.data
    assert isinstance(lazy, dask.array.Array)
    assert remembered(mask).unchanged
    lazy[1, 1] = 1
    assert not remembered(mask).unchanged
    assert remembered(mask).sha256 is None


def test_a_result_without_hash_is_not_trusted(widget, viewer, qtbot):
    viewer.add_image(cells(), name="cells")
    mask = apply_to(widget, "otsu", viewer.layers[0], qtbot)
    mask.metadata["tessera"]["sha256"] = None
    recipe = apply_to(widget, "fill_holes", mask, qtbot).metadata["tessera"]["recipe"]
    assert [step["operation"] for step in recipe["steps"]] == ["fill_holes"]
    assert len(recipe["arrays"]) == 1


def test_suggested_notches_are_a_step_of_the_recipe(widget, viewer, qtbot, tmp_path):
    x = np.arange(64)[np.newaxis].repeat(64, 0)
    images = [(100 + 50 * np.sin(2 * np.pi * x / period)).astype(np.float32) for period in (8, 4)]
    layer = viewer.add_image(images[0], name="first", scale=(0.3, 0.3))
    points = apply_to(widget, "suggest_notches", layer, qtbot)
    widget.choose("notch_filter", layer)
    widget.panel_of_operation.inputs.rows["centres"].picker.layer = points
    made = apply_to(widget, "notch_filter", layer, qtbot)
    recipe = made.metadata["tessera"]["recipe"]
    assert [step["operation"] for step in recipe["steps"]] == ["suggest_notches", "notch_filter"]
    assert not recipe["arrays"]
    save(widget, [made], tmp_path / "recipe.yaml", qtbot)
    other = viewer.add_image(images[1], name="second", scale=(0.3, 0.3))
    widget.choose("median", other)
    widget.replay(tmp_path / "recipe.yaml")
    finished(widget, qtbot)
    assert viewer.layers[-1] is not other, widget.panel.status.text()
    assert viewer.layers[-1].data.std() < images[1].std() / 4
    points.data = points.data * 0.9
    widget.choose("notch_filter", layer)
    widget.panel_of_operation.inputs.rows["centres"].picker.layer = points
    moved = apply_to(widget, "notch_filter", layer, qtbot).metadata["tessera"]["recipe"]
    assert len(moved["arrays"]) == 1, widget.panel.status.text()


def test_several_layers_are_saved_as_one_branching_recipe(widget, viewer, qtbot, tmp_path):
    layer = viewer.add_image(cells(), name="cells")
    median = apply_to(widget, "median", layer, qtbot)
    masks = [apply_to(widget, name, median, qtbot) for name in ("otsu", "triangle")]
    for mask in masks:
        mask.name = "nuclei (" + "long " * 40
    viewer.layers.selection = {layer, *masks}
    assert set(widget.recipes.layers) == set(masks)
    assert "nuclei" in widget.recipes.save_button.toolTip()
    path = tmp_path / "both.yaml"
    save(widget, widget.recipes.layers, path, qtbot)
    recipe = Recipe.load(path)
    assert sorted(step.operation for step in recipe.steps) == ["median", "otsu", "triangle"]
    assert len(recipe.outputs) == 2
    assert all(name.startswith("nuclei") for name in recipe.outputs)
    widget.choose("median", layer)
    widget.preview_box.setChecked(False)
    count = len(viewer.layers)
    widget.replay(path)
    finished(widget, qtbot)
    assert len(viewer.layers) == count + 2, widget.panel.status.text()
    assert {one.data.tobytes() for one in viewer.layers[-2:]} == {mask.data.tobytes() for mask in masks}


def test_a_recipe_is_read_once_per_layer(widget, viewer, qtbot, monkeypatch):
    made = apply_to(widget, "otsu", viewer.add_image(cells()), qtbot)
    first = remembered(made).recipe
    monkeypatch.setattr(Recipe, "parse", lambda _fields: pytest.fail("read again"))
    widget.recipes.refresh()
    assert remembered(made).recipe is first


def test_a_large_image_is_no_kernel(widget, viewer, qtbot, monkeypatch):
    layer = viewer.add_image(cells(), name="cells")
    large = viewer.add_image(dask.array.zeros((5, 2000), chunks=1000), name="large")
    widget.choose("convolve", layer)
    row = widget.panel_of_operation.inputs.rows["kernel"]
    row.box.setChecked(True)
    row.picker.layer = large
    monkeypatch.setattr(dask.array.Array, "__array__", lambda *_args, **_kwargs: pytest.fail("read in the GUI thread"))
    settled(widget, qtbot)
    assert "too large for a kernel" in widget.note.text()
    assert not widget.apply_button.isEnabled()
    assert "too large for a kernel" in widget.apply_button.toolTip()


def test_moved_points_renew_the_preview(widget, viewer, qtbot):
    layer = viewer.add_image(cells(), name="cells")
    points = viewer.add_points([[40.0, 50.0]], name="seeds")
    widget.choose("grow_regions", layer)
    widget.panel_of_operation.inputs.rows["seeds"].picker.layer = points
    settled(widget, qtbot, whole=True)
    before = preview_of(widget).data.copy()
    points.data = [[5.0, 5.0]]
    settled(widget, qtbot)
    assert not np.array_equal(preview_of(widget).data, before)
    widget.choose("median", layer)  # nobody listens to the points
    points.data = [[40.0, 50.0]]
    widget.choose("grow_regions", layer)
    widget.panel_of_operation.inputs.rows["seeds"].picker.layer = points
    settled(widget, qtbot)
    np.testing.assert_array_equal(preview_of(widget).data, before)


def test_labels_hide_what_they_are_made_from(widget, viewer, qtbot):
    viewer.add_image(cells())
    labels = viewer.add_labels((cells() > 100).astype(np.uint8))
    widget.choose("connected_components")
    settled(widget, qtbot)
    assert isinstance(preview_of(widget), Labels)
    assert not labels.visible
    click(qtbot, widget.before_button)
    assert labels.visible
    click(qtbot, widget.before_button)
    widget.choose("median")
    settled(widget, qtbot)
    assert labels.visible


def test_painting_renews_the_preview(widget, viewer, qtbot):
    labels = viewer.add_labels(np.zeros((40, 40), np.uint8))
    widget.choose("connected_components")
    settled(widget, qtbot, whole=True)
    assert preview_of(widget).data.max() == 0
    labels.data_setitem((np.array([5, 5]), np.array([5, 6])), 1)
    settled(widget, qtbot)
    assert preview_of(widget).data.max() == 1


def test_colours_stay_colours(widget, viewer, qtbot):
    array = np.stack([cells()] * 3, -1)
    viewer.add_image(array, rgb=True)
    widget.choose("median")
    settled(widget, qtbot)
    assert preview_of(widget).rgb
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    assert viewer.layers[-1].rgb
    widget.choose("sobel")
    settled(widget, qtbot)
    assert 0 <= preview_of(widget).data.min() <= preview_of(widget).data.max() <= 1
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    assert viewer.layers[-1].data.shape == (3, 120, 100)


def test_the_spectrum_has_its_own_coordinates(widget, viewer, qtbot):
    x = np.arange(64)[np.newaxis].repeat(64, 0)
    array = (100 + 50 * np.sin(2 * np.pi * x / 8)).astype(np.float32)
    layer = viewer.add_image(array, scale=(0.5, 0.5))
    widget.choose("spectrum_modulus")
    settled(widget, qtbot)
    assert "stretches" in widget.note.text()
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    spectrum = viewer.layers[-1]
    np.testing.assert_allclose(spectrum.data_to_world((32, 40)), (0, 1 / 4), atol=1e-9)  # 8 pixels of 0.5
    widget.choose("suggest_notches", layer)
    settled(widget, qtbot)
    assert "come with Apply" in widget.note.text()
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    points = viewer.layers[-1]
    assert isinstance(points, Points), widget.panel.status.text()
    np.testing.assert_allclose(np.abs(points.data_to_world(points.data[0])), (0, 1 / 4), atol=0.01)
    widget.choose("notch_filter", layer)
    widget.panel_of_operation.inputs.rows["centres"].picker.layer = points
    settled(widget, qtbot)
    assert preview_of(widget).data.std() < array.std() / 4


def test_cancel(widget, viewer, qtbot, monkeypatch):
    waits = threading.Event()
    real = applying.apply_into

    def slow(operation, inputs, open_sink, cancel, *args):
        while not cancel.cancelled:
            waits.wait(0.01)
        cancel.raise_if_cancelled()
        yield from real(operation, inputs, open_sink, cancel, *args)

    monkeypatch.setattr(applying, "apply_into", slow)
    viewer.add_image(cells())
    widget.choose("median")
    click(qtbot, widget.apply_button)
    assert not widget.apply_button.isEnabled()
    click(qtbot, widget.cancel_button)
    finished(widget, qtbot)
    assert "Cancelled" in widget.panel.status.text()
    assert widget.apply_button.isEnabled()


def test_cancel_spares_the_job_of_another_widget(widget, viewer, runner, qtbot, monkeypatch):
    def slow(_operation, _inputs, _open_sink, cancel, *_args):
        while not cancel.cancelled:
            threading.Event().wait(0.01)
        cancel.raise_if_cancelled()
        yield

    monkeypatch.setattr(applying, "apply_into", slow)
    runner.start(fake_job("slow", 60), TRAINING)
    qtbot.waitUntil(lambda: runner.state is RunState.RUNNING, timeout=120_000)
    viewer.add_image(cells())
    widget.choose("median")
    assert not widget.cancel_button.isEnabled()
    widget.cancel()
    click(qtbot, widget.apply_button)
    click(qtbot, widget.cancel_button)
    finished(widget, qtbot)
    assert "Cancelled" in widget.panel.status.text()
    assert runner.state is RunState.RUNNING
    runner.cancel()


def test_a_failure_is_said(widget, viewer, qtbot):
    viewer.add_image(np.full((20, 20), 7, np.uint8))
    widget.choose("otsu")
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    assert "constant" in widget.panel.status.text()
    assert len(viewer.layers) == 1


@pytest.mark.slow
def test_lazy_images_are_done_by_the_worker(viewer, qtbot, no_process_left):
    runner = JobRunner()
    widget = FilterWidget(viewer, runner)
    viewer.window.add_dock_widget(widget)
    try:
        array = cells((4, 200, 200))
        layer = viewer.add_image(dask.array.from_array(array, chunks=(1, 100, 100)), name="lazy", scale=(1, 2, 2))
        widget.choose("median")
        widget.panel_of_operation.form.set_values({"per_plane": True})
        click(qtbot, widget.apply_button)
        qtbot.waitUntil(lambda: runner.state in (RunState.DONE, RunState.FAILED), timeout=120000)
        assert runner.state is RunState.DONE, runner.message
        finished(widget, qtbot)
        result = viewer.layers[-1]
        assert result.name == "lazy · Median filter"
        np.testing.assert_array_equal(result.data, apply(build_operation("median", {"per_plane": True}), array))
        np.testing.assert_allclose(result.scale, layer.scale)
        assert result.metadata["tessera"]["recipe"]["steps"]
    finally:
        widget.close()
        runner.close()


def test_planes_need_planes(widget, viewer, qtbot):
    viewer.add_image(cells())
    widget.choose("median")
    control = widget.panel_of_operation.form.controls["per_plane"]
    assert not control.isEnabled()
    assert "no planes" in control.toolTip()
    viewer.add_image(cells((4, 30, 30)), name="volume")
    widget.images.layer = viewer.layers["volume"]
    assert control.isEnabled()


def test_settings_are_remembered_per_operation(widget, viewer, qtbot):
    viewer.add_image(cells())
    widget.choose("median")
    widget.panel_of_operation.form.set_values({"size": 9})
    widget.choose("gaussian")
    widget.choose("median")
    assert widget.panel_of_operation.form.values()["size"] == 9
    click(qtbot, widget.reset_button)
    assert widget.panel_of_operation.build() == build_operation("median", {})
    assert not widget.reset_button.isEnabled()


def test_closing_takes_the_preview_along(viewer, runner, qtbot):
    widget = FilterWidget(viewer, runner)
    viewer.window.add_dock_widget(widget)
    viewer.add_image(cells())
    widget.choose("median")
    settled(widget, qtbot)
    thread = widget.preview.engine._worker._thread
    widget.close()
    assert len(viewer.layers) == 1
    thread.join(2)
    assert not thread.is_alive()


def test_it_fits_into_a_narrow_dock(widget, viewer, qtbot):
    viewer.add_image(cells())
    for name in ("manual_threshold", "adaptive_median", "wiener", "remove_small"):
        widget.choose(name)
        qtbot.wait(10)
        assert widget.minimumSizeHint().width() <= 350, name


def test_every_control_explains_itself(widget, viewer, qtbot):
    from qtpy.QtWidgets import QAbstractSpinBox, QCheckBox, QComboBox, QLineEdit, QPushButton

    viewer.add_image(cells())
    widget.choose("grow_regions")
    for kind in (QPushButton, QComboBox, QAbstractSpinBox, QCheckBox, QLineEdit):
        for control in widget.findChildren(kind):
            assert control.toolTip() or not control.isVisibleTo(widget), (
                type(control),
                getattr(control, "text", str)(),
            )


def test_commands_of_the_menu_open_the_widget(open_viewer, qtbot):
    from napari_tessera.napari_plugin import operation_commands

    viewer = open_viewer(show=True)
    layer = viewer.add_image(cells())
    operation_commands.median()
    _, widget = viewer.window.add_plugin_dock_widget("napari-tessera", DISPLAY_NAME)
    assert widget.operation.name() == "median"
    assert widget.layer is layer
    operation_commands.otsu()
    assert widget.operation.name() == "otsu"
    assert all(callable(getattr(operation_commands, name)) for name in all_operations())
    with pytest.raises(AttributeError):
        operation_commands.no_such_operation  # noqa: B018
    widget.close()


def test_a_spectrum_is_shown_alone_and_fills_the_view():
    from napari.components import ViewerModel

    from napari_tessera.napari_plugin.layers.result_layers import bring_into_view

    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((512, 512)), scale=(0.3, 0.3))
    blurred = viewer.add_image(np.zeros((512, 512)), scale=(0.3, 0.3))
    camera = getattr(viewer, "scene", viewer).camera
    zoom = camera.zoom
    bring_into_view(viewer, blurred)
    assert image.visible
    assert camera.zoom == zoom
    spectrum = viewer.add_image(np.zeros((512, 512)), scale=(0.006, 0.006), translate=(-1.5, -1.5))
    bring_into_view(viewer, spectrum)
    assert [layer.visible for layer in viewer.layers] == [False, False, True]
    assert camera.zoom > 20 * zoom
    assert camera.center[-2:] == pytest.approx((0, 0), abs=0.1)

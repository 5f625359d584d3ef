"""The Train widget shows what is painted, doubts what looks like something else, and proposes what to do."""

import dask.array
import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_tessera.config.training import Annotation
from napari_tessera.core.jobs import Preview
from napari_tessera.napari_plugin.jobs.runner import RunState
from napari_tessera.napari_plugin.layers.images import hex_color, placement
from napari_tessera.napari_plugin.training import paint_counter
from napari_tessera.napari_plugin.training.preview_layer import PreviewLayer
from napari_tessera.napari_plugin.training.train_widget import TrainWidget
from napari_tessera.napari_plugin.training.training_inputs import Pair, TrainingInputs
from napari_tessera.pipeline.learning.annotation import BACKGROUND_COLOR

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer(open_viewer):
    return open_viewer()


@pytest.fixture
def train(viewer, runner):
    widget = TrainWidget(viewer, runner)
    viewer.window.add_dock_widget(widget, name="Train")
    return widget


def shown(train):
    """Return what stands beside each number."""
    return {number: label.text() for number, label in train.classes._count_labels.items()}


def wait_for(qtbot, train, counts):
    qtbot.waitUntil(lambda: shown(train) == counts, timeout=120_000)


def test_the_table_counts_what_is_painted_in_all_planes(train, viewer, qtbot):
    viewer.add_image(np.zeros((3, 30, 20)), name="cells")
    train.new_button.click()
    layer = viewer.layers.selection.active
    wait_for(qtbot, train, {1: "0 px", 2: "0 px"})
    assert train.finding.line.text() == "Nothing is painted yet."
    layer.data_setitem((np.array([0, 2]), np.array([1, 1]), np.array([1, 1])), 1)  # a stroke in two planes
    wait_for(qtbot, train, {1: "2 px", 2: "0 px"})
    layer.selected_label = 3  # the next class, by the key =
    assert train.classes._number_labels[1].text() == "   1"
    layer.paint((1, 5, 5), 3)
    qtbot.waitUntil(lambda: 3 in train.classes.classes, timeout=120_000)
    assert train.classes._number_labels[3].text() == "▸ 3"
    assert layer.metadata["tessera"]["classes"][3]["name"] == "class 3"
    assert "Class 3 is painted" in train.classes.remove_button.toolTip()
    layer.undo()
    wait_for(qtbot, train, {1: "2 px", 2: "0 px", 3: "0 px"})
    assert train.classes.remove_button.isEnabled()


def test_a_click_on_a_row_takes_its_class_and_the_brush(train, viewer, monkeypatch):
    viewer.add_image(np.zeros((30, 20)))
    train.new_button.click()
    layer = viewer.layers.selection.active
    layer.mode = "pan_zoom"
    viewer.layers.selection.active = viewer.layers[0]
    QTest.mouseClick(train.classes._count_labels[2], Qt.MouseButton.LeftButton)
    assert (layer.selected_label, layer.mode) == (2, "paint")
    assert viewer.layers.selection.active is layer
    picked = []
    monkeypatch.setattr(train.classes, "_pick_color", picked.append)
    swatch = train.classes._rows.itemAtPosition(0, 1).widget()
    QTest.mouseClick(swatch, Qt.MouseButton.LeftButton)
    assert (layer.selected_label, picked) == (1, [])
    QTest.mouseDClick(swatch, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(3, 3))
    assert picked == [1]


def test_background_can_be_told_from_grey():
    red, green, blue = (int(BACKGROUND_COLOR[at : at + 2], 16) for at in (1, 3, 5))
    assert max(red, green, blue) - min(red, green, blue) > 100


def press(qtbot, train):
    train.train_button.click()
    qtbot.waitUntil(lambda: train.runner.state is RunState.FAILED, timeout=120_000)


def test_a_doubt_stops_a_training_and_its_remedy_is_a_button(train, viewer, qtbot, session_folder):
    viewer.add_image(np.zeros((30, 20)), name="cells")
    ids = np.repeat(np.arange(30, dtype=np.int32), 20).reshape(30, 20)
    viewer.add_labels(ids)
    press(qtbot, train)
    assert "Found 29 ids: these look like objects" in train.panel.status.text()
    assert not (session_folder / "models").exists()
    assert train.finding.remedy_button.isVisibleTo(train)
    train.finding.remedy_button.click()
    assert train.annotation is Annotation.OBJECTS
    qtbot.waitUntil(lambda: train.finding.line.text() == "Found 29 objects.", timeout=120_000)
    assert train.finding.doubt is None


def test_whoever_has_painted_background_is_led_on_to_the_next_class(train, viewer, qtbot):
    viewer.add_image(np.zeros((30, 20)), name="cells")
    train.new_button.click()
    layer = viewer.layers.selection.active
    layer.paint((5, 5), 1)
    qtbot.waitUntil(lambda: train.finding.doubt is not None, timeout=120_000)
    assert "Only 1, background, is painted so far" in train.finding.doubt_line.text()
    press(qtbot, train)
    assert train.panel.status.text() == train.finding.doubt_line.text()
    train.finding.remedy_button.click()
    assert (layer.selected_label, layer.mode) == (2, "paint")
    layer.paint((20, 15), 2)
    qtbot.waitUntil(lambda: train.finding.doubt is None, timeout=120_000)
    assert not train.panel.status.text()  # the refusal goes with its reason


def test_the_layer_shows_the_colours_of_the_table_whatever_the_labels_are_said_to_be(train, viewer):
    viewer.add_image(np.zeros((30, 20)), name="cells")
    train.new_button.click()
    layer = viewer.layers.selection.active
    train.classes._rename(2, "nucleus")
    strokes = train.classes.classes
    for index in (1, 2, 0):
        train.kind.setCurrentIndex(index)
        if train.annotation is not Annotation.OBJECTS:
            shown = {n: hex_color(layer, n) for n in train.classes.classes if n}
            assert shown == {n: color for n, (_, color) in train.classes.classes.items() if n}
    assert train.classes.classes == strokes


def test_a_stray_number_is_told_and_may_be_meant(train, viewer, qtbot):
    viewer.add_image(np.zeros((30, 20)))
    painted = np.zeros((30, 20), np.uint8)
    painted[:5], painted[5:9], painted[20, 3:6] = 1, 2, 7
    layer = viewer.add_labels(painted)
    wait_for(qtbot, train, {1: "100 px", 2: "80 px", 7: "3 px"})
    assert "Found 1, 2 and 7: is 7 a class, painted with 3 pixels?" in train.finding.doubt_line.text()
    press(qtbot, train)
    assert "is 7 a class" in train.panel.status.text()
    started = []
    train.start = lambda **how: started.append(how)
    train.finding.sure_button.click()
    assert started == [{"resume": False}]
    assert 7 in train.classes.classes
    assert train.finding.doubt is None
    layer.data = np.where(painted == 1, 0, painted)  # the background is erased
    qtbot.waitUntil(lambda: train.finding.doubt is not None, timeout=120_000)
    assert train.finding.doubt_line.text() == "No background (1) is painted, found 2 and 7."
    train.finding.remedy_button.click()
    assert (layer.selected_label, layer.mode) == (1, "paint")


def test_an_annotation_that_lies_elsewhere_is_told_and_can_be_laid_on(train, viewer):
    image = viewer.add_image(np.zeros((30, 20)), name="cells", scale=(0.5, 0.5), units=("um", "um"))
    layer = viewer.add_labels(np.ones((30, 20), np.uint8), name="strokes")
    assert "'strokes' is measured in pixel but 'cells' in micrometer" in train.why_not
    row = train.pairs.rows[0]
    assert row.lay_button.isVisibleTo(train)
    row.lay_button.click()
    assert train.why_not == ""
    assert not row.lay_button.isVisibleTo(train)
    np.testing.assert_array_equal(layer.scale, image.scale)
    layer.translate = (5, 0)
    assert "nothing is learnt from the part of 'cells' beside it" in train.finding.line.text()


def test_a_preview_goes_with_its_work_and_stays_away_once_deleted(viewer, qtbot, tmp_path):
    image, other = (viewer.add_image(np.zeros((30, 20)), name=name) for name in ("cells", "other"))
    painted = viewer.add_labels(np.zeros((30, 20), np.uint8))

    def show(preview):
        np.save(tmp_path / "p.npy", np.ones((30, 20), np.uint8))
        preview.show(Preview(0, ((0, 30), (0, 20)), str(tmp_path / "p.npy")))

    preview = PreviewLayer(viewer, [image], [placement(image, "yx")], {1: "#ff0000"}, [painted])
    show(preview)
    assert [layer.name for layer in viewer.layers[1:]] == ["other", "cells · preview of training", painted.name]
    viewer.layers.remove(preview.layer)
    show(preview)
    assert preview.layer is None
    assert preview.dismissed
    preview.remove()

    preview = PreviewLayer(viewer, [image], [placement(image, "yx")], {1: "#ff0000"}, [painted])
    show(preview)
    viewer.layers.remove(other)
    assert preview.layer in viewer.layers
    viewer.layers.remove(image)
    qtbot.waitUntil(lambda: [layer.name for layer in viewer.layers] == [painted.name], timeout=120_000)
    show(preview)
    assert [layer.name for layer in viewer.layers] == [painted.name]
    preview.remove()

    image = viewer.add_image(np.zeros((30, 20)), name="cells")
    preview = PreviewLayer(viewer, [image], [placement(image, "yx")], {1: "#ff0000"}, [painted])
    show(preview)
    viewer.layers.selection = set(viewer.layers)
    viewer.layers.remove_selected()
    assert list(viewer.layers) == []
    preview.remove()


def test_points_and_large_files_are_counted_when_a_training_begins(train, viewer, qtbot, monkeypatch):
    viewer.add_image(np.zeros((30, 20)))
    viewer.add_points([[1, 1]])
    assert train.finding.line.text() == ""
    assert train.finding.doubt is None
    monkeypatch.setattr(paint_counter, "MOST_LAZY", 100)
    train.pairs.rows[0].annotation.layer = viewer.add_labels(dask.array.zeros((30, 20), dtype=np.uint8))
    assert train._counter.counts is None
    train.pairs.rows[0].annotation.layer = viewer.add_labels(np.zeros((30, 20), np.uint8))
    qtbot.waitUntil(lambda: train.finding.line.text() == "Nothing is painted yet.", timeout=120_000)


def test_previews_of_a_mask_of_a_part_lie_where_it_lies(train, viewer, tmp_path):
    """The mask has pixels of twice the size and begins in the midst of the image; that part alone is learnt from."""
    image = viewer.add_image(np.zeros((64, 80)), name="cells", scale=(2, 2))
    half = viewer.add_labels(np.ones((16, 20), np.uint8), scale=(4, 4), translate=(20 * 2 + 1, 24 * 2 + 1))
    half.data[:8] = 0
    session = train.home
    pair = Pair(image, "yx", half)
    inputs = TrainingInputs([pair], Annotation.DENSE, train.classes.classes, {}, session.models / "m", session)
    seen = []
    train.runner.look_at = lambda number, region: seen.append((number, region))
    train._open_preview([(image, "yx")], inputs, keep_away=False)
    train._look_at(0, ((0, 64), (30, 80)))
    train._look_at(0, ((0, 20), (0, 80)))
    assert seen == [(0, ((0, 32), (6, 40))), (0, None)]
    np.save(tmp_path / "p.npy", np.ones((32, 34), np.uint8))
    train._preview.show(Preview(0, ((0, 32), (6, 40)), str(tmp_path / "p.npy")))
    shown = viewer.layers["cells · preview of training"]
    np.testing.assert_allclose(shown.data_to_world((0, 0)), image.data_to_world((20, 30)))
    viewer.window.remove_dock_widget(train)
    assert shown not in viewer.layers  # its work is closed


def test_train_waits_until_something_is_painted(train, viewer, qtbot):
    viewer.add_image(np.zeros((30, 20)), name="cells")
    train.new_button.click()
    layer = viewer.layers.selection.active
    qtbot.waitUntil(lambda: not train.train_button.isEnabled(), timeout=120_000)
    assert train.train_button.toolTip().startswith(f"Paint in {layer.name!r} first")
    assert train.panel.status.text() == train.train_button.toolTip()
    layer.paint((5, 5), 2)
    qtbot.waitUntil(train.train_button.isEnabled, timeout=120_000)
    layer.undo()
    qtbot.waitUntil(lambda: not train.train_button.isEnabled(), timeout=120_000)
    layer.redo()
    qtbot.waitUntil(train.train_button.isEnabled, timeout=120_000)


def test_train_waits_until_there_are_points(train, viewer, qtbot):
    viewer.add_image(np.zeros((30, 20)), name="cells")
    points = viewer.add_points(ndim=2, name="spots")
    train.pairs.rows[0].annotation.layer = points
    assert train.train_button.toolTip() == "Add points or shapes to 'spots' first."
    assert not train.train_button.isEnabled()
    points.add([5, 5])
    assert train.train_button.isEnabled()
    labels = viewer.add_labels(np.zeros((30, 20), np.uint8), name="strokes")
    train.pairs.add_row().annotation.layer = labels
    points.data = np.empty((0, 2))
    qtbot.waitUntil(lambda: not train.train_button.isEnabled(), timeout=120_000)
    labels.paint((5, 5), 1)
    qtbot.waitUntil(train.train_button.isEnabled, timeout=120_000)

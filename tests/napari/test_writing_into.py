"""Results that go into a Labels layer that is there, and come out of it with Ctrl+Z."""

import dask.array
import numpy as np
import pytest
from napari.layers import Labels

from napari_tessera.napari_plugin.filtering.writing_into import can_take, changed_box
from napari_tessera.napari_plugin.layers.locking import set_locked
from napari_tessera.napari_plugin.painting import history
from napari_tessera.napari_plugin.recipes.recording_layers import remembered
from napari_tessera.operations.registry import build_operation, find_operation
from napari_tessera.pipeline.api import apply

from .filter_helpers import apply_to, cells, click, finished, preview_of, save, settled

pytestmark = pytest.mark.gui


def with_hole():
    labels = np.zeros((60, 50), np.uint8)
    labels[10:30, 10:30] = 1
    labels[15:20, 15:20] = 0
    return labels


def test_labels_are_changed_in_place_and_ctrl_z_takes_it_back(widget, viewer, qtbot):
    before = with_hole()
    layer = viewer.add_labels(before.copy(), name="cells")
    widget.choose("fill_holes", layer)
    assert widget.into.isVisible()
    assert [widget.into.itemText(index) for index in range(widget.into.count())] == ["New layer", "Into cells"]
    assert widget.into.layer is None
    settled(widget, qtbot)
    assert preview_of(widget) is not None
    widget.into.layer = layer
    assert "in place of what is in 'cells'" in widget.apply_button.toolTip()
    data = layer.data
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    assert list(viewer.layers) == [layer], widget.panel.status.text()
    assert layer.data is data
    np.testing.assert_array_equal(layer.data, apply(build_operation("fill_holes", {}), before))
    assert "Ctrl+Z" in widget.panel.status.text()
    assert viewer.layers.selection.active is layer
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    layer.redo()
    assert layer.data[17, 17] == 1


@pytest.mark.parametrize("left", [True, False])
def test_a_result_above_the_bound_of_the_history_can_be_taken_back(left, widget, viewer, qtbot, monkeypatch):
    """That it can is said only where it can."""
    if not left:
        monkeypatch.setattr(history, "_PER_LAYER", 0)
    before = with_hole()
    layer = viewer.add_labels(before.copy(), name="cells")
    layer.paint((50, 40), 3)
    layer.undo()
    history.bound_history(layer, 10)
    widget.choose("fill_holes", layer)
    widget.into.layer = layer
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    assert layer.data[17, 17] == 1
    assert ("Ctrl+Z takes it back" in widget.panel.status.text()) == left
    assert ("too large to be taken back" in widget.panel.status.text()) != left
    layer.undo()
    assert np.array_equal(layer.data, before) == left


def test_a_second_time_nothing_changes(widget, viewer, qtbot):
    layer = viewer.add_labels(with_hole(), name="cells")
    widget.choose("fill_holes", layer)
    widget.into.layer = layer
    for said in ("Ctrl+Z", "Nothing has changed"):
        click(qtbot, widget.apply_button)
        finished(widget, qtbot)
        assert said in widget.panel.status.text()
    layer.undo()
    np.testing.assert_array_equal(layer.data, with_hole())


def test_numbers_that_do_not_fit_widen_the_layer(widget, viewer, qtbot):
    mask = np.zeros((64, 64), np.uint8)
    mask[::3, ::3] = 1
    layer = viewer.add_labels(mask, name="dots")
    widget.choose("connected_components", layer)
    widget.into.layer = layer
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    assert layer.data.max() == 22 * 22, widget.panel.status.text()
    assert layer.data.dtype == np.uint16
    layer.undo()
    np.testing.assert_array_equal(layer.data, mask)


def test_a_threshold_goes_into_labels_of_the_same_pixels(widget, viewer, qtbot):
    array = cells()
    image = viewer.add_image(array, name="image", scale=(2, 2))
    target = viewer.add_labels(np.zeros(array.shape, np.uint8), name="mine", scale=(2, 2))
    viewer.add_labels(np.zeros(array.shape, np.uint8), name="elsewhere")
    viewer.add_labels(np.zeros((5, 5), np.uint8), name="small", scale=(2, 2))
    widget.choose("otsu", image)
    assert widget.into.layers == (target,)
    viewer.layers.remove(target)
    assert not widget.into.isVisible()
    viewer.add_layer(target)
    assert widget.into.isVisible()
    widget.into.layer = target
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    np.testing.assert_array_equal(target.data, apply(build_operation("otsu", {}), array))
    widget.choose("li", image)
    assert widget.into.layer is None  # it would overwrite what has just been made
    widget.choose("median", image)
    assert not widget.into.isVisible()


def test_what_was_written_is_a_step_of_the_recipe_until_it_is_undone(widget, viewer, qtbot, tmp_path):
    image = viewer.add_image(cells(), name="image")
    mask = apply_to(widget, "otsu", image, qtbot)
    mask.data_setitem((np.array([40]), np.array([40])), 0)
    mask.undo()
    widget.choose("fill_holes", mask)
    widget.into.layer = mask
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    assert [step.operation for step in remembered(mask).recipe.steps] == ["otsu", "fill_holes"]
    widget.into.setCurrentIndex(0)
    made = apply_to(widget, "remove_small", mask, qtbot).metadata["tessera"]["recipe"]
    assert [step["operation"] for step in made["steps"]] == ["otsu", "fill_holes", "remove_small"]
    save(widget, [mask], tmp_path / "recipe.yaml", qtbot)
    mask.data_setitem((np.array([1, 1]), np.array([1, 2])), 1)
    with qtbot.waitSignal(widget.recipes.said) as said:
        widget.recipes.save([mask], tmp_path / "recipe.yaml")
    assert f"{mask.name!r} was changed by hand since" in said.args[0]
    made = apply_to(widget, "remove_small", mask, qtbot).metadata["tessera"]["recipe"]
    assert [step["operation"] for step in made["steps"]] == ["remove_small"]


def test_locked_objects_stay_as_they_are(widget, viewer, qtbot):
    before = with_hole()
    before[40:50, 10:30] = 2
    before[44:46, 15:20] = 0
    layer = viewer.add_labels(before.copy(), name="cells")
    set_locked(layer, [2])
    widget.choose("fill_holes", layer)
    widget.into.layer = layer
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    filled = before.copy()
    filled[15:20, 15:20] = 1
    np.testing.assert_array_equal(layer.data, filled)
    assert remembered(layer).recipe is None  # fill_holes alone does not make this


def test_labels_that_were_removed_meanwhile_are_a_new_layer(widget, viewer, qtbot):
    image = viewer.add_image(cells(), name="image")
    target = viewer.add_labels(np.zeros((120, 100), np.uint8), name="mine")
    widget.choose("otsu", image)
    widget.into.layer = target
    click(qtbot, widget.apply_button)
    viewer.layers.remove(target)
    finished(widget, qtbot)
    assert viewer.layers[-1].name == "image · Otsu threshold"
    assert not target.data.any()
    assert widget.into.layer is None


def test_what_cannot_be_written_into_is_not_offered():
    labels = Labels(with_hole())
    fill, shrink = find_operation("fill_holes"), find_operation("resize_labels")
    assert can_take(labels, fill, labels, "yx")
    assert not can_take(labels, shrink, labels, "yx")
    assert not can_take(Labels(dask.array.from_array(with_hole())), fill, labels, "yx")
    frozen = with_hole()
    frozen.flags.writeable = False
    assert not can_take(Labels(frozen), fill, labels, "yx")
    assert not can_take(Labels([with_hole(), with_hole()[::2, ::2]], multiscale=True), fill, labels, "yx")
    assert not can_take(Labels(with_hole(), translate=(0, 1)), fill, labels, "yx")


def test_the_changed_box():
    before = np.zeros((5, 6), np.uint8)
    after = before.copy()
    assert changed_box(before, after) is None
    after[1, 2] = after[3, 4] = 1
    assert changed_box(before, after) == (slice(1, 4), slice(2, 5))

"""Click to segment with real events of mouse and keyboard on the canvas."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractSpinBox, QCheckBox, QComboBox, QPushButton

from napari_tessera.napari_plugin.clicking import grow_tool, live_growth
from napari_tessera.napari_plugin.clicking.click_grid import match_grids
from napari_tessera.napari_plugin.clicking.click_widget import SHORTCUT, ClickWidget
from napari_tessera.napari_plugin.clicking.intent import Intent, intent_of
from napari_tessera.napari_plugin.clicking.options import ClickOptions
from napari_tessera.napari_plugin.clicking.options_form import OptionsForm
from napari_tessera.napari_plugin.layers.locking import locked_labels, set_locked
from napari_tessera.napari_plugin.layers.notes import METADATA_KEY
from napari_tessera.napari_plugin.layers.view_tracker import camera_of
from napari_tessera.operations.growing.engine import click_window

from .click_helpers import ALT, CONTROL, FIXTURES, LEFT, NEW_WINDOW, PLAIN, RIGHT, SHIFT, Hand, discs, full_mask, start

pytestmark = pytest.mark.gui
viewer, widget, hand = FIXTURES


def test_press_drag_release_and_undo(hand, widget, viewer):
    image = discs()
    labels = start(hand, image)
    assert labels.data.dtype == np.uint32
    widget.options.tolerance.setValue(5)
    hand.press(40, 30)
    hand.settle_growth()
    first = widget.mode.grow.latest
    core = image == 120
    np.testing.assert_array_equal(full_mask(first, image.shape), core & (np.arange(120) < 60))
    assert not labels.data.any()
    hand.drag(150)
    hand.settle_growth()
    wider = widget.mode.grow.latest
    assert wider.tolerance > 3 * first.tolerance
    whole = (image > 50) & (np.arange(120) < 60)
    np.testing.assert_array_equal(full_mask(wider, image.shape), whole)
    assert "New object" in hand.line_text
    hand.drag(-150)
    hand.settle_growth()
    assert widget.mode.grow.latest.tolerance == first.tolerance
    hand.drag(150)
    hand.release()
    np.testing.assert_array_equal(labels.data, whole)
    assert labels.selected_label == 1
    assert f"Object 1: {whole.sum():,} pixels" in hand.news
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert not labels.data.any()
    hand.key(Qt.Key.Key_Z, CONTROL | SHIFT)
    np.testing.assert_array_equal(labels.data, whole)


@pytest.mark.parametrize("tolerance", [None, 10.0])
def test_a_press_grows_once(hand, widget, tolerance):
    """The tolerance of the press is the one that is wanted until the mouse is dragged."""
    start(hand)
    if tolerance is not None:
        widget.options.tolerance.setValue(tolerance)
    grown = []
    widget.mode.grow.growth.grown.connect(grown.append)
    hand.press(40, 30)
    hand.qtbot.wait(50)
    hand.settle_growth()
    assert [one.done for one in grown] == [True]
    hand.drag(30)
    hand.settle_growth()
    assert grown[-1].tolerance > grown[0].tolerance
    hand.release()


def test_a_first_click_mostly_just_works(hand, widget):
    rng = np.random.default_rng(0)
    image = np.clip(discs() + rng.normal(0, 5, (80, 120)), 0, 255).astype(np.uint8)
    image[discs() == 120], image[discs() == 160] = image[discs() == 100].mean(), image[discs() == 140].mean()
    labels = start(hand, image)
    hand.click(50, 30)
    wanted = (discs() > 50) & (np.arange(120) < 60)
    assert (labels.data.astype(bool) & wanted).sum() / (labels.data.astype(bool) | wanted).sum() > 0.85


@NEW_WINDOW
def test_the_wheel_widens_while_the_button_is_held_and_zooms_otherwise(hand, widget, viewer):
    start(hand)
    view = hand.view
    hand.press(40, 30)
    hand.settle_growth()
    before = widget.mode.grow.latest.tolerance
    hand.scroll(3)
    assert widget.mode.grow.latest.tolerance == pytest.approx(before * 1.12**3)
    hand.scroll(-3)
    assert widget.mode.grow.latest.tolerance == pytest.approx(before)
    assert hand.view == view
    hand.release()
    hand.scroll(1)
    assert hand.view != view


def test_modifiers_add_replace_subtract_and_remove(hand, widget):
    image = discs()
    labels = start(hand, image)
    widget.options.tolerance.setValue(30)
    left, right = (image > 50) & (np.arange(120) < 60), (image > 50) & (np.arange(120) > 60)
    hand.click(40, 30)
    np.testing.assert_array_equal(labels.data, left)
    hand.click(40, 85, SHIFT)
    np.testing.assert_array_equal(labels.data, left | right)
    assert "Object 1 has grown" in hand.news
    hand.click(40, 85, CONTROL | SHIFT)
    np.testing.assert_array_equal(labels.data, left)
    hand.click(40, 85, CONTROL)
    np.testing.assert_array_equal(labels.data, right)
    assert "takes" not in hand.news
    hand.click(40, 30)
    np.testing.assert_array_equal(labels.data, 1 * right + 2 * left)
    hand.click(40, 85, ALT)
    np.testing.assert_array_equal(labels.data, 2 * left)
    for expected in (1 * right + 2 * left, right, left, left | right, left, np.zeros_like(left)):
        hand.key(Qt.Key.Key_Z, CONTROL)
        np.testing.assert_array_equal(labels.data, expected)


def test_a_right_click_drops_what_is_pending_and_escape_too(hand, widget):
    labels = start(hand)
    hand.press(40, 30)
    hand.settle_growth()
    QTest.mousePress(hand.native, RIGHT, PLAIN, hand.at)
    assert not widget.mode.grow.pending
    QTest.mouseRelease(hand.native, RIGHT, PLAIN, hand.at)
    hand.release()
    assert not labels.data.any()
    hand.press(40, 30)
    hand.key(Qt.Key.Key_Escape)
    assert not widget.mode.grow.pending
    assert widget.mode.on
    hand.release()
    assert not labels.data.any()
    hand.key(Qt.Key.Key_Escape)
    assert not widget.mode.on
    assert not widget.mode_button.isChecked()


def test_undo_says_what_it_did_and_first_drops_what_is_pending(hand, widget):
    labels = start(hand)
    hand.click(40, 30)
    made = labels.data.copy()
    assert made.any()
    hand.press(40, 85)
    hand.settle_growth()
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert not widget.mode.grow.pending
    assert hand.news == "Dropped."
    hand.release()
    np.testing.assert_array_equal(labels.data, made)
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert not labels.data.any()
    assert hand.news.startswith("Undone.")
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert hand.news == "There is nothing to undo."
    hand.key(Qt.Key.Key_Z, CONTROL | SHIFT)
    np.testing.assert_array_equal(labels.data, made)
    assert hand.news.startswith("Redone.")
    hand.key(Qt.Key.Key_Z, CONTROL | SHIFT)
    assert hand.news == "There is nothing to redo."
    hand.key(Qt.Key.Key_Escape)
    assert not hand.news, "what was said of other labels stays"


def test_the_keys_are_shown_where_they_count(hand, widget):
    start(hand)
    assert not widget.keys.isHidden()
    widget.tools.buttons["split"].click()
    assert widget.keys.isHidden()
    widget.tools.buttons["grow"].click()
    assert not widget.keys.isHidden()


@NEW_WINDOW
def test_the_brush_of_another_layer_ends_the_mode(hand, widget, viewer):
    labels = start(hand)
    other = viewer.add_labels(np.zeros((80, 120), np.uint8), name="other")
    viewer.layers.selection.active = other
    assert widget.mode.on, "another layer is only looked at"
    other.mode = "paint"
    assert not widget.mode.on
    view = hand.view
    hand.press(40, 30)
    hand.drag(40)
    hand.release()
    assert other.data.any()
    assert not labels.data.any(), "a stroke in one layer is a click in another"
    assert hand.view == view, "the stroke moves the image"


def test_hidden_labels_are_not_changed_unseen(hand, widget):
    labels = start(hand)
    labels.visible = False
    hand.click(40, 30)
    assert "is hidden" in hand.news
    assert not labels.data.any()
    labels.visible = True
    hand.click(40, 30)
    assert labels.data.any()
    labels.visible = False
    widget.tools.buttons["delete"].click()
    hand.click(40, 30)
    assert "is hidden" in hand.news
    assert labels.data.any()


@NEW_WINDOW
def test_the_mode_takes_the_mouse_and_gives_it_back(hand, widget, viewer):
    kept = [
        list(functions)
        for functions in (viewer.mouse_drag_callbacks, viewer.mouse_double_click_callbacks, viewer.mouse_move_callbacks)
    ]
    keys = set(viewer.keymap)
    labels = start(hand)
    view = hand.view
    hand.press(10, 10)
    hand.drag(40, 40)
    assert hand.view == view
    hand.release()
    assert labels.mode == "pan_zoom"
    hand.key(Qt.Key.Key_Escape)
    now = [
        list(functions)
        for functions in (viewer.mouse_drag_callbacks, viewer.mouse_double_click_callbacks, viewer.mouse_move_callbacks)
    ]
    assert now == kept
    assert set(viewer.keymap) == keys
    assert not labels.keymap
    hand.press(10, 10)
    hand.drag(40, 40)
    hand.release()
    assert hand.view != view


@NEW_WINDOW
def test_the_space_bar_lets_the_image_be_moved(hand, widget, viewer):
    labels = start(hand)
    view = hand.view
    QTest.keyPress(hand.native, Qt.Key.Key_Space)
    hand.press(40, 30)
    hand.drag(40, 40)
    hand.release()
    QTest.keyRelease(hand.native, Qt.Key.Key_Space)
    assert hand.view != view
    assert not labels.data.any()
    viewer.reset_view()
    hand.click(40, 30)
    assert labels.data.any()


def test_the_shortcut_the_brush_and_another_layer(hand, widget, viewer):
    viewer.add_image(discs())
    hand.key(getattr(Qt.Key, f"Key_{SHORTCUT}"))
    assert widget.mode.on
    labels = widget.labels.layer
    hand.key(getattr(Qt.Key, f"Key_{SHORTCUT}"))
    assert not widget.mode.on
    widget.mode_button.click()
    labels.mode = "paint"
    assert not widget.mode.on
    assert labels.mode == "paint"
    widget.mode_button.click()
    viewer.layers.selection.active = viewer.layers[0]
    assert widget.mode.on
    assert not camera_of(viewer).mouse_pan
    hand.click(40, 30)
    assert labels.data.any()
    hand.key(Qt.Key.Key_Z, CONTROL)  # though the image is the active layer
    assert not labels.data.any()


def test_the_line_says_what_the_next_click_does(hand, widget, viewer):
    labels = np.zeros((80, 120), np.uint16)
    labels[35:45, 25:35] = 7
    layer = start(hand, labels=labels)
    layer.selected_label = 7
    hand.move(40, 85)
    assert hand.line_text == "Click: a new object."
    assert viewer.help == "Click: a new object."
    hand.move(40, 30)
    assert hand.line_text == "Click: object 7 grows from here."
    set_locked(layer, {7})
    hand.move(41, 30)
    assert "Object 7 is locked" in hand.line_text


@pytest.mark.parametrize(
    ("modifiers", "under", "expected"),
    [
        ((), 0, Intent("new", 0)),
        ((), 4, Intent("extend", 4)),
        (("Shift",), 0, Intent("add", 9)),
        (("Control",), 4, Intent("replace", 9)),
        (("Control", "Shift"), 9, Intent("subtract", 9)),
        (("Alt",), 4, Intent("remove", 4)),
    ],
)
def test_intents(modifiers, under, expected):
    assert intent_of(modifiers, under, 9, ()) == expected
    assert expected.words
    assert intent_of(modifiers, under, 9, {expected.label}).problem or expected.label == 0


def test_intents_that_cannot_be():
    assert "no object is selected" in intent_of(("Shift",), 0, 0, ()).problem.lower()
    assert "none under the mouse" in intent_of(("Alt",), 0, 3, ()).problem


def test_objects_stay_out_of_each_other_unless_told(hand, widget):
    image = np.full((80, 120), 50, np.uint8)
    labels = np.zeros((80, 120), np.uint8)
    labels[:, 60:70] = 3
    labels[:, 100:] = 4
    layer = start(hand, image, labels)
    widget.options.tolerance.setValue(5)
    hand.click(40, 30)
    np.testing.assert_array_equal(layer.data == 5, np.broadcast_to(np.arange(120) < 60, (80, 120)))
    hand.key(Qt.Key.Key_Z, CONTROL)
    set_locked(layer, {4})
    widget.options.stay_out.setChecked(False)
    hand.click(40, 30)
    np.testing.assert_array_equal(np.unique(layer.data), [4, 5])
    assert (layer.data[:, 100:] == 4).all()


def test_ids_that_overflow_widen_the_labels_and_say_so(hand, widget):
    labels = np.zeros((80, 120), np.uint8)
    labels[0, 0] = 255
    layer = start(hand, labels=labels)
    from napari.utils.notifications import notification_manager

    hand.click(40, 30)
    assert layer.data.dtype == np.uint16
    assert (layer.data == 256).any()
    assert any("uint16" in record.message for record in notification_manager.records)


def test_a_volume_grows_in_all_slices_and_a_plane_in_one(hand, widget, viewer):
    volume = np.stack([np.full_like(discs(), 20), discs(), discs(), np.full_like(discs(), 20)])
    labels = start(hand, volume, scale=(2.2, 1, 1))
    widget.options.tolerance.setValue(30)
    viewer.dims.set_point(0, 2.2)
    hand.click(40, 30)
    assert labels.data[1].any()
    assert not labels.data[[0, 2, 3]].any()
    hand.key(Qt.Key.Key_Z, CONTROL)
    widget.extent.setCurrentIndex(1)
    hand.qtbot.waitUntil(lambda: not widget.mode.readiness.busy, timeout=120_000)
    hand.click(40, 30)
    assert labels.data[1:3].all(axis=0).sum() == ((discs() > 50) & (np.arange(120) < 60)).sum()
    assert not labels.data[[0, 3]].any()


def test_transposed_and_rolled_dimensions(hand, widget, viewer):
    volume = np.zeros((30, 80, 120), np.uint8)
    volume[10:20, 30:50, 40:80] = 100
    labels = start(hand, volume)
    widget.options.tolerance.setValue(30)
    for order, click in (((0, 2, 1), (60, 40)), ((1, 0, 2), (15, 60)), ((2, 1, 0), (40, 15))):
        viewer.dims.order = order
        viewer.reset_view()
        for axis, at in enumerate((15, 40, 60)):
            viewer.dims.set_point(axis, at)
        hand.click(*click)
        expected = np.zeros(volume.shape, bool)
        plane = [slice(None)] * 3
        plane[order[0]] = (15, 40, 60)[order[0]]
        expected[tuple(plane)] = volume[tuple(plane)] == 100
        np.testing.assert_array_equal(labels.data > 0, expected)
        hand.key(Qt.Key.Key_Z, CONTROL)


def test_time_channels_and_colours(hand, widget, viewer):
    movie = np.zeros((2, 3, 2, 80, 120), np.uint16)
    movie[1, 1, 0, 30:50, 20:60] = 500
    movie[1, 1, 1, 30:50, 40:60] = 700
    layer = viewer.add_image(movie, axis_labels=("t", "z", "c", "y", "x"))
    widget.options.tolerance.setValue(50)
    widget.mode_button.click()
    labels = widget.labels.layer
    assert labels.data.shape == (2, 3, 1, 80, 120)
    assert match_grids(layer, "tzcyx", labels).axes == "tzcyx"
    viewer.dims.set_point((0, 1, 2), (1, 1, 0))
    viewer.reset_view()
    hand.qtbot.waitUntil(lambda: not widget.mode.readiness.busy, timeout=120_000)
    hand.click(40, 30)
    assert np.count_nonzero(labels.data) == 20 * 40
    assert labels.data[1, 1, 0, 40, 30] == 1
    hand.key(Qt.Key.Key_Z, CONTROL)
    widget.channels.choose((0, 1))
    hand.click(40, 30)
    assert np.count_nonzero(labels.data) == 20 * 20


def test_rgb_grows_by_the_distance_of_colours(hand, widget):
    image = np.zeros((80, 120, 3), np.uint8)
    image[..., 0] = 100
    image[20:60, 20:60] = (0, 100, 0)
    labels = start(hand, image, rgb=True)
    widget.options.tolerance.setValue(20)
    hand.click(40, 30)
    assert np.count_nonzero(labels.data) == 40 * 40


def test_lazy_and_multiscale_images(hand, widget, viewer):
    da = pytest.importorskip("dask.array")
    threads = set()

    def slow(block):
        import threading

        threads.add(threading.current_thread() is threading.main_thread())
        time.sleep(0.02)
        return block

    image = discs()
    full = da.from_array(image, chunks=(40, 40)).map_blocks(slow)
    labels = start(hand, [full, full[::2, ::2]], multiscale=True, contrast_limits=(0, 255))
    assert labels.data.shape == (80, 120)
    widget.options.tolerance.setValue(30)
    threads.clear()
    hand.press(40, 30)
    hand.release()
    np.testing.assert_array_equal(labels.data > 0, (image > 50) & (np.arange(120) < 60))
    assert False in threads
    hand.key(Qt.Key.Key_Z, CONTROL)
    hand.press(40, 30)
    QTest.mousePress(hand.native, RIGHT, PLAIN, hand.at)
    QTest.mouseRelease(hand.native, RIGHT, PLAIN, hand.at)
    QTest.mouseRelease(hand.native, LEFT, PLAIN, hand.at)
    hand.press(40, 85)  # while the thread is still at the first one
    hand.release()
    np.testing.assert_array_equal(labels.data > 0, (image > 50) & (np.arange(120) > 60))


def test_long_growth_is_cut_and_can_be_dropped(hand, widget, monkeypatch):
    monkeypatch.setattr(live_growth, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(live_growth, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(live_growth, "STEP_PIXELS", 500)
    monkeypatch.setattr(live_growth, "PARTIAL_SECONDS", 0.0)
    image = np.zeros((400, 600), np.uint8)
    labels = start(hand, image)
    widget.options.tolerance.setValue(5)
    hand.press(200, 300)
    assert widget.mode.grow.growth.busy
    hand.qtbot.waitUntil(lambda: widget.mode.grow.latest is not None)
    assert not widget.mode.grow.latest.done
    QTest.mouseRelease(hand.native, LEFT, PLAIN, hand.at)
    assert widget.mode.grow.pending
    hand.key(Qt.Key.Key_Escape)
    hand.qtbot.wait(50)
    assert not widget.mode.grow.pending
    assert not labels.data.any()
    hand.click(200, 300)
    assert labels.data.all()


def test_points_grow_together_as_one_step(hand, widget, viewer):
    image = discs()
    labels = start(hand, image)
    widget.options.tolerance.setValue(30)
    viewer.add_points([[40, 30], [40, 85], [500, 500]])
    viewer.layers.selection.active = labels
    hand.qtbot.waitUntil(widget.points.button.isEnabled)
    widget.points.button.click()
    hand.qtbot.waitUntil(lambda: "2 objects from 2 points" in widget.panel.status.text(), timeout=120_000)
    assert "1 left out" in widget.panel.status.text()
    left, right = (image > 50) & (np.arange(120) < 60), (image > 50) & (np.arange(120) > 60)
    np.testing.assert_array_equal(labels.data, left + 2 * right)
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert not labels.data.any()


def pieces():
    labels = np.zeros((80, 120), np.int32)
    labels[20:60, 20:50] = 2
    labels[20:60, 50:80] = 5
    labels[30:40, 30:40] = 0
    labels[70:75, 100:110] = 9
    return labels


def test_merge_split_fill_smooth_delete_and_lock(hand, widget, viewer):
    labels = start(hand, labels=pieces())
    tools = widget.tools.buttons
    tools["merge"].click()
    hand.line((50, 30), (50, 70))
    assert set(np.unique(labels.data)) == {0, 2, 9}
    tools["split"].click()
    hand.line((10, 48), (70, 48))
    assert len(np.unique(labels.data)) == 4
    assert (labels.data == 10).sum() < (labels.data == 2).sum()
    hand.key(Qt.Key.Key_Z, CONTROL)
    tools["fill"].click()
    hand.click(50, 30)
    assert (labels.data[20:60, 20:80] == 2).all()
    tools["smooth"].click()
    hand.click(50, 30)
    assert labels.data[20, 20] == 0
    tools["lock"].click()
    hand.click(72, 105)
    assert locked_labels(labels) == {9}
    assert labels.metadata["tessera"]["locked"] == [9]
    assert widget.objects.locks.text() == "Locked: 9"
    tools["delete"].click()
    hand.click(72, 105)
    assert (labels.data == 9).any()
    assert "locked" in hand.news
    hand.click(50, 30)
    assert set(np.unique(labels.data)) == {0, 9}
    widget.objects.unlock_button.click()
    hand.click(72, 105)
    assert not labels.data.any()


def test_a_locked_object_is_never_changed(hand, widget):
    before = pieces()
    labels = start(hand, np.full((80, 120), 50, np.uint8), labels=before)
    set_locked(labels, {2, 9})
    widget.options.stay_out.setChecked(False)
    widget.options.tolerance.setValue(5)
    labels.selected_label = 2
    for modifiers in (SHIFT, CONTROL, CONTROL | SHIFT):
        hand.click(5, 5, modifiers)
        np.testing.assert_array_equal(labels.data, before)
    for name, place in (("delete", (50, 30)), ("fill", (50, 30)), ("smooth", (50, 30))):
        widget.tools.buttons[name].click()
        hand.click(*place)
        np.testing.assert_array_equal(labels.data, before)
    for name in ("merge", "split"):
        widget.tools.buttons[name].click()
        hand.line((50, 25), (50, 45))
        np.testing.assert_array_equal(labels.data, before)
    widget.tools.buttons["grow"].click()
    hand.click(50, 60)
    np.testing.assert_array_equal(np.isin(labels.data, (2, 9)), np.isin(before, (2, 9)))


def test_tools_in_one_slice_of_a_volume_and_in_all(hand, widget, viewer):
    labels = start(hand, np.zeros((3, 80, 120), np.uint8), np.stack([pieces()] * 3))
    viewer.dims.set_point(0, 1)
    widget.tools.buttons["delete"].click()
    hand.click(50, 60)
    assert [(plane == 5).any() for plane in labels.data] == [True, False, True]
    widget.extent.setCurrentIndex(1)
    hand.click(50, 30)
    assert not (labels.data == 2).any()
    widget.tools.buttons["split"].click()
    hand.line((72, 98), (72, 112))
    assert all(set(np.unique(plane[70:75, 100:110])) == {9, 10} for plane in labels.data)


def test_the_next_object_is_gone_to(hand, widget, viewer):
    volume = np.zeros((9, 80, 120), np.uint16)
    volume[2, 10:20, 10:20] = 3
    volume[6:8, 60:70, 90:100] = 8
    volume[7, 50:70, 90:100] = 8
    labels = start(hand, np.zeros((9, 80, 120), np.uint8), volume)
    labels.selected_label = 3
    widget.objects.next_button.click()
    hand.qtbot.waitUntil(lambda: labels.selected_label == 8, timeout=120_000)
    assert viewer.dims.point[0] == 7
    np.testing.assert_allclose(camera_of(viewer).center[-2:], (59.5, 94.5))
    widget.objects.previous_button.click()
    hand.qtbot.waitUntil(lambda: labels.selected_label == 3, timeout=120_000)
    assert viewer.dims.point[0] == 2


def quiet(capfd):
    out = capfd.readouterr()
    return "Traceback" not in out.err + out.out


def test_no_image_says_what_to_do(hand, widget, viewer, capfd):
    assert not widget.mode_button.isEnabled()
    assert "Open an image" in hand.line_text
    hand.key(getattr(Qt.Key, f"Key_{SHORTCUT}"))
    assert not widget.mode.on
    assert "Open an image" in hand.news
    viewer.add_labels(np.zeros((80, 120), np.uint8))
    widget.mode_button.click()
    hand.click(40, 30)
    assert "Open an image" in hand.news
    assert quiet(capfd)


def test_labels_that_do_not_fit(hand, widget, viewer, capfd):
    for shape, kwargs, sentence in (
        ((81, 60), {"scale": (1, 2)}, "have another size or direction"),
        ((3, 80, 120), {}, "3 dimensions"),
        ((80, 120), {"translate": (0.5, 0)}, "lie between"),
        ((80, 120), {"translate": (200, 0)}, "lies beside"),
    ):
        hand.clear()
        viewer.add_image(discs())
        before = viewer.add_labels(np.zeros(shape, np.uint8), **kwargs)
        widget.labels.layer = before
        widget.labels.activated.emit(widget.labels.currentIndex())  # unasked it would not be taken
        widget.mode_button.click()
        viewer.reset_view()
        hand.click(40, 30)
        assert sentence in hand.news
        assert "New labels" in hand.news
        assert not before.data.any()
    assert quiet(capfd)


def test_labels_of_a_part_of_the_image_on_the_same_grid(hand, widget, viewer):
    image = discs()
    viewer.add_image(image, scale=(2, 2))
    labels = viewer.add_labels(np.zeros((60, 70), np.uint8), scale=(2, 2), translate=(20, 10))
    widget.options.tolerance.setValue(30)
    widget.mode_button.click()
    viewer.reset_view()
    hand.qtbot.waitUntil(lambda: not widget.mode.readiness.busy, timeout=120_000)
    hand.click(40, 30)
    np.testing.assert_array_equal(labels.data > 0, ((image > 50) & (np.arange(120) < 60))[10:70, 5:75])
    hand.click(2, 2)
    assert "outside" in hand.news


def test_labels_that_cannot_be_changed(hand, widget, viewer, capfd):
    da = pytest.importorskip("dask.array")
    for kind in ("read-only", "several levels", "piece by piece", "not editable"):
        hand.clear()
        viewer.add_image(discs())
        array = np.zeros((80, 120), np.uint8)
        if kind == "several levels":
            viewer.add_labels([array, array[::2, ::2]], multiscale=True)
        elif kind == "piece by piece":
            viewer.add_labels(da.from_array(array))
        else:
            layer = viewer.add_labels(array)
            if kind == "read-only":
                array.flags.writeable = False
            else:
                layer.editable = False
        widget.mode_button.click()
        assert not widget.mode.on
        assert not widget.mode_button.isChecked()
        assert kind in hand.news
        for button in widget.tools.buttons.values():
            button.click()
        assert not widget.mode.on
        widget.tools.buttons["grow"].click()
    assert quiet(capfd)


def test_a_layer_deleted_in_the_middle_of_a_drag(hand, widget, viewer, capfd):
    start(hand)
    hand.press(40, 30)
    hand.drag(20)
    viewer.layers.remove(widget.labels.layer)
    hand.drag(20)
    hand.release()
    assert not widget.mode.on
    assert "is gone" in hand.news
    widget.mode_button.click()
    hand.press(40, 30)
    hand.drag(20)
    viewer.layers.remove(viewer.layers[0])
    hand.drag(20)
    hand.release()
    assert not widget.labels.layer.data.any()
    assert quiet(capfd)


def test_data_replaced_in_the_middle_of_a_drag(hand, widget, capfd):
    labels = start(hand)
    hand.press(40, 30)
    labels.data = np.zeros((10, 10), np.uint32)
    hand.release()
    assert not labels.data.any()
    assert "replaced" in hand.news
    assert quiet(capfd)


def test_clicks_outside_and_on_nan_and_in_the_three_dimensional_view(hand, widget, viewer, capfd):
    image = discs(np.float32)
    image[:20, :20] = np.nan
    labels = start(hand, image)
    hand.click(-5, 30)
    assert "outside" in hand.news
    hand.click(5, 5)
    assert "NaN" in hand.news
    assert not labels.data.any()
    hand.clear()
    start(hand, np.zeros((5, 80, 120), np.uint8))
    hand.at = hand.spot(40, 30)
    viewer.dims.ndisplay = 3
    assert "2D view" in hand.line_text
    QTest.mousePress(hand.native, LEFT, PLAIN, hand.at)
    hand.drag(20)
    hand.release()
    assert not widget.labels.layer.data.any()
    assert quiet(capfd)


def test_a_slice_without_labels_and_a_time_axis_on_screen(hand, widget, viewer, capfd):
    viewer.add_image(np.zeros((4, 80, 120), np.uint8), axis_labels=("t", "y", "x"))
    widget.mode_button.click()
    viewer.dims.order = (1, 0, 2)
    viewer.reset_view()
    hand.click(2, 30)
    assert "roll the dimensions" in hand.news
    assert quiet(capfd)


@NEW_WINDOW
def test_a_second_click_inside_an_object_extends_it_and_quick_clicks_are_two(hand, widget):
    image = discs()
    labels = start(hand, image)
    widget.options.tolerance.setValue(5)
    hand.click(40, 30)
    assert labels.data.sum() == (image == 120).sum()
    widget.options.tolerance.setValue(30)
    hand.click(42, 32)
    np.testing.assert_array_equal(labels.data, (image > 50) & (np.arange(120) < 60))
    hand.at, view = hand.spot(40, 85), hand.view
    QTest.mouseDClick(hand.native, LEFT, PLAIN, hand.at)
    hand.settle()
    assert set(np.unique(labels.data)) == {0, 1, 2}
    hand.press(5, 5, ALT)
    hand.drag(40, 40)
    hand.release(ALT)
    assert hand.view == view


def test_a_removed_layer_is_let_go(hand, widget, viewer):
    start(hand)
    hand.click(40, 30)
    known = weakref.ref(widget.labels.layer)
    viewer.layers.remove(known())

    def gone():
        gc.collect()
        return known() is None

    hand.qtbot.waitUntil(gone, timeout=120_000)  # the journal writes what is left first


def test_closing_the_widget_gives_everything_back(hand, widget, viewer):
    labels = start(hand)
    hand.press(40, 30)
    viewer.window.remove_dock_widget(widget)
    hand.qtbot.wait(20)
    assert not widget.mode.on
    assert labels.mouse_pan
    assert SHORTCUT not in {str(key) for key in viewer.keymap}
    hand.release()
    viewer.add_image(np.zeros((5, 5)))


def test_the_form_is_the_defaults_and_every_control_explains_itself(widget, qtbot):
    form = OptionsForm()
    qtbot.addWidget(form)
    assert form.options() == ClickOptions()
    for kind in (QPushButton, QComboBox, QAbstractSpinBox, QCheckBox):
        for control in widget.findChildren(kind):
            assert control.toolTip(), (type(control), getattr(control, "text", str)())


def test_an_object_locked_while_another_grows_stays(hand, widget):
    labels = start(hand)
    labels.data_setitem((np.array([40, 41]), np.array([28, 28])), 3)
    widget.options.stay_out.setChecked(False)
    hand.press(40, 35)
    hand.settle_growth()
    assert full_mask(widget.mode.grow.latest, labels.data.shape)[40, 28]
    set_locked(labels, {3})
    hand.release()
    assert (labels.data == 3).sum() == 2
    assert (labels.data == 4).sum() > 100


def test_in_a_grid_the_image_is_clicked_and_the_labels_show_the_outline(make_napari_viewer, runner, qtbot):
    viewer = make_napari_viewer(show=True)  # a grid is laid out when it is drawn
    widget = ClickWidget(viewer, runner)
    viewer.window.add_dock_widget(widget, name="Click to segment")
    hand = Hand(viewer, widget, qtbot)
    labels = start(hand)
    (viewer.canvas if hasattr(viewer, "canvas") else viewer).grid.enabled = True
    image = viewer.layers[0]
    nodes = {layer: hand.canvas.layer_to_visual[layer].node for layer in viewer.layers}

    def on_canvas(layer):
        x, y, _, w = nodes[layer].get_transform("visual", "canvas").map([30.5, 40.5, 0, 1])
        return QPoint(round(x / w), round(y / w))

    places = []

    def at_rest():
        """Whether the cells lie beside each other, and have lain there for a while."""
        places.append((on_canvas(image), on_canvas(labels)))
        return len(set(map(repr, places[-20:]))) == 1 and abs(places[-1][0].x() - places[-1][1].x()) > 100

    qtbot.waitUntil(at_rest)
    viewer.reset_view()
    places.clear()
    qtbot.waitUntil(at_rest)
    hand.at = on_canvas(image)
    QTest.mousePress(hand.native, LEFT, PLAIN, hand.at)
    hand.settle_growth()
    outline = widget.mode.grow._outline.widget
    qtbot.wait(50)
    seen = outline.grab().toImage()
    yellow = [
        x
        for x in range(seen.width())
        for y in range(0, seen.height(), 3)
        if seen.pixelColor(x, y).red() > 200 and seen.pixelColor(x, y).blue() < 60
    ]
    assert yellow
    assert abs(np.mean(yellow) - on_canvas(labels).x()) < 10
    hand.release()
    assert labels.data[40, 30] == 1
    hand.at = on_canvas(labels)
    QTest.mousePress(hand.native, LEFT, ALT, on_canvas(labels))
    QTest.mouseRelease(hand.native, LEFT, ALT, on_canvas(labels))
    hand.settle()
    assert not labels.data.any()


class Gate:
    """An image on disk, so to speak, whose pixels come once the gate is open."""

    def __init__(self, image):
        self.image, self.open = image, threading.Event()
        self.shape, self.dtype, self.ndim = image.shape, image.dtype, image.ndim

    def __getitem__(self, key):
        self.open.wait(20)
        return self.image[key]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.image, dtype)


def behind_a_gate(hand):
    """Start on a lazy image, with the gate closed; return the gate and the labels."""
    da = pytest.importorskip("dask.array")
    gate = Gate(discs())
    gate.open.set()
    labels = start(hand, da.from_array(gate, chunks=(80, 120)), contrast_limits=(0, 255))
    hand.widget.options.tolerance.setValue(30)
    gate.open.clear()
    return gate, labels


@NEW_WINDOW
def test_what_was_kept_is_not_dropped_by_the_next_press_nor_changed_by_the_wheel(hand, widget):
    gate, labels = behind_a_gate(hand)
    hand.press(40, 30)
    QTest.mouseRelease(hand.native, LEFT, PLAIN, hand.at)
    assert widget.mode.grow.pending
    first = hand.at
    hand.press(40, 85)
    assert "still being made" in hand.news
    QTest.mouseRelease(hand.native, LEFT, PLAIN, hand.at)
    hand.at = first
    view = hand.view
    assert not widget.mode.grow.scroll(5)
    gate.open.set()
    hand.settle()
    np.testing.assert_array_equal(labels.data > 0, (discs() > 50) & (np.arange(120) < 60))
    assert hand.view == view
    gate.open.clear()
    hand.press(40, 85)
    QTest.mouseRelease(hand.native, LEFT, PLAIN, hand.at)
    hand.key(Qt.Key.Key_Escape)  # drops it, and the mode stays
    assert widget.mode.on
    gate.open.set()
    hand.qtbot.wait(100)
    assert labels.data.max() == 1


def test_a_replacement_under_way_is_neither_doubled_nor_overtaken(hand, widget, monkeypatch):
    labels = start(hand)
    hand.click(40, 30)
    hand.click(40, 85)
    labels.selected_label = 1
    before = labels.data.copy()
    gate = threading.Event()
    work = grow_tool.replacing

    def held(*arguments):
        inner = work(*arguments)
        return lambda pixels: (gate.wait(20), inner(pixels))[1]

    monkeypatch.setattr(grow_tool, "replacing", held)
    widget.options.tolerance.setValue(5)  # of one's own: else background is no object
    hand.press(5, 5, CONTROL)
    hand.settle_growth()
    QTest.mouseRelease(hand.native, LEFT, CONTROL, hand.at)
    assert widget.mode.grow.busy
    hand.press(5, 100, CONTROL)
    assert "still being made" in hand.news
    QTest.mouseRelease(hand.native, LEFT, CONTROL, hand.at)
    hand.key(Qt.Key.Key_Z, CONTROL)  # the last thing that was done: it is dropped, and nothing before it
    gate.set()
    hand.settle()
    hand.qtbot.wait(50)
    np.testing.assert_array_equal(labels.data, before)
    assert widget.mode.on


def test_the_middle_button_ends_a_drag(hand, widget):
    labels = start(hand)
    hand.press(40, 30)
    hand.settle_growth()
    for event in (QTest.mousePress, QTest.mouseRelease):
        event(hand.native, Qt.MouseButton.MiddleButton, PLAIN, hand.at)
    hand.release()
    assert not widget.mode.grow.pending
    assert not labels.data.any()
    hand.click(40, 30)
    assert labels.data[40, 30] == 1


def test_what_is_written_while_a_region_grows_stays(hand, widget):
    labels = start(hand)
    hand.press(40, 30)
    hand.settle_growth()
    labels.data_setitem((np.array([40, 41]), np.array([26, 26])), 7)
    hand.release()
    assert (labels.data == 7).sum() == 2
    assert labels.data[40, 30] == 8
    labels.undo()
    widget.options.stay_out.setChecked(False)
    hand.press(40, 30)
    hand.settle_growth()
    hand.release()
    assert not (labels.data == 7).any()


@pytest.mark.parametrize("slow", ["edges", "smoothing"])
def test_what_cannot_be_cut_in_slices_grows_in_a_thread(hand, widget, slow, monkeypatch):
    labels = start(hand)
    if slow == "edges":
        widget.options.criterion.setCurrentIndex(2)
        assert widget.options.options().criterion == "edge_stopped"
    else:
        widget.options.smoothing.setValue(1.5)
    hand.click(40, 30)  # what is compiled once
    labels.undo()
    threads = set()
    prepared = click_window.Frame.prepared

    def noting(frame, box):
        threads.add(threading.current_thread() is threading.main_thread())
        return prepared(frame, box)

    monkeypatch.setattr(click_window.Frame, "prepared", noting)
    hand.move(40, 84)
    hand.qtbot.wait(100)
    assert not threads  # nothing grows ahead
    hand.click(40, 85)
    assert threads == {False}
    assert labels.data[40, 85] == 1


def test_annotation_with_classes_is_no_place_for_objects_unless_it_is_chosen(hand, widget, viewer):
    viewer.add_image(discs())
    classes = [{"id": 1, "name": "background", "color": "#0000ff"}, {"id": 2, "name": "cell", "color": "#ff0000"}]
    scribbles = viewer.add_labels(
        np.zeros((80, 120), np.uint8), name="a", metadata={METADATA_KEY: {"classes": classes}}
    )
    widget.mode_button.click()
    assert widget.mode.labels is not scribbles
    assert len(viewer.layers) == 3
    widget.mode_button.click()
    QTest.keyClick(widget.labels, Qt.Key.Key_A)
    assert widget.labels.layer is scribbles
    widget.mode_button.click()
    assert widget.mode.labels is scribbles
    assert len(viewer.layers) == 3


def test_an_image_replaced_while_the_button_is_held(hand, widget, viewer):
    labels = start(hand)
    hand.press(40, 30)
    hand.settle_growth()
    viewer.layers[0].data = discs()[:50, :50]
    hand.release()
    assert not labels.data.any()
    assert "image was replaced" in hand.news


def test_a_refusal_is_said_once(hand, widget):
    labels = start(hand)
    labels.editable = False
    hand.press(40, 30)
    hand.release()
    assert "not editable" in hand.news
    assert hand.messages.line.text() != hand.news

"""What grows under the resting mouse is what a press would have begun, and nobody sees it before."""

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_tessera.napari_plugin.clicking import live_growth
from napari_tessera.napari_plugin.layers.locking import set_locked

from .click_helpers import FIXTURES, SHIFT, full_mask, start

pytestmark = pytest.mark.gui
viewer, widget, hand = FIXTURES


def come_to_rest(hand, y, x):
    """Move the mouse there and hold it still until something has grown to its end under it."""
    growth = hand.widget.mode.grow.growth
    hand.move(y, x)
    hand.qtbot.waitUntil(lambda: growth._kept is not None and growth._kept.done, timeout=120_000)


def has_grown_ahead(hand):
    return hand.widget.mode.grow.growth._kept is not None


def heard(hand):
    """Everything that is told of regions from now on."""
    told = []
    hand.widget.mode.grow.growth.grown.connect(told.append)
    return told


def test_a_press_has_at_once_what_has_grown_ahead(hand, widget):
    labels = start(hand)
    told = heard(hand)
    come_to_rest(hand, 40, 30)
    assert not told
    assert not widget.mode.grow.pending
    assert not widget.mode.grow.growth.busy
    hand.press(40, 30)
    assert [one.done for one in told] == [True]  # before any other event
    ahead = widget.mode.grow.latest
    hand.release()
    kept = labels.data.copy()
    labels.undo()
    hand.move(5, 5)
    hand.press(40, 30)
    hand.settle_growth()
    fresh = widget.mode.grow.latest
    assert fresh.tolerance == ahead.tolerance
    np.testing.assert_array_equal(full_mask(fresh, kept.shape), full_mask(ahead, kept.shape))
    hand.release()
    np.testing.assert_array_equal(labels.data > 0, kept > 0)


def test_it_can_be_dragged_like_any_other(hand, widget):
    labels = start(hand)
    widget.options.tolerance.setValue(5)
    come_to_rest(hand, 40, 30)
    hand.press(40, 30)
    size = widget.mode.grow.latest.region.size
    hand.drag(150)
    hand.settle_growth()
    assert widget.mode.grow.latest.region.size > 3 * size
    hand.release()
    assert np.count_nonzero(labels.data) == np.hypot(*np.mgrid[-40:40, -30:90])[..., :60].__lt__(18).sum()


@pytest.mark.parametrize("change", ["image", "image in place", "stroke", "labels", "written", "undo"])
def test_a_press_takes_no_pixels_that_have_changed_since(hand, widget, viewer, change):
    labels = start(hand)
    labels.data_setitem((np.array([40]), np.array([85])), 5)
    come_to_rest(hand, 40, 30)
    image = viewer.layers[0]
    wall = (np.arange(80), np.full(80, 30))  # a line that the region may not cross
    if change == "image":
        image.data = np.zeros_like(image.data)
    elif change == "image in place":
        image.data[:, 31:] = 0
        image.refresh()
    elif change == "stroke":
        labels.brush_size = 3
        labels.selected_label = 7
        labels.paint((40, 40), 7)
    elif change == "labels":
        other = labels.data.copy()
        other[:, 31:] = 7
        labels.data = other
    elif change == "written":
        labels.data_setitem((wall[0], wall[1] + 1), 7)
    else:
        labels.undo()
    assert not has_grown_ahead(hand)
    hand.press(40, 30)
    hand.settle_growth()
    mask = full_mask(widget.mode.grow.latest, (80, 120))
    assert not (mask & (labels.data == 7)).any()
    assert mask[40, 30]
    if change == "image":
        assert mask.all() or mask[0, 0]  # all is one grey level now
    elif change == "image in place":
        assert not mask[:, 31:].any()
    hand.release()


def test_other_settings_and_keys_begin_anew(hand, widget):
    labels = start(hand)
    come_to_rest(hand, 40, 30)
    before = widget.mode.grow.growth._kept.region.size
    widget.options.max_size.setValue(50)
    hand.press(40, 30)
    hand.settle_growth()
    assert widget.mode.grow.latest.region.size <= 50 < before
    hand.release()
    labels.undo()
    widget.options.max_size.setValue(0)
    labels.data_setitem((np.array([40, 41]), np.array([30, 30])), 3)
    labels.selected_label = 3
    come_to_rest(hand, 40, 20)
    hand.press(40, 20, SHIFT)  # adds to 3, whose pixels it may enter
    hand.settle_growth()
    mask = full_mask(widget.mode.grow.latest, labels.data.shape)
    assert mask[40, 20]
    assert mask[40, 30]
    hand.release(SHIFT)
    assert set(np.unique(labels.data)) == {0, 3}


def test_an_object_that_has_been_locked_since_is_not_entered(hand, widget):
    labels = start(hand)
    widget.options.stay_out.setChecked(False)
    labels.data_setitem((np.array([40, 41]), np.array([30, 30])), 3)
    come_to_rest(hand, 40, 20)
    set_locked(labels, {3})
    hand.press(40, 20)
    hand.settle_growth()
    assert not full_mask(widget.mode.grow.latest, labels.data.shape)[40, 30]
    hand.release()


def test_a_mouse_that_moves_on_gives_it_up(hand, widget):
    start(hand)
    come_to_rest(hand, 40, 30)
    hand.move(40, 60)
    hand.move(40, 86)
    assert "(40, 30)" not in repr(hand.widget.mode.grow._ahead._key)  # by now it may have grown where the mouse is
    come_to_rest(hand, 40, 30)
    hand.press(40, 85)  # out of the blue, in the other disc
    hand.settle_growth()
    mask = full_mask(widget.mode.grow.latest, (80, 120))
    assert mask[40, 85]
    assert not mask[40, 30]
    hand.release()


def test_what_cannot_grow_is_told_of_by_the_press_alone(hand, widget):
    image = np.full((80, 120), 50.0, np.float32)
    image[40, 30] = np.nan
    start(hand, image)
    hand.move(40, 30)
    hand.qtbot.wait(100)
    assert "NaN" not in hand.news
    hand.press(40, 30)
    hand.settle_growth()
    assert "NaN" in hand.news
    hand.release()
    come_to_rest(hand, 10, 10)  # and it goes on elsewhere


def test_growing_ahead_ends_after_its_time_and_the_press_goes_on(hand, widget, monkeypatch):
    monkeypatch.setattr(live_growth, "AHEAD_SECONDS", 0)
    start(hand)
    hand.move(5, 5)
    growth = widget.mode.grow.growth
    hand.qtbot.waitUntil(lambda: growth._last is not None, timeout=120_000)
    hand.qtbot.wait(100)
    assert not growth._timer.isActive()
    assert not has_grown_ahead(hand)
    assert not growth.busy
    hand.press(5, 5)
    hand.settle_growth()
    assert widget.mode.grow.latest.done
    hand.release()


@pytest.mark.parametrize("how", ["mode", "layer", "tool", "widget"])
def test_nothing_is_kept_when_it_is_left(hand, widget, viewer, how):
    labels = start(hand)
    image = viewer.layers[0]
    come_to_rest(hand, 40, 30)
    if how == "mode":
        hand.key(Qt.Key.Key_Escape)
    elif how == "layer":
        viewer.layers.remove(viewer.layers[0])
    elif how == "tool":
        widget.mode.choose_tool("delete")
    else:
        widget.close()
    assert not has_grown_ahead(hand)
    for events in (labels.events.data, labels.events.set_data, labels.events.labels_update, image.events.set_data):
        assert not any("GrowingAhead" in repr(callback) for callback in events.callbacks)

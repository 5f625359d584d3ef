"""What Click to segment tells and marks, so that a click does nothing that nobody meant; with real events."""

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels
from qtpy.QtCore import Qt

import napari_tessera
from napari_tessera.napari_plugin.clicking.click_widget import SHORTCUT
from napari_tessera.napari_plugin.clicking.outline import Outline
from napari_tessera.napari_plugin.clicking.tool_buttons import TOOL_KEYS
from napari_tessera.napari_plugin.layers.locking import locked_places, set_locked
from napari_tessera.napari_plugin.layers.view_tracker import camera_of
from napari_tessera.napari_plugin.painting.canvas import canvas_of, canvas_size

from .click_helpers import CONTROL, FIXTURES, SHIFT, discs, start

pytestmark = pytest.mark.gui
viewer, widget, hand = FIXTURES


# Background


def test_a_click_on_background_is_told_and_writes_nothing(hand, widget):
    labels = start(hand)
    hand.press(5, 60)
    hand.settle_growth()
    region = widget.mode.grow.latest.region
    part = round(100 * region.size / labels.data.size)
    assert part > 50
    assert f"{part} % of the image: that looks like background" in hand.line_text
    hand.drag(2)  # a hand that trembles has not dragged
    hand.release()
    assert not labels.data.any()
    assert f"The region fills {part} % of the image: that looks like background. Click an object;" in hand.news
    hand.click(40, 30)
    assert set(np.unique(labels.data)) == {0, 1}, "an object is one as before"
    assert "background" not in hand.news


def ring(width):
    """Return a frame round a bright square, which reaches all sides of the image."""
    image = np.full((80, 120), 20, np.uint8)
    image[width:-width, width:-width] = 140
    return image


@pytest.mark.parametrize(("width", "told"), [(12, True), (6, False)])
def test_what_reaches_all_sides_is_background_from_a_third_of_the_image_on(hand, widget, width, told):
    image = ring(width)
    assert (0.5 > float((image == 20).mean()) > 1 / 3) is told
    labels = start(hand, image)
    hand.click(2, 60)
    assert ("looks like background" in hand.news) is told
    np.testing.assert_array_equal(labels.data != 0, (image == 20) & (not told))


def test_background_is_kept_by_whoever_drags_turns_the_wheel_or_has_a_tolerance(hand, widget):
    labels = start(hand)

    def drag():
        hand.drag(10)

    def turn():
        hand.scroll(1)

    def set_tolerance():
        pass

    for asks in (drag, turn, set_tolerance):
        widget.options.tolerance.setValue(3 if asks is set_tolerance else 0)
        hand.press(5, 60)
        hand.settle_growth()
        asks()
        hand.settle_growth()
        assert "background" not in hand.line_text
        hand.release()
        assert labels.data[discs() == 20].all()
        labels.data = np.zeros_like(labels.data)


def test_background_replaces_no_object_and_takes_nothing_away(hand, widget):
    labels = start(hand)
    hand.click(40, 30)
    made = labels.data.copy()
    for modifiers in (SHIFT, CONTROL, CONTROL | SHIFT):
        hand.click(5, 60, modifiers)
        np.testing.assert_array_equal(labels.data, made)
        assert "looks like background" in hand.news


@pytest.mark.parametrize("places", [[(40, 30), (5, 60), (40, 85), (75, 5)], [(5, 60), (75, 5), (40, 58)]])
def test_points_on_background_are_told_and_left_out(hand, widget, viewer, places):
    labels = start(hand)
    viewer.add_points(places, name="marked")
    hand.qtbot.waitUntil(widget.points.button.isEnabled)
    widget.points.button.click()
    hand.qtbot.waitUntil(lambda: "left out" in widget.panel.status.text(), timeout=120_000)
    told, objects = widget.panel.status.text(), discs() > 20
    background = [place for place in places if not objects[place]]
    assert f"{len(background)} points of 'marked' left out" in told  # each of which shares it with the others
    assert "Move them onto objects" in told
    assert not labels.data[~objects].any()
    if len(background) < len(places):
        assert "2 objects from 2 points" in told
        assert set(np.unique(labels.data)) == {0, 1, 2}
    else:
        assert not labels.data.any()


def test_points_on_background_are_grown_with_a_tolerance_of_the_person(hand, widget, viewer):
    labels = start(hand)
    widget.options.tolerance.setValue(3)
    viewer.add_points([(5, 60)])
    hand.qtbot.waitUntil(widget.points.button.isEnabled)
    widget.points.button.click()
    hand.qtbot.waitUntil(lambda: "1 object from 1 point." in widget.panel.status.text(), timeout=120_000)
    assert labels.data[discs() == 20].all()


# Dim objects


def test_a_dim_object_is_grown_in_a_smoothed_image_and_the_line_says_so(hand, widget):
    y, x = np.mgrid[:80, :120]
    truth = np.hypot(y - 40, x - 60) < 14
    image = (100 + 20 * truth + np.random.default_rng(0).normal(0, 10, truth.shape)).astype(np.uint16)
    labels = start(hand, image)
    hand.press(40, 60)
    hand.settle_growth()
    assert "px as it is noisy here" in hand.line_text
    hand.release()
    made = labels.data != 0
    assert (made & truth).sum() > 0.8 * (made | truth).sum()
    labels.data = np.zeros_like(labels.data)
    widget.options.smoothing.setValue(0)
    hand.press(40, 60)
    hand.settle_growth()
    assert "smoothed" not in hand.line_text, "the value of the person wins"
    hand.release()


# The object that was gone to


def pair():
    labels = np.zeros((80, 120), np.uint16)
    labels[20:40, 20:50], labels[50:70, 70:100] = 3, 8
    return labels


def go(hand, widget, wanted):
    """Go from object 3 to object 8."""
    labels = widget.labels.layer
    labels.selected_label = 3
    widget.objects.next_button.click()
    hand.qtbot.waitUntil(widget.objects.next_button.isEnabled, timeout=120_000)
    assert labels.selected_label == wanted


def test_the_next_object_is_outlined_until_something_else_is_looked_at(hand, widget, viewer):
    labels = start(hand, labels=pair())
    told = widget.objects.outline

    def take_another():
        labels.selected_label = 3

    def paint():
        labels.paint((55, 75), 3)

    def elsewhere():
        labels.data_setitem((np.array([2]), np.array([2])), 8)

    def replace():
        labels.data = pair() * (pair() == 3)

    for done, ends in ((take_another, True), (paint, True), (elsewhere, False), (replace, True)):
        labels.data = pair()
        go(hand, widget, 8)
        assert told.layer is labels
        assert told.outline.widget is not None
        done()
        assert (told.layer is None) is ends, done.__name__
    labels.data = pair()
    go(hand, widget, 8)
    widget.mode.leave()
    assert told.layer is None
    go(hand, widget, 8)
    viewer.layers.remove(labels)
    assert told.layer is None


# What is locked


def test_a_padlock_marks_what_is_locked_where_it_was(hand, widget, viewer):
    labels = start(hand, np.zeros((3, 80, 120), np.uint8), labels=np.stack([pair()] * 3))
    viewer.dims.set_point(0, 1)
    camera_of(viewer).center = (0, 80, 60)  # so that both lie on the canvas, however large it is
    marks, before = widget.objects.marks, labels.data.copy()
    widget.tools.buttons["lock"].click()
    hand.click(30, 35)
    hand.click(60, 85)
    assert locked_places(labels) == {3: (1, 30, 35), 8: (1, 60, 85)}
    np.testing.assert_array_equal(labels.data, before)

    def check(*pixels):
        expected = [(spot.x(), spot.y()) for spot in (hand.spot(*pixel, layer=labels) for pixel in pixels)]
        np.testing.assert_allclose(marks.places(), np.reshape(expected, (-1, 2)), atol=1)

    check((30, 35), (60, 85))
    camera_of(viewer).zoom *= 0.7
    check((30, 35), (60, 85))
    viewer.dims.set_point(0, 2)
    check()
    viewer.dims.set_point(0, 1)
    labels.data_setitem((np.array([1]), np.array([30]), np.array([35])), 8)
    check((60, 85))
    labels.visible = False
    check()
    labels.visible = True
    hand.click(60, 85)
    assert locked_places(labels) == {3: (1, 30, 35)}
    check()
    labels.undo()
    check((30, 35))
    widget.objects.unlock_button.click()
    assert marks.widget is None
    assert not marks.places().size
    set_locked(labels, {3})  # without a place, as by an older version
    widget.objects.refresh()
    assert marks.widget is None


# Letters


def test_letters_take_tools_over_the_canvas(hand, widget):
    start(hand)
    for name, letter in TOOL_KEYS.items():
        hand.key(getattr(Qt.Key, f"Key_{letter}"))
        assert widget.mode.tool == name
        button = widget.tools.buttons[name]
        assert button.isChecked()
        assert f"({letter})" in button.text()
        assert button.toolTip().endswith(f": {letter}.")
    assert widget.keys.isHidden()
    hand.key(Qt.Key.Key_W)
    assert not widget.keys.isHidden()
    widget.mode.leave()
    hand.key(Qt.Key.Key_S)
    assert widget.mode.tool == "grow", "letters are napari's again"


def test_the_letters_are_free(viewer):
    assert len(set(TOOL_KEYS.values())) == len(TOOL_KEYS)
    for holder in (viewer, Labels, Image):
        used = {str(key).upper() for key in holder.class_keymap}
        assert not used & {*TOOL_KEYS.values()}
    assert SHORTCUT not in TOOL_KEYS.values()


# The canvas of napari, which is private


def test_where_the_canvas_is_not_to_be_had_a_layer_stands_in(viewer, qtbot):
    canvas = viewer.window._qt_viewer.canvas
    assert canvas_of(viewer) is canvas
    elsewhere = SimpleNamespace(window=SimpleNamespace(_qt_window=SimpleNamespace(_qt_viewer=viewer.window._qt_viewer)))
    assert canvas_of(elsewhere) is canvas
    for window in (None, SimpleNamespace(), SimpleNamespace(_qt_viewer=SimpleNamespace(canvas=object()))):
        assert canvas_of(SimpleNamespace(window=window)) is None
        assert canvas_size(SimpleNamespace(window=window)) is None
    without = ViewerModel()
    outline = Outline(without, without.add_labels(np.zeros((9, 9), np.uint8)))
    outline.show((2, 2), np.ones((3, 3), bool))
    assert outline.widget is None
    assert len(without.layers) == 2


def test_one_module_knows_where_napari_keeps_its_canvas():
    from pathlib import Path

    root = Path(napari_tessera.__file__).parent
    found = {path.name for path in root.rglob("*.py") if "_qt_viewer" in path.read_text(encoding="utf-8")}
    assert found == {"canvas.py"}

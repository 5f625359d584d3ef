"""What Click to segment tells and marks, so that a click does nothing that nobody meant; with real events."""

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel

import napari_tessera
from napari_tessera.napari_plugin.canvas import canvas_of, canvas_size
from napari_tessera.napari_plugin.clicking.click_widget import ClickWidget
from napari_tessera.napari_plugin.clicking.outline import Outline

from .click_helpers import CONTROL, SHIFT, Hand, discs, start

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer()
    viewer.window._qt_viewer.canvas.native.resize(600, 400)
    return viewer


@pytest.fixture
def widget(viewer, runner, qtbot):
    widget = ClickWidget(viewer, runner)
    viewer.window.add_dock_widget(widget, name="Click to segment")
    return widget


@pytest.fixture
def hand(viewer, widget, qtbot):
    return Hand(viewer, widget, qtbot)


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

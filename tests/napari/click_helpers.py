"""A hand on the mouse over the canvas, what it clicks on, and the fixtures of tests that click.

A test file has the fixtures by ``viewer, widget, hand = FIXTURES``, in place of those of these names in conftest.
"""

from itertools import pairwise

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_tessera.napari_plugin.clicking.click_widget import ClickWidget

PLAIN = Qt.KeyboardModifier.NoModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
CONTROL = Qt.KeyboardModifier.ControlModifier
ALT = Qt.KeyboardModifier.AltModifier
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton


@pytest.fixture
def viewer(open_viewer):
    viewer = open_viewer()
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


FIXTURES = viewer, widget, hand
NEW_WINDOW = pytest.mark.usefixtures("no_other_window")
"""For tests that move the view: vispy finds what is under the mouse only in a window that is new, if it is hidden."""


def discs(dtype=np.uint8):
    """Return two discs of 100 and 140 on 20, each round a brighter core, without noise."""
    y, x = np.mgrid[:80, :120]
    image = np.full((80, 120), 20, dtype)
    for column, value in ((30, 100), (85, 140)):
        distance = np.hypot(y - 40, x - column)
        image[distance < 18] = value
        image[distance < 8] = value + 20
    return image


class Hand:
    """A hand on the mouse over the canvas."""

    def __init__(self, viewer, widget, qtbot):
        self.viewer, self.widget, self.qtbot = viewer, widget, qtbot
        self.canvas = viewer.window._qt_viewer.canvas
        self.native = self.canvas.native
        self.held = []

    def spot(self, y, x, layer=None):
        """Where on the canvas the pixel (y, x) of the displayed plane is."""
        layer = layer or self.viewer.layers[0]
        point = np.array(layer.world_to_data(np.asarray(self.viewer.dims.point)), float)
        displayed = [d - (self.viewer.dims.ndim - layer.ndim) for d in self.viewer.dims.displayed]
        point[displayed] = y, x
        world = np.asarray(layer.data_to_world(point))[displayed]
        view = self.canvas.view
        mapped = (view.transform * view.scene.transform).map([world[1], world[0], 0, 1])
        return QPoint(round(float(mapped[0] / mapped[3])), round(float(mapped[1] / mapped[3])))

    def move(self, y, x):
        self._move(self.spot(y, x), Qt.MouseButton.NoButton)

    def _move(self, to, buttons):
        where = QPointF(to), QPointF(self.native.mapToGlobal(to))
        event = QMouseEvent(QEvent.Type.MouseMove, *where, Qt.MouseButton.NoButton, buttons, PLAIN)
        QApplication.sendEvent(self.native, event)
        self.qtbot.wait(10)  # napari passes on a move every 5 ms

    def press(self, y, x, modifiers=PLAIN, button=LEFT):
        self.at = self.spot(y, x)
        QTest.mousePress(self.native, button, modifiers, self.at)

    def drag(self, right, down=0):
        self.at += QPoint(right, down)
        self._move(self.at, LEFT)

    def release(self, modifiers=PLAIN, button=LEFT):
        QTest.mouseRelease(self.native, button, modifiers, self.at)
        self.settle()

    def click(self, y, x, modifiers=PLAIN):
        self.press(y, x, modifiers)
        self.settle_growth()
        self.release(modifiers)

    def line(self, *points):
        self.press(*points[0])
        for start, stop in pairwise(points):
            for part in np.linspace(start, stop, 6)[1:]:
                target = self.spot(*part)
                self.drag(target.x() - self.at.x(), target.y() - self.at.y())
        self.release()

    def scroll(self, notches):
        where = QPointF(self.at)
        event = QWheelEvent(
            where,
            QPointF(self.native.mapToGlobal(self.at)),
            QPoint(),
            QPoint(0, 120 * notches),
            LEFT,
            PLAIN,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(self.native, event)
        self.settle_growth()

    def key(self, key, modifiers=PLAIN):
        QTest.keyClick(self.native, key, modifiers)
        self.qtbot.wait(10)

    def settle_growth(self):
        grow = self.widget.mode.grow
        self.qtbot.waitUntil(lambda: not grow.growth.busy, timeout=120_000)

    def settle(self):
        mode = self.widget.mode
        self.qtbot.waitUntil(
            lambda: not mode.grow.pending and not mode.grow.busy and not mode.correct.busy, timeout=120_000
        )

    @property
    def view(self):
        """What of the world the canvas shows."""
        rect = self.canvas.view.camera.rect
        return (*rect.pos, *rect.size)

    @property
    def line_text(self):
        return self.messages.line.text()

    @property
    def news(self):
        return self.messages.news.text()

    @property
    def messages(self):
        """The lines of the widget, once they show what was said last: texts come a moment later."""
        messages = self.widget.messages
        self.qtbot.waitUntil(lambda: not messages._timer.isActive())
        return messages

    def clear(self):
        """Take all layers away, as if napari had just been opened."""
        self.widget.mode.leave()
        self.viewer.layers.clear()


def start(hand, image=None, labels=None, **kwargs):
    """Open an image, make labels and switch the mode on; return the labels."""
    viewer, widget = hand.viewer, hand.widget
    viewer.add_image(discs() if image is None else image, **kwargs)
    if labels is not None:
        widget.labels.layer = viewer.add_labels(labels)
    widget.mode_button.click()
    assert widget.mode.on, widget.messages.news.text()
    viewer.reset_view()
    hand.qtbot.waitUntil(lambda: not widget.mode.readiness.busy, timeout=120_000)
    return widget.labels.layer


def full_mask(grown, shape):
    mask = np.zeros(shape, bool)
    mask[grown.region.box] = grown.region.mask
    return mask

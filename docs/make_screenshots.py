"""Make the pictures of the documentation from the real program: ``make screenshots``.

The demo runs in napari as for a person; pictures are taken on the way: the sample, a training with its preview, the
prediction. Before it, the widget Filter & threshold with Otsu's thresholds, and Click to segment with a real mouse:
press, drag, commit, split, merge. Sessions: a napari is killed while it is painted in, and the next one offers what was
painted. Names of files:
``docs/images/{filter,click_press,click_drag,click_objects,click_split,click_merge,sample,train,predict}.png`` and
``docs/images/session_{offer,list}.png``; with ``--filter`` the first alone, with ``--click`` those of the clicks, with
``--sessions`` those of sessions.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_tessera.core.jobs import Progress
from napari_tessera.napari_plugin.home import HOME_VARIABLE

IMAGES = Path(__file__).parent / "images"
SIZE = (1400, 860)
STEPS = 250
PATIENCE_SECONDS = 1500.0


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Keep the window alive until `condition` holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit("The program did not come to where a picture was to be taken.")
        QApplication.processEvents()
        time.sleep(0.01)


def wait(seconds: float) -> None:
    """Keep the window alive for a while."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > end)


def take(viewer: napari.Viewer, name: str) -> None:
    """Write a picture of the whole window."""
    wait(0.5)
    path = IMAGES / f"{name}.png"
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    sys.stdout.write(f"{path}\n")


def picture_filter() -> None:
    """Take the picture of Filter & threshold."""
    viewer = napari.Viewer(title="napari")
    viewer.window.resize(*SIZE)
    image, scribbles = viewer.open_sample("napari-tessera", "nuclei")
    viewer.layers.remove(scribbles)
    viewer.layers.selection.active = image
    _, widget = viewer.window.add_plugin_dock_widget("napari-tessera", "Filter & threshold")
    wait(1)
    viewer.reset_view()
    widget.choose("otsu")
    widget.panel_of_operation.form.set_values({"classes": 3})
    wait_until(lambda: widget.preview.shown.there and len(widget.panel_of_operation.histogram.lines) == 2)
    wait(1)
    take(viewer, "filter")
    viewer.close()


class Mouse:
    """A mouse over the canvas of a viewer; places are pixels (y, x) of an image of scale 1."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self._canvas = viewer.window._qt_viewer.canvas  # noqa: SLF001  nothing public takes the mouse
        self._at = QPoint()

    def press(self, place: tuple[float, float]) -> None:
        """Press the left button."""
        self._move(self._spot(place), Qt.MouseButton.NoButton)
        QTest.mousePress(self._canvas.native, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, self._at)
        wait(0.5)

    def drag(self, right: float, down: float = 0) -> None:
        """Move with the button held, by pixels of the screen."""
        start = self._at
        for part in range(1, 11):
            self._move(start + QPoint(round(right * part / 10), round(down * part / 10)), Qt.MouseButton.LeftButton)
        wait(0.5)

    def drag_to(self, place: tuple[float, float]) -> None:
        """Move to a place with the button held."""
        way = self._spot(place) - self._at
        self.drag(way.x(), way.y())

    def release(self) -> None:
        """Let the button go."""
        QTest.mouseRelease(self._canvas.native, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, self._at)
        wait(0.5)

    def _spot(self, place: tuple[float, float]) -> QPoint:
        view = self._canvas.view
        x, y, _, w = (view.transform * view.scene.transform).map([place[1], place[0], 0, 1])
        return QPoint(round(x / w), round(y / w))

    def _move(self, to: QPoint, buttons: Qt.MouseButton) -> None:
        self._at = to
        native = self._canvas.native
        where = QPointF(to), QPointF(native.mapToGlobal(to))
        keys = Qt.KeyboardModifier.NoModifier
        event = QMouseEvent(QEvent.Type.MouseMove, *where, Qt.MouseButton.NoButton, buttons, keys)
        QApplication.sendEvent(native, event)
        wait(0.02)


def picture_click() -> None:
    """Take the pictures of Click to segment: a region in the making, objects, and their correction."""
    viewer = napari.Viewer(title="napari")
    viewer.window.resize(*SIZE)
    image, scribbles = viewer.open_sample("napari-tessera", "nuclei")
    viewer.layers.remove(scribbles)
    image.scale, image.units = (1, 1), ("pixel", "pixel")
    _, widget = viewer.window.add_plugin_dock_widget("napari-tessera", "Click to segment")
    wait(1)
    widget.mode_button.click()
    viewer.reset_view()
    wait_until(lambda: not widget.mode.readiness.busy)
    viewer.scene.camera.zoom *= 2.5
    wait(1)
    mouse = Mouse(viewer)
    places = bright_places(image.data)
    mouse.press(places[0])
    take(viewer, "click_press")
    mouse.drag(-60)
    take(viewer, "click_drag")
    mouse.drag(60)
    mouse.release()
    for place in places[1:7]:
        mouse.press(place)
        mouse.release()
    take(viewer, "click_objects")
    labels = widget.labels.layer
    across, along = lines_through(labels.data == 1)
    widget.tools.buttons["split"].click()
    mouse.press(across[0])
    mouse.drag_to(across[1])
    take(viewer, "click_split")
    mouse.release()
    wait_until(lambda: not widget.mode.correct.busy)
    widget.tools.buttons["merge"].click()
    mouse.press(along[0])
    mouse.drag_to(along[1])
    take(viewer, "click_merge")
    mouse.release()
    viewer.close()


PAINTED = "--paint-and-die"


def paint_and_die() -> None:
    """Make objects by clicks, wait until they are saved, and end as in a crash."""
    from napari_tessera.io.journal.sessions import find_sessions
    from napari_tessera.napari_plugin.home import current_home
    from napari_tessera.napari_plugin.journal.protecting import shared_journal

    viewer = napari.Viewer(title="napari")
    viewer.window.resize(*SIZE)
    image, scribbles = viewer.open_sample("napari-tessera", "nuclei")
    viewer.layers.remove(scribbles)
    image.scale, image.units = (1, 1), ("pixel", "pixel")
    _, widget = viewer.window.add_plugin_dock_widget("napari-tessera", "Click to segment")
    wait(1)
    widget.mode_button.click()
    viewer.reset_view()
    wait_until(lambda: not widget.mode.readiness.busy)
    mouse = Mouse(viewer)
    for place in bright_places(image.data)[:12]:
        mouse.press(place)
        mouse.release()
    home = current_home().folder
    wait_until(lambda: bool(found := find_sessions(home)) and found[0].thumbnail is not None)
    wait_until(lambda: all(not shared_journal().state(watch).unsaved for watch in shared_journal().watches()))
    os.kill(os.getpid(), signal.SIGKILL)


def picture_sessions() -> None:
    """Take the pictures of what a crash leaves behind: the offer, and the list of sessions once it was restored."""
    subprocess.run([sys.executable, __file__, PAINTED], check=False)
    viewer = napari.Viewer(title="napari")
    viewer.window.resize(*SIZE)
    image, scribbles = viewer.open_sample("napari-tessera", "nuclei")
    viewer.layers.remove(scribbles)
    image.scale, image.units = (1, 1), ("pixel", "pixel")
    _, widget = viewer.window.add_plugin_dock_widget("napari-tessera", "Sessions")
    wait(1)
    from napari_tessera.napari_plugin.journal.offering import OfferBar

    window = viewer.window._qt_window  # noqa: SLF001  the bar is nobody's attribute
    wait_until(lambda: bool(window.findChildren(OfferBar)))
    (bar,) = window.findChildren(OfferBar)
    bar.show_button.click()
    wait(1)
    viewer.reset_view()
    take(viewer, "session_offer")
    next(iter(bar.rows.values())).restore_button.click()
    wait_until(lambda: any(layer.name != image.name for layer in viewer.layers))
    wait(3)
    widget.list_sessions()
    wait(1)
    widget.list.setCurrentRow(0)
    viewer.reset_view()
    take(viewer, "session_list")
    viewer.close()


def bright_places(image: np.ndarray) -> list[tuple[float, float]]:
    """Return the middles of bright objects, those near the middle of the image first."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(image.astype(float), 2)
    found, count = ndimage.label(smooth > (smooth.min() + smooth.max()) / 2.5)
    middles = ndimage.center_of_mass(found > 0, found, range(1, count + 1))
    return sorted(middles, key=lambda place: float(np.hypot(*np.subtract(place, np.array(image.shape) / 2))))


def lines_through(mask: np.ndarray) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Return the ends of a line that parts two touching discs where they are narrowest, and of one through both."""
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(mask)
    for level in np.arange(1, depth.max(), 0.5):
        parts, count = ndimage.label(depth > level)
        if count == 2:
            break
    first, second = (np.array(middle) for middle in ndimage.center_of_mass(parts > 0, parts, (1, 2)))
    way = np.linspace(first, second, 50)
    neck = way[depth[tuple(np.round(way).astype(int).T)].argmin()]
    aside = np.array([second[1] - first[1], first[0] - second[0]]) / np.hypot(*(second - first))
    return [tuple(neck - 16 * aside), tuple(neck + 16 * aside)], [tuple(first), tuple(second)]


def main() -> None:
    """Run the demo and take the pictures."""
    from napari_tessera.napari_plugin.demo import Demo

    viewer = napari.Viewer(title="napari")
    viewer.window.resize(*SIZE)
    demo = Demo(viewer, ("nuclei",), PATIENCE_SECONDS)
    demo.train.settings.controls["max_steps"].setValue(STEPS)
    lines: list[str] = []
    demo.finished.connect(lines.append)
    steps = [0]
    demo.train.runner.event_received.connect(
        lambda event: steps.append(event.done) if isinstance(event, Progress) and event.unit == "step" else None
    )
    wait(2)
    take(viewer, "sample")
    demo.start()
    wait_until(lambda: steps[-1] >= STEPS / 2)
    take(viewer, "train")
    wait_until(lambda: bool(lines))
    take(viewer, "predict")
    viewer.close()


def choose() -> None:
    """Take the pictures that were asked for; all of them without an option."""
    asked = set(sys.argv[1:])
    makers = {"--filter": picture_filter, "--click": picture_click, "--sessions": picture_sessions}
    for option, make in makers.items():
        if option in asked or not asked & set(makers):
            make()
    if not asked & set(makers):
        main()


if __name__ == "__main__":
    if PAINTED in sys.argv:
        paint_and_die()
    with tempfile.TemporaryDirectory() as folder:
        os.environ[HOME_VARIABLE] = folder
        choose()

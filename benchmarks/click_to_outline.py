"""How soon the outline of a region is on the screen after a press of the mouse, and how a drag and a commit go.

Real images are tiled to 2048², and clicked in napari with events of the mouse: measured is the time from the event to
the moment when Qt has painted the outline and the window is shown. The mouse moves there and rests for a fifth of a
second before it presses; `at_once_ms` is for a press out of the blue, without any move before. Regions are brought to
their sizes by the tolerance and a size limit. Beside it stands how long the same window takes to draw its canvas anew
with nothing to show: with software OpenGL, as under Xvfb, that depends on the size of the window alone. Needs a
screen (``xvfb-run`` gives one)::

    xvfb-run -a -s "-screen 0 1600x1200x24" python benchmarks/click_to_outline.py [IMAGE ...] [--volume STACK] [--json]

IMAGE are files in place of images that come with scikit-image; STACK is a volume in place of one that is stacked from
them.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
from limits import reached
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from skimage import data, io, transform

from napari_tessera.napari_plugin.clicking.click_widget import ClickWidget
from napari_tessera.operations.growing.clicking import ClickFrame, ClickRule

EDGE = 2048
SIZES = (10_000, 200_000, 1_000_000)
VOXELS = 3_000_000
WINDOWS = ((700, 420), (1100, 700))
DRAG_SECONDS = 2.0
REST_SECONDS = 0.2


def process(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("what was to be measured did not come")
        QApplication.processEvents()


def rest(seconds: float) -> None:
    end = time.monotonic() + seconds
    process(lambda: time.monotonic() > end)


def images(paths: list[str]) -> dict[str, np.ndarray]:
    """Return grey images of 2048², tiled."""
    if paths:
        found = {Path(path).stem: io.imread(path) for path in paths}
    else:
        found = {"cell": data.cell(), "retina": data.retina(), "tissue": data.immunohistochemistry()}
    return {name: tiled(image[..., 1] if image.ndim == 3 else image) for name, image in found.items()}


def tiled(image: np.ndarray) -> np.ndarray:
    """Return `image` beside its mirror images, so that no edges are made, cut to 2048²."""
    pads = [(0, max(0, EDGE - n)) for n in image.shape]
    return np.ascontiguousarray(np.pad(image, pads, mode="symmetric")[:EDGE, :EDGE])


def volume(path: str | None) -> np.ndarray:
    """Return a volume of at least 8 million voxels."""
    if path:
        stack = io.imread(path)
        factor = max(1.0, (2.7 * VOXELS / stack.size) ** (1 / 3))
        shape = [round(n * factor) for n in stack.shape]
        return transform.resize(stack, shape, order=1, preserve_range=True).astype(stack.dtype)
    plane = data.cell()[:384, :384]
    return np.stack([np.roll(plane, z // 4, axis=0) for z in range(64)])


def tolerance_for(image: np.ndarray, seed: tuple[int, ...], size: int) -> float:
    """Return a tolerance with which the region round a pixel has at least `size` pixels, as far as the image allows."""
    frame = ClickFrame(
        lambda box: image[box], image.shape, image.dtype, (1.0,) * image.ndim, rule=ClickRule(max_size=size)
    )
    frame.start(np.array([seed]), 1.0)
    low, high = 0.5, float(np.ptp(image)) + 1
    for _ in range(12):
        tolerance = (low + high) / 2
        frame.retune(tolerance)
        low, high = (low, tolerance) if frame.finish().size >= size else (tolerance, high)
    return high


class Bench:
    """A viewer with the widget, and a clock that stops when the outline is on the screen."""

    def __init__(self, image: np.ndarray, window: tuple[int, int], *, whole_volume: bool = False) -> None:
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(*window)
        self.image = self.viewer.add_image(image)
        self.widget = ClickWidget(self.viewer)
        dock = self.viewer.window.add_dock_widget(self.widget, name="Click to segment")
        for other in self.viewer.window._qt_window.findChildren(type(dock)):  # noqa: SLF001
            other.setVisible(other is dock)  # the canvas has the rest of the window
        self.widget._new_labels()  # noqa: SLF001
        if whole_volume:
            self.widget.extent.setCurrentIndex(1)
        self.widget.toggle()
        rest(1)
        self.viewer.reset_view()
        process(lambda: not self.widget.mode.readiness.busy)
        rest(0.5)
        self.canvas = self.viewer.window._qt_viewer.canvas  # noqa: SLF001  nothing public takes the mouse
        self.grow = self.widget.mode.grow
        self.shown_at = 0.0
        self.paints = self.updates = 0
        self._fresh = False
        self.grow.growth.grown.connect(self._grown)

    def spot(self) -> tuple[QPoint, tuple[int, ...]]:
        """Return a place near the middle of the canvas with a usual grey level, and the pixel there."""
        image, view = self.image.data, self.canvas.view
        transform = view.transform * view.scene.transform
        middle = self.canvas.native.rect().center()
        lead = tuple(n // 2 for n in image.shape[:-2])
        usual = float(np.median(image))
        found = []
        for step in range(-30, 31):
            place = middle + QPoint(step, step // 3)
            mapped = transform.imap([place.x(), place.y()])
            pixel = (*lead, round(float(mapped[1])), round(float(mapped[0])))
            found.append((abs(float(image[pixel]) - usual), step, place, pixel))
        return min(found)[2:]

    def watch(self) -> None:
        """Note from now on when the outline has been painted and the window shown."""
        self.grow._outline.widget.painted.connect(self._painted)  # noqa: SLF001

    def _grown(self, _grown: object) -> None:
        self._fresh = True

    def _painted(self) -> None:
        self.updates += self._fresh
        self._fresh = False
        QTimer.singleShot(0, self._shown)  # comes after what was painted has been put on the screen

    def _shown(self) -> None:
        self.shown_at = time.perf_counter()
        self.paints += 1

    def come_to_rest(self, place: QPoint) -> None:
        """Move the mouse to a place and hold it still for as long as a hand does before a click."""
        QTest.mouseMove(self.canvas.native, place + QPoint(3, 0))
        rest(0.02)
        QTest.mouseMove(self.canvas.native, place)
        rest(REST_SECONDS)

    def press(self, place: QPoint) -> float:
        """Press, and return the milliseconds until the finished region's outline is shown."""
        before = self.paints
        begin = time.perf_counter()
        QTest.mousePress(self.canvas.native, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
        process(lambda: self.grow.latest is not None and self.grow.latest.done)
        finished = self.paints
        process(lambda: self.paints > max(before, finished - 1) and self.shown_at > begin)
        return 1000 * (self.shown_at - begin)

    def drop(self, place: QPoint) -> None:
        """Cancel with the right button, and let go."""
        native, none = self.canvas.native, Qt.KeyboardModifier.NoModifier
        QTest.mousePress(native, Qt.MouseButton.RightButton, none, place)
        QTest.mouseRelease(native, Qt.MouseButton.RightButton, none, place)
        QTest.mouseRelease(native, Qt.MouseButton.LeftButton, none, place)
        rest(0.05)

    def redraw(self) -> float:
        """Return the milliseconds that drawing the canvas with nothing new takes."""
        drawn: list[float] = []

        def note(_event: object) -> None:
            QTimer.singleShot(0, lambda: drawn.append(time.perf_counter()))

        self.canvas.events.draw.connect(note, position="last")
        begin = time.perf_counter()
        self.canvas.native.update()
        process(lambda: bool(drawn))
        self.canvas.events.draw.disconnect(note)
        return 1000 * (drawn[0] - begin)

    def close(self) -> None:
        """Close widget and viewer."""
        self.widget.close()
        self.viewer.close()
        QApplication.processEvents()


def measure(bench: Bench, size: int, repeats: int) -> dict[str, Any]:
    """Press again and again, then drag, then commit."""
    form = bench.widget.options
    place, pixel = bench.spot()
    form.tolerance.setValue(tolerance_for(bench.image.data, pixel, size))
    form.max_size.setValue(size)
    native, none = bench.canvas.native, Qt.KeyboardModifier.NoModifier
    QTest.mousePress(native, Qt.MouseButton.LeftButton, none, place)
    process(lambda: bench.grow.latest is not None and bench.grow.latest.done)
    bench.watch()
    bench.drop(place)
    presses: dict[bool, list[float]] = {True: [], False: []}
    for rested in (True, False) * repeats:
        if rested:
            bench.come_to_rest(place)
        presses[rested].append(bench.press(place))
        grown = bench.grow.latest.region.size
        bench.drop(place)
    bench.press(place)
    updates = drag(bench, place)
    begin = time.perf_counter()
    QTest.mouseRelease(native, Qt.MouseButton.LeftButton, none, place + QPoint(60, 0))
    process(lambda: not bench.grow.pending)
    commit = 1000 * (time.perf_counter() - begin)
    labels = bench.widget.labels.layer
    written = int(np.count_nonzero(labels.data))
    labels.undo()
    rest(0.1)
    redraws = [bench.redraw() for _ in range(5)]
    return {
        "pixels": grown,
        "outline_ms": round(statistics.median(presses[True]), 1),
        "outline_worst_ms": round(max(presses[True]), 1),
        "at_once_ms": round(statistics.median(presses[False]), 1),
        "updates_per_s": round(updates, 1),
        "commit_ms": round(commit, 1),
        "commit_ms_per_mpx": round(commit / max(written / 1e6, 1e-9), 1),
        "idle_redraw_ms": round(statistics.median(redraws), 1),
    }


def drag(bench: Bench, place: QPoint) -> float:
    """Move the mouse to and fro as fast as it tells of it, 125 times a second; return the outlines shown per second."""
    native = bench.canvas.native
    before, turn = bench.updates, 0
    begin = time.monotonic()
    while time.monotonic() < begin + DRAG_SECONDS:
        turn += 1
        QTest.mouseMove(native, place + QPoint(60 - abs(turn % 120 - 60), 0))
        end = time.monotonic() + 0.008
        process(lambda end=end: time.monotonic() > end)
    rate = (bench.updates - before) / (time.monotonic() - begin)
    QTest.mouseMove(native, place + QPoint(60, 0))
    process(lambda: bench.grow._pending.settled)  # noqa: SLF001
    return rate


def run(paths: list[str], stack: str | None, repeats: int) -> dict[str, dict[str, Any]]:
    results = {}
    pictures = images(paths)
    cube = volume(stack)
    for window in WINDOWS:
        size_text = f"{window[0]}×{window[1]}"
        for name, image in pictures.items():
            bench = Bench(image, window)
            for size in SIZES:
                results[f"{size_text} {name} {size // 1000}k"] = measure(bench, size, repeats)
            bench.close()
        bench = Bench(cube, window, whole_volume=True)
        bench.viewer.dims.set_point(0, cube.shape[0] // 2)
        results[f"{size_text} volume 3M"] = measure(bench, VOXELS, repeats)
        bench.close()
    return results


def judge(results: dict[str, dict[str, Any]]) -> bool:
    """Print limits that are to be kept, and return whether all are."""
    kept = []
    for name, figures in results.items():
        voxels = name.endswith("3M")
        limit = 100 if voxels else 16
        kept.append(reached(f"{name}: press to outline, median", figures["outline_ms"], limit, " ms"))
        if name.endswith("200k"):
            per_update = 1000 / figures["updates_per_s"]
            kept.append(reached(f"{name}: time per update while dragging", per_update, 33.4, " ms"))
        if figures["pixels"] >= 900_000:
            kept.append(reached(f"{name}: commit per Mpx", figures["commit_ms_per_mpx"], 60, " ms"))
    return all(kept)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", nargs="*", help="Images in place of those of scikit-image.")
    parser.add_argument("--volume", help="A volume in place of a stacked image.")
    parser.add_argument("--repeats", type=int, default=9, help="How many presses to measure each.")
    parser.add_argument("--json", action="store_true", help="Print one JSON object.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["NAPARI_TESSERA_HOME"] = home
        results = run(options.images, options.volume, options.repeats)
    if options.json:
        print(json.dumps(results))
        return
    for name, figures in results.items():
        print(f"{name:>24}: " + "  ".join(f"{key} {value}" for key, value in figures.items()))
    sys.exit(0 if judge(results) else 1)


if __name__ == "__main__":
    main()

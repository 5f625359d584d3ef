"""How soon the live preview follows a change, and how long the window stands still meanwhile, on a plane of 2048².

For each operation a parameter is changed again and again; measured is the time from the change to the moment when the
preview layer has its new pixels, and to the next time that the canvas has been drawn. A timer of 5 ms beats in the GUI
thread: its gaps are what a person feels; with software OpenGL, as under Xvfb, most of a gap is drawing. Needs a screen
(``xvfb-run`` gives one)::

    xvfb-run -a -s "-screen 0 1600x1200x24" python benchmarks/live_preview.py [--repeats 15] [--json]
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable

import napari
import numpy as np
from limits import reached
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_tessera.napari_plugin.filtering.filter_widget import FilterWidget
from napari_tessera.napari_plugin.filtering.preview_computing import PreviewResult
from napari_tessera.napari_plugin.layers.view_tracker import camera_of

EDGE = 2048
BEAT_MS = 5
LIMIT_MS = 100
FAST: dict[str, tuple[str, list]] = {
    "gaussian": ("sigma", [1.5, 2.0]),
    "median": ("size", [5, 7]),
    "manual_threshold": ("threshold", [20000.0, 25000.0]),
    "otsu": ("classes", [3, 4]),
    "gamma": ("gamma", [0.7, 1.4]),
    "unsharp_mask": ("amount", [0.7, 1.4]),
}
"""Operations that are fast on such a plane, with a parameter and its values in turn."""


def process(seconds: float) -> None:
    loop = QEventLoop()
    QTimer.singleShot(max(1, int(seconds * 1000)), loop.quit)
    loop.exec_() if hasattr(loop, "exec_") else loop.exec()


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit("the preview did not come")
        QApplication.processEvents()
        time.sleep(0.0005)


def make_image() -> np.ndarray:
    """Return bright discs on an uneven ground with noise, uint16."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:EDGE, :EDGE]
    discs = ((y % 64 - 32) ** 2 + (x % 64 - 32) ** 2) < 400
    return (discs * 20000 + 8000 + 4 * x + rng.normal(0, 1500, (EDGE, EDGE))).clip(0, 65535).astype(np.uint16)


class Watch:
    """Notes when the preview layer got new pixels, and when the canvas was drawn after that."""

    def __init__(self, viewer: napari.Viewer, widget: FilterWidget) -> None:
        self.updated = self.drawn = self.computing = 0.0
        widget.preview.engine.arrived.connect(self._update)
        canvas = viewer.window._qt_viewer.canvas._scene_canvas  # noqa: SLF001  nothing public says when it was drawn
        canvas.events.draw.connect(self._draw, position="last")

    def _update(self, result: PreviewResult) -> None:
        self.updated, self.drawn = time.perf_counter(), 0.0
        self.computing = result.seconds

    def _draw(self, _event: object) -> None:
        if self.updated and not self.drawn:
            self.drawn = time.perf_counter()


def measure(change: Callable[[int], None], watch: Watch, repeats: int) -> dict[str, float]:
    """Return median and worst time from a change to new pixels and to the canvas, in milliseconds."""
    updates, draws, computing = [], [], []
    for turn in range(repeats + 2):
        process(0.35)  # the previous one has settled
        watch.updated = watch.drawn = 0.0
        begun = time.perf_counter()
        change(turn)
        wait_until(lambda: bool(watch.drawn))
        if turn >= 2:  # the first ones load code and make the layer
            updates.append(1000 * (watch.updated - begun))
            draws.append(1000 * (watch.drawn - begun))
            computing.append(1000 * watch.computing)
    return {
        "computing_ms": round(float(np.median(computing)), 1),
        "pixels_ms": round(float(np.median(updates)), 1),
        "pixels_worst_ms": round(max(updates), 1),
        "drawn_ms": round(float(np.median(draws)), 1),
        "drawn_worst_ms": round(max(draws), 1),
    }


def heartbeat(change: Callable[[int], None], seconds: float) -> dict[str, float]:
    """Change a parameter 60 times a second, as a dragged slider does, and return the gaps between beats."""
    gaps: list[float] = []
    last = time.perf_counter()

    def beat() -> None:
        nonlocal last
        now = time.perf_counter()
        gaps.append(1000 * (now - last))
        last = now

    turn = 0

    def drag() -> None:
        nonlocal turn
        change(turn)
        turn += 1

    heart, hand = QTimer(), QTimer()
    heart.timeout.connect(beat)
    hand.timeout.connect(drag)
    heart.start(BEAT_MS)
    hand.start(16)
    process(seconds)
    heart.stop()
    hand.stop()
    p50, p99, worst = np.percentile(gaps[1:], [50, 99, 100])
    return {"p50_ms": round(p50, 1), "p99_ms": round(p99, 1), "worst_ms": round(worst, 1), "beats": len(gaps)}


def run(repeats: int) -> dict[str, dict[str, float]]:
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1200, 900)
    layer = viewer.add_image(make_image(), name="discs")
    _, widget = viewer.window.add_plugin_dock_widget("napari-tessera", "Filter & threshold")
    process(1)
    viewer.reset_view()
    watch = Watch(viewer, widget)
    results = {}
    for name, (parameter, values) in FAST.items():
        widget.choose(name)
        wait_until(lambda: widget.preview.shown.there)
        process(1)
        form = widget.panel_of_operation.form

        def change(turn: int, form=form, parameter=parameter, values=values) -> None:
            form.set_values({parameter: values[turn % len(values)]})

        results[name] = measure(change, watch, repeats)
        assert widget.preview.shown.layer is not None
        results[name]["megapixels"] = round(widget.preview.shown.layer.data.size / 1e6, 2)
    widget.choose("median")
    process(1)

    def pan(turn: int) -> None:
        camera_of(viewer).center = (0, EDGE / 2 + 40 * (-1) ** turn, EDGE / 2)

    camera_of(viewer).zoom *= 2
    process(1)
    results["pan, median"] = measure(pan, watch, repeats)
    form = widget.panel_of_operation.form
    viewer.reset_view()
    process(1)
    results["slider dragged, median: window"] = heartbeat(
        lambda turn: form.set_values({"size": [3, 5, 7][turn // 5 % 3]}), 8
    )
    results["idle: window"] = heartbeat(lambda _turn: None, 4)
    assert layer in viewer.layers
    viewer.close()
    QApplication.processEvents()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15, help="How many changes to measure each.")
    parser.add_argument("--json", action="store_true", help="Print one JSON object.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["NAPARI_TESSERA_HOME"] = home
        results = run(options.repeats)
    if options.json:
        print(json.dumps(results))
        return
    for name, figures in results.items():
        print(f"{name:>32}: " + "  ".join(f"{key} {value}" for key, value in figures.items()))
    kept = [
        reached(f"{name}: change to new pixels, median", figures["pixels_ms"], LIMIT_MS, " ms")
        for name, figures in results.items()
        if "pixels_ms" in figures
    ]
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()

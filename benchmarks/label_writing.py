"""What it costs to write a region into labels as one step that can be undone, and to show its outline while it grows.

Written are discs and balls of about 1 and 3 megapixels into layers of several types and sizes: the time until
`write_mask` returns, per megapixel, and until the canvas has been drawn again. Beside it napari's public way,
``data_setitem``. The outline: our own time for a region of 1 Mpx, and how often a region of 200 kpx that moves with the
mouse is painted. Needs a screen (``xvfb-run`` gives one)::

    xvfb-run -a -s "-screen 0 1600x1200x24" python benchmarks/label_writing.py [--repeats 9] [--json]
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import napari
import numpy as np
from limits import reached
from napari.utils.colormaps import DirectLabelColormap
from qtpy.QtWidgets import QApplication

from napari_tessera.napari_plugin.clicking.outline import Outline
from napari_tessera.napari_plugin.painting import napari_private
from napari_tessera.napari_plugin.painting.history import bound_history
from napari_tessera.napari_plugin.painting.label_writing import write_mask

WRITE_LIMIT_MS = 60
OUTLINE_LIMIT_MS = 8
UPDATES_LIMIT = 30

COLORS = DirectLabelColormap(color_dict={0: "transparent", 1: "red", 2: "blue", None: "gray"})


def ball(shape: tuple[int, ...]) -> np.ndarray:
    """Return an ellipsoid that fills a box."""
    grid = np.ogrid[tuple(slice(-1, 1, 1j * n) for n in shape)]
    return sum(axis**2 for axis in grid) < 1


CASES: dict[str, tuple[tuple[int, ...], str, np.ndarray, dict]] = {
    "2048², uint8": ((2048, 2048), "uint8", ball((1130, 1130)), {}),
    "2048², uint16": ((2048, 2048), "uint16", ball((1130, 1130)), {}),
    "2048², uint32": ((2048, 2048), "uint32", ball((1130, 1130)), {}),
    "2048², uint32, colours of classes": ((2048, 2048), "uint32", ball((1130, 1130)), {"colormap": COLORS}),
    "20000², uint32": ((20000, 20000), "uint32", ball((1130, 1130)), {}),
    "plane of 100 x 2048 x 2048, uint32": ((100, 2048, 2048), "uint32", ball((1130, 1130))[None], {}),
    "100 x 512 x 512, uint32, a ball of 3 Mvoxel": ((100, 512, 512), "uint32", ball((90, 250, 250)), {}),
}


class Canvas:
    """Counts how often the canvas has been drawn."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self.draws = 0
        scene = viewer.window._qt_viewer.canvas._scene_canvas  # noqa: SLF001  nothing public says when it was drawn
        scene.events.draw.connect(self._drawn, position="last")

    def _drawn(self, _event: object) -> None:
        self.draws += 1

    def wait(self, before: int) -> None:
        """Let Qt work until the canvas has been drawn more often than `before`."""
        end = time.monotonic() + 30
        while self.draws == before:
            QApplication.processEvents()
            if time.monotonic() > end:
                sys.exit("the canvas was not drawn")


def timed(work: Callable[[], object], canvas: Canvas) -> tuple[float, float]:
    """Return milliseconds until `work` is done, and until the canvas has been drawn after it."""
    QApplication.processEvents()
    before = canvas.draws
    begun = time.perf_counter()
    work()
    done = time.perf_counter()
    canvas.wait(before)
    return 1000 * (done - begun), 1000 * (time.perf_counter() - begun)


def measure_writing(viewer: napari.Viewer, canvas: Canvas, repeats: int) -> dict[str, dict[str, float]]:
    """Return medians per megapixel, for each case the quick way and napari's public one."""
    results = {}
    for name, (shape, dtype, mask, options) in CASES.items():
        viewer.layers.clear()
        QApplication.processEvents()
        layer = viewer.add_labels(np.zeros(shape, dtype), **options)
        viewer.reset_view()
        origin = tuple((n - m) // 2 if m > 1 else 0 for n, m in zip(shape, mask.shape, strict=True))
        figures = measure_case(layer, origin, mask, canvas, repeats)
        with no_private_names():
            public = measure_case(layer, origin, mask, canvas, 2)
        results[name] = figures | {f"public_{key}": value for key, value in public.items()}
    return results


def measure_case(
    layer: napari.layers.Labels, origin: tuple[int, ...], mask: np.ndarray, canvas: Canvas, repeats: int
) -> dict[str, float]:
    """Return medians of writing a mask with one label after the other, and what a step keeps."""
    turns = [timed(lambda i=i: write_mask(layer, origin, mask, i + 1), canvas) for i in range(repeats + 1)]
    written, drawn = np.median(turns[1:], axis=0)
    megapixels = mask.sum() / 1e6
    history = bound_history(layer)
    held = history.bytes_held
    layer.undo()
    layer.undo()
    write_mask(layer, origin, mask, repeats)  # the steps to be redone are gone, two have made way for one
    return {
        "write_ms_per_mpx": round(written / megapixels, 1),
        "drawn_ms": round(drawn, 1),
        "step_mb_per_mpx": round((held - history.bytes_held) / 1e6 / megapixels, 1),
    }


@contextmanager
def no_private_names() -> Iterator[None]:
    """Make `write_mask` take napari's public way."""
    known = napari_private.MASKED_ATOM
    napari_private.MASKED_ATOM = None
    try:
        yield
    finally:
        napari_private.MASKED_ATOM = known


def measure_outline(viewer: napari.Viewer, repeats: int) -> dict[str, float]:
    """Return our own time for a region of 1 Mpx, until it is on the screen, and updates a second of one of 200 kpx."""
    viewer.layers.clear()
    rng = np.random.default_rng(0)
    viewer.add_image(rng.integers(0, 60000, (2048, 2048)).astype(np.uint16))
    layer = viewer.add_labels(np.zeros((2048, 2048), np.uint32))
    viewer.reset_view()
    outline = Outline(viewer, layer)
    sheet = outline.widget
    assert sheet is not None
    painted: list[float] = []
    sheet.painted.connect(lambda: painted.append(time.perf_counter()))

    def show(origin: tuple[int, int], mask: np.ndarray) -> tuple[float, float]:
        painted.clear()
        begun = time.perf_counter()
        outline.show(origin, mask)
        while not painted:
            QApplication.processEvents()
        return 1000 * (painted[0] - begun), 1000 * (time.perf_counter() - begun)

    large, medium = ball((1130, 1130)), ball((505, 505))
    for _ in range(20):
        QApplication.processEvents()
        time.sleep(0.01)
    figures = dict(
        zip(
            ("painted_ms", "screen_ms"),
            np.median([show((400, 400), large) for _ in range(repeats + 5)], 0),
            strict=True,
        )
    )
    begun = time.perf_counter()
    count = 120
    for turn in range(count):
        show((300 + turn, 500), medium)
    figures["updates_per_second"] = count / (time.perf_counter() - begun)
    outline.close()
    return {key: round(float(value), 1) for key, value in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9, help="How many writes to measure each.")
    parser.add_argument("--json", action="store_true", help="Print one JSON object.")
    options = parser.parse_args()
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1200, 900)
    canvas = Canvas(viewer)
    outline = measure_outline(viewer, options.repeats)
    writing = measure_writing(viewer, canvas, options.repeats)
    viewer.close()
    if options.json:
        print(json.dumps({"outline": outline, "writing": writing}))
        return
    for name, figures in {"outline": outline, **writing}.items():
        print(f"{name:>45}: " + "  ".join(f"{key} {value}" for key, value in figures.items()))
    kept = [
        reached(f"{name}: writing, per Mpx", figures["write_ms_per_mpx"], WRITE_LIMIT_MS, " ms")
        for name, figures in writing.items()
    ]
    kept.append(reached("outline of 1 Mpx: painted", outline["painted_ms"], OUTLINE_LIMIT_MS, " ms"))
    kept.append(
        reached(
            "outline of 200 kpx that moves: time per update",
            1000 / outline["updates_per_second"],
            1000 / UPDATES_LIMIT,
            " ms",
        )
    )
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()

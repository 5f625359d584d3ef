"""Whether painting stands still any longer because it is written down: the same strokes with the journal off and on.

Two layers of the same pixels lie in one viewer, the one protected, the other not. A block of strokes is painted in the
one and then, dab by dab the same, in the other; which comes first is drawn by lot. Before each block the writer is
waited for, so that what it does falls to the layer that made it. A stroke's time is that of napari's mouse callback and
of whatever the event loop has to do after it, by the clock (wall) and as computing time of the GUI thread (CPU, which
other programs hardly touch). Reported are median and 99th percentile, off and on, and what is between them with a 95 %
interval (bootstrap over pairs of blocks); a limit is missed where all of the interval lies above it. With them stands
for how long the journal's own code ran in the GUI thread, call by call.

Cases: a new layer of zeros, and one with labels that is adopted; the latter also while it is copied to the disk, where
the same strokes were painted in it just before. Needs a screen (``xvfb-run`` gives one) and 8 GB of memory::

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/journal_stall.py [--blocks 12] [--seconds 40] [--json]
"""

import argparse
import gc
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import napari
import numpy as np
from limits import reached
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_tessera.io.journal.recovery import recover
from napari_tessera.napari_plugin.journal.protecting import Journal
from napari_tessera.napari_plugin.journal.watching import LayerWatch

SHAPES = {"20 000 x 20 000": (20_000, 20_000), "100 x 2048 x 2048": (100, 2048, 2048)}
DABS = 12
PAUSE_SECONDS = 0.02
RESAMPLED = 2000
WALL, CPU = 0, 1


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def wait(seconds: float) -> None:
    loop = QEventLoop()
    QTimer.singleShot(int(seconds * 1000), loop.quit)
    loop.exec()


def stroke(layer: napari.layers.Labels, start: np.ndarray, step: np.ndarray, number: int) -> tuple[float, float]:
    """Paint one stroke with everything that follows from it; return its seconds by the clock and of computing."""
    began, computed = time.perf_counter(), time.thread_time()
    with layer.block_history():
        for dab in range(DABS):
            layer.paint(tuple(start + dab * step), number, refresh=dab == DABS - 1)
    QApplication.processEvents()
    return time.perf_counter() - began, time.thread_time() - computed


class OwnTime:
    """How long the journal's own code ran in the GUI thread, call by call."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._inside = False
        for kind, names in (
            (LayerWatch, ("_on_paint", "_on_shown", "_on_data", "_on_described")),
            (Journal, ("_tick",)),
        ):
            for name in names:
                setattr(kind, name, self._timed(getattr(kind, name)))

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if self._inside:
                return method(*arguments)
            self._inside, began = True, time.perf_counter()
            try:
                return method(*arguments)
            finally:
                self.seconds.append(time.perf_counter() - began)
                self._inside = False

        return call

    def take(self) -> dict[str, float]:
        """Return the figures since the last time, in ms."""
        taken, self.seconds = 1000 * np.array(self.seconds or [0.0]), []
        return {
            name: round(float(np.percentile(taken, quantile)), 3)
            for name, quantile in (("p50", 50), ("p99", 99), ("worst", 100))
        }


def paint(layer: napari.layers.Labels, strokes: int, seed: int, number: int = 0) -> np.ndarray:
    """Return the seconds of each stroke, shape ``(strokes, 2)``; the same seed paints the same strokes.

    Over strokes that are there already another `number` is to be painted: napari skips what changes nothing.
    """
    rng = np.random.default_rng(seed)
    shape = np.array(layer.data.shape)
    seconds = []
    for count in range(strokes):
        start, step = rng.uniform(0.1, 0.8, shape.size) * shape, np.zeros(shape.size)
        start[:-2] = 0
        step[-2:] = rng.uniform(-15, 15, 2)
        seconds.append(stroke(layer, start, step, 1 + (count + number) % 9))
        wait(PAUSE_SECONDS)
    return np.array(seconds)


def objects(shape: tuple[int, ...]) -> np.ndarray:
    """Return labels as they are found in images: blocks of numbers, a third of them background."""
    rng = np.random.default_rng(0)
    edge = 500
    numbers = rng.integers(1, 50_000, (edge // 20, edge // 20)) * (rng.random((edge // 20, edge // 20)) < 0.7)
    tile = np.kron(numbers.astype(np.uint32), np.ones((20, 20), np.uint32))
    counts = [-(-length // edge) for length in shape[-2:]]
    plane = np.tile(tile, counts)[: shape[-2], : shape[-1]]
    whole = np.empty(shape, np.uint32)
    whole[...] = plane
    return whole


class Case:
    """Two layers of the same pixels, and a journal for one of them."""

    def __init__(self, viewer: napari.Viewer, make: Callable[[], np.ndarray], *, empty: bool) -> None:
        self.viewer, self.empty = viewer, empty
        self.on = viewer.add_labels(make(), name="on")
        self.off = viewer.add_labels(make(), name="off")
        for layer in (self.on, self.off):
            layer.brush_size = 20
        wait(0.5)
        self.journal = Journal()

    def protect(self) -> None:
        """Switch the journal on."""
        assert self.journal.protect(self.on, empty=self.empty, at_once=not self.empty) == ""

    @property
    def saved(self) -> bool:
        """Whether everything that was painted is on the disk."""
        (writer,) = self.journal.writers()
        state = self.journal.state(self.journal.watch_of(self.on))
        return writer.up_to_date and not state.unsaved

    def settle(self) -> float:
        """Wait until everything is on the disk; return the seconds that took."""
        began = time.monotonic()
        while not self.saved:
            if time.monotonic() - began > 60:
                sys.exit("not saved within a minute")
            wait(0.005)
        return time.monotonic() - began

    def warm_up(self, seconds: float, blocks: int) -> int:
        """Paint the first strokes, which make shaders and textures; return how many a block may have."""
        paint(self.on, 2, 99)
        paint(self.off, 2, 99)
        began = time.monotonic()
        paint(self.on, 2, 98)
        each = (time.monotonic() - began) / 2
        return min(max(int(seconds / (2 * blocks * each)), 3), 12)

    def check(self) -> None:
        """End the program if something else was saved than was painted; looks at 40 places."""
        folder = self.journal.state(self.journal.watch_of(self.on)).folder
        assert folder is not None
        found, numbers = recover(folder), random.Random(0)
        for _ in range(40):
            at = [0] * (self.on.data.ndim - 2) + [numbers.randrange(length) for length in self.on.data.shape[-2:]]
            box = tuple(slice(a, min(a + 700, n)) for a, n in zip(at, self.on.data.shape, strict=True))
            box = (*(slice(0, 1) for _ in box[:-2]), *box[-2:])
            if not np.array_equal(found.read(box), self.on.data[box]):
                sys.exit("what was saved is not what was painted")

    def close(self) -> None:
        """Remove the layers from viewer and memory."""
        self.journal.close()
        self.viewer.layers.clear()
        del self.on, self.off
        gc.collect()
        wait(0.2)


def pairs_of(case: Case, blocks: int, strokes: int) -> tuple[np.ndarray, float]:
    """Return seconds, shape ``(blocks, off and on, strokes, 2)``, and the longest wait for the disk after a block."""
    lot, lag, taken = random.Random(1), 0.0, []
    for block in range(blocks):
        pair: dict[str, np.ndarray] = {}
        for mode in lot.sample(("off", "on"), 2):
            lag = max(lag, case.settle())
            pair[mode] = paint(getattr(case, mode), strokes, block)
        taken.append([pair["off"], pair["on"]])
    return np.array(taken), max(lag, case.settle())


def figures(seconds: np.ndarray) -> dict[str, Any]:
    """Return median and 99th percentile in ms, off and on, and the differences with their intervals."""
    rng = np.random.default_rng(0)
    lots = rng.integers(0, len(seconds), (RESAMPLED, len(seconds)))
    found: dict[str, Any] = {"strokes": seconds.shape[0] * seconds.shape[2]}
    for kind, name in ((WALL, "wall"), (CPU, "cpu")):
        times = 1000 * seconds[..., kind]
        for quantile, called in ((50, "p50"), (99, "p99")):
            off, on = (np.percentile(times[:, mode], quantile) for mode in (0, 1))
            drawn = times[lots]  # resampled, blocks, mode, strokes
            each = np.percentile(drawn, quantile, axis=(1, 3))
            low, high = np.percentile(each[:, 1] - each[:, 0], (2.5, 97.5))
            found[f"{name}_{called}_ms"] = {
                "off": round(float(off), 2), "on": round(float(on), 2), "more": round(float(on - off), 2),
                "interval": [round(float(low), 2), round(float(high), 2)],
            }  # fmt: skip
    return found


def run(blocks: int, seconds: float) -> dict[str, dict[str, Any]]:
    viewer = napari.Viewer(show=True)
    viewer.window.resize(700, 420)
    results: dict[str, dict[str, Any]] = {}
    own = OwnTime()
    for name, shape in SHAPES.items():
        say(f"{name}: a new layer")
        case = Case(viewer, lambda shape=shape: np.zeros(shape, np.uint32), empty=True)
        case.protect()
        measured(results, f"{name}, new", case, own, blocks, case.warm_up(seconds, blocks))
        say(f"{name}: labels that are adopted")
        case = Case(viewer, lambda shape=shape: objects(shape), empty=False)
        strokes = case.warm_up(seconds, blocks)
        alone = [paint(case.on, strokes, 1000 + turn) for turn in range(2)]
        case.protect()
        copied = []
        while not copied or (not case.saved and len(copied) < 2):
            copied.append(paint(case.on, strokes, 1000 + len(copied), number=4))
        lag = case.settle()
        say(f"{name}: copied {lag:.1f} s after these strokes")
        during = np.array(list(zip(alone, copied, strict=False)))
        results[f"{name}, while it is copied"] = {**figures(during), "journal_ms": own.take()}
        measured(results, f"{name}, adopted", case, own, blocks, strokes)
    viewer.close()
    QApplication.processEvents()
    return results


def measured(results: dict[str, Any], name: str, case: Case, own: OwnTime, blocks: int, strokes: int) -> None:
    """Add the figures of a case to `results`, and end it."""
    case.settle()
    own.take()
    seconds, lag = pairs_of(case, blocks, strokes)
    case.check()
    results[name] = {**figures(seconds), "journal_ms": own.take(), "saved_after_s": round(lag, 2)}
    say(f"{name}: {json.dumps(results[name])}")
    case.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=12, help="Pairs of blocks, off and on.")
    parser.add_argument("--seconds", type=float, default=40, help="Of painting in each of the four cases, about.")
    parser.add_argument("--json", action="store_true", help="Print one JSON object.")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        os.environ["NAPARI_TESSERA_HOME"] = home
        results = run(options.blocks, options.seconds)
    say(f"{time.monotonic() - began:.0f} s")
    if options.json:
        print(json.dumps(results))
        return
    kept = []
    for name, case in results.items():
        print(f"{name} ({case['strokes']} strokes)")
        for figure, found in case.items():
            if figure == "journal_ms":
                print(f"  journal's own {found}")
            elif isinstance(found, dict):
                low, high = found["interval"]
                print(
                    f"  {figure:<12} off {found['off']:7.2f}  on {found['on']:7.2f}  "
                    f"more {found['more']:+6.2f} ({low:+.2f} to {high:+.2f})"
                )
        least = {name: found["interval"][0] for name, found in case.items() if name.endswith(("p50_ms", "p99_ms"))}
        kept.append(reached("  median, at least so much more with it on", max(0, least["wall_p50_ms"]), 2, " ms"))
        kept.append(reached("  99th percentile, at least so much more", max(0, least["wall_p99_ms"]), 16, " ms"))
        kept.append(reached("  median of what is computed, at least more", max(0, least["cpu_p50_ms"]), 2, " ms"))
        kept.append(reached("  the journal's own code, 99 of 100 calls", case["journal_ms"]["p99"], 16, " ms"))
        if "saved_after_s" in case:
            kept.append(reached("  saved after the last stroke", case["saved_after_s"], 2, " s"))
    print(f"most memory of the whole run: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB")
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()

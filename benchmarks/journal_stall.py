"""Whether painting stands still any longer because it is written down: the same strokes with the journal off and on.

Strokes are painted as napari's mouse callback does it, dab by dab, in a window, each followed by whatever the event
loop has to do; a stroke's time is all of that. Off and on take turns, each with a new layer of the same size, so that
both see the same computer. Needs a screen (``xvfb-run`` gives one)::

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/journal_stall.py [--strokes 150] [--turns 3] [--json]
"""

import argparse
import gc
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import napari
import numpy as np
import psutil
from limits import reached
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_tessera.io.journal.recovery import recover
from napari_tessera.napari_plugin.journal.protecting import Journal

SHAPES = {"20 000 x 20 000": (20_000, 20_000), "100 x 2048 x 2048": (100, 2048, 2048)}
DABS = 12
PAUSE_SECONDS = 0.03


def wait(seconds: float) -> None:
    loop = QEventLoop()
    QTimer.singleShot(int(seconds * 1000), loop.quit)
    loop.exec()


def stroke(layer: napari.layers.Labels, start: np.ndarray, step: np.ndarray, number: int) -> float:
    """Paint one stroke with everything that follows from it; return its seconds."""
    began = time.perf_counter()
    with layer.block_history():
        for dab in range(DABS):
            layer.paint(tuple(start + dab * step), number, refresh=dab == DABS - 1)
    QApplication.processEvents()
    return time.perf_counter() - began


def paint(layer: napari.layers.Labels, strokes: int, seed: int) -> np.ndarray:
    """Return the seconds of each stroke; the same seed paints the same strokes."""
    rng = np.random.default_rng(seed)
    shape = np.array(layer.data.shape)
    seconds = []
    for count in range(strokes):
        start, step = rng.uniform(0.1, 0.8, shape.size) * shape, np.zeros(shape.size)
        start[:-2] = 0
        step[-2:] = rng.uniform(-15, 15, 2)
        seconds.append(stroke(layer, start, step, 1 + count % 9))
        if count % 10 == 9:
            layer.undo()
        wait(PAUSE_SECONDS)
    return np.array(seconds)


def turn(viewer: napari.Viewer, shape: tuple[int, ...], strokes: int, seed: int, journal: Journal | None) -> dict:
    """Paint in a new layer; return the strokes' times, the growth of memory in MB, and what was found on the disk."""
    layer = viewer.add_labels(np.zeros(shape, np.uint32), name="annotation")
    layer.brush_size = 20
    wait(0.5)
    if journal is not None:
        journal.protect(layer, empty=True)  # as a new annotation layer is
    paint(layer, 5, 99)  # first strokes: shaders, textures
    memory = psutil.Process().memory_info().rss
    seconds = paint(layer, strokes, seed)
    grown = (psutil.Process().memory_info().rss - memory) / 2**20
    lag = 0.0
    if journal is not None:
        lag = check_saved(journal, layer)
    viewer.layers.remove(layer)
    del layer
    gc.collect()
    wait(0.5)
    return {"seconds": seconds, "grown": grown, "lag": lag}


def check_saved(journal: Journal, layer: napari.layers.Labels) -> float:
    """Return how long after the last stroke everything was on the disk; ends the program if that is something else."""
    began = time.monotonic()
    watch = journal.watch_of(layer)
    (writer,) = journal.writers()
    while not writer.up_to_date or journal.state(watch).unsaved or journal.state(watch).folder is None:
        if time.monotonic() - began > 60:
            sys.exit(f"not saved within a minute: {journal.state(watch)}")
        wait(0.01)
    lag = time.monotonic() - began
    folder = journal.state(watch).folder
    assert folder is not None
    found = recover(folder)
    rows = range(0, layer.data.shape[-2], 512)
    plane = (0,) * (layer.data.ndim - 2)
    for row in rows:
        box = (*(slice(at, at + 1) for at in plane), slice(row, min(row + 512, layer.data.shape[-2])))
        region = (*box, slice(0, layer.data.shape[-1]))
        if not np.array_equal(found.read(region), layer.data[region]):
            sys.exit("what was saved is not what was painted")
    return lag


def summary(turns: list[dict]) -> dict[str, float]:
    seconds = 1000 * np.concatenate([each["seconds"] for each in turns])
    p50, p99, worst = np.percentile(seconds, [50, 99, 100])
    return {
        "p50_ms": round(p50, 2),
        "p99_ms": round(p99, 2),
        "worst_ms": round(worst, 2),
        "strokes": len(seconds),
        "memory_MB": round(max(each["grown"] for each in turns), 1),
        "saved_after_s": round(max(each["lag"] for each in turns), 2),
    }


def run(strokes: int, turns: int) -> dict[str, dict[str, dict[str, float]]]:
    viewer = napari.Viewer(show=True)
    viewer.window.resize(700, 420)
    results = {}
    for name, shape in SHAPES.items():
        taken: dict[str, list[dict]] = {"off": [], "on": []}
        for seed in range(turns):
            for mode in ("off", "on") if seed % 2 == 0 else ("on", "off"):
                journal = Journal() if mode == "on" else None
                taken[mode].append(turn(viewer, shape, strokes, seed, journal))
                if journal is not None:
                    journal.close()
        results[name] = {mode: summary(each) for mode, each in taken.items()}
    viewer.close()
    QApplication.processEvents()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strokes", type=int, default=150, help="Strokes per turn.")
    parser.add_argument("--turns", type=int, default=3, help="Turns of each, off and on.")
    parser.add_argument("--json", action="store_true", help="Print one JSON object.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["NAPARI_TESSERA_HOME"] = str(Path(home))
        results = run(options.strokes, options.turns)
    if options.json:
        print(json.dumps(results))
        return
    kept = []
    for name, modes in results.items():
        for mode, figures in modes.items():
            print(f"{name}, journal {mode:>3}: " + "  ".join(f"{key} {value}" for key, value in figures.items()))
        off, on = modes["off"], modes["on"]
        kept.append(reached("median stroke, on beside off", on["p50_ms"] / off["p50_ms"], 1.1, " times"))
        kept.append(reached("99th percentile, on more than off", on["p99_ms"] - off["p99_ms"], 16, " ms"))
        kept.append(reached("worst stroke, on more than off", on["worst_ms"] - off["worst_ms"], 50, " ms"))
        kept.append(reached("saved after the last stroke", on["saved_after_s"], 2, " s"))
    print(f"most memory of the whole run: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB")
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()

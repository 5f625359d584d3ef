"""The journal on disk: how fast actions are safe, and how long large layers take to be adopted, folded and got back.

Run: ``python benchmarks/journal.py [FOLDER]``; FOLDER is where the journals are written, a temporary one without it.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from limits import reached
from numpy.typing import NDArray

from napari_tessera.config.session import LayerHeader
from napari_tessera.io.journal.records import BoxRecord
from napari_tessera.io.journal.recovery import recover
from napari_tessera.io.journal.writer import JournalWriter

STROKES = 400
EDGE = 200  # pixels of a stroke's box

LAYERS = {
    "20,000 × 20,000": (20_000, 20_000),
    "100 × 2048 × 2048": (100, 2048, 2048),
}


class Peak:
    """The most memory that the process held beyond what it held at first."""

    def __init__(self) -> None:
        self.bytes = 0


@contextmanager
def peak_memory() -> Iterator[Peak]:
    peak, process, done = Peak(), psutil.Process(), threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        while not done.wait(0.01):
            peak.bytes = max(peak.bytes, process.memory_info().rss - before)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def header(shape: tuple[int, ...]) -> LayerHeader:
    return LayerHeader(image_name="image", layer_name="labels", shape=shape, dtype="uint32")


def strokes(shape: tuple[int, ...], count: int) -> Iterator[BoxRecord]:
    """Yield discs in boxes at random places of random planes."""
    chance = np.random.default_rng(0)
    grid = np.hypot(*np.ogrid[-1 : 1 : EDGE * 1j, -1 : 1 : EDGE * 1j]) < 1
    for value in range(1, count + 1):
        start = [int(chance.integers(n)) for n in shape[:-2]] + [int(chance.integers(n - EDGE)) for n in shape[-2:]]
        lengths = [1] * (len(shape) - 2) + [EDGE, EDGE]
        box = tuple(slice(a, a + n) for a, n in zip(start, lengths, strict=True))
        yield BoxRecord(box, (grid * np.uint32(value)).reshape(lengths))


def time_fsync(folder: Path) -> float:
    """Return how long the disk takes to make 4 KiB safe, in ms: no journal is faster than that."""
    with (folder / "fsync").open("wb", buffering=0) as file:
        start = time.perf_counter()
        for _ in range(50):
            file.write(bytes(4096))
            os.fsync(file.fileno())
    return (time.perf_counter() - start) / 50 * 1e3


def time_actions(folder: Path) -> bool:
    """Append and sync single strokes, then one of many megabytes."""
    shape = LAYERS["20,000 × 20,000"]
    writer = JournalWriter.create(folder / "actions", header(shape))
    longest, start = 0.0, time.perf_counter()
    for record in strokes(shape, STROKES):
        begun = time.perf_counter()
        writer.append(record)
        writer.sync()
        longest = max(longest, time.perf_counter() - begun)
    seconds = time.perf_counter() - start
    rate = STROKES / seconds
    print(f"strokes of {EDGE} × {EDGE} px, each synced: {rate:.0f} per second, the longest {longest * 1e3:.1f} ms")
    noise = np.random.default_rng(0).integers(0, 2**16, (4000, 4000)).astype(np.uint32)
    start = time.perf_counter()
    writer.append(BoxRecord((slice(0, 4000), slice(0, 4000)), noise))
    writer.sync()
    rate = noise.nbytes / (time.perf_counter() - start) / 1e6
    print(f"one action of {noise.nbytes / 1e6:.0f} MB of noise: {rate:.0f} MB/s of labels")
    return reached("time from the end of a stroke until it is on the disk, on average", seconds / STROKES, 2.0, " s")


def time_layer(folder: Path, name: str, shape: tuple[int, ...], labels: NDArray[np.uint32], what: str) -> bool:
    """Adopt a layer, paint, fold and get it back."""
    place = folder / f"{name} {what}"
    with peak_memory() as adopting:
        start = time.perf_counter()
        writer = JournalWriter.create(place, header(shape), labels)
        writer.copy_base()
        writer.end_base()
        adopted = time.perf_counter() - start
    for record in strokes(shape, STROKES):
        writer.append(record)
        labels[record.box] = record.after
    writer.sync()
    with peak_memory() as folding:
        start = time.perf_counter()
        longest, begun = 0.0, start

        def measure() -> bool:
            nonlocal longest, begun
            now = time.perf_counter()
            longest, begun = max(longest, now - begun), now
            return False

        writer.compact(measure)
        folded = time.perf_counter() - start
    start = time.perf_counter()
    found = recover(place).load()
    loaded = time.perf_counter() - start
    same = all(np.array_equal(a, b) for a, b in zip(found, labels, strict=True))
    on_disk = sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) / 1e6
    print(f"{name} uint32, {what}:")
    print(f"  adopting {adopted:.1f} s; folding {STROKES} strokes {folded:.2f} s, longest step {longest * 1e3:.0f} ms")
    print(f"  getting it back {loaded:.1f} s; {on_disk:.0f} MB on disk; {'identical' if same else 'DIFFERENT'}")
    kept = reached("  memory while adopting", adopting.bytes / 1e6, 150, " MB")
    kept &= reached("  memory while folding", folding.bytes / 1e6, 150, " MB")
    return kept & reached("  longest step of folding", longest, 0.5, " s") & same


def objects(shape: tuple[int, ...]) -> NDArray[np.uint32]:
    """Return labels that fill the layer with squares of 40 × 40 pixels, each with an id of its own."""
    labels = np.empty(shape, np.uint32)
    rows, columns = np.arange(shape[-2]) // 40, np.arange(shape[-1]) // 40
    plane = (rows[:, None] * (columns[-1] + 1) + columns + 1).astype(np.uint32)
    labels[...] = plane
    return labels


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where to write")
    with tempfile.TemporaryDirectory(dir=parser.parse_args().folder) as temporary:
        folder = Path(temporary)
        print(f"the disk makes 4 KiB safe in {time_fsync(folder):.2f} ms")
        kept = time_actions(folder)
        for name, shape in LAYERS.items():
            kept &= time_layer(folder, name, shape, np.zeros(shape, np.uint32), "empty")
            kept &= time_layer(folder, name, shape, objects(shape), "full of objects")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

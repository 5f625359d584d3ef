"""A napari that paints at random until it is killed; started by test_journal_kill.py.

Everything heavy is imported once, then a process is forked for each life. There is no window: a real ViewerModel with a
real Labels layer, and Qt's event loop on its offscreen platform. What the layer holds after each action, and after each
dab of a stroke, is written into a trace file as a checksum with the time; so is what the writer's thread is at.

Lines of standard input: ``SEED HOME TRACE [SESSION]``; SESSION is gone on with.
"""

import os
import random
import signal
import sys
import time
import zlib
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels
from qtpy.QtCore import QCoreApplication
from qtpy.QtWidgets import QApplication

from napari_tessera.io.journal import writer as storage
from napari_tessera.napari_plugin.clicking.label_writing import next_label, widen_labels, write_box, write_mask
from napari_tessera.napari_plugin.journal import layer_journal
from napari_tessera.napari_plugin.journal.protecting import Journal
from napari_tessera.napari_plugin.journal.restoring import restore_session

SHAPES = ((150, 220), (700, 900), (3, 90, 120), (1300, 1100))


def checksum(array: np.ndarray) -> str:
    return f"{zlib.crc32(np.ascontiguousarray(array)):08x}-{array.dtype.name}-{'x'.join(map(str, array.shape))}"


class Life:
    def __init__(self, seed: int, home: Path, trace: Path, session: Path | None) -> None:
        os.environ["NAPARI_TESSERA_HOME"] = str(home)
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.trace = os.open(trace, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self.application = QApplication([])
        self.viewer = ViewerModel()
        self.journal = Journal()
        self.mark_storage()
        if session is None:
            self.layer = self.new_layer()
        else:
            self.layer = restore_session(self.viewer, self.journal, session)[0]
        self.state()

    def new_layer(self) -> Labels:
        shape = self.random.choice(SHAPES)
        empty = self.random.random() < 0.5
        dtype = self.random.choice((np.uint8, np.uint16, np.int32, np.uint32))
        data = np.zeros(shape, dtype) if empty else self.numbers.integers(0, 100, shape).astype(dtype)
        layer = Labels(data, name="cells · annotation", scale=(2,) * len(shape))
        self.viewer.add_layer(layer)
        assert self.journal.protect(layer, empty=empty, at_once=not empty) == ""
        return layer

    def mark_storage(self) -> None:
        for name in ("compact", "copy_base", "end_base", "sync"):
            setattr(storage.JournalWriter, name, self.marked(name, getattr(storage.JournalWriter, name)))
        for name in ("append", "sync"):
            setattr(storage.JournalWriter, name, self.seeing(getattr(storage.JournalWriter, name)))

    def marked(self, name: str, method):
        def call(*args, **kwargs):
            self.say(f"> {name}")
            try:
                return method(*args, **kwargs)
            finally:
                self.say(f"< {name}")

        return call

    def seeing(self, method):
        """Note what the layer holds when the writer writes: it may come before this process has noted it itself."""

        def call(*args, **kwargs):
            layer = getattr(self, "layer", None)
            if layer is not None:
                self.say(f"seen {checksum(layer.data)}")
            return method(*args, **kwargs)

        return call

    def say(self, text: str) -> None:
        os.write(self.trace, f"{time.time():.6f} {text}\n".encode())

    def state_of(self, layer: Labels) -> None:
        self.say(f"state {checksum(layer.data)}")

    def state(self) -> None:
        self.state_of(self.layer)

    def live(self, server: int) -> None:
        while os.getppid() == server:
            action = self.random.choice(self.actions())
            self.say(f"begin {action.__name__}")
            action()
            self.state()
            self.say(f"end {action.__name__}")
            self.rest(self.random.choice((0.0, 0.0, 0.01, 0.03, 0.1, 0.4)))

    def actions(self):
        often = (self.dab, self.stroke, self.stroke, self.undo, self.undo, self.redo, self.fill, self.click, self.box)
        return (
            *often,
            *often,
            self.polygon,
            self.setitem,
            self.replace,
            self.reset,
            self.resize,
            self.widen,
            self.hidden,
        )

    def rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            QCoreApplication.processEvents()
            self.say("alive")
            if time.monotonic() >= end:
                return
            time.sleep(0.004)

    def point(self) -> tuple[int, ...]:
        return tuple(self.random.randrange(length) for length in self.layer.data.shape)

    def number(self) -> int:
        return self.random.randrange(120)

    def dab(self) -> None:
        self.layer.brush_size = self.random.randrange(2, 40)
        self.layer.paint(self.point(), self.number())

    def stroke(self) -> None:
        """As napari's mouse callback does: one step of many dabs, with events in between."""
        number, start = self.number(), np.array(self.point(), float)
        with self.layer.block_history():
            for _ in range(self.random.randrange(2, 25)):
                start[-2:] += self.numbers.integers(-12, 13, 2)
                start = np.clip(start, 0, np.array(self.layer.data.shape) - 1)
                self.layer.paint(tuple(start), number, refresh=False)
                self.state()
                self.rest(self.random.choice((0.0, 0.01, 0.05)))
            self.layer._partial_labels_refresh()

    def undo(self) -> None:
        self.layer.undo()

    def redo(self) -> None:
        self.layer.redo()

    def fill(self) -> None:
        self.layer.contiguous = self.random.random() < 0.8
        self.layer.fill(self.point(), self.number())

    def polygon(self) -> None:
        first = self.point()
        points = [(*first[:-2], *self.point()[-2:]) for _ in range(4)]
        self.layer.paint_polygon(points, self.number())

    def setitem(self) -> None:
        count = self.random.randrange(1, 300)
        where = tuple(self.numbers.integers(0, length, count) for length in self.layer.data.shape)
        self.layer.data_setitem(where, self.number())

    def click(self) -> None:
        """A region of ours; now and then with a number that the layer cannot hold yet."""
        number = next_label(self.layer)
        if widen_labels(self.layer, number):
            self.state()
        shape = [min(length, self.random.randrange(1, 60)) for length in self.layer.data.shape]
        write_mask(self.layer, self.point(), self.numbers.random(shape) < 0.7, number)

    def box(self) -> None:
        begin = self.point()
        box = tuple(
            slice(at, min(at + self.random.randrange(1, 50), length))
            for at, length in zip(begin, self.layer.data.shape, strict=True)
        )
        after = self.layer.data[box].copy()
        after[self.numbers.random(after.shape) < 0.5] = self.number()
        write_box(self.layer, box, after)

    def replace(self) -> None:
        self.layer.data = self.numbers.integers(0, 120, self.layer.data.shape).astype(self.layer.data.dtype)

    def reset(self) -> None:
        self.layer.data = np.zeros_like(self.layer.data)

    def resize(self) -> None:
        shape = self.random.choice([shape for shape in SHAPES if len(shape) == self.layer.data.ndim])
        self.layer.data = self.numbers.integers(0, 50, shape).astype(self.random.choice((np.uint8, np.int64)))

    def widen(self) -> None:
        widen_labels(self.layer, np.iinfo(self.layer.data.dtype).max // 2 + 1)
        if self.layer.data.dtype.itemsize < 4:
            self.layer.data = self.layer.data.astype(np.uint32)

    def hidden(self) -> None:
        """A layer that is not visible does not refresh when something is undone."""
        self.layer.visible = False
        self.layer.undo()
        self.state()
        self.rest(0.02)
        self.layer.undo()
        self.state()
        self.layer.redo()
        self.layer.visible = True


def warm_up() -> None:
    """Make napari import everything that it imports late, before lives are counted in seconds."""
    viewer = ViewerModel()
    layer = viewer.add_labels(np.zeros((20, 20), np.uint8))
    layer.paint((5, 5), 1)
    layer.fill((15, 15), 2)
    layer.paint_polygon([(0, 0), (9, 0), (9, 9)], 3)
    layer.undo()
    write_mask(layer, (0, 0), np.ones((3, 3), bool), next_label(layer))


def main() -> None:
    warm_up()
    layer_journal.COMPACT_BYTES = 3000  # so that there is something to be killed in
    layer_journal.COMPACT_LOOK_SECONDS = 0.1
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    server = os.getpid()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        seed, home, trace, *session = line.rstrip("\n").split("\t")
        pid = os.fork()
        if pid == 0:
            Life(int(seed), Path(home), Path(trace), Path(session[0]) if session else None).live(server)
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

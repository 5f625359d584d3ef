"""A napari that paints at random until it is killed; started by test_journal_kill.py.

Everything heavy is imported once, then a process is forked for each life. There is no window: a real ViewerModel with a
real Labels layer, and Qt's event loop on its offscreen platform.

The trace file tells what the layer has held, as checksums with times. They are noted in the GUI thread before the
journal hears of what was done: at napari's own events, whose callbacks here come before those of the journal, after
each action, and after each dab of a stroke. So whatever the journal can know of has been noted, and anything else that
is found was never there. Begin and end of what the GUI thread and the writer's thread are at are noted too.

Each line also has the seconds for which this process was held up so far: its two threads were ready to run and the
computer gave them no core (Linux counts that), or the disk took longer than a tenth of a second to sync one file. The
rest, such as a thread that waits for the interpreter, or a writer that is late, is the program's own.

A life may have a *target*: once it has painted for a while, it does that next (in the GUI thread or in the writer's),
and gets SIGKILL inside it, after a random number of calls; so it is certain where it is killed.

Lines of standard input: ``SEED HOME TRACE TARGET [SESSION]``; SESSION is gone on with.
"""

import gc
import itertools
import os
import random
import signal
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

if __name__ == "__main__":  # the test imports this module too, and Qt is started in its process later
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["NUMBA_THREADING_LAYER"] = "workqueue"  # the only one there always is that allows to fork

import napari
import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels
from qtpy.QtCore import QCoreApplication
from qtpy.QtWidgets import QApplication

from napari_tessera.io.journal import chunks, disk
from napari_tessera.io.journal import writer as storage
from napari_tessera.io.journal.session_folder import SessionFolder
from napari_tessera.napari_plugin.journal import layer_journal, watching, writing
from napari_tessera.napari_plugin.journal.describing import facts_of
from napari_tessera.napari_plugin.journal.protecting import Journal
from napari_tessera.napari_plugin.journal.restoring import read_session, show_session
from napari_tessera.napari_plugin.painting.label_writing import next_label, widen_labels, write_box, write_mask

SHAPES = ((150, 220), (700, 900), (3, 90, 120), (1300, 1100))
TARGETS = ("stroke", "undo", "redo", "replace", "resize", "click", "compact", "copy_base", "end_base", "sync")
"""What a life may be killed in."""

MOST_CALLS = 10**3.5
"""After at most so many calls, of Python or of C; most of the actions make fewer, and are then killed at their end."""

OF_THE_WRITER = ("compact", "copy_base", "end_base", "sync")
REPLACING = ("replace", "resize")
DISK_SECONDS = 0.1
BEFORE_TARGET = (0.1, 0.9)
"""Seconds of painting before the target."""


def checksum(array: np.ndarray) -> str:
    return f"{zlib.crc32(np.ascontiguousarray(array)):08x}-{array.dtype.name}-{'x'.join(map(str, array.shape))}"


class Clock:
    """How long this process was held up by the computer."""

    def __init__(self) -> None:
        self._files: dict[int, int] = {}
        self.disk = 0.0

    def follow(self) -> None:
        """Count the thread that calls this."""
        thread = threading.get_native_id()
        if thread not in self._files:
            path = Path(f"/proc/self/task/{thread}/schedstat")
            self._files[thread] = os.open(path, os.O_RDONLY) if path.exists() else -1

    def held_up(self) -> float:
        waited = 0.0
        for file in list(self._files.values()):
            if file >= 0:
                waited += int(os.pread(file, 100, 0).split()[1]) / 1e9
        return waited + self.disk

    def timed(self, method):
        def call(*args):
            began = time.monotonic()
            try:
                return method(*args)
            finally:
                self.disk += max(0.0, time.monotonic() - began - DISK_SECONDS)

        return call


class Executioner:
    """Kills this process inside the next thing that its thread does: after some number of calls, or at its end."""

    def __init__(self, trace: int) -> None:
        self._trace = trace
        self._calls_left: int | None = None

    def kill_after(self, calls: int) -> None:
        """Kill within what the calling thread does from now on, before it calls `end`."""
        self._calls_left = calls
        sys.setprofile(self._count)

    def end(self) -> None:
        """Kill now, if what has just been done was to be killed in and made fewer calls."""
        if self._calls_left is not None:
            self._kill()

    def _count(self, _frame, _event, _argument) -> None:
        assert self._calls_left is not None
        self._calls_left -= 1
        if self._calls_left <= 0:
            self._kill()

    def _kill(self) -> None:
        os.write(self._trace, f"{time.time():.6f} 0 kill\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)  # until it comes


class Life:
    def __init__(self, seed: int, home: Path, trace: Path, target: str, session: Path | None) -> None:
        os.environ["NAPARI_TESSERA_HOME"] = str(home)
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.trace = os.open(trace, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self.executioner = Executioner(self.trace)
        self.target = target
        self.armed_at = float("inf")
        self.aimed_at = ""
        self.clock = Clock()
        self.clock.follow()
        if target in ("copy_base", "end_base") or self.random.random() < 0.4:
            watching.COPY_BYTES = 2**14  # so that all arrays are copied while they are painted in, also the smallest,
            chunks.CHUNK_EDGE = 200  # and that this takes a while
        self.application = QApplication([])
        self.viewer = ViewerModel()
        self.journal = Journal()
        self.mark_storage()
        if session is None:
            self.layer = self.new_layer()
        else:
            self.layer = show_session(self.viewer, self.journal, read_session(session))[0]
        for name in ("paint", "set_data", "data"):  # connected last, so called first
            self.layer.events[name].connect(getattr(self, f"on_{name}"))
        self.state()

    def on_paint(self, event) -> None:
        """Note what there is after a step of the history; napari may tell it before it writes."""
        after = self.layer.data.copy()
        for atom in event.value:
            if hasattr(atom, "slice_key"):
                after[atom.slice_key][... if atom.mask is None else atom.mask] = atom.new_value
            else:
                after[tuple(atom[0])] = atom[2]
        self.say(f"state {checksum(after)}")

    def on_set_data(self, _event) -> None:
        self.state()

    def on_data(self, _event) -> None:
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
        for name in OF_THE_WRITER:
            setattr(storage.JournalWriter, name, self.marked(name, getattr(storage.JournalWriter, name)))
        for name in ("sync", "sync_folder"):
            setattr(disk.Disk, name, self.clock.timed(getattr(disk.Disk, name)))

    def marked(self, name: str, method):
        def call(journal, *args):
            if (name == "sync" and not journal.pending_bytes) or (name == "copy_base" and not journal.copying):
                return method(journal, *args)
            self.clock.follow()
            self.say(f"> {name}")
            self.aim_at(name)
            try:
                return method(journal, *args)
            finally:
                self.done_with(name)
                self.say(f"< {name}")

        return call

    def aim_at(self, name: str) -> None:
        if name == self.target and time.monotonic() > self.armed_at:
            self.armed_at = float("inf")
            self.aimed_at = name
            self.executioner.kill_after(int(MOST_CALLS ** self.random.random()))

    def done_with(self, name: str) -> None:
        if name == self.aimed_at:
            self.executioner.end()

    def say(self, text: str) -> None:
        os.write(self.trace, f"{time.time():.6f} {self.clock.held_up():.6f} {text}\n".encode())

    def state(self) -> None:
        self.say(f"state {checksum(self.layer.data)}")

    def live(self, server: int) -> None:
        if self.target != "-":
            self.armed_at = time.monotonic() + self.random.uniform(*BEFORE_TARGET)
        for turn in itertools.count():
            if os.getppid() != server:
                return
            action = self.next_action(turn)
            self.say(f"begin {action.__name__}")
            self.aim_at(action.__name__)
            action()
            self.done_with(action.__name__)
            self.state()
            self.say(f"end {action.__name__}")
            self.rest(self.random.choice((0.0, 0.0, 0.01, 0.03, 0.1, 0.4)))

    def next_action(self, turn: int):
        if time.monotonic() <= self.armed_at:
            return self.random.choice(self.actions())
        if self.target in ("copy_base", "end_base"):
            return self.replace if turn % 2 else self.stroke
        if self.target in OF_THE_WRITER or (self.target == "redo" and not self.layer._redo_history):
            return self.undo if turn % 2 else self.dab
        if self.target == "undo" and not self.layer._undo_history:
            return self.stroke
        return getattr(self, self.target)

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
    """Make napari import and compile everything that comes late, before lives are counted in seconds."""
    for dtype, shape in itertools.product(
        (np.uint8, np.uint16, np.int32, np.uint32, np.int64), ((20, 20), (3, 20, 20))
    ):
        viewer = ViewerModel()
        layer = viewer.add_labels(np.zeros(shape, dtype))
        corner = (0,) * (layer.ndim - 2)
        layer.paint((*corner, 5, 5), 1)
        layer.fill((*corner, 15, 15), 2)
        layer.paint_polygon([(*corner, 0, 0), (*corner, 0, 9), (*corner, 9, 9)], 3)
        layer.undo()
        layer.data_setitem(tuple(np.array([0]) for _ in shape), 4)
        write_mask(layer, (0,) * layer.ndim, np.ones((1, 3, 3)[-layer.ndim :], bool), next_label(layer))
        layer.visible = False
        layer.visible = True
        facts_of(layer).header()
    napari.current_viewer()
    with tempfile.TemporaryDirectory() as home:
        session = SessionFolder.create(Path(home))
        writer = session.create_layer(facts_of(layer).header(), layer.data, private=True)
        writer.copy_base()
        session.close()
    gc.collect()
    gc.freeze()  # what is there is not copied in every life


def main() -> None:
    warm_up()
    layer_journal.COMPACT_BYTES = 3000  # so that there is something to be killed in
    layer_journal.COMPACT_LOOK_SECONDS = 0.05
    writing.IDLE_SECONDS = 0.02  # so that the log is folded and arrays are compared in the pauses
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    server = os.getpid()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        seed, home, trace, target, *session = line.rstrip("\n").split("\t")
        pid = os.fork()
        if pid == 0:
            Life(int(seed), Path(home), Path(trace), target, Path(session[0]) if session else None).live(server)
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

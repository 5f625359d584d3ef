"""Kill processes that write a journal, again and again, and look at what they leave; a program for `test_journal_kill`.

Run: ``python journal_killing.py FOLDER KILLS``; prints one JSON object.
"""

import json
import mmap
import os
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from journal_model import ACTIONS, WEIGHTS, Annotator, Snapshot

from napari_tessera.io.journal import chunks, frames, segments
from napari_tessera.io.journal.disk import Disk
from napari_tessera.io.journal.recovery import recover
from napari_tessera.io.journal.writer import JournalWriter

PLAN = 250


class NoWriter:
    """Stands in for the journal where only the actions are wanted."""

    copying = base_pending = False

    def append(self, *records: Any) -> None:
        """Take no notice."""

    sync = append

    def compact(self, stop: Any) -> None:
        """Take no notice."""


class ChancyDisk(Disk):
    """The real disk, with the random numbers that the model wants."""

    def __init__(self, seed: int) -> None:
        self.chance = np.random.default_rng(seed)


class Victim(Annotator):
    """An annotator that notes in shared memory what must be found once it is dead."""

    shared: Any

    def _took(self, *records: Any) -> None:
        self.note()
        super()._took(*records)

    def note(self) -> None:
        """Write down the oldest state that may be found, and how many actions were begun."""
        self.shared[:16] = struct.pack("<qq", self.first_possible, len(self.states))


def plan_of(seed: int) -> list[str]:
    """Return what is done in one life."""
    return [str(what) for what in np.random.default_rng(seed).choice(ACTIONS, PLAN, p=WEIGHTS)]


def annotator(kind: type[Annotator], folder: Path, seed: int, writer: Any, start: Snapshot) -> Any:
    """Return somebody who goes on from `start`."""
    chance = np.random.default_rng(seed)
    return kind.of(folder, ChancyDisk(seed), chance, writer, start.labels.copy(), start.name)


def live(folder: Path, seed: int, start: Snapshot, shared: mmap.mmap) -> None:
    """Annotate until killed."""
    victim = annotator(Victim, folder, seed, JournalWriter.open(folder), start)
    victim.shared = shared
    for what in plan_of(seed):
        victim.act(what)
        victim.note()
    while True:
        time.sleep(1)


def kill_once(folder: Path, seed: int, start: Snapshot, delay: float) -> tuple[Snapshot, int]:
    """Let a process annotate for `delay` seconds and kill it; return what is found, and how many actions were begun."""
    shared = mmap.mmap(-1, 16)
    pid = os.fork()
    if pid == 0:
        try:
            live(folder, seed, start, shared)
        finally:
            os._exit(1)
    while seed % 5 and struct.unpack("<qq", shared[:16])[1] < 2:  # every fifth is killed while it opens the journal
        time.sleep(0.001)
    time.sleep(delay)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), "it ended by itself"
    oldest, begun = struct.unpack("<qq", shared[:16])

    again = annotator(Annotator, folder, seed, NoWriter(), start)
    for what in plan_of(seed):
        again.act(what)
    recovered = recover(folder)
    assert recovered.complete
    assert recovered.damage == []
    found = [state for state in again.states[oldest : begun + 1] if state.is_that_of(recovered)]
    assert found, f"not a state from {oldest} to {begun}"
    return found[-1], begun


def main(folder: Path, kills: int) -> None:
    """Kill `kills` processes that go on with one journal, each where the one before was killed."""
    frames.FRAME_BYTES, frames.MOST_POINTS, chunks.CHUNK_EDGE, segments.SEGMENT_BYTES = 60, 3, 4, 5000
    chance = np.random.default_rng()
    first = Annotator.begin(folder, ChancyDisk(0), chance)
    first.writer.close()
    state, actions = first.states[0], []
    for seed in range(kills):
        state, begun = kill_once(folder, seed, state, float(chance.uniform(0.002, 0.1)))
        actions.append(begun)
    sys.stdout.write(json.dumps({"kills": kills, "actions": actions}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

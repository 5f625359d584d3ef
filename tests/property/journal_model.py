"""A layer that is annotated at random, and a disk that dies at any moment, with or without its power."""

import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from napari_tessera.config.session import LayerHeader
from napari_tessera.io.journal.disk import Disk
from napari_tessera.io.journal.records import BoxRecord, MetadataRecord, PointsRecord, ReplaceRecord, WidenRecord
from napari_tessera.io.journal.recovery import Recovered, recover
from napari_tessera.io.journal.writer import JournalWriter

SHAPE = (2, 9, 11)


class Killed(BaseException):
    """The process has been killed: nothing that it would still have done happens."""


class MortalDisk(Disk):
    """A disk that dies in its `fatal`-th operation, of which any part may have happened.

    It remembers what has not been synced, so that `lose_power` can take it back.
    """

    def __init__(self, fatal: int | None, chance: np.random.Generator) -> None:
        self.fatal, self.count = fatal, 0
        self.chance = chance
        self.undo: dict[Path, list[Callable[[], None]]] = {}
        self.unsynced: dict[Path, int] = {}
        self.names: dict[int, Path] = {}

    def _live(self) -> bool:
        """Count an operation; False if this is the one in which the disk dies."""
        self.count += 1
        if self.fatal is not None and self.count > self.fatal:
            raise Killed
        return self.count != self.fatal

    def _do(self, action: Callable[[], Any]) -> Any:
        alive = self._live()
        done = action() if alive or self.chance.integers(2) else None
        if not alive:
            raise Killed
        return done

    def create(self, path: Path) -> BinaryIO:
        file = self._do(lambda: path.open("xb", buffering=0))
        self.undo.setdefault(path.parent, []).append(lambda: path.unlink(missing_ok=True))
        self.names[file.fileno()] = path
        self.unsynced[path] = 0
        return file

    def write(self, file: BinaryIO, content: bytes | bytearray | memoryview) -> None:
        alive = self._live()
        content = bytes(content)
        file.write(content if alive else content[: self.chance.integers(len(content) + 1)])
        if not alive:
            raise Killed

    def sync(self, file: BinaryIO) -> None:
        def note() -> None:
            path = self.names[file.fileno()]
            self.unsynced[path] = path.stat().st_size

        self._do(note)

    def sync_folder(self, folder: Path) -> None:
        self._do(lambda: self.undo.pop(folder, None))

    def replace(self, source: Path, target: Path) -> None:
        before = target.read_bytes() if target.exists() else None

        def act() -> None:
            source.replace(target)
            self.unsynced[target] = self.unsynced.pop(source)
            self.undo.setdefault(target.parent, []).append(lambda: restore(target, before))

        self._do(act)

    def remove(self, path: Path) -> None:
        before = path.read_bytes() if path.exists() else None

        def act() -> None:
            path.unlink(missing_ok=True)
            self.undo.setdefault(path.parent, []).append(lambda: restore(path, before))

        self._do(act)

    def make_folder(self, folder: Path, *, sync_name: bool = True) -> None:
        def act() -> None:
            folder.mkdir(exist_ok=True)
            self.undo.setdefault(folder.parent, []).append(lambda: shutil.rmtree(folder, ignore_errors=True))

        while not folder.parent.is_dir():
            self.make_folder(folder.parent, sync_name=sync_name)
        if not folder.is_dir():
            self._do(act)
            if sync_name:
                self.sync_folder(folder.parent)

    def remove_folder(self, folder: Path) -> None:
        self._do(lambda: shutil.rmtree(folder, ignore_errors=True))

    def lose_power(self) -> None:
        """Take back what was not synced: the last names that changed in each folder, any part of each file's end."""
        for path, length in self.unsynced.items():
            if path.is_file() and path.stat().st_size > length:
                with path.open("rb+") as file:
                    file.truncate(self.chance.integers(length, path.stat().st_size + 1))
        for undo in self.undo.values():
            for action in undo[: self.chance.integers(len(undo) + 1) : -1]:
                action()


def restore(path: Path, content: bytes | None) -> None:
    """Give a file back what it held, or remove it if it was not there."""
    if content is None:
        path.unlink(missing_ok=True)
    elif path.parent.is_dir():
        path.write_bytes(content)


@dataclass
class Snapshot:
    """What a layer is at a moment."""

    labels: NDArray[Any]
    name: str

    def is_that_of(self, recovered: Recovered) -> bool:
        """Whether the recovered layer is this one, to the last bit."""
        labels = recovered.load()
        return (
            labels.dtype == self.labels.dtype
            and labels.shape == self.labels.shape
            and np.array_equal(labels, self.labels)
            and recovered.header.layer_name == self.name
        )


@dataclass
class Annotator:
    """Somebody who annotates a layer at random, and knows what must be found after a crash."""

    folder: Path
    disk: Any
    chance: np.random.Generator
    live: NDArray[Any]
    name: str
    writer: Any
    states: list[Snapshot] = field(default_factory=list)
    surest: int = 0
    replaced: int | None = None

    @classmethod
    def begin(cls, folder: Path, disk: MortalDisk, chance: np.random.Generator) -> "Annotator":
        """Create the journal of an empty layer."""
        header = LayerHeader(image_name="cells", layer_name="a", shape=SHAPE, dtype="uint8", axes="zyx")
        writer = JournalWriter.create(folder, header, disk=disk)
        return cls.of(folder, disk, chance, writer, np.zeros(SHAPE, np.uint8), "a")

    @classmethod
    def of(cls, folder: Path, disk: Any, chance: np.random.Generator, writer: Any, live: Any, name: str) -> "Annotator":
        """Go on with a journal."""
        return cls(folder, disk, chance, live, name, writer, states=[Snapshot(live.copy(), name)])

    def act(self, what: str) -> None:
        """Do one thing of `ACTIONS`."""
        getattr(self, what)()

    def _took(self, *records: Any) -> None:
        self.states.append(Snapshot(self.live.copy(), self.name))  # may be found from the first byte of it on
        self.writer.append(*records)

    def _box(self) -> tuple[slice, ...]:
        start = [int(self.chance.integers(0, n)) for n in self.live.shape]
        stop = [int(self.chance.integers(a + 1, n + 1)) for a, n in zip(start, self.live.shape, strict=True)]
        return tuple(map(slice, start, stop))

    def stroke(self) -> None:
        """Change a box; its background copy may catch the pixels before their record is written."""
        box = self._box()
        self.live[box] = self.chance.integers(0, 3, self.live[box].shape)
        self.copy()
        self._took(BoxRecord(box, self.live[box].copy()))

    def points(self) -> None:
        """Change single pixels, some of them twice."""
        indices = tuple(self.chance.integers(-n, n, 7) for n in self.live.shape)
        values = self.chance.integers(0, 200, 7) if self.chance.integers(2) else int(self.chance.integers(0, 200))
        self.live[indices] = values
        self._took(PointsRecord(indices, values))

    def brush(self) -> None:
        """Change the pixels of a box that a mask picks."""
        box = self._box()
        mask = self.chance.integers(0, 2, self.live[box].shape).astype(bool)
        values = self.chance.integers(0, 200, int(mask.sum())) if self.chance.integers(2) else np.array(self.live.ndim)
        self.live[box][mask] = values
        self._took(BoxRecord(box, values, mask))

    def erase(self) -> None:
        """Clear everything: chunks of zeros go."""
        self.live[:] = 0
        box = tuple(slice(0, n) for n in self.live.shape)
        self._took(BoxRecord(box, self.live.copy()))

    def rename(self) -> None:
        """Change what the layer is called, together with a pixel."""
        self.name = uuid.UUID(bytes=self.chance.bytes(16)).hex[:5]
        self.live[0, 0, 0] = 9
        at = tuple(np.array([0]) for _ in SHAPE)
        self._took(MetadataRecord({"layer_name": self.name}), PointsRecord(at, 9))

    def widen(self) -> None:
        """Take the next wider dtype."""
        wider = {"uint8": "uint16", "uint16": "uint32", "uint32": "uint64", "uint64": "uint64"}[self.live.dtype.name]
        self.live = self.live.astype(wider)
        self._took(WidenRecord(wider))

    def replace(self) -> None:
        """Put another array in place of the one so far; it goes on changing while it is copied."""
        shape = tuple(int(self.chance.integers(1, 12)) for _ in SHAPE)
        self.live = self.chance.integers(0, 2, shape).astype(np.uint8) * np.uint8(self.chance.integers(0, 2))
        self.name += "'"
        if self.replaced is None:
            self.replaced = len(self.states)
        self._took(MetadataRecord({"layer_name": self.name}), ReplaceRecord(self.live))

    def copy(self) -> None:
        """Copy one chunk."""
        if self.writer.copying:
            self.writer.copy_base(lambda: True)

    def end_base(self) -> None:
        """Copy what is left, and let the new array hold."""
        if self.writer.base_pending:
            self.writer.copy_base()
            self.writer.end_base()
            self.surest, self.replaced = len(self.states) - 1, None

    def sync(self) -> None:
        """What has been done until now must be found."""
        self.writer.sync()
        self.surest = len(self.states) - 1

    def compact(self) -> None:
        """Fold a few steps of the log."""
        steps = int(self.disk.chance.integers(1, 12))
        self.writer.compact(lambda: self.disk.chance.integers(steps) == 0)

    @property
    def first_possible(self) -> int:
        """The oldest state that a crash may leave: what was synced, or what was there before a replacement."""
        return self.surest if self.replaced is None else min(self.surest, self.replaced - 1)

    @property
    def possible(self) -> list[Snapshot]:
        """States that a crash may leave."""
        return self.states[self.first_possible :]

    def check(self) -> Recovered:
        """Recover, and hold that against what is possible."""
        recovered = recover(self.folder)
        assert recovered.damage == [], recovered.damage
        assert recovered.complete
        assert any(state.is_that_of(recovered) for state in self.possible)
        return recovered


WEIGHTS = (0.15, 0.1, 0.1, 0.02, 0.05, 0.02, 0.06, 0.05, 0.05, 0.2, 0.2)
ACTIONS = ("stroke", "brush", "points", "erase", "rename", "widen", "replace", "copy", "end_base", "sync", "compact")

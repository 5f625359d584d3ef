"""The program dies at every single thing that the journal does to the disk: what is found is what was there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from napari_tessera.config.session import LayerHeader
from napari_tessera.core.errors import MissingInputError
from napari_tessera.io.journal import chunks
from napari_tessera.io.journal.disk import Disk
from napari_tessera.io.journal.records import BoxRecord, Record, ReplaceRecord, WidenRecord
from napari_tessera.io.journal.recovery import recover
from napari_tessera.io.journal.writer import JournalWriter

SHAPE = (24, 15)
MOST_STEPS = 400


class DiedError(BaseException):
    """Not an error that any part of the program could catch."""


class DyingDisk(Disk):
    """Does `steps` more things, and dies in the middle of the next."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def _step(self, half: Callable[[], Any] = lambda: None) -> None:
        self.left -= 1
        if self.left < 0:
            if self.left == -1:
                half()
            raise DiedError

    def create(self, path: Path) -> BinaryIO:
        self._step()
        return super().create(path)

    def write(self, file: BinaryIO, content: Any) -> None:
        self._step(lambda: super(DyingDisk, self).write(file, bytes(content)[: len(content) // 2]))
        super().write(file, content)

    def sync(self, file: BinaryIO) -> None:
        self._step()

    def sync_folder(self, folder: Path) -> None:
        self._step()

    def replace(self, source: Path, target: Path) -> None:
        self._step()
        super().replace(source, target)

    def remove(self, path: Path) -> None:
        self._step()
        super().remove(path)

    def remove_folder(self, folder: Path) -> None:
        self._step(lambda: [path.unlink() for path in sorted(folder.rglob("*"))[:2] if path.is_file()])
        super().remove_folder(folder)


class Story:
    """A layer, what it has been, and the oldest state that may be found if the program dies now."""

    writer: JournalWriter

    def __init__(self) -> None:
        self.labels = np.zeros(SHAPE, np.uint8)
        self.states, self.due = [self.labels], -1

    def tell(self, folder: Path, disk: Disk) -> None:
        header = LayerHeader(image_name="cells", layer_name="Labels", shape=SHAPE, dtype="uint8", axes="yx")
        self.writer = JournalWriter.create(folder, header, disk=disk)
        self.due = 0
        self.stroke(1)
        self.stroke(2)
        self.fold()
        self.stroke(3)
        self.act(WidenRecord("uint16"), lambda labels: labels.astype(np.uint16))
        self.stroke(300)
        self.fold()
        other = np.random.default_rng(1).integers(0, 900, SHAPE).astype(np.uint16)
        self.act(ReplaceRecord(other), lambda _: other)
        self.writer.copy_base()
        self.stroke(400)
        self.writer.end_base()
        self.due = len(self.states) - 1
        self.stroke(500)
        self.act(ReplaceRecord(None), np.zeros_like)
        self.writer.copy_base()
        self.due = len(self.states) - 1
        self.stroke(600)
        self.fold()
        self.writer.close()

    def stroke(self, value: int) -> None:
        rows = slice(value % 7, value % 7 + 12)
        after = np.full((12, 11), value, self.labels.dtype)

        def paint(labels: np.ndarray) -> np.ndarray:
            labels = labels.copy()
            labels[rows, 2:13] = value
            return labels

        self.act(BoxRecord((rows, slice(2, 13)), after), paint)

    def act(self, record: Record, change: Callable[[np.ndarray], np.ndarray]) -> None:
        self.labels = change(self.labels)
        self.states.append(self.labels)
        self.writer.append(record)
        self.writer.sync()
        if not self.writer.base_pending:  # else the array before holds until the new one is there
            self.due = len(self.states) - 1

    def fold(self) -> None:
        assert self.writer.compact()


def test_dying_at_every_step_costs_nothing_that_was_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_EDGE", 16)
    found_at = set()
    for steps in range(MOST_STEPS):
        folder, story = tmp_path / str(steps), Story()
        try:
            story.tell(folder, DyingDisk(steps))
        except DiedError:
            found_at.add(check(folder, story, steps))
        else:
            break
    else:
        pytest.fail("the story has no end")
    assert found_at == {None, 0, 1, 2, 3, 4, 5, 7, 8, 9, 10}  # 6, an array, is there with what was painted meanwhile
    assert steps > 80


def check(folder: Path, story: Story, steps: int) -> int | None:
    """Return which state is found, and go on with it."""
    try:
        found = recover(folder)
    except MissingInputError:
        assert story.due < 0, steps
        return None
    labels = found.load()
    at = max((at for at, state in enumerate(story.states) if np.array_equal(state, labels)), default=None)
    assert at is not None, f"step {steps}: what is found was never there"
    assert at >= story.due, f"step {steps}: state {at} in place of {story.due}"
    assert found.damage == []
    writer = JournalWriter.open(folder, disk=DyingDisk(MOST_STEPS))
    labels[:4] = 9
    writer.append(BoxRecord((slice(0, 4), slice(0, SHAPE[1])), labels[:4]))
    writer.sync()
    np.testing.assert_array_equal(recover(folder).load(), labels)
    assert writer.compact()
    np.testing.assert_array_equal(recover(folder).load(), labels)
    writer.close()
    return at

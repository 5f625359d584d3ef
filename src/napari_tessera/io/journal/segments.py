"""The log on disk: segment files that frames are appended to, and reading them back after anything has happened.

Rules that make it safe:

- A segment is never changed once it has been left; a program that opens a log begins a new one.
- A segment is named after the number of its first frame, and *replaces* whatever frames of that number and above
  earlier segments hold. So what a failed write left behind needs no cleaning up.
- Frames count up to the first that is torn, damaged or missing, and of those up to the last that ends an action.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from napari_tessera.config.session import LayerHeader
from napari_tessera.core.errors import InvalidInputError, StorageError
from napari_tessera.io.journal.disk import Disk, keeping
from napari_tessera.io.journal.frame_checks import Checks
from napari_tessera.io.journal.frames import (
    HEAD_BYTES,
    MAGIC,
    METADATA,
    REPLACE,
    Frame,
    NonsenseError,
    decode_fields,
    frame_heads,
    read_frame,
)
from napari_tessera.io.journal.plain_files import open_plain

_SEGMENT = re.compile(r"log-(\d{12})(?:-(\d+))?\.bin")
_FILE_MAGIC = b"TSRAJNL\n"
_FILE_HEAD = struct.Struct("<8sHHIQII")  # magic, version, 0, 0, first number, checksum of all before, 0
_FILE_SUMMED = 24
LOG_VERSION = 1

SEGMENT_BYTES = 2**25
"""A segment that is longer gets no more frames."""

_WRITE_BYTES = 2**20
_MOST_SEARCHED = 2**30
"""Bytes behind a damaged place that are searched for what is lost there; it takes a second."""


def segments_before(folder: Path, number: int) -> list[Path]:
    """Return the segments that hold only frames below `number`: those before one that begins with it, or lower."""
    paths = segment_paths(folder)
    return [path for path, after in pairwise(paths) if first_number(after) <= number]


@dataclass(frozen=True)
class Glance:
    """What the heads of a log's frames say, without a look at what is in them.

    Attributes
    ----------
    time
        Of the last frame, in seconds since 1970; 0 without any.
    replaced
        When the layer got another array that was not written as a whole; None if there was no such.
    changes
        Of the layer's header, such as its name, up to there.
    """

    time: float
    replaced: float | None
    changes: dict[str, Any]


def glance(folder: Path, folded: int) -> Glance:
    """Return what the heads of the frames after number `folded` say; of pixels the payloads are not read.

    Raises
    ------
    StorageError
        If a segment cannot be read.
    """
    heads: list[Frame] = []
    for path in segment_paths(folder):
        try:
            file = open_plain(path)
        except FileNotFoundError:
            continue  # its writer has folded it meanwhile
        except OSError as error:
            raise _unreadable(path, error) from error
        with file:
            file.seek(_FILE_HEAD.size)
            first = first_number(path)
            heads = [head for head in heads if head.number < first]
            heads += frame_heads(file, path)
    time = max((head.time / 1e9 for head in heads), default=0.0)
    changes: dict[str, Any] = {}
    for head in heads:
        if head.number <= folded:
            continue
        if head.kind == REPLACE:
            return Glance(time, head.time / 1e9, changes)
        if head.kind == METADATA:
            changes |= _fields_of(head)
    return Glance(time, None, changes)


def _fields_of(head: Frame) -> dict[str, Any]:
    """Return the fields of a frame, none if it is damaged or gone."""
    try:
        with open_plain(head.path) as file:
            file.seek(head.offset - HEAD_BYTES)
            found = read_frame(file, head.path)
        return decode_fields(found[1]) if found is not None else {}
    except (OSError, NonsenseError):
        return {}


@dataclass
class Log:
    """What a layer's segments hold.

    Attributes
    ----------
    frames
        Those that count, in order and without a gap.
    torn
        Whether the log ends within an action: what a program that was killed had not synced.
    damage
        A sentence for each place where frames that had been written are lost.
    damaged
        Segments that hold such places.
    """

    frames: list[Frame] = field(default_factory=list)
    torn: bool = False
    damage: list[str] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)


def segment_paths(folder: Path) -> list[Path]:
    """Return the segments of a log in the order in which they were written."""
    found = [(match, path) for path in folder.glob("log-*.bin") if (match := _SEGMENT.fullmatch(path.name))]
    return [path for _, path in sorted(found, key=lambda entry: (int(entry[0][1]), int(entry[0][2] or 0)))]


def first_number(path: Path) -> int:
    """Return the number of the first frame of a segment, from its name."""
    match = _SEGMENT.fullmatch(path.name)
    assert match is not None
    return int(match[1])


def read_log(folder: Path, folded: int, header: LayerHeader) -> Log:
    """Read and check all frames after number `folded`, at which the layer was as `header` says.

    Raises
    ------
    InvalidInputError
        If a newer version of the program wrote the log.
    StorageError
        If a segment cannot be read.
    """
    log, checks = Log(), Checks(folded, header)
    expected: int | None = None
    paths = segment_paths(folder)
    for at, path in enumerate(paths):
        first = first_number(path)
        if first > (folded + 1 if expected is None else expected):
            log.damaged += paths[max(0, at - 1) :]
            log.damage.append(
                f"{log.damaged[0]} is damaged: the records up to {first - 1} and those behind are not used."
            )
            break
        while log.frames and log.frames[-1].number >= first:
            log.frames.pop()
        checks.go_back_to(first)
        expected = first
        with opened(path) as file:
            for frame, payload in _frames(file, path, first):
                if not checks.makes_sense(frame, payload):
                    break
                log.frames.append(frame)
                expected = frame.number + 1
    _tell_nonsense(log, checks, paths)
    _finish(log, folder, folded if expected is None else expected - 1)
    log.frames = [frame for frame in log.frames if frame.number > folded]
    return log


def _tell_nonsense(log: Log, checks: Checks, paths: list[Path]) -> None:
    """Add a sentence about the first frame that makes no sense, unless there is one about what lies before it."""
    if checks.nonsense is None or log.damage:
        return
    frame, why = checks.nonsense
    log.damaged = paths[paths.index(frame.path) :]
    log.damage.append(
        f"{frame.path} is damaged at record {frame.number} ({why}): it and the records behind it are not used."
    )


def _finish(log: Log, folder: Path, reached: int) -> None:
    """Drop the beginning of an action that is not complete, and say what lies behind the last frame that counts."""
    while log.frames and not log.frames[-1].last:
        log.frames.pop()
        log.torn = True
    if log.damage:
        return
    paths = segment_paths(folder)
    if not paths:
        return
    path = paths[-1]
    with opened(path) as file:
        size, end = path.stat().st_size, _FILE_HEAD.size  # in this order: its writer may be appending
        for frame, _ in _frames(file, path, first_number(path)):
            end = frame.offset + frame.length
        if end < size:
            log.torn = True
            later = _later_frames(file, path, end, reached)
            if later:
                log.damage.append(f"{path} is damaged after record {reached}: the records behind it are not used.")
                log.damaged.append(path)


def opened(path: Path) -> BinaryIO:
    """Open a segment for reading; raises StorageError if that cannot be done, as when its writer has removed it."""
    try:
        return open_plain(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path} cannot be read ({error.strerror}): check its permissions.")


def _frames(file: BinaryIO, path: Path, first: int) -> Iterator[tuple[Frame, bytes]]:
    _check_version(file.read(_FILE_HEAD.size), path)
    number = first
    while (found := read_frame(file, path)) is not None and found[0].number == number:
        yield found
        number += 1


def _check_version(head: bytes, path: Path) -> None:
    """Refuse a newer format; a damaged head does not matter, because each frame is checked by itself."""
    if len(head) < _FILE_HEAD.size:
        return
    magic, version, _, _, _, checksum, _ = _FILE_HEAD.unpack(head)
    if magic == _FILE_MAGIC and zlib.crc32(head[:_FILE_SUMMED]) == checksum and version > LOG_VERSION:
        raise InvalidInputError(f"{path} was written by a newer version of napari-tessera: update it to open the file.")


def _later_frames(file: BinaryIO, path: Path, start: int, reached: int) -> bool:
    """Whether a whole frame with a number above `reached` lies somewhere behind `start`."""
    position, looked_at = start, 0
    while True:
        file.seek(position)
        window = file.read(_WRITE_BYTES)
        looked_at += len(window)
        at = window.find(MAGIC)
        while at >= 0:
            file.seek(position + at)
            found = read_frame(file, path)
            if found is not None and found[0].number > reached:
                return True
            looked_at += file.tell() - position - at
            if looked_at > _MOST_SEARCHED:
                return True  # no write that was cut off leaves so much
            at = window.find(MAGIC, at + 1)
        if looked_at > _MOST_SEARCHED:
            return True
        if len(window) < _WRITE_BYTES:
            return False
        position += _WRITE_BYTES - len(MAGIC) + 1


class LogWriter:
    """Appends frames; what has not reached the disk stays in memory until it has.

    Parameters
    ----------
    folder
        Of the layer.
    number
        Sequence number of the next frame.
    disk
        Where to write.
    """

    def __init__(self, folder: Path, number: int, disk: Disk) -> None:
        self.folder = folder
        self.number = number
        self.synced = number - 1
        self._disk = disk
        self._pending: list[bytes] = []
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._length = 0

    @property
    def pending_bytes(self) -> int:
        """Size of what waits to be written."""
        return sum(map(len, self._pending))

    def append(self, frame: bytes) -> None:
        """Take the frame with the next number."""
        self._pending.append(frame)
        self.number += 1

    def sync(self) -> None:
        """Write what waits and return when it is on the disk.

        Raises
        ------
        StorageError
            If that fails; everything is kept, and the next call writes it again into a segment of its own.
        """
        if not self._pending:
            return
        with keeping(self.folder):
            try:
                self._write()
            except OSError:
                self._abandon()
                raise
        self._pending.clear()
        self.synced = self.number - 1
        if self._length > SEGMENT_BYTES:
            self.leave()

    def _write(self) -> None:
        new = self._file is None
        file = self._start() if self._file is None else self._file
        batch = bytearray()
        for frame in self._pending:
            batch += frame
            if len(batch) >= _WRITE_BYTES:
                self._disk.write(file, batch)
                self._length += len(batch)
                batch = bytearray()
        self._disk.write(file, batch)
        self._length += len(batch)
        self._disk.sync(file)
        if new:
            self._disk.sync_folder(self.folder)

    def _start(self) -> BinaryIO:
        first = self.number - len(self._pending)
        path, attempt = self.folder / f"log-{first:012d}.bin", 1
        while path.exists():
            attempt += 1
            path = self.folder / f"log-{first:012d}-{attempt}.bin"
        self._file, self._path = self._disk.create(path), path
        head = _FILE_HEAD.pack(_FILE_MAGIC, LOG_VERSION, 0, 0, first, 0, 0)[:_FILE_SUMMED]
        self._disk.write(self._file, head + struct.pack("<II", zlib.crc32(head), 0))
        self._length = _FILE_HEAD.size
        return self._file

    def _abandon(self) -> None:
        """Leave a segment whose end is not known; if nothing in it counts, it gives its space back."""
        path, file = self._path, self._file
        self.leave()
        if path is None or file is None:
            return
        if first_number(path) > self.synced:
            try:
                self._disk.remove(path)
            except OSError:
                return  # the next segment replaces what it holds

    def leave(self) -> None:
        """Close the segment; the next frame begins another one."""
        if self._file is not None:
            self._file.close()
        self._file, self._path, self._length = None, None, 0

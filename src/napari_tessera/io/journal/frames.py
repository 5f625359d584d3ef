"""Records as bytes: frames with length, sequence number, kind and checksum, small enough to be held in memory.

A frame is 32 bytes of head and its payload. A large change becomes several frames, of which the last one carries the
flag `LAST`: an action counts when its last frame is there, and not at all before.
"""

import json
import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.regions import Region

BOX, POINTS, REPLACE, WIDEN, METADATA, MASKED = 1, 2, 3, 4, 5, 6
"""Kinds of frames."""

KINDS = frozenset({BOX, POINTS, REPLACE, WIDEN, METADATA, MASKED})
OF_PIXELS = frozenset({BOX, POINTS, MASKED})

LAST = 1
"""Flag of the last frame of an action."""

_BLOSC_HEAD = 16
"""Bytes of a Blosc frame before its values; the last four are the length of the frame."""

MAGIC = b"\xa7REC"
_HEAD = struct.Struct(
    "<4sIIBBHQq"
)  # magic, checksum of all that follows, length of payload, kind, flags, 0, number, ns
_SUMMED = 8
HEAD_BYTES = _HEAD.size

FRAME_BYTES = 2**22
"""Most bytes of values in one frame, before compression."""

MOST_POINTS = 2**19

MOST_VALUE_BYTES, MOST_POINTS_READ = FRAME_BYTES, MOST_POINTS
"""The same for reading: more has never been written, so it is damage."""

_DTYPES = frozenset({b"|b1", b"|i1", b"|u1", b"<i2", b"<u2", b"<i4", b"<u4", b"<i8", b"<u8"})
MOST_PAYLOAD = 4 * FRAME_BYTES + 4096
"""No frame is longer: a length above it is damage."""


class NonsenseError(ValueError):
    """A record whose checksum fits, and whose content makes no sense; its message says what of it, for a bracket."""


@dataclass(frozen=True)
class Frame:
    """The head of a frame and where its payload lies.

    Attributes
    ----------
    kind, last
        What the payload is, and whether an action ends here.
    number
        Sequence number: each frame of a layer has the one after that of the frame before.
    time
        In nanoseconds since 1970.
    path, offset, length
        Place of the payload.
    box
        Bounds of what it changes; None for frames without pixels.
    """

    kind: int
    last: bool
    number: int
    time: int
    path: Path
    offset: int
    length: int
    box: Region | None

    def payload(self, file: BinaryIO) -> bytes:
        """Read the payload."""
        file.seek(self.offset)
        return file.read(self.length)


def encode_frame(kind: int, payload: bytes, number: int, time: int, *, last: bool) -> bytes:
    """Return a frame as bytes."""
    head = _HEAD.pack(MAGIC, 0, len(payload), kind, LAST if last else 0, 0, number, time)
    checksum = zlib.crc32(payload, zlib.crc32(head[_SUMMED:]))
    return MAGIC + checksum.to_bytes(4, "little") + head[_SUMMED:] + payload


def read_frame(file: BinaryIO, path: Path) -> tuple[Frame, bytes] | None:
    """Read the frame at the file's position; None if there is none, or not all of it, or it is damaged."""
    head = file.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES or not head.startswith(MAGIC):
        return None
    _, checksum, length, kind, flags, _, number, time = _HEAD.unpack(head)
    if length > MOST_PAYLOAD:
        return None
    offset = file.tell()
    payload = file.read(length)
    if len(payload) < length or zlib.crc32(payload, zlib.crc32(head[_SUMMED:])) != checksum:
        return None
    box = _box_of(payload) if kind in OF_PIXELS else None
    return Frame(kind, bool(flags & LAST), number, time, path, offset, length, box), payload


def _box_of(payload: bytes) -> Region | None:
    """Return the bounds of what a payload of pixels changes; None if it makes no sense, which is found out later."""
    try:
        return Place.unpack(payload)[0].box
    except NonsenseError:
        return None


def frame_heads(file: BinaryIO, path: Path) -> Iterator[Frame]:
    """Yield the frames from the file's position on, without a look at their payloads: pixels have no box."""
    while len(head := file.read(HEAD_BYTES)) == HEAD_BYTES and head.startswith(MAGIC):
        _, _, length, kind, flags, _, number, time = _HEAD.unpack(head)
        offset = file.tell()
        yield Frame(kind, bool(flags & LAST), number, time, path, offset, length, None)
        file.seek(offset + length)


@dataclass(frozen=True)
class Place:
    """The beginning of a payload of pixels: dtype of the values, and the box that they lie in."""

    dtype: np.dtype[Any]
    start: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def box(self) -> Region:
        """The box as one slice per dimension."""
        return regions.placed(self.start, self.shape)

    @property
    def volume(self) -> int:
        """Number of pixels in the box."""
        return math.prod(self.shape)

    def pack(self) -> bytes:
        """Return it as bytes."""
        name = self.dtype.newbyteorder("<").str.encode()
        lengths = (*self.start, *self.shape)
        return struct.pack(f"<BB{len(name)}s{len(lengths)}q", len(self.start), len(name), name, *lengths)

    @classmethod
    def unpack(cls, payload: bytes) -> tuple[Self, int]:
        """Return the place, and where the values begin.

        Raises
        ------
        NonsenseError
            If it is none.
        """
        ndim, width = (payload[0], payload[1]) if len(payload) > 1 else (0, 0)
        name = payload[2 : 2 + width]
        if len(payload) < 2 + width + 16 * ndim:
            raise NonsenseError("pixels without a place")
        if not ndim:
            raise NonsenseError("pixels without dimensions")
        if name not in _DTYPES:
            raise NonsenseError("values that are no labels")
        lengths = struct.unpack_from(f"<{2 * ndim}q", payload, 2 + width)
        start, shape = lengths[:ndim], lengths[ndim:]
        if min(start) < 0 or min(shape) < 1:
            raise NonsenseError("pixels at a place that there is not")
        return cls(np.dtype(name.decode()), start, shape), 2 + width + 16 * ndim


def encode_box(start: tuple[int, ...], after: NDArray[Any]) -> Iterator[bytes]:
    """Yield the payloads of a box, cut so that none is larger than `FRAME_BYTES` before compression."""
    if after.size == 0:
        return
    if after.nbytes <= FRAME_BYTES:
        yield Place(after.dtype, start, after.shape).pack() + compress(after)
        return
    axis = next(axis for axis, length in enumerate(after.shape) if length > 1)
    step = max(1, FRAME_BYTES * after.shape[axis] // after.nbytes)
    for first in range(0, after.shape[axis], step):
        part = after[(slice(None),) * axis + (slice(first, first + step),)]
        yield from encode_box((*start[:axis], start[axis] + first, *start[axis + 1 :]), part)


def encode_masked(start: tuple[int, ...], mask: NDArray[np.bool_], values: NDArray[Any]) -> Iterator[bytes]:
    """Yield the payloads of the pixels of a box that `mask` picks, cut as those of `encode_box` are.

    Parameters
    ----------
    start
        Where the box begins.
    mask
        Shape of the box.
    values
        Under the mask, in C order, or one value for all.
    """
    if not mask.any():
        return
    if mask.size * values.itemsize <= FRAME_BYTES:
        bits = compress(np.packbits(mask.ravel()))
        place = Place(values.dtype, start, mask.shape).pack()
        yield place + struct.pack("<Q", len(bits)) + bits + compress(values)
        return
    axis = next(axis for axis, length in enumerate(mask.shape) if length > 1)
    step = max(1, FRAME_BYTES * mask.shape[axis] // (mask.size * values.itemsize))
    taken = 0
    for first in range(0, mask.shape[axis], step):
        part = mask[(slice(None),) * axis + (slice(first, first + step),)]
        count = int(np.count_nonzero(part))
        own = values if values.size == 1 else values[taken : taken + count]
        taken += count
        yield from encode_masked((*start[:axis], start[axis] + first, *start[axis + 1 :]), part, own)


def encode_points(indices: list[NDArray[Any]], values: NDArray[Any]) -> Iterator[bytes]:
    """Yield the payloads of single pixels, at most `MOST_POINTS` in each."""
    for first in range(0, indices[0].size, MOST_POINTS):
        part = [index[first : first + MOST_POINTS] for index in indices]
        start = tuple(int(index.min()) for index in part)
        shape = tuple(int(index.max()) - at + 1 for index, at in zip(part, start, strict=True))
        local = np.ravel_multi_index([index - at for index, at in zip(part, start, strict=True)], shape)
        offsets = compress(local.astype(np.uint32 if math.prod(shape) < 2**32 else np.uint64))
        wide = math.prod(shape) >= 2**32
        own = values if values.size == 1 else values[first : first + MOST_POINTS]
        place = Place(values.dtype, start, shape).pack()
        yield place + struct.pack("<BQ", wide, len(offsets)) + offsets + compress(own)


def encode_fields(fields: Mapping[str, Any]) -> bytes:
    """Return plain values as a payload."""
    return json.dumps(fields, ensure_ascii=False).encode()


def decode_fields(payload: bytes) -> dict[str, Any]:
    """Return the plain values of a payload; raises NonsenseError if it holds none."""
    try:
        fields = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise NonsenseError("text that makes no sense") from error
    if not isinstance(fields, dict):
        raise NonsenseError("values without names")
    return fields


def compress(values: NDArray[Any]) -> bytes:
    """Return values as one Blosc frame (LZ4 with bit shuffling), little-endian and in C order."""
    content = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    buffer: Any = content.reshape(-1).view(np.uint8).data
    return bytes(
        imagecodecs.blosc_encode(
            buffer,
            level=5,
            compressor="lz4",
            shuffle=imagecodecs.BLOSC.SHUFFLE.BITSHUFFLE,
            typesize=content.itemsize,
            numthreads=1,
        )
    )


def blosc_bytes(content: bytes) -> int:
    """Return how many bytes a Blosc frame decodes to, as its head says.

    Raises
    ------
    NonsenseError
        If part of the frame is missing: the decoder itself would read on behind its end.
    """
    if len(content) < _BLOSC_HEAD or int.from_bytes(content[12:16], "little") != len(content):
        raise NonsenseError("compressed values are cut off")
    return int.from_bytes(content[4:8], "little")


def decompress(content: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the values of a Blosc frame as a flat array.

    Raises
    ------
    ValueError, RuntimeError
        If it is damaged.
    """
    blosc_bytes(content)
    return np.frombuffer(imagecodecs.blosc_decode(content, numthreads=1), dtype)

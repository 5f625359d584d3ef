"""The pixels in a frame: what a payload consists of, whether that makes sense, and writing it into an array."""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.io.journal.frames import (
    BOX,
    MASKED,
    MOST_VALUE_BYTES,
    Frame,
    NonsenseError,
    Place,
    blosc_bytes,
    decompress,
)


@dataclass(frozen=True)
class Packed:
    """Compressed values within a payload."""

    content: bytes
    dtype: np.dtype[Any]

    @property
    def count(self) -> int:
        """Number of values, as their head says; raises NonsenseError if it cannot be."""
        size, rest = divmod(blosc_bytes(self.content), self.dtype.itemsize)
        if rest:
            raise NonsenseError("half a value")
        return size

    def values(self) -> NDArray[Any]:
        """Return the values, flat; raises NonsenseError if they cannot be decoded, or would take much memory."""
        if self.count * self.dtype.itemsize > MOST_VALUE_BYTES:
            raise NonsenseError("more values than one record holds")
        try:
            return decompress(self.content, self.dtype)
        except (ValueError, RuntimeError) as error:  # what the decoder raises is a RuntimeError
            raise NonsenseError("compressed values that cannot be decoded") from error


@dataclass(frozen=True)
class Pixels:
    """What a payload of pixels consists of: BOX has values; MASKED bits and values; POINTS offsets and values."""

    kind: int
    place: Place
    parts: tuple[Packed, ...]

    @property
    def volume(self) -> int:
        """Number of pixels in the box."""
        return self.place.volume

    def mask(self) -> NDArray[np.bool_]:
        """Return which pixels of the box a masked one changes; shape of the box."""
        bits = self.parts[0]
        if bits.count != -(-self.volume // 8):
            raise NonsenseError("a mask that does not fill its box")
        return np.unpackbits(bits.values(), count=self.volume).astype(bool).reshape(self.place.shape)

    def check(self) -> None:
        """Raise NonsenseError if the values do not go with the box; its size has been checked before."""
        if self.kind == BOX:
            if self.parts[0].count != self.volume:
                raise NonsenseError("values that do not fill their box")
            self.parts[0].values()
            return
        if self.kind == MASKED:
            count = int(np.count_nonzero(self.mask()))
        else:
            offsets = self.parts[0].values()
            count = offsets.size
            if count and int(offsets.max()) >= self.volume:
                raise NonsenseError("pixels outside their box")
        if self.parts[1].count not in (1, count):
            raise NonsenseError("values for other pixels")
        self.parts[1].values()


def read_pixels(kind: int, payload: bytes) -> Pixels:
    """Return what a payload of pixels consists of; nothing is decoded.

    Raises
    ------
    NonsenseError
        If it does not consist of that.
    """
    place, at = Place.unpack(payload)
    if kind == BOX:
        return Pixels(kind, place, (Packed(payload[at:], place.dtype),))
    head = struct.Struct("<Q") if kind == MASKED else struct.Struct("<BQ")
    if len(payload) < at + head.size:
        raise NonsenseError("pixels without values")
    *wide, length = head.unpack_from(payload, at)
    at += head.size
    if at + length > len(payload):
        raise NonsenseError("pixels without values")
    dtype = np.dtype(np.uint8) if kind == MASKED else np.dtype("<u8" if wide[0] else "<u4")
    return Pixels(kind, place, (Packed(payload[at : at + length], dtype), Packed(payload[at + length :], place.dtype)))


def apply_frame(frame: Frame, payload: bytes, target: NDArray[Any], origin: tuple[int, ...]) -> None:
    """Write what a frame of pixels changes into `target`, a part of the layer that begins at `origin`."""
    pixels = read_pixels(frame.kind, payload)
    place, *parts = pixels.place, *pixels.parts
    if frame.kind == BOX:
        _apply_box(place, parts[0].values().reshape(place.shape), None, target, origin)
    elif frame.kind == MASKED:
        mask = pixels.mask()
        values = np.zeros(place.shape, place.dtype)
        values[mask] = parts[1].values()
        _apply_box(place, values, mask, target, origin)
    else:
        _apply_points(place, parts[0].values(), parts[1].values(), target, origin)


def _apply_box(
    place: Place, after: NDArray[Any], mask: NDArray[np.bool_] | None, target: NDArray[Any], origin: tuple[int, ...]
) -> None:
    box, whole = regions.placed(place.start, place.shape), regions.placed(origin, target.shape)
    shared = regions.intersection(box, whole)
    if shared is None:
        return
    into, out_of = regions.relative(shared, whole), regions.relative(shared, box)
    if mask is None:
        target[into] = after[out_of]
    else:
        np.copyto(target[into], after[out_of], where=mask[out_of])


def _apply_points(
    place: Place, offsets: NDArray[Any], values: NDArray[Any], target: NDArray[Any], origin: tuple[int, ...]
) -> None:
    """Write the points that lie in `target`; where one is named more than once, the last value stays."""
    inside = np.ones(offsets.shape, bool)
    indices = []
    for index, at, begin, size in zip(
        np.unravel_index(offsets.astype(np.int64), place.shape), place.start, origin, target.shape, strict=True
    ):
        local = index + (at - begin)
        inside &= (local >= 0) & (local < size)
        indices.append(local)
    target[tuple(index[inside] for index in indices)] = values[0] if values.size == 1 else values[inside]

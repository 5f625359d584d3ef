"""The part of an image that a click has paged in: pixels, what may not be entered, and how it becomes larger.

The window has a shell of one pixel. Where the image goes on beyond it, the shell is marked as not read yet; elsewhere
as not to be entered. So whoever grows in it need not ask where the borders are.

It becomes larger where it stands: its arrays have room for much more than is read at first, which costs nothing as long
as nobody writes there. They are borrowed, since memory that is new is slower to write than all the rest is to compute.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.regions import Region
from napari_tessera.operations.growing.engine.borrowing import Loan
from napari_tessera.operations.growing.engine.edges import edge_radius_of, edge_strength, radius_of, smooth

Reader = Callable[[Region], NDArray[Any]]

FIRST_SIDE = {2: 256, 3: 64}
"""Sides of the first window by the number of axes: the pixels round a small object, read and marked in no time."""
NEAR = 0.25
"""A window becomes larger at all faces that are nearer to the region than that part of its side."""
STEP, LARGE_STEP = 0.5, 0.25
"""By which part of its side it does, at each; the second if it is large already."""
LARGE = 2**20
"""Pixels of a window that is large."""
LINE = 64
"""Pixels that may share a line of the cache."""
ROOM_SIDE = {2: 4096, 3: 256}
"""Sides of what there is room for in its arrays, longer where others are shorter; if more is to be read, they are
replaced by larger ones."""


@dataclass(frozen=True)
class Frame:
    """What is grown in: an image, how it is prepared, and what may not be entered.

    Attributes
    ----------
    read
        Returns the pixels of a box, with a last axis of channels if `channels`.
    shape, dtype
        Of the image, without channels.
    sides
        Of a pixel, as multiples of the smallest.
    channels
        How many; 0 if there is no such axis.
    sigma
        Of the smoothing before growing, in units of `sides`; 0 for none.
    edges
        Whether edge strengths are grown over in place of grey levels.
    blocked
        Returns which pixels of a box may not be entered, bool; or None.
    real
        Whether pixels are held as real numbers wherever sums of those are exact: not integers of 32 bits.
    """

    read: Reader
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    sides: tuple[float, ...]
    channels: int
    sigma: float
    edges: bool
    blocked: Reader | None
    real: bool = False

    @property
    def ndim(self) -> int:
        """2 for a plane, 3 for a volume."""
        return len(self.shape)

    @cached_property
    def values_dtype(self) -> np.dtype[Any]:
        """In which pixels are held: one of few, so that few loops are compiled."""
        kind, size = self.dtype.kind, self.dtype.itemsize
        small = kind == "b" or (kind in "ui" and size <= 2) or (kind == "f" and size <= 4)
        if kind == "f" or (self.real and small) or self.channels or self.sigma or self.edges:
            return np.dtype(np.float32 if small else np.float64)
        if kind == "b" or (kind == "u" and size <= 2):
            return np.dtype(np.uint16 if size == 2 else np.uint8)
        return np.dtype(np.int64 if size < 8 else np.float64)

    @cached_property
    def values_channels(self) -> int:
        """How many numbers a pixel has; 0 for one without an axis of its own."""
        return 0 if self.edges else self.channels

    def prepared(self, box: Region) -> NDArray[Any]:
        """Read a box and prepare it as if it were cut out of the whole image."""
        sigmas = self._sigmas
        halo = [edge_radius_of(s) if self.edges else radius_of(s) for s in sigmas]
        if not any(halo):
            return self._read(box)
        large = regions.grown(box, halo, self.shape)
        pixels = self._read(large).astype(self.values_dtype, copy=False)
        planes = [pixels[..., c] for c in range(self.channels)] if self.channels else [pixels]
        inner = regions.relative(box, large)
        if self.edges:
            parts = [edge_strength(plane, sigmas, self.sides)[inner] for plane in planes]
            return parts[0] if len(parts) == 1 else np.sqrt(sum(part**2 for part in parts))
        parts = [smooth(plane, sigmas)[inner] for plane in planes]
        return np.stack(parts, axis=-1) if self.channels else parts[0]

    @cached_property
    def _sigmas(self) -> list[float]:
        sigma = max(self.sigma, 1.0) if self.edges else self.sigma
        return [sigma / side if n > 1 else 0.0 for side, n in zip(self.sides, self.shape, strict=True)]

    def _read(self, box: Region) -> NDArray[Any]:
        pixels = np.asarray(self.read(box))
        expected = regions.size(box) + ((self.channels,) if self.channels else ())
        if pixels.shape != expected:
            message = f"the reader gave pixels of shape {pixels.shape} for a box of shape {expected}"
            raise ValueError(message)
        return pixels


class Window:
    """What has been read of a frame, in memory with room for more of it.

    Parameters
    ----------
    frame
        What is read.
    box
        What of it is read first.
    stamp_dtype
        Of the stamps.
    roomy
        Whether the window is to become larger.

    Attributes
    ----------
    values, stamps
        See `click_kernels`. What has been read has its shell round it; what lies beyond has no meaning.
    unread, closed
        The stamps of what lies beyond the window, and of what may not be entered.
    """

    def __init__(self, frame: Frame, box: Region, stamp_dtype: type[np.uint8] | type[np.int32], *, roomy: bool) -> None:
        self._frame = frame
        self.closed = int(np.iinfo(stamp_dtype).max)
        self.unread = self.closed - 1
        self._box = box
        self._allocate(_room_round(box, frame.shape) if roomy else box, np.dtype(stamp_dtype))
        self._fill(box)
        self._enclose()

    @property
    def strides(self) -> NDArray[np.int64]:
        """By how much the place in the flat window grows along each axis."""
        return np.array([math.prod(self.stamps.shape[axis + 1 :]) for axis in range(self.stamps.ndim)], np.int64)

    @property
    def shift(self) -> NDArray[np.int64]:
        """What is added to coordinates in the window to have those in the frame."""
        return np.array([part.start - 1 for part in self._room], np.int64)

    @property
    def inside(self) -> Region:
        """Where in the window that lies which has been read."""
        return self._place(self._box)

    def place_of(self, box: Region) -> Region | None:
        """Return where in the window a box of the frame lies; None if not all of it has been read."""
        return self._place(box) if regions.contains(self._box, box) else None

    def flat(self, points: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places of pixels of the frame, shape (n, ndim), in the flat window."""
        return np.asarray((points - self.shift) @ self.strides)

    def grow(self, low: Sequence[int], high: Sequence[int], most: int) -> NDArray[np.int64] | None:
        """Become larger where pixels from `low` to `high`, in the frame, come near to a face.

        Returns
        -------
        What places have moved by along each axis; or None, and nothing has changed, if it would have to be larger than
        `most`.
        """
        box = self._larger(low, high, most)
        if box is None:
            return None
        old_box, old_shift = self._box, self.shift
        if not regions.contains(self._room, box):
            # The old loan lasts until everything has been copied.
            loan, values, stamps = self._loan, self.values[self.inside], self.stamps[self.inside]
            self._allocate(_room_round(box, self._frame.shape), stamps.dtype)
            self.values[self.inside], self.stamps[self.inside] = values, stamps
            del loan, values, stamps
        self._box = box
        for part in slabs(box, old_box):
            self._fill(part)
        self._enclose()
        return np.asarray(old_shift - self.shift)

    def _larger(self, low: Sequence[int], high: Sequence[int], most: int) -> Region | None:
        pixels = math.prod(regions.size(self._box))
        parts, faces = [], 0
        for part, first, last, n in zip(self._box, low, high, self._frame.shape, strict=True):
            side = part.stop - part.start
            before = part.start > 0 and first - part.start < max(NEAR * side, 2)
            after = part.stop < n and part.stop - 1 - last < max(NEAR * side, 2)
            faces += before + after
            parts.append((part, before, after, n))
        by = min(STEP if pixels < LARGE else LARGE_STEP, ((most / pixels) ** (1 / max(faces, 1)) - 1))
        if by < 0.05:
            return None
        box = []
        for part, before, after, n in parts:
            more = max(int(by * (part.stop - part.start)), 1)
            start = max(part.start - more, 0) if before else part.start
            stop = min(part.stop + more, n) if after else part.stop
            box.append(slice(start, stop))
        return tuple(box)

    def _allocate(self, room: Region, stamp_dtype: np.dtype[Any]) -> None:
        """Take memory in which anything may stand."""
        frame, self._room = self._frame, room
        *others, last = (part.stop - part.start + 2 for part in room)
        # Odd, in lines of the cache: else pixels above each other, which are used at once, had the same few lines.
        shape = (*(side | 1 for side in others), (-(-last // LINE) | 1) * LINE)
        channels = (frame.values_channels,) if frame.values_channels else ()
        self._loan = Loan()
        self.values = self._loan.array(shape + channels, frame.values_dtype)
        self.stamps = self._loan.array(shape, stamp_dtype)

    def _place(self, box: Region) -> Region:
        return regions.moved(regions.relative(box, self._room), (1,) * len(box))

    def _fill(self, box: Region) -> None:
        here, frame = self._place(box), self._frame
        self.values[here] = frame.prepared(box)
        stamps = self.stamps[here]
        if frame.blocked is None:
            stamps[...] = 0
        else:
            np.multiply(frame.blocked(box).view(np.uint8), stamps.dtype.type(self.closed), out=stamps)

    def _enclose(self) -> None:
        """Put the shell round what has been read."""
        inside = self.inside
        shell = tuple(slice(part.start - 1, part.stop + 1) for part in inside)
        # A corner that two faces share may be entered only if both are within the image: so closed faces come last.
        for wanted, stamp in ((True, self.unread), (False, self.closed)):
            for axis, (part, n) in enumerate(zip(self._box, self._frame.shape, strict=True)):
                for at, goes_on in ((shell[axis].start, part.start > 0), (shell[axis].stop - 1, part.stop < n)):
                    if goes_on is wanted:
                        self.stamps[(*shell[:axis], at, *shell[axis + 1 :])] = stamp


def _room_round(box: Region, shape: Sequence[int]) -> Region:
    """Return the part of a frame that is held in memory when `box` is read: all of one that is not very large."""
    room, rest = list(box), ROOM_SIDE[len(shape)] ** len(shape)
    shortest_first = sorted(range(len(shape)), key=lambda axis: shape[axis])
    for done, axis in enumerate(shortest_first):
        part, n = box[axis], shape[axis]
        fair = int(rest ** (1 / (len(shape) - done)) + 1e-6)  # what the shorter axes leave is shared
        side = min(max(part.stop - part.start, fair), n)
        start = min(max((part.start + part.stop - side) // 2, 0), n - side)
        room[axis] = slice(start, start + side)
        rest = max(rest // side, 1)
    return tuple(room)


def first_box(low: Sequence[int], high: Sequence[int], shape: Sequence[int]) -> Region:
    """Return the box of the first window, round pixels from `low` to `high`."""
    half = FIRST_SIDE[len(shape)] // 2
    return tuple(slice(max(int(a) - half, 0), min(int(b) + half, n)) for a, b, n in zip(low, high, shape, strict=True))


def slabs(box: Region, within: Region) -> list[Region]:
    """Return boxes that together are `box` without the box `within` it."""
    parts, rest = [], list(box)
    for axis, inner in enumerate(within):
        for start, stop in ((rest[axis].start, inner.start), (inner.stop, rest[axis].stop)):
            if start < stop:
                parts.append((*rest[:axis], slice(start, stop), *rest[axis + 1 :]))
        rest[axis] = inner
    return parts

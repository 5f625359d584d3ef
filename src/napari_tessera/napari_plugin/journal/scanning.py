"""Finding changes that napari does not tell: ``layer.data[...] = x`` emits nothing, so checksums are compared.

The array is looked at while the GUI thread may paint in it, and a stroke shows in the array a moment before it is
told. So what differs is looked at again after a *barrier*: the GUI thread has then told all that it had done. What
still differs in the same way, and where nothing was told meanwhile, was written by something else.
"""

import itertools
import math
import zlib
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.regions import Region

Sums = dict[tuple[int, ...], int]
Expected = Callable[[Region], NDArray[Any]]

EDGE = 512
"""Of the chunks that are compared, in the last two dimensions; longer ones where an array is thin."""
_LEAST_PIXELS = 2**18
_MOST_PASSES = 4


class Step(Enum):
    """What a scan needs next."""

    PAUSE = 1
    """Nothing: it may go on, now or later."""
    BARRIER = 2
    """It may go on when everything that the GUI thread has done until now is told and recorded."""


class ChangeScan:
    """Compares an array with what the journal holds of it, chunk by chunk.

    Attributes
    ----------
    found
        Boxes whose pixels are not what they should be, and these pixels; set when a scan ends.
    disturbed
        Whether the last scan left something out, because it was being painted at the same time.

    Parameters
    ----------
    shape
        Of the array.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.found: list[tuple[Region, NDArray[Any]]] = []
        self.disturbed = False
        self._shape = shape
        self._chunk = chunk_shape(shape)
        counts = [math.ceil(length / edge) for length, edge in zip(shape, self._chunk, strict=True)]
        self._sums = np.zeros(counts, np.uint32)
        self._known = np.zeros(counts, np.bool_)
        self._moved = np.zeros(counts, np.bool_)  # told of since the scan began

    def touched(self, boxes: Iterable[Region]) -> None:
        """Note that something was told of these boxes."""
        for box in boxes:
            grid = regions.cells(box, self._chunk)
            self._known[grid] = False
            self._moved[grid] = True

    def scan(self, array: NDArray[Any], expected: Expected | None) -> Iterator[Step]:
        """Look at all chunks; yields what it needs, and has `found` at the end.

        Parameters
        ----------
        array
            Integers of the shape; may change meanwhile.
        expected
            Returns what a box should hold, with everything that was told so far. None takes what is found at first for
            right.
        """
        self.found, self.disturbed = [], False
        self._moved[...] = False
        before: Sums = {}
        yield from self._pass(array, expected, before)
        for _ in range(_MOST_PASSES - 1):
            if not before:
                return
            yield Step.BARRIER
            now: Sums = {}
            yield from self._pass(array, expected, now)
            if self._unmoved(now) == self._unmoved(before):
                break
            before = now
        self._collect(array, before, now)

    def _pass(self, array: NDArray[Any], expected: Expected | None, different: Sums) -> Iterator[Step]:
        for at in itertools.product(*map(range, self._sums.shape)):
            pixels = np.ascontiguousarray(array[self._box(at)])
            total = _checksum(pixels)
            if not (self._known[at] and self._sums[at] == total):
                if self._is_right(at, pixels, expected):
                    self._sums[at], self._known[at] = total, True
                else:
                    different[at] = total
            yield Step.PAUSE

    def _is_right(self, at: tuple[int, ...], pixels: NDArray[Any], expected: Expected | None) -> bool:
        if expected is None:
            return not self._known[at]
        return bool(np.array_equal(pixels, expected(self._box(at))))

    def _unmoved(self, different: Sums) -> Sums:
        return {at: total for at, total in different.items() if not self._moved[at]}

    def _collect(self, array: NDArray[Any], before: Sums, now: Sums) -> None:
        for at, total in now.items():
            pixels = np.array(array[self._box(at)])
            steady = before.get(at) == total and not self._moved[at] and _checksum(pixels) == total
            if steady:
                self.found.append((self._box(at), pixels))
                self._sums[at], self._known[at] = total, True
            else:
                self.disturbed = True

    def _box(self, at: tuple[int, ...]) -> Region:
        return regions.cell(at, self._chunk, self._shape)


def chunk_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the boxes that an array is compared in: a few hundred thousand pixels each."""
    chunk = [min(length, EDGE if axis >= len(shape) - 2 else 1) for axis, length in enumerate(shape)]
    for axis in reversed(range(len(shape))):
        pixels = math.prod(chunk)
        if pixels < _LEAST_PIXELS:
            chunk[axis] = min(shape[axis], chunk[axis] * math.ceil(_LEAST_PIXELS / pixels))
    return tuple(chunk)


def _checksum(pixels: NDArray[Any]) -> int:
    return zlib.crc32(pixels.reshape(-1).view(np.uint8).data)

"""Memory that clicks use in turn.

The system hands out new memory page by page as it is first written to, and clears each: for the arrays of a click, that
takes longer than what is computed in them. So the memory of one click is kept for the next.
"""

import math
import threading
import weakref
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

MOST_KEPT = 2
"""How many pieces of memory are kept while nobody uses them."""
SMALLEST_KEPT, LARGEST_KEPT = 2**20, 2**27
"""Bytes of what is worth keeping, and of what would be missed elsewhere."""

_kept: list[NDArray[np.uint8]] = []
_lock = threading.RLock()  # a loan may end at any moment, even while its thread borrows


class Loan:
    """Arrays that are used together, in memory that has been used before if there is any.

    When it ends, its memory goes to whoever borrows next: hold it as long as any view of an array is in use.
    """

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return a contiguous array with anything in it."""
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        piece = _taken(size)
        if SMALLEST_KEPT <= piece.size <= LARGEST_KEPT:
            weakref.finalize(self, _take_back, piece).atexit = False
        return piece[:size].view(dtype).reshape(shape)


def _taken(size: int) -> NDArray[np.uint8]:
    """Return the smallest piece that holds so many bytes and is not much larger; a new one if none is kept."""
    with _lock:
        fitting = [at for at, piece in enumerate(_kept) if size <= piece.size <= 2 * size]
        if fitting:
            return _kept.pop(min(fitting, key=lambda at: _kept[at].size))
    return np.empty(size, np.uint8)


def _take_back(piece: NDArray[np.uint8]) -> None:
    with _lock:
        _kept.append(piece)
        del _kept[:-MOST_KEPT]

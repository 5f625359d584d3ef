"""Compiled passes of `finding`."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation

announce_compilation()


@njit(cache=True, nogil=True, error_model="numpy")
def bounds(labels: NDArray[Any], number: Any) -> NDArray[np.int64]:
    """Return start and stop along each axis of the pixels with a label; all 0 if there are none.

    Parameters
    ----------
    labels
        Shape (z, y, x).
    number
        Of the same dtype.
    """
    depth, height, width = labels.shape
    ends = np.zeros(6, np.int64)
    any_yet = False
    for z in range(depth):
        for y in range(height):
            first, last = -1, -1
            for x in range(width):
                if labels[z, y, x] == number:
                    if first < 0:
                        first = x
                    last = x
            if first < 0:
                continue
            if not any_yet:
                ends[0], ends[2], ends[3], ends[4], ends[5] = z, y, y + 1, first, last + 1
                any_yet = True
            ends[1] = z + 1
            ends[2], ends[3] = min(ends[2], y), max(ends[3], y + 1)
            ends[4], ends[5] = min(ends[4], first), max(ends[5], last + 1)
    return ends


@njit(cache=True, nogil=True, error_model="numpy")
def around(labels: NDArray[Any], number: int, upward: bool) -> tuple[Any, Any, bool, bool]:
    """Return the label next to `number` in one direction, and the first label from the other end.

    Parameters
    ----------
    labels
        Shape (z, y, x); 0 is no label.
    number
        Need not be among the labels.
    upward
        Whether to look for higher labels.

    Returns
    -------
    The two labels, and whether there are such.
    """
    beside, end = labels[0, 0, 0], labels[0, 0, 0]
    has_beside, has_any = False, False
    before = beside  # most pixels are like the one before, and tell nothing new
    seen = False
    for z in range(labels.shape[0]):
        for y in range(labels.shape[1]):
            for x in range(labels.shape[2]):
                value = labels[z, y, x]
                if (seen and value == before) or value == 0:
                    continue
                before, seen = value, True
                if not has_any or (value < end) == upward:
                    end, has_any = value, True
                if (value > number if upward else value < number) and (not has_beside or (value < beside) == upward):
                    beside, has_beside = value, True
    return beside, end, has_beside, has_any

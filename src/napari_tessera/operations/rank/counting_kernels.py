"""Compiled median of large windows, by counting: a histogram of ranks goes along with the window."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation

announce_compilation()

GROUP_BITS = 8
"""Ranks are also counted in groups of 2^8, so that few counts are looked at to find the middle."""


@njit(cache=True, nogil=True, error_model="numpy")
def median_lines(
    padded: NDArray[np.int32],
    window: Any,
    first: int,
    last: int,
    counts: NDArray[np.int32],
    groups: NDArray[np.int32],
    out: NDArray[np.int32],
) -> None:
    """Write the medians of the lines from `first` to `last` (exclusive) of an image.

    After T. S. Huang, G. J. Yang and G. Y. Tang, "A fast two-dimensional median filtering algorithm", IEEE Trans.
    Acoustics, Speech and Signal Processing 27 (1979), with groups of levels.

    Parameters
    ----------
    padded
        Ranks from 0, (z, y, x), with half a window more at each end of each axis.
    window
        Extent along z, y and x, odd.
    first, last
        Lines of the result, numbered over z and y.
    counts, groups
        Zeros, one per rank and one per group of ranks; they are zeros again afterwards.
    out
        Shape of the image (z, y, x).
    """
    depth, height, width = window
    half = depth * height * width // 2
    for line in range(first, last):
        z, y = line // out.shape[1], line % out.shape[1]
        for x in range(width):
            _count(padded, z, y, x, depth, height, 1, counts, groups)
        group, below = 0, 0
        for x in range(out.shape[2]):
            if x:
                group_start = group << GROUP_BITS
                below -= _count(padded, z, y, x - 1, depth, height, -1, counts, groups, group_start)
                below += _count(padded, z, y, x + width - 1, depth, height, 1, counts, groups, group_start)
            while below > half:
                group -= 1
                below -= groups[group]
            while below + groups[group] <= half:
                below += groups[group]
                group += 1
            rank, reached = group << GROUP_BITS, below + counts[group << GROUP_BITS]
            while reached <= half:
                rank += 1
                reached += counts[rank]
            out[z, y, x] = rank
        for x in range(out.shape[2] - 1, out.shape[2] + width - 1):
            _count(padded, z, y, x, depth, height, -1, counts, groups)


@njit(nogil=True, error_model="numpy")
def _count(
    padded: Any, z: int, y: int, x: int, depth: int, height: int, step: int, counts: Any, groups: Any, limit: int = 0
) -> int:
    """Count the column of the window at x in or out, and return how many of its ranks are less than `limit`."""
    less = 0
    for k in range(z, z + depth):
        for j in range(y, y + height):
            rank = padded[k, j, x]
            counts[rank] += step
            groups[rank >> GROUP_BITS] += step
            less += rank < limit
    return less

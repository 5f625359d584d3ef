"""Median of large windows of any dtype, by counting ranks."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

SLICE = 2**25
"""Pixels that are counted between two calls of a check: some tenths of a second at most."""


def median_by_counting(
    image: NDArray[Any], window: tuple[int, int, int], out: NDArray[Any], check: Callable[[], None]
) -> None:
    """Filter a (z, y, x) array into another one; the time grows with the window's area across x, not its volume.

    Parameters
    ----------
    image
        Native integers or floats. −0 counts as less than 0, so that the result does not depend on what lies around.
    window
        Extent along z, y and x, odd; beyond the border the image is mirrored, as often as it takes.
    out
        Of the same shape and dtype.
    check
        Raises if the work is to end; called now and then.
    """
    from napari_tessera.operations.rank.counting_kernels import GROUP_BITS, median_lines

    check()
    levels, ranks = _ranks(image)
    padded = np.pad(ranks, [(extent // 2, extent // 2) for extent in window], mode="symmetric")
    groups = (levels.size >> GROUP_BITS) + 1
    counts, sums = np.zeros(groups << GROUP_BITS, np.int32), np.zeros(groups, np.int32)
    medians = np.empty(image.shape, np.int32)
    lines = image.shape[0] * image.shape[1]
    each = max(1, SLICE // (2 * window[0] * window[1] * (image.shape[2] + window[2])))
    for first in range(0, lines, each):
        check()
        median_lines(padded, window, first, min(first + each, lines), counts, sums, medians)
    out[...] = levels[medians]


def _ranks(image: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Return levels in ascending order, and the number of each pixel's level."""
    if image.dtype.kind in "iu" and image.dtype.itemsize <= 2:
        limits = np.iinfo(image.dtype)
        levels = np.arange(limits.min, limits.max + 1).astype(image.dtype)
        return levels, image.astype(np.int32) - np.int32(limits.min)
    if image.dtype.kind in "iu":
        levels, ranks = np.unique(image, return_inverse=True)
        return levels, ranks.reshape(image.shape).astype(np.int32)
    whole = np.dtype(f"i{image.dtype.itemsize}")
    bits = image.view(whole)
    # The bits of negative floats run the other way round; turned, they are in the order of the numbers.
    turn = np.iinfo(whole).max
    ordered, ranks = np.unique(np.where(bits < 0, bits ^ turn, bits), return_inverse=True)
    levels = np.where(ordered < 0, ordered ^ turn, ordered).astype(whole).view(image.dtype)
    return levels, ranks.reshape(image.shape).astype(np.int32)

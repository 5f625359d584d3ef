"""Compiled search of `thresholds` for the classes of Otsu's method."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation

announce_compilation()


@njit(cache=True, nogil=True, error_model="numpy")
def otsu_splits(counts: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return the last bin of every class but the highest, so that the variance between the classes is greatest.

    The variance between classes is, up to constants, the sum of ``s² / w`` over the classes, where ``w`` counts the
    pixels of a class and ``s`` sums their levels. For the levels from ``i`` on, the best division into ``c`` classes
    follows from that into ``c - 1``, and where its lowest class ends never decreases with ``i``: rows between two known
    ones search between their ends only, which makes each class cost n log n.

    Parameters
    ----------
    counts
        Shape (bins,).
    classes
        2 or more, and at most the number of bins that are not empty.

    Returns
    -------
    Shape (classes - 1,): indices of bins, ascending; none is empty.
    """
    levels = np.flatnonzero(counts)
    n = levels.size
    weight, moment = prefix_sums(counts, levels)
    ends = np.zeros((classes + 1, n + 1), np.int64)
    best = np.empty(n + 1)
    for i in range(n):
        s, w = moment[n] - moment[i], weight[n] - weight[i]
        best[i] = s * s / w
    ends[1, :] = n
    values = np.empty(n + 1)
    for c in range(2, classes + 1):
        fresh = np.empty(n + 1)
        rows = 1 if c == classes else n - c + 1
        # Rows 0, then the halves between known rows, then the quarters: each bounded by its neighbours' ends.
        stride = 1
        while stride < rows:
            stride *= 2
        search(0, 1, n - c + 1, weight, moment, best, values, fresh, ends[c])
        while stride >= 1:
            for row in range(stride, rows, 2 * stride):
                first = max(ends[c, row - stride], row + 1)
                last = ends[c, row + stride] if row + stride < rows else n - c + 1
                search(row, first, last, weight, moment, best, values, fresh, ends[c])
            stride //= 2
        best = fresh
    splits = np.empty(classes - 1, np.int64)
    row = 0
    for c in range(classes, 1, -1):
        row = ends[c, row]
        splits[classes - c] = levels[row - 1]
    return splits


@njit(cache=True, nogil=True, error_model="numpy")
def prefix_sums(
    counts: NDArray[np.int64], levels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sums of counts, and of levels, before each of the `levels`; levels are counted from their mean.

    Sums are whole numbers, exact in float64 up to 2^53; from the mean, squares stay small and lose no digits.
    """
    n = levels.size
    total = pixels = np.int64(0)
    for i in range(n):
        pixels += counts[levels[i]]
        total += counts[levels[i]] * (levels[i] - levels[0])
    middle = levels[0] + total // pixels
    weight, moment = np.zeros(n + 1), np.zeros(n + 1)
    total = pixels = np.int64(0)
    for i in range(n):
        pixels += counts[levels[i]]
        total += counts[levels[i]] * (levels[i] - middle)
        weight[i + 1], moment[i + 1] = pixels, total
    return weight, moment


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"nnan", "nsz"})
def search(
    row: int,
    first: int,
    last: int,
    weight: NDArray[np.float64],
    moment: NDArray[np.float64],
    best: NDArray[np.float64],
    values: NDArray[np.float64],
    fresh: NDArray[np.float64],
    ends: NDArray[np.int64],
) -> None:
    """Find where the lowest class of the levels from `row` on ends best, in `first` … `last`; of equals the lowest."""
    w0, s0 = weight[row], moment[row]
    # Slices start at 0: with nothing to check per element, the loop runs in vector registers.
    w, s, rest, out = (
        weight[first : last + 1],
        moment[first : last + 1],
        best[first : last + 1],
        values[: last + 1 - first],
    )
    greatest = -np.inf
    for k in range(out.size):
        moved = s[k] - s0
        value = moved * moved / (w[k] - w0) + rest[k]
        out[k] = value
        greatest = max(greatest, value)
    found = 0
    while out[found] != greatest:
        found += 1
    ends[row], fresh[row] = first + found, greatest

"""Compiled loops over neighbourhoods. Volumes are (z, y, x); a plane is a volume of one.

Every pixel is summed in the same order wherever it lies, and no operation is contracted or reassociated: a tile gives
the very bits that the whole image gives. The innermost loop runs along x so that it becomes vector code.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation

announce_compilation()


@njit(cache=True, nogil=True, error_model="numpy")
def bilateral(
    padded: NDArray[Any],
    offsets: NDArray[np.int64],
    weights: NDArray[Any],
    table: NDArray[Any],
    steps: float,
    out: NDArray[Any],
) -> None:
    """Average neighbours, weighted by distance (`weights`) and by difference of intensity (`table`, linear between).

    Parameters
    ----------
    padded
        Float (z, y, x), larger than `out` by what the offsets reach.
    offsets
        (n, 3): places in `padded` relative to a pixel of `out` (so never negative).
    weights
        (n,): weight of each.
    table
        Weight of differences 0, 1/steps, 2/steps, …; the last two are 0.
    steps
        Entries of `table` per grey level.
    out
        Float (z, y, x), filled.
    """
    depth, height, width = out.shape
    real = table.dtype.type  # mixed with integers, single precision would silently become double
    last = real(table.size - 2)
    centre = offsets[offsets.shape[0] // 2]
    total = np.empty(width, out.dtype)
    sums = np.empty(width, out.dtype)
    for z in range(depth):
        for y in range(height):
            own = padded[z + centre[0], y + centre[1], centre[2] : centre[2] + width]
            total[:] = 0
            sums[:] = 0
            for index in range(offsets.shape[0]):
                first = offsets[index, 2]
                row = padded[z + offsets[index, 0], y + offsets[index, 1], first : first + width]
                weight = weights[index]
                for x in range(width):
                    place = min(abs(row[x] - own[x]) * steps, last)
                    low = np.int32(place)
                    part = table[low] + (table[low + 1] - table[low]) * (place - real(low))
                    part *= weight
                    total[x] += part
                    sums[x] += part * row[x]
            for x in range(width):
                out[z, y, x] = sums[x] / total[x]


@njit(cache=True, nogil=True, error_model="numpy")
def bilateral_of_levels(
    padded: NDArray[np.int32],
    offsets: NDArray[np.int64],
    weights: NDArray[np.float32],
    table: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Do what `bilateral` does on integers, with the very same result: `table` has an entry per difference.

    Parameters
    ----------
    padded
        (z, y, x), larger than `out` by what the offsets reach.
    offsets, weights
        As in `bilateral`.
    table
        Weight of differences 0, 1, 2, …; larger ones weigh as much as the last.
    out
        (z, y, x), filled.
    """
    depth, height, width = out.shape
    last = np.int32(table.size - 1)
    centre = offsets[offsets.shape[0] // 2]
    total = np.empty(width, np.float32)
    sums = np.empty(width, np.float32)
    for z in range(depth):
        for y in range(height):
            own = padded[z + centre[0], y + centre[1], centre[2] : centre[2] + width]
            total[:] = 0
            sums[:] = 0
            for index in range(offsets.shape[0]):
                first = offsets[index, 2]
                row = padded[z + offsets[index, 0], y + offsets[index, 1], first : first + width]
                weight = weights[index]
                for x in range(width):
                    gap = abs(row[x] - own[x])
                    part = table[np.uint32(gap if gap < last else last)] * weight  # noqa: FURB136  no vector code
                    total[x] += part
                    sums[x] += part * np.float32(row[x])
            for x in range(width):
                out[z, y, x] = sums[x] / total[x]


@njit(cache=True, nogil=True, error_model="numpy")
def lowest_contact(padded: NDArray[Any], offsets: NDArray[np.int64], gaps: NDArray[Any], out: NDArray[Any]) -> None:
    """Set `out` to the minimum over offsets of ``padded + gap``: how high a body can rise from below at each pixel."""
    depth, height, width = out.shape
    for z in range(depth):
        for y in range(height):
            lowest = out[z, y]
            lowest[:] = np.inf
            for index in range(offsets.shape[0]):
                first = offsets[index, 2]
                row = padded[z + offsets[index, 0], y + offsets[index, 1], first : first + width]
                gap = gaps[index]
                for x in range(width):
                    value = row[x] + gap
                    lowest[x] = value if value < lowest[x] else lowest[x]  # noqa: FURB136  min() is no vector code


@njit(cache=True, nogil=True, error_model="numpy")
def lowest_contact_of_integers(
    padded: NDArray[np.uint64], offsets: NDArray[np.int64], gaps: NDArray[np.uint64], out: NDArray[np.uint64]
) -> None:
    """Do as `lowest_contact` with whole numbers of 64 bits; a sum that they do not hold counts as the largest."""
    most = np.uint64(18_446_744_073_709_551_615)
    depth, height, width = out.shape
    for z in range(depth):
        for y in range(height):
            lowest = out[z, y]
            lowest[:] = most
            for index in range(offsets.shape[0]):
                first = offsets[index, 2]
                row = padded[z + offsets[index, 0], y + offsets[index, 1], first : first + width]
                gap = gaps[index]
                for x in range(width):
                    value = row[x] + gap if row[x] <= most - gap else most
                    lowest[x] = value if value < lowest[x] else lowest[x]  # noqa: FURB136


@njit(cache=True, nogil=True, error_model="numpy")
def extreme_over_runs(padded: NDArray[Any], runs: NDArray[np.int64], largest: bool, out: NDArray[Any]) -> None:
    """Set `out` to the largest or smallest pixel under a footprint that is made of runs along x.

    Two overlapping windows whose length is a power of two make up a run; their extremes are found once per row.

    Parameters
    ----------
    padded
        (z, y, x), larger than `out` at every side by what the footprint reaches.
    runs
        (n, 3): places z and y in `padded` relative to a pixel of `out` (so never negative), and half the run's length.
    largest
        Whether to look for the largest.
    out
        (z, y, x), filled.
    """
    width = out.shape[2]
    centre = (padded.shape[2] - width) // 2
    levels = 1
    while 2**levels <= 2 * centre + 1:
        levels += 1
    windows = np.empty((levels, *padded.shape), padded.dtype)
    windows[0] = padded
    for level in range(1, levels):
        half = 2 ** (level - 1)
        for z in range(padded.shape[0]):
            for y in range(padded.shape[1]):
                source = windows[level - 1, z, y]
                target = windows[level, z, y]
                for x in range(padded.shape[2] - half):
                    target[x] = source[x]
                _take_extreme(target[: padded.shape[2] - half], source[half:], largest)
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            target = out[z, y]
            own = padded[z + runs[0, 0], y + runs[0, 1], centre : centre + width]
            target[:] = own
            for index in range(runs.shape[0]):
                half = runs[index, 2]
                level = 0
                while 2 ** (level + 1) <= 2 * half + 1:
                    level += 1
                row = windows[level, z + runs[index, 0], y + runs[index, 1]]
                first = centre - half
                second = centre + half + 1 - 2**level
                _take_extreme(target, row[first : first + width], largest)
                _take_extreme(target, row[second : second + width], largest)


@njit(nogil=True, error_model="numpy")
def _take_extreme(target: NDArray[Any], source: NDArray[Any], largest: bool) -> None:
    """Replace pixels of `target` by those of `source` that are larger (or smaller)."""
    if largest:
        for x in range(target.size):
            target[x] = source[x] if source[x] > target[x] else target[x]  # noqa: FURB136
    else:
        for x in range(target.size):
            target[x] = source[x] if source[x] < target[x] else target[x]  # noqa: FURB136


@njit(cache=True, nogil=True, error_model="numpy")
def non_local_means(
    padded: NDArray[Any],
    patch: NDArray[np.int64],
    reach: NDArray[np.int64],
    table: NDArray[Any],
    steps: float,
    out: NDArray[Any],
) -> None:
    """Average pixels around, weighted by how alike the patches around them are.

    Parameters
    ----------
    padded
        Float (z, y, x), larger than `out` by patch + reach at every side.
    patch, reach
        (3,): half lengths of the patch and of the search window.
    table
        Weight of summed squared differences 0, 1/steps, 2/steps, …; the last two are 0.
    steps
        Entries of `table` per unit of the summed squared difference.
    out
        Float (z, y, x), filled.
    """
    depth, height, width = out.shape
    rows = np.empty((depth + 2 * patch[0], height + 2 * patch[1], width), out.dtype)
    squares = np.empty(width + 2 * patch[2], out.dtype)
    total = np.zeros_like(out)
    out[:] = 0
    for dz in range(-reach[0], reach[0] + 1):
        for dy in range(-reach[1], reach[1] + 1):
            for dx in range(-reach[2], reach[2] + 1):
                _sum_along_rows(padded, patch, reach, (dz, dy, dx), squares, rows)
                first = patch + reach + np.array((dz, dy, dx))
                moved = padded[first[0] : first[0] + depth, first[1] : first[1] + height, first[2] : first[2] + width]
                _add_weighted(moved, rows, table, steps, total, out)
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                out[z, y, x] /= total[z, y, x]


@njit(nogil=True, error_model="numpy")
def _add_weighted(
    moved: NDArray[Any],
    rows: NDArray[Any],
    table: NDArray[Any],
    steps: float,
    total: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Add the weights of one offset to `total` and the weighted pixels `moved` to `out`."""
    depth, height, width = out.shape
    last = table.size - 2
    distance = np.empty(width, out.dtype)
    for z in range(depth):
        for y in range(height):
            distance[:] = 0
            for pz in range(rows.shape[0] - depth + 1):
                for py in range(rows.shape[1] - height + 1):
                    for x in range(width):
                        distance[x] += rows[z + pz, y + py, x]
            for x in range(width):
                place = min(distance[x] * steps, last)
                low = np.int32(place)
                weight = table[low] + (table[low + 1] - table[low]) * (place - low)
                total[z, y, x] += weight
                out[z, y, x] += weight * moved[z, y, x]


@njit(nogil=True, error_model="numpy")
def _sum_along_rows(
    padded: NDArray[Any],
    patch: NDArray[np.int64],
    reach: NDArray[np.int64],
    offset: tuple[int, int, int],
    squares: NDArray[Any],
    rows: NDArray[Any],
) -> None:
    """Fill `rows` with squared differences to the image moved by `offset`, summed along x over the patch."""
    depth, height, width = rows.shape
    wide = squares.size
    for z in range(depth):
        for y in range(height):
            own = padded[z + reach[0], y + reach[1], reach[2] : reach[2] + wide]
            first = reach[2] + offset[2]
            other = padded[z + reach[0] + offset[0], y + reach[1] + offset[1], first : first + wide]
            for x in range(wide):
                squares[x] = (own[x] - other[x]) * (own[x] - other[x])
            row = rows[z, y]
            row[:] = 0
            for px in range(2 * patch[2] + 1):
                for x in range(width):
                    row[x] += squares[px + x]

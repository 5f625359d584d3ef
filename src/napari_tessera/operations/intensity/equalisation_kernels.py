"""Compiled loops of CLAHE. Frames are (z, y, x); a plane is a volume of one.

Floats are computed in one order, whatever the tile, and no operation is contracted.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation

announce_compilation()

Places = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Along z, y and x: which region each pixel lies in, or which region lies before or after it."""

Weights = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


@njit(cache=True, nogil=True, error_model="numpy")
def count_regions(
    image: Any, places: Places, low: float, scale: float, first: int, levels: bool, counts: NDArray[Any]
) -> int:
    """Count pixels per region and bin, and return how many are not finite.

    Bins are those of `histogram_kernels`: one per level from `low` on, or open below and closed above.

    Parameters
    ----------
    image
        (z, y, x).
    low, scale
        Where the bins begin, and bins per grey level.
    first, levels
        The level of the first bin, if there is one bin per level.
    counts
        (regions along z, along y, along x, bins), int64, zeros.
    """
    along_z, along_y, along_x = places
    bins = counts.shape[3]
    unusable = 0
    for z in range(image.shape[0]):
        for y in range(image.shape[1]):
            row = counts[along_z[z], along_y[y]]
            for x in range(image.shape[2]):
                if levels:
                    bin_ = min(max(np.int64(image[z, y, x]) - first, 0), bins - 1)
                else:
                    value = np.float64(image[z, y, x])
                    place = (value - low) * scale
                    if not np.isfinite(value):
                        unusable += 1
                        continue
                    bin_ = np.int64(min(max(np.ceil(place), 1.0), np.float64(bins))) - 1
                row[along_x[x], bin_] += 1
    return unusable


@njit(cache=True, nogil=True, error_model="numpy")
def clip_and_add_up(histogram: NDArray[np.int64], limit: float, totals: NDArray[Any]) -> None:
    """Cut a histogram off at `limit` times its mean, spread the rest over all bins, and add it up from the lowest bin.

    Whole pixels only: what cannot be shared equally goes to evenly spaced bins (Zuiderveld 1994, "Contrast limited
    adaptive histogram equalization").

    Parameters
    ----------
    histogram
        (bins,).
    totals
        (bins,), unsigned, filled.
    """
    bins = histogram.size
    most = max(1, np.int64(limit * histogram.sum() / bins))
    excess = 0
    for at in range(bins):
        excess += max(histogram[at] - most, 0)
    share, rest = excess // bins, excess % bins
    step = max(bins // rest, 1) if rest else 1
    total = 0
    for at in range(bins):
        total += min(histogram[at], most) + share
        if at % step == 0 and at // step < rest:
            total += 1
        totals[at] = total


@njit(cache=True, nogil=True, error_model="numpy")
def mix_curves(
    image: Any,
    shares: NDArray[np.float64],
    before: Places,
    after: Places,
    weights: Weights,
    low: float,
    per_unit: float,
    levels: bool,
    corners: int,
    out: NDArray[np.float64],
) -> None:
    """Set `out` to the share of pixels below each pixel, by the curves of the regions around it.

    Parameters
    ----------
    image, out
        (z, y, x).
    shares
        (regions along z, along y, along x, bins + 1): share of pixels below each border of bins.
    before, after, weights
        Regions before and after each pixel, and the weight of the latter.
    low, per_unit
        Where the bins begin, and bins per grey level.
    levels
        Whether bins are grey levels; otherwise curves are linear within bins.
    corners
        How many regions lie around a pixel: 4 in planes, 8 in volumes.
    """
    bins = shares.shape[3] - 1
    for z in range(image.shape[0]):
        for y in range(image.shape[1]):
            for x in range(image.shape[2]):
                place = min(max((np.float64(image[z, y, x]) - low) * per_unit, 0.0), np.float64(bins))
                below = min(np.int64(place), bins - 1)
                part = 1.0 if levels else place - below
                total = 0.0
                for corner in range(corners):
                    up_z, up_y, up_x = corner // 4, corner // 2 % 2, corner % 2
                    weight = weights[0][z] if up_z else 1 - weights[0][z]
                    weight *= weights[1][y] if up_y else 1 - weights[1][y]
                    weight *= weights[2][x] if up_x else 1 - weights[2][x]
                    curve = shares[
                        after[0][z] if up_z else before[0][z],
                        after[1][y] if up_y else before[1][y],
                        after[2][x] if up_x else before[2][x],
                    ]
                    first = curve[below]
                    total += weight * (first + (curve[below + 1] - first) * part)
                out[z, y, x] = total

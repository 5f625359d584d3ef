"""Histogram equalisation of a whole image and region by region (CLAHE)."""

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.image import Region
from napari_tessera.operations.casting import fit_into
from napari_tessera.operations.intensity.curves import Curve
from napari_tessera.operations.reductions.histograms import histogram_of

MOST_REGIONS = 65_536
"""Regions that a frame may be divided into: their histograms of 256 bins take 128 MiB."""

RegionCounts = dict[int, NDArray[np.int64]]
"""Histograms of those regions that have been counted, by the number of the region in raster order."""

Neighbours = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]
"""Of pixels along an axis: the region before, the region after, and the weight of the latter."""


def equalising_table(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for each bin the share of pixels in it and below, with the lowest occupied bin at 0 and the highest at 1.

    A constant image gives zeros.
    """
    total = np.cumsum(counts)
    lowest = int(counts[np.flatnonzero(counts)[0]]) if total[-1] else 0
    span = int(total[-1]) - lowest
    return np.maximum(total - lowest, 0) / span if span else np.zeros(counts.size)


def equalising_curve(
    counts: NDArray[np.int64], low: float, high: float, target: tuple[float, float], *, by_level: bool
) -> Curve:
    """Return the curve that makes grey levels equally frequent.

    Parameters
    ----------
    counts
        Histogram from `low` to `high`.
    target
        Range of the result.
    by_level
        Whether bins are grey levels; otherwise the curve is linear within each bin.
    """
    shares = equalising_table(counts)
    bottom, extent = target[0], float(target[1]) - float(target[0])

    def curve(values: NDArray[np.float64]) -> NDArray[np.float64]:
        if by_level:
            places = np.clip(values - low, 0, counts.size - 1).astype(np.intp)
            return np.asarray(shares[places] * extent + bottom)
        width = (high - low) / counts.size or 1.0
        edges = np.concatenate([[0.0], shares])
        places = np.clip((values - low) / width, 0, counts.size)
        below = np.minimum(places.astype(np.intp), counts.size - 1)
        part = edges[below] + (edges[below + 1] - edges[below]) * (places - below)
        return np.asarray(part * extent + bottom)

    return curve


@dataclass(frozen=True)
class Regions:
    """A frame divided into nearly equal regions.

    Attributes
    ----------
    shape
        Of the frame.
    grid
        Number of regions along each axis.
    """

    shape: tuple[int, ...]
    grid: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], size: int) -> "Regions":
        """Divide a frame into regions of about `size` pixels along each axis."""
        return cls(shape, tuple(max(1, round(length / size)) for length in shape))

    @classmethod
    def eighths(cls, shape: tuple[int, ...]) -> "Regions":
        """Divide a frame into eight regions along each axis, fewer where they would be shorter than 8 pixels."""
        return cls(shape, tuple(min(8, max(1, length // 8)) for length in shape))

    def borders(self, axis: int) -> NDArray[np.int64]:
        """Return where regions begin along `axis`, and the end of the frame."""
        number = self.grid[axis]
        return np.arange(number + 1) * self.shape[axis] // number

    def __len__(self) -> int:
        return math.prod(self.grid)

    def counts(self, image: NDArray[Any], region: Region, low: float, high: float, bins: int) -> RegionCounts:
        """Return the histograms of the regions that the piece `image` at `region` shows, as far as it shows them."""
        counts = {}
        pieces = []
        for axis, part in enumerate(region):
            borders = self.borders(axis)
            ends = [
                (index, slice(max(start, part.start) - part.start, min(stop, part.stop) - part.start))
                for index, (start, stop) in enumerate(itertools.pairwise(borders.tolist()))
                if max(start, part.start) < min(stop, part.stop)
            ]
            pieces.append(ends)
        for combination in itertools.product(*pieces):
            number = 0
            for length, (index, _) in zip(self.grid, combination, strict=True):
                number = number * length + index
            counts[number] = histogram_of(image[tuple(part for _, part in combination)], low, high, bins)
        return counts

    def neighbours(self, axis: int, part: slice) -> Neighbours:
        """Return the regions before and after each pixel of `part` and the weight of the latter, by their centres."""
        borders = self.borders(axis)
        centres = (borders[:-1] + borders[1:] - 1) / 2
        places = np.arange(part.start, part.stop)
        after = np.searchsorted(centres, places, side="right")
        low = np.clip(after - 1, 0, len(centres) - 1)
        high = np.clip(after, 0, len(centres) - 1)
        gap = np.where(high > low, centres[high] - centres[low], 1.0)
        return low, high, np.where(high > low, (places - centres[low]) / gap, 0.0)


def smallest_region(shape: tuple[int, ...], size: int) -> int:
    """Return the length of regions, `size` or the next greater one, that makes no more than `MOST_REGIONS`."""
    while len(Regions.of(shape, size)) > MOST_REGIONS:
        size += 1
    return size


def added(one: RegionCounts, other: RegionCounts) -> RegionCounts:
    """Return the sum of the counts of two pieces; both may be overwritten."""
    most, least = (one, other) if len(one) >= len(other) else (other, one)
    for number, counts in least.items():
        if number in most:
            most[number] += counts
        else:
            most[number] = counts
    return most


def region_totals(counts: RegionCounts, regions: Regions, bins: int, limit: float) -> NDArray[Any]:
    """Return how many pixels of each region, after `clipped`, lie in a bin or below: (*grid, bins), unsigned."""
    largest = math.prod(-(-length // number) for length, number in zip(regions.shape, regions.grid, strict=True))
    totals = np.zeros((len(regions), bins), np.uint32 if largest < 2**32 else np.uint64)
    for number, histogram in counts.items():
        totals[number] = np.cumsum(clipped(histogram, limit))
    return totals.reshape(*regions.grid, bins)


def clipped(histogram: NDArray[np.int64], limit: float) -> NDArray[np.int64]:
    """Cut a histogram (bins,) off at `limit` times its mean and spread what is cut off over all bins.

    Whole pixels only: what cannot be shared equally goes to evenly spaced bins (Zuiderveld 1994, "Contrast limited
    adaptive histogram equalization").
    """
    bins = histogram.size
    most = max(1, int(limit * histogram.sum() / bins))
    excess = int(np.maximum(histogram - most, 0).sum())
    share, rest = divmod(excess, bins)
    result = np.minimum(histogram, most) + share
    if rest:
        result[:: max(bins // rest, 1)][:rest] += 1
    return result


def equalise_regions(
    image: NDArray[Any],
    region: Region,
    regions: Regions,
    totals: NDArray[Any],
    span: tuple[float, float],
    target: tuple[float, float],
) -> NDArray[Any]:
    """Map a piece of a frame by the curves of the regions around each pixel, linear between their centres.

    Parameters
    ----------
    image, region
        The piece and where it lies.
    regions
        How the frame is divided.
    totals
        (*grid, bins), unsigned: how many of a region's pixels lie in each bin or below.
    span
        Range of the bins.
    target
        Range of the result.
    """
    bins = totals.shape[-1]
    low, high = span
    by_level = image.dtype.kind in "iu" and int(high) - int(low) + 1 == bins
    per_unit = 1.0 if by_level else bins / ((high - low) or 1.0)
    places = np.clip((image.astype(np.float64) - low) * per_unit, 0, bins)
    below = np.minimum(places.astype(np.intp), bins - 1)
    part = np.ones_like(places) if by_level else places - below
    sides = [regions.neighbours(axis, piece) for axis, piece in enumerate(region)]
    shares, sides = _shares_around(totals, sides)
    total = np.zeros(image.shape)
    for choice in itertools.product((0, 1), repeat=image.ndim):
        weight = np.ones((1,) * image.ndim)
        which = []
        for axis, (side, upper) in enumerate(zip(sides, choice, strict=True)):
            along = (1,) * axis + (-1,) + (1,) * (image.ndim - axis - 1)
            weight = weight * (side[2] if upper else 1 - side[2]).reshape(along)
            which.append(side[upper].reshape(along))
        first = shares[(*which, below)]
        total += weight * (first + (shares[(*which, below + 1)] - first) * part)
    return fit_into(total * (float(target[1]) - float(target[0])) + target[0], image.dtype)


def _shares_around(totals: NDArray[Any], sides: list[Neighbours]) -> tuple[NDArray[np.float64], list[Neighbours]]:
    """Return the share of pixels below each border of bins of the regions that are needed, and `sides` among them.

    Only a piece's own regions become float64, so that the tables of a large frame stay small.
    """
    firsts = [int(low.min()) for low, _, _ in sides]
    here = totals[tuple(slice(first, int(high.max()) + 1) for first, (_, high, _) in zip(firsts, sides, strict=True))]
    shares = np.zeros((*here.shape[:-1], here.shape[-1] + 1))
    np.divide(here, np.maximum(here[..., -1:], 1), out=shares[..., 1:])
    return shares, [(low - first, high - first, part) for first, (low, high, part) in zip(firsts, sides, strict=True)]

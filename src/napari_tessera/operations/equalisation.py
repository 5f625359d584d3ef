"""Histogram equalisation of a whole image and region by region (CLAHE)."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.image import Region
from napari_tessera.operations.casting import fit_into
from napari_tessera.operations.curves import Curve
from napari_tessera.operations.histograms import histogram_of


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

    def counts(self, image: NDArray[Any], region: Region, low: float, high: float, bins: int) -> NDArray[np.int64]:
        """Return the histogram of each region, (*grid, bins), as far as the piece `image` at `region` shows it."""
        counts = np.zeros((*self.grid, bins), np.int64)
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
            where = tuple(index for index, _ in combination)
            counts[where] = histogram_of(image[tuple(part for _, part in combination)], low, high, bins)
        return counts

    def neighbours(self, axis: int, part: slice) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
        """Return the regions before and after each pixel of `part` and the weight of the latter, by their centres."""
        borders = self.borders(axis)
        centres = (borders[:-1] + borders[1:] - 1) / 2
        places = np.arange(part.start, part.stop)
        after = np.searchsorted(centres, places, side="right")
        low = np.clip(after - 1, 0, len(centres) - 1)
        high = np.clip(after, 0, len(centres) - 1)
        gap = np.where(high > low, centres[high] - centres[low], 1.0)
        return low, high, np.where(high > low, (places - centres[low]) / gap, 0.0)


def clipped(counts: NDArray[np.int64], limit: float) -> NDArray[np.int64]:
    """Cut histograms (…, bins) off at `limit` times their mean and spread what is cut off over all bins.

    Whole pixels only: what cannot be shared equally goes to evenly spaced bins (Zuiderveld 1994, "Contrast limited
    adaptive histogram equalization").
    """
    bins = counts.shape[-1]
    flat = counts.reshape(-1, bins)
    result = np.empty_like(flat)
    for row, histogram in enumerate(flat):
        most = max(1, int(limit * histogram.sum() / bins))
        excess = int(np.maximum(histogram - most, 0).sum())
        share, rest = divmod(excess, bins)
        result[row] = np.minimum(histogram, most) + share
        if rest:
            result[row, :: max(bins // rest, 1)][:rest] += 1
    return result.reshape(counts.shape)


def equalise_regions(
    image: NDArray[Any],
    region: Region,
    regions: Regions,
    shares: NDArray[np.float64],
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
    shares
        (*grid, bins + 1): share of a region's pixels below each border of bins, from 0 to 1.
    span
        Range of the bins.
    target
        Range of the result.
    """
    bins = shares.shape[-1] - 1
    low, high = span
    by_level = image.dtype.kind in "iu" and int(high) - int(low) + 1 == bins
    per_unit = 1.0 if by_level else bins / ((high - low) or 1.0)
    places = np.clip((image.astype(np.float64) - low) * per_unit, 0, bins)
    below = np.minimum(places.astype(np.intp), bins - 1)
    part = np.ones_like(places) if by_level else places - below
    sides = [regions.neighbours(axis, piece) for axis, piece in enumerate(region)]
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

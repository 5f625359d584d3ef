"""Histogram equalisation of a whole image and region by region (CLAHE)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.regions import Region
from napari_tessera.operations.casting import fit_into
from napari_tessera.operations.intensity.curves import Curve, fit_from, is_far
from napari_tessera.operations.reductions.histograms import extent_between
from napari_tessera.operations.wide_integers import is_wide, offsets_within

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
    bottom, extent = target[0], extent_between(*target)

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
        """Return the histograms of the regions that the piece `image` at `region` shows, as far as it shows them.

        Raises
        ------
        InvalidInputError
            If it holds NaN or infinity, or the range is too wide.
        """
        from napari_tessera.operations.intensity.equalisation_kernels import count_regions

        places = [self._places(axis, part) for axis, part in enumerate(region)]
        firsts = [int(along[0]) for along in places]
        counts = np.zeros((*(int(along[-1]) - int(along[0]) + 1 for along in places), bins), np.int64)
        if is_wide(image.dtype):  # from the lowest on, which floats tell apart
            image, low, high = offsets_within(image, int(low), int(high)), 0, int(high) - int(low)
        by_level = _is_by_level(image.dtype, low, high, bins)
        extent = extent_between(low, high)
        scale = bins / extent if extent else 0.0
        if high > low and not 0 < scale < np.inf:
            raise InvalidInputError(
                f"The range {low:g} to {high:g} cannot be divided into {bins} bins: rescale the intensities first."
            )
        along = _in_volume([at - first for at, first in zip(places, firsts, strict=True)], np.zeros(1, np.int64))
        wide = counts.reshape((*_volume_shape(counts.shape[:-1]), bins))
        first = int(low) if by_level else 0
        values = image.astype(np.int64 if by_level else np.float64)  # so that two versions are compiled and not ten
        if count_regions(values.reshape(_volume_shape(image.shape)), along, float(low), scale, first, by_level, wide):
            raise InvalidInputError("The image holds NaN or infinity: replace them by numbers first, for example by 0.")
        numbers = np.arange(len(self)).reshape(self.grid)
        shown = numbers[tuple(slice(at, at + length) for at, length in zip(firsts, counts.shape, strict=False))]
        return dict(zip(shown.reshape(-1).tolist(), counts.reshape(-1, bins), strict=True))

    def _places(self, axis: int, part: slice) -> NDArray[np.int64]:
        """Return the region of each pixel of `part` along an axis."""
        return np.searchsorted(self.borders(axis)[1:], np.arange(part.start, part.stop), side="right").astype(np.int64)

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
    """Return how many pixels of each region, once clipped, lie in a bin or below: (*grid, bins), unsigned."""
    from napari_tessera.operations.intensity.equalisation_kernels import clip_and_add_up

    largest = math.prod(-(-length // number) for length, number in zip(regions.shape, regions.grid, strict=True))
    totals = np.zeros((len(regions), bins), np.uint32 if largest < 2**32 else np.uint64)
    for number, histogram in counts.items():
        clip_and_add_up(histogram, limit, totals[number])
    return totals.reshape(*regions.grid, bins)


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
    from napari_tessera.operations.intensity.equalisation_kernels import mix_curves

    bins = totals.shape[-1]
    low, high = span
    dtype = image.dtype
    start = target[0] if is_wide(dtype) and is_far(target) else 0
    if is_wide(dtype):
        image, low, high = offsets_within(image, int(low), int(high)), 0, int(high) - int(low)
    by_level = _is_by_level(dtype, low, high, bins)
    per_unit = 1.0 if by_level else bins / (extent_between(low, high) or 1.0)
    shares, sides = _shares_around(totals, [regions.neighbours(axis, piece) for axis, piece in enumerate(region)])
    before, after, weights = zip(*sides, strict=True)
    none = np.zeros(1, np.int64)
    mixed = np.empty(_volume_shape(image.shape))
    mix_curves(
        image.astype(np.float64).reshape(_volume_shape(image.shape)),
        shares.reshape(_volume_shape(shares.shape[:-1]) + shares.shape[-1:]),
        _in_volume(before, none),
        _in_volume(after, none),
        _in_volume(weights, np.zeros(1)),
        float(low),
        per_unit,
        by_level,
        2**image.ndim,
        mixed,
    )
    mixed *= extent_between(*target)
    mixed += target[0] - start
    mixed = mixed.reshape(image.shape)
    return fit_from(mixed, start, dtype) if start else fit_into(mixed, dtype)


def _is_by_level(dtype: np.dtype[Any], low: float, high: float, bins: int) -> bool:
    return dtype.kind in "iu" and int(high) - int(low) + 1 == bins


def _volume_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (1,) * (3 - len(shape)) + shape


def _in_volume(along: Sequence[NDArray[Any]], none: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Return one array per axis of a volume; `none` for the axes that a plane lacks."""
    return (*(none,) * (3 - len(along)), *along)


def _shares_around(totals: NDArray[Any], sides: list[Neighbours]) -> tuple[NDArray[np.float64], list[Neighbours]]:
    """Return the share of pixels below each border of bins of the regions that are needed, and `sides` among them.

    Only a piece's own regions become float64, so that the tables of a large frame stay small.
    """
    firsts = [int(low.min()) for low, _, _ in sides]
    here = totals[tuple(slice(first, int(high.max()) + 1) for first, (_, high, _) in zip(firsts, sides, strict=True))]
    shares = np.zeros((*here.shape[:-1], here.shape[-1] + 1))
    np.divide(here, np.maximum(here[..., -1:], 1), out=shares[..., 1:])
    return shares, [(low - first, high - first, part) for first, (low, high, part) in zip(firsts, sides, strict=True)]

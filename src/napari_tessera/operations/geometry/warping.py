"""Geometric transforms of planes and volumes: what lies where the pixels of a result come from.

Everything here works on a part of a result, given the part of the image that it comes from, and gives what the whole
gives in every bit. So positions are those in the whole image, shifted by whole pixels only, which rounds nothing; and
the coefficients of cubic splines, for which scipy runs a recursive filter from border to border, are direct sums
(`spline_coefficients`).
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.regions import Region
from napari_tessera.operations.casting import fit_into
from napari_tessera.operations.mirroring import mirrored_all
from napari_tessera.operations.summing import as_mean, as_sum, total_of

Interpolation = Literal["nearest", "linear", "cubic"]
ORDERS: dict[Interpolation, int] = {"nearest": 0, "linear": 1, "cubic": 3}

Places = tuple[NDArray[np.float64], ...]
"""Positions, one array per axis, all of the same shape or such that they broadcast."""

Source = Callable[[Places], Places]
"""Positions in a result to positions in the image, axis by axis; NaN for nowhere."""

SPLINE_REACH = 28
"""Weights of a cubic spline's filter beyond so many pixels are less than 10⁻¹⁶ of the greatest."""

RIM = 12
"""How far outside the image a cubic spline still takes up what it overshoots at the border."""

SLAB_PIXELS = 2**18
"""How many pixels of a result are looked up at a time: their positions take several times their own memory."""

FAR = 2.0**22
"""A position that is surely outside; axes are shorter."""

GRAIN = 2.0**30
"""Positions between pixels are taken to 1 / `GRAIN` of a pixel."""


def reach_of(order: int) -> int:
    """Return how far from a position a spline of `order` looks at pixels."""
    return {0: 1, 1: 1}.get(order, SPLINE_REACH + 2)


def bounding_region(places: Places, shape: tuple[int, ...], order: int) -> Region:
    """Return the pixels of an image of `shape` that an interpolation at `places` looks at; never empty."""
    region = []
    reach = reach_of(order)
    for at, length in zip(places, shape, strict=True):
        finite = at[np.isfinite(at)] if not np.isfinite(at).all() else at
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        start = int(np.clip(np.floor(low) - reach, 0, length - 1))
        stop = int(np.clip(np.floor(high) + reach + 2, start + 1, length))
        region.append(slice(start, stop))
    return tuple(region)


def places_of(part: Region) -> Places:
    """Return the positions of the pixels of a region, as arrays that broadcast."""
    axes = np.meshgrid(*[np.arange(p.start, p.stop, dtype=np.float64) for p in part], indexing="ij", sparse=True)
    return tuple(axes)


def corners_of(part: Region) -> Places:
    """Return the positions of a region's outermost pixels: straight maps keep the rest between them."""
    ends = itertools.product(*[(p.start, p.stop - 1) for p in part])
    return tuple(np.array(at, np.float64) for at in zip(*ends, strict=True))


def warp(
    image: NDArray[Any],
    within: Region,
    shape: tuple[int, ...],
    source: Source,
    part: Region,
    order: int,
    fill: float,
    check: Callable[[], None] = lambda: None,
) -> NDArray[Any]:
    """Return the `part` of a result whose pixels come from where `source` says.

    Parameters
    ----------
    image, within
        Pixels over a region of the frame that holds `bounding_region` of the part's positions.
    shape
        Of the frame.
    source
        Where pixels of the result come from, in pixels of the frame.
    part
        Region of the result.
    order
        Of the spline between pixels: 0, 1 or 3.
    fill
        What lies outside the frame.
    check
        Called now and then.
    """
    result = np.empty(regions.size(part), image.dtype)
    values, origin = _spline_values(image, within, shape, order, fill)
    if values.size == 0:  # so far outside that not even a spline's overshoot gets there
        result[...] = fit_into(np.array([fill], np.float64), image.dtype)[0]
        return result
    for slab in _slabs(part):
        check()
        places = np.broadcast_arrays(*source(places_of(slab)))
        target = result[regions.relative(slab, part)]
        if order == 0:
            target[...] = _nearest(image, within, shape, places, fill)
        else:
            target[...] = fit_into(_between(values, origin, shape, places, order, fill), image.dtype)
    return result


def _slabs(part: Region) -> list[Region]:
    """Return a region cut into pieces of about `SLAB_PIXELS`, along its first axes."""
    lengths = regions.size(part)
    steps = [1] * len(part)
    room = SLAB_PIXELS
    for axis in reversed(range(len(part))):
        steps[axis] = max(1, min(lengths[axis], room))
        room = max(1, room // lengths[axis])
    cuts = [
        [slice(at, min(at + step, p.stop)) for at in range(p.start, p.stop, step)]
        for p, step in zip(part, steps, strict=True)
    ]
    return list(itertools.product(*cuts))


def _nearest(
    image: NDArray[Any], within: Region, shape: tuple[int, ...], places: Sequence[NDArray[np.float64]], fill: float
) -> NDArray[Any]:
    """Return the nearest pixels, `fill` outside the frame; nothing passes through floats, so that ids stay."""
    inside = np.ones(places[0].shape, bool)
    index = []
    for at, length, held in zip(places, shape, within, strict=True):
        nearest = np.floor(at + 0.5)
        with np.errstate(invalid="ignore"):
            inside &= (nearest >= 0) & (nearest < length)
        nearest[~inside] = held.start
        index.append((nearest - held.start).astype(np.intp))
    found = image[tuple(np.where(inside, one, 0) for one in index)]
    found[~inside] = fit_into(np.array([fill], np.float64), image.dtype)[0]
    return np.asarray(found)


def _spline_values(
    image: NDArray[Any], within: Region, shape: tuple[int, ...], order: int, fill: float
) -> tuple[NDArray[Any], list[int]]:
    """Return what splines are made of, and where it begins in the frame."""
    if order <= 1:
        return image.astype(np.float64, copy=False) if order else image, [p.start for p in within]
    edge = RIM + SPLINE_REACH
    # At the frame's borders there is `fill` all around; elsewhere the block ends far enough from where it is needed.
    widths = [
        (edge if p.start == 0 else 0, edge if p.stop == length else 0) for p, length in zip(within, shape, strict=True)
    ]
    values = spline_coefficients(np.pad(image.astype(np.float64), widths, constant_values=fill))
    core = tuple(slice(SPLINE_REACH, length - SPLINE_REACH) for length in values.shape)
    starts = [p.start - before + SPLINE_REACH for p, (before, _) in zip(within, widths, strict=True)]
    return np.ascontiguousarray(values[core]), starts


def _between(
    values: NDArray[Any],
    origin: Sequence[int],
    shape: tuple[int, ...],
    places: Sequence[NDArray[np.float64]],
    order: int,
    fill: float,
) -> NDArray[np.float64]:
    from scipy.ndimage import map_coordinates

    moved = np.stack([np.clip(at, -FAR, FAR) for at in places])
    margin = 1 if order == 1 else RIM + 2
    outside = np.isnan(moved).any(axis=0)
    for at, length in zip(moved, shape, strict=True):
        outside |= (at < -margin) | (at > length - 1 + margin)
    moved[:, outside] = -FAR
    # To whole multiples of a power of two, so that shifting by pixels rounds nothing.
    moved *= GRAIN
    np.rint(moved, out=moved)
    moved /= GRAIN
    moved -= np.array(origin, np.float64).reshape(-1, *[1] * (moved.ndim - 1))
    found = map_coordinates(values, moved, np.float64, order=order, mode="grid-constant", cval=fill, prefilter=False)
    found[outside] = fill
    return np.asarray(found)


def spline_coefficients(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the coefficients of the cubic spline through `values`, mirrored at the ends, as direct sums.

    The filter that finds them has the weights √3 · (√3 − 2)^|k| (Unser, Aldroubi & Eden 1993, "B-spline signal
    processing"), here up to `SPLINE_REACH`; what lies further away than that from the end of `values` is the same
    wherever they end.
    """
    from napari_tessera.operations.filtering.correlation import correlate_axis

    steps = np.abs(np.arange(-SPLINE_REACH, SPLINE_REACH + 1))
    weights = np.sqrt(3.0) * (np.sqrt(3.0) - 2.0) ** steps
    for axis in range(values.ndim):
        values = correlate_axis(values, weights, axis)
    return values


# -- grids that keep their directions ----------------------------------------------------------------------------------


def resampled_region(part: Region, shape: tuple[int, ...], steps: Sequence[float], order: int) -> Region:
    """Return the pixels of an image of `shape` that `resample` looks at for a part of its result."""
    region = []
    for axis, (p, step) in enumerate(zip(part, steps, strict=True)):
        first, last = _resampled_places(np.array([p.start, p.stop - 1]), step, shape[axis], order)
        reach = reach_of(order) + (_blur_radius(step) if order else 0)
        start = int(np.clip(np.floor(first) - reach, 0, shape[axis] - 1))
        region.append(slice(start, int(np.clip(np.floor(last) + reach + 2, start + 1, shape[axis]))))
    return tuple(region)


def resample(
    image: NDArray[Any], within: Region, shape: Sequence[int], steps: Sequence[float], order: int, part: Region
) -> NDArray[Any]:
    """Return a part of the image on another grid that begins at the same outer border; mirrored at the borders.

    Parameters
    ----------
    image, within
        Pixels over a region of the frame that holds the `resampled_region` of the part.
    shape
        Of the frame.
    steps
        How many pixels of the image one of the result is long, along each axis.
    order
        0, 1 or 3. Above 0, axes along which pixels become longer are blurred first by a Gaussian of (step − 1) / 2, so
        that nothing is skipped.
    part
        Region of the result.
    """
    from napari_tessera.operations.filtering.correlation import gaussian_blur

    values = image
    if order > 0:
        values = image.astype(np.float64)
        if any(step > 1 for step in steps):
            values = gaussian_blur(values, [_blur(step) for step in steps])
        if order > 1:
            values = spline_coefficients(values)
    for axis, (p, step) in enumerate(zip(part, steps, strict=True)):
        places = _resampled_places(np.arange(p.start, p.stop), step, shape[axis], order)
        values = _along(values, axis, places, order, within[axis].start, shape[axis])
    return np.ascontiguousarray(values) if order == 0 else fit_into(values, image.dtype)


def _resampled_places(at: NDArray[np.integer[Any]], step: float, length: int, order: int) -> NDArray[np.float64]:
    """Return where pixels of the result lie along an axis of the image.

    The centre of a pixel more than twice as long as the image lies outside: where pixels are not mixed, the middle of
    the image stands for it.
    """
    places = np.asarray(at * step + (step - 1) / 2, np.float64)
    return np.where(places > length - 0.25, (length - 1) / 2, places) if order == 0 else places


def _blur(step: float) -> float:
    return max(0.0, (step - 1) / 2)


def _blur_radius(step: float) -> int:
    return int(4 * _blur(step) + 0.5) + 1


def _along(
    values: NDArray[Any], axis: int, places: NDArray[np.float64], order: int, start: int, length: int
) -> NDArray[Any]:
    """Return what lies at `places` of the frame along one axis, of which `values` begin at `start`."""
    if order == 0:
        return values.take(mirrored_all(np.floor(places + 0.5).astype(np.intp), length) - start, axis)
    first = np.floor(places)
    fraction = places - first
    total: Any = None
    for step, weight in zip(range(2) if order == 1 else range(-1, 3), _weights(fraction, order), strict=True):
        term = values.take(mirrored_all((first + step).astype(np.intp), length) - start, axis)
        term *= weight.reshape([-1 if at == axis else 1 for at in range(values.ndim)])
        total = term if total is None else np.add(total, term, out=total)
    return np.asarray(total)


def _weights(fraction: NDArray[np.float64], order: int) -> list[NDArray[np.float64]]:
    """Return the weights of the pixels around a position: two of the line, or four of the cubic B-spline."""
    if order == 1:
        return [1 - fraction, fraction]
    rest = 1 - fraction
    return [
        rest**3 / 6,
        (4 - 6 * fraction**2 + 3 * fraction**3) / 6,
        (4 - 6 * rest**2 + 3 * rest**3) / 6,
        fraction**3 / 6,
    ]


def bin_pixels(
    image: NDArray[Any], factors: Sequence[int], statistic: Literal["mean", "sum", "max", "min"], dtype: Any
) -> NDArray[Any]:
    """Return one pixel for each block of ``factors`` pixels; what does not fill a block at the end is left out."""
    shape = [length // factor for length, factor in zip(image.shape, factors, strict=True)]
    parts = (
        image[tuple(slice(o, o + n * f, f) for o, n, f in zip(offset, shape, factors, strict=True))]
        for offset in itertools.product(*(range(factor) for factor in factors))
    )
    if statistic in ("max", "min"):
        chosen = np.maximum if statistic == "max" else np.minimum
        result = next(parts).copy()
        for part in parts:
            chosen(result, part, out=result)
        return result
    total = total_of(parts, shape, image.dtype)
    return as_sum(total, np.dtype(dtype)) if statistic == "sum" else as_mean(total, math.prod(factors), dtype)

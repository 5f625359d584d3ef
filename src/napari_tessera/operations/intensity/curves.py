"""Tone curves: intensities mapped one by one, by a table where grey levels are few."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.operations.casting import fit_into, has_few_levels
from napari_tessera.operations.wide_integers import EXACT, WideIntegers, differences_from, is_wide

Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]

Ends = tuple[int | float, int | float]
"""Lower and upper end of a range; those of integers are integers."""

"""Up to this, float64 holds every integer."""


def apply_curve(image: NDArray[Any], curve: Curve, dtype: DTypeLike | None = None) -> NDArray[Any]:
    """Return ``curve(image)`` in `dtype` (that of the image if None): rounded and clipped for integers.

    `curve` takes and returns float64 and may depend on nothing but the value. Integers of up to 16 bits go through a
    table of all levels.
    """
    dtype = image.dtype if dtype is None else np.dtype(dtype)
    if not has_few_levels(image.dtype):
        return fit_into(curve(np.array(image, np.float64, order="C")), dtype)
    limits = np.iinfo(image.dtype)
    table = fit_into(curve(np.arange(limits.min, limits.max + 1, dtype=np.float64)), dtype)
    unsigned = image.astype(np.dtype(f"u{image.dtype.itemsize}"), copy=False)  # negative levels wrap to the upper half
    return np.asarray(np.roll(table, limits.min)[unsigned] if limits.min else table[unsigned])


def apply_over(
    image: NDArray[Any],
    make: Callable[[Ends, Ends], Curve],
    source: Ends,
    target: Ends,
    dtype: DTypeLike | None = None,
) -> NDArray[Any]:
    """Return ``make(source, target)(image)`` in `dtype`, exact for 64-bit integers of a narrow range far from 0.

    Floats hold no integer beyond 2^53 but every second, fourth, …: there both ranges are counted from their lower end.

    Parameters
    ----------
    image
        Integer or float, any shape.
    make
        Gives the curve from one range to another; that moves with the ranges.
    source, target
        The ranges.
    dtype
        Type of the result; that of the image if None.
    """
    dtype = image.dtype if dtype is None else np.dtype(dtype)
    if not (is_wide(image.dtype) and is_far(source)):
        return apply_curve(image, make(source, target), dtype)
    moved = is_wide(dtype) and is_far(target)
    start = target[0] if moved else 0
    curve = make((0, source[1] - source[0]), (target[0] - start, target[1] - start))
    values = curve(differences_from(image, source[0]))
    return fit_from(values, start, dtype) if moved else fit_into(values, dtype)


def fit_from(values: NDArray[Any], start: float, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return ``start + values`` as 64-bit integers, the values rounded to 64 bits first and the sum exact."""
    return (WideIntegers.of(fit_into(values, np.int64)) + WideIntegers.of(np.array(start, dtype))).clipped(dtype)


def is_far(ends: Ends) -> bool:
    """Whether integers are too large for floats, but not their differences."""
    low, high = ends
    if not (isinstance(low, int) and isinstance(high, int)):
        return False
    return max(abs(low), abs(high)) > EXACT >= abs(high - low)


def stretch(source: tuple[float, float], target: tuple[float, float]) -> Curve:
    """Return the linear curve from one range to another, clipped to the latter; a constant goes to its lower end."""
    (low, high), (bottom, top) = source, target
    narrow = math.isfinite(top - bottom) and math.isfinite(high - low)
    factor = ((top - bottom) / (high - low) if narrow else math.inf) if high > low else 0.0

    def curve(values: NDArray[np.float64]) -> NDArray[np.float64]:
        if high <= low:
            return np.where(values > low, float(top), float(bottom))
        if not math.isfinite(factor):  # a range wider than float64 holds, or narrower than it can divide by
            return _between(_parts(values, low, high), bottom, top)
        return np.clip((values - low) * factor + bottom, min(bottom, top), max(bottom, top))

    return curve


def gamma(low: float, high: float, exponent: float) -> Curve:
    """Return ``t ↦ t^exponent`` over the range from `low` to `high`, clipped to it."""
    return _within(low, high, lambda part: np.power(part, exponent))


def logarithm(low: float, high: float, strength: float, *, inverse: bool) -> Curve:
    """Return ``t ↦ log(1 + strength · t) / log(1 + strength)`` over the range from `low` to `high`, or its inverse."""
    whole = np.log1p(strength)
    if inverse:
        return _within(low, high, lambda part: np.expm1(part * whole) / strength)
    return _within(low, high, lambda part: np.log1p(part * strength) / whole)


def _within(low: float, high: float, unit: Curve) -> Curve:
    extent = float(high) - float(low)

    def curve(values: NDArray[np.float64]) -> NDArray[np.float64]:
        if extent == 0:
            return values
        if not math.isfinite(extent):
            return _between(unit(_parts(values, low, high)), low, high)
        return unit(np.clip((values - low) / extent, 0, 1)) * extent + low

    return curve


def _parts(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Return where values lie between two that differ: 0 to 1, even if the difference is more than float64 holds."""
    scale = 1.0 if math.isfinite(float(high) - float(low)) else 0.25
    return np.asarray(np.clip((values * scale - low * scale) / (high * scale - low * scale), 0, 1))


def _between(parts: NDArray[np.float64], bottom: float, top: float) -> NDArray[np.float64]:
    """Return the value at each part of the way, without the difference of the ends."""
    return np.asarray((1 - parts) * bottom + parts * top)

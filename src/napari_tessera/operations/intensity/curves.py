"""Tone curves: intensities mapped one by one, by a table where grey levels are few."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.operations.casting import fit_into, has_few_levels

Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]


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

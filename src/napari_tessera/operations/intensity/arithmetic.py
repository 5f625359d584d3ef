"""Arithmetic on two images, and on the frames along an axis."""

from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.operations.casting import clip_into, fit_into
from napari_tessera.operations.summing import as_floats, as_mean, as_sum, total_of
from napari_tessera.operations.wide_integers import WideIntegers

Statistic = Literal["mean", "median", "max", "min", "sum", "std"]


def combine(image: NDArray[Any], other: NDArray[Any], how: Literal["add", "subtract", "multiply"]) -> NDArray[Any]:
    """Return sum, difference or product in the dtype of `image`; integers are clipped to what it holds.

    Integers are exact, whatever their width; with floats, float64 is computed in.
    """
    ufunc = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply}[how]
    if not _whole(image, other):
        return fit_into(ufunc(image.astype(np.float64), other.astype(np.float64)), image.dtype)
    if not _narrow(image, other):
        if how == "multiply":
            return _product(image, other)
        one, two = WideIntegers.of(image), WideIntegers.of(other)
        return (one + two if how == "add" else one - two).clipped(image.dtype)
    unsigned = how == "multiply" and image.dtype.kind == other.dtype.kind == "u"
    exact = np.uint64 if unsigned else np.int64  # two factors of 32 bits, both unsigned or not, just fit
    return clip_into(ufunc(image.astype(exact), other.astype(exact)), image.dtype)


def _product(image: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Return the product of integers of up to 64 bits, clipped.

    Far from the limits, floats tell whether it fits, and where it does, 64 bits hold it; near them, Python's integers
    decide.
    """
    about = image.astype(np.float64) * other.astype(np.float64)
    limits = np.iinfo(image.dtype)
    near = np.abs(about) > 2.0**62
    product = np.zeros(about.shape, np.int64)
    np.multiply(image.astype(np.int64), other.astype(np.int64), out=product, where=~near)
    result = clip_into(product, image.dtype)
    result[about > 2.0**65], result[about < -(2.0**65)] = limits.max, limits.min
    for place in np.argwhere(near & (np.abs(about) <= 2.0**65)):
        at = tuple(place)
        result[at] = min(max(int(image[at]) * int(np.broadcast_to(other, image.shape)[at]), limits.min), limits.max)
    return result


def difference(image: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Return |image − other| in the dtype of `image`; integers are clipped to what it holds."""
    if not _whole(image, other):
        return fit_into(np.abs(image.astype(np.float64) - other.astype(np.float64)), image.dtype)
    if not _narrow(image, other):
        return abs(WideIntegers.of(image) - WideIntegers.of(other)).clipped(image.dtype)
    return clip_into(np.abs(image.astype(np.int64) - other.astype(np.int64)), image.dtype)


def divide(image: NDArray[Any], other: NDArray[Any], where_zero: float, dtype: DTypeLike) -> NDArray[Any]:
    """Return image / other, computed in float64, as floats of `dtype`; `where_zero` where `other` is 0."""
    divisor = np.broadcast_to(other, image.shape)
    quotient = np.full(image.shape, where_zero, np.float64)
    np.divide(image.astype(np.float64), divisor, out=quotient, where=divisor != 0)
    return quotient.astype(dtype, copy=False)


def _whole(image: NDArray[Any], other: NDArray[Any]) -> bool:
    return all(array.dtype.kind in "iu" for array in (image, other))


def _narrow(image: NDArray[Any], other: NDArray[Any]) -> bool:
    return all(array.dtype.itemsize <= 4 for array in (image, other))


def along_first(stack: NDArray[Any], statistic: Statistic, dtype: DTypeLike) -> NDArray[Any]:
    """Return a statistic over the first dimension, in `dtype`; integers are rounded and clipped.

    Frames are taken in one by one, so that the sum is the same in any tile. Sums of integers are exact, the standard
    deviation is that of the population.
    """
    dtype = np.dtype(dtype)
    if statistic in ("max", "min"):
        return np.asarray((np.maximum if statistic == "max" else np.minimum).reduce(stack, axis=0), dtype)
    if statistic == "median":
        return _median(stack, dtype)
    total = total_of(stack, stack.shape[1:], stack.dtype)
    if statistic == "sum":
        return as_sum(total, dtype)
    if statistic == "mean":
        return as_mean(total, len(stack), dtype)
    mean = as_floats(total) / len(stack)
    squares = np.zeros(stack.shape[1:])
    for frame in stack:
        squares += (frame - mean) ** 2
    return fit_into(np.sqrt(squares / len(stack)), dtype)


def _median(stack: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    middle = len(stack) // 2
    if len(stack) % 2:
        return np.asarray(np.partition(stack, middle, axis=0)[middle], dtype)
    ordered = np.partition(stack, (middle - 1, middle), axis=0)
    if stack.dtype.kind in "iu" and stack.dtype.itemsize == 8:
        return as_mean(total_of(ordered[middle - 1 : middle + 1], stack.shape[1:], stack.dtype), 2, dtype)
    low, high = ordered[middle - 1].astype(np.float64), ordered[middle].astype(np.float64)
    return fit_into(low + (high - low) / 2, dtype)

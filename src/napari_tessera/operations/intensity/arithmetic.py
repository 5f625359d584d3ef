"""Arithmetic on two images, and on the frames along an axis."""

from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.operations.casting import clip_into, fit_into

Statistic = Literal["mean", "median", "max", "min", "sum", "std"]


def combine(image: NDArray[Any], other: NDArray[Any], how: Literal["add", "subtract", "multiply"]) -> NDArray[Any]:
    """Return sum, difference or product in the dtype of `image`; integers are clipped to what it holds.

    Integers of up to 32 bits are exact; with floats and wider integers, float64 is computed in.
    """
    ufunc = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply}[how]
    if not _narrow(image, other):
        return fit_into(ufunc(image.astype(np.float64), other.astype(np.float64)), image.dtype)
    unsigned = how == "multiply" and image.dtype.kind == other.dtype.kind == "u"
    exact = np.uint64 if unsigned else np.int64  # two factors of 32 bits, both unsigned or not, just fit
    return clip_into(ufunc(image.astype(exact), other.astype(exact)), image.dtype)


def difference(image: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Return |image − other| in the dtype of `image`; integers are clipped to what it holds."""
    if not _narrow(image, other):
        return fit_into(np.abs(image.astype(np.float64) - other.astype(np.float64)), image.dtype)
    return clip_into(np.abs(image.astype(np.int64) - other.astype(np.int64)), image.dtype)


def divide(image: NDArray[Any], other: NDArray[Any], where_zero: float, dtype: DTypeLike) -> NDArray[Any]:
    """Return image / other, computed in float64, as floats of `dtype`; `where_zero` where `other` is 0."""
    divisor = np.broadcast_to(other, image.shape)
    quotient = np.full(image.shape, where_zero, np.float64)
    np.divide(image.astype(np.float64), divisor, out=quotient, where=divisor != 0)
    return quotient.astype(dtype, copy=False)


def _narrow(image: NDArray[Any], other: NDArray[Any]) -> bool:
    return all(array.dtype.kind in "iu" and array.dtype.itemsize <= 4 for array in (image, other))


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
    total = _sum(stack)
    if statistic == "sum":
        return total.astype(dtype) if total.dtype.kind != "f" or dtype.kind == "f" else fit_into(total, dtype)
    mean = total / len(stack)
    if statistic == "mean":
        return fit_into(mean, dtype)
    squares = np.zeros(stack.shape[1:])
    for frame in stack:
        squares += (frame - mean) ** 2
    return fit_into(np.sqrt(squares / len(stack)), dtype)


def _sum(stack: NDArray[Any]) -> NDArray[Any]:
    exact = {"u": np.uint64, "i": np.int64}.get(stack.dtype.kind, np.float64)
    total = np.zeros(stack.shape[1:], exact)
    for frame in stack:
        total += frame
    return total


def _median(stack: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    middle = len(stack) // 2
    if len(stack) % 2:
        return np.asarray(np.partition(stack, middle, axis=0)[middle], dtype)
    ordered = np.partition(stack, (middle - 1, middle), axis=0)
    low, high = ordered[middle - 1].astype(np.float64), ordered[middle].astype(np.float64)
    return fit_into(low + (high - low) / 2, dtype)


def sum_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype that holds sums: 32 bits for up to 16, 64 for wider; floats as they are."""
    if dtype.kind == "f":
        return dtype
    return np.dtype(f"{dtype.kind}{4 if dtype.itemsize <= 2 else 8}")

"""Sums and means of many arrays: exact for integers of any width, and the same in any tile."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.casting import fit_into
from napari_tessera.operations.wide_integers import WideIntegers

Total = NDArray[Any] | WideIntegers
"""A sum: int64 or uint64 of integers of up to 32 bits, wider of those of 64, float64 of floats."""


def sum_dtype(dtype: np.dtype[Any], count: int) -> np.dtype[Any]:
    """Return the dtype of the sum of `count` pixels of `dtype`: 32 bits where these always hold it, else 64.

    Integers of 32 bits and more have sums of 64, floats those of their own type.
    """
    if dtype.kind == "f":
        return dtype
    limits = np.iinfo(dtype)
    held = np.iinfo(f"{dtype.kind}4")
    fits = held.min <= count * int(limits.min) and count * int(limits.max) <= held.max
    return np.dtype(f"{dtype.kind}{4 if dtype.itemsize <= 2 and fits else 8}")


def total_of(parts: Iterable[NDArray[Any]], shape: Sequence[int], dtype: np.dtype[Any]) -> Total:
    """Return the sum of arrays of `shape` and `dtype`, taken in one by one, so that it is the same in any tile."""
    if dtype.kind in "iu" and dtype.itemsize == 8:
        wide = WideIntegers.of(np.zeros(shape, dtype))
        for part in parts:
            wide = wide + WideIntegers.of(part)
        return wide
    total = np.zeros(shape, {"u": np.uint64, "i": np.int64}.get(dtype.kind, np.float64))
    for part in parts:
        total += part
    return total


def as_sum(total: Total, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a sum in `dtype`, as `sum_dtype` gives it.

    Raises
    ------
    InvalidInputError
        If a sum of 64-bit integers has more than 64 bits.
    """
    if not isinstance(total, WideIntegers):
        return total.astype(dtype)
    if not total.fits(dtype).all():
        raise InvalidInputError(
            f"The sum is more than {dtype} holds: choose the mean, or make floats of the image first, with the "
            "operation 'convert_type'."
        )
    return total.clipped(dtype)


def as_mean(total: Total, count: int, dtype: DTypeLike) -> NDArray[Any]:
    """Return ``total / count`` in `dtype`; integers are rounded, halves to the even neighbour."""
    dtype = np.dtype(dtype)
    if isinstance(total, WideIntegers):
        if dtype.kind == "f":
            return (total.as_floats() / count).astype(dtype)
        return total.divided(count).clipped(dtype)
    return fit_into(total / count, dtype)


def as_floats(total: Total) -> NDArray[np.float64]:
    """Return a sum as float64."""
    return total.as_floats() if isinstance(total, WideIntegers) else total.astype(np.float64)

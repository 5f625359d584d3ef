"""Integers wider than 64 bits, for sums of 64-bit pixels: exact, and as quick as two arrays of int64."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

EXACT = 2**53
"""Up to here float64 holds every integer."""

_BITS = 32
_LOW = 2**_BITS - 1

Halves = Literal["even", "up"]
"""Where a quotient that lies in the middle between two integers goes: to the even one, or to the larger."""


@dataclass(frozen=True)
class WideIntegers:
    """Integers in two halves: ``high · 2^32 + low``, with low from 0 to 2^32 − 1.

    The high half has 63 bits, so that two billion integers of 64 bits can be summed.

    Attributes
    ----------
    high, low
        int64, of equal shape.
    """

    high: NDArray[np.int64]
    low: NDArray[np.int64]

    @classmethod
    def of(cls, values: NDArray[Any]) -> Self:
        """Return integers of any dtype."""
        if values.dtype == np.uint64:
            low = (values & np.uint64(_LOW)).astype(np.int64)
            return cls((values >> np.uint64(_BITS)).astype(np.int64), low)
        whole = values.astype(np.int64)
        return cls(whole >> _BITS, whole & _LOW)

    @classmethod
    def carried(cls, high: NDArray[np.int64], low: NDArray[np.int64]) -> Self:
        """Return ``high · 2^32 + low`` for a low half of any size and sign."""
        return cls(high + (low >> _BITS), low & _LOW)

    def __add__(self, other: "WideIntegers") -> "WideIntegers":
        return self.carried(self.high + other.high, self.low + other.low)

    def __sub__(self, other: "WideIntegers") -> "WideIntegers":
        return self.carried(self.high - other.high, self.low - other.low)

    def __abs__(self) -> "WideIntegers":
        sign = np.where(self.high < 0, -1, 1)  # the high half has the sign of the whole
        return self.carried(self.high * sign, self.low * sign)

    def divided(self, count: int, halves: Halves = "even") -> "WideIntegers":
        """Return the nearest integers to ``self / count``; `count` is at most 2^31."""
        quotient, rest = np.divmod(self.high, count)
        below, rest = np.divmod((rest << _BITS) + self.low, count)
        odd = below & 1
        up = 2 * rest + (odd if halves == "even" else 1) > count
        return self.carried(quotient, below + up)

    def as_floats(self) -> NDArray[np.float64]:
        """Return the nearest float64."""
        return np.asarray(self.high * 2.0**_BITS + self.low, np.float64)

    def fits(self, dtype: DTypeLike) -> NDArray[np.bool_]:
        """Return where the integer type of 64 bits holds the value."""
        least, most = (0, 2**32) if np.dtype(dtype).kind == "u" else (-(2**31), 2**31)
        return np.asarray((self.high >= least) & (self.high < most))

    def clipped(self, dtype: DTypeLike) -> NDArray[Any]:
        """Return the values in an integer type, clipped to what it holds."""
        dtype = np.dtype(dtype)
        longest = np.dtype(f"{dtype.kind}8")
        limits = np.iinfo(dtype)
        whole = (self.high.astype(longest) << longest.type(_BITS)) | self.low.astype(longest)
        ends = np.where(self.high < 0, longest.type(limits.min), longest.type(limits.max))
        return np.asarray(np.where(self.fits(longest), np.clip(whole, limits.min, limits.max), ends), dtype)


def differences_from(image: NDArray[Any], centre: float) -> NDArray[np.float64]:
    """Return ``image − centre`` as float64; a centre of 64-bit integers, of which that holds only some, is rounded."""
    if image.dtype.kind in "iu" and image.dtype.itemsize == 8:
        limits = np.iinfo(image.dtype)
        whole = np.array(min(max(round(centre), limits.min), limits.max), image.dtype)
        return (WideIntegers.of(image) - WideIntegers.of(whole)).as_floats()
    return image.astype(np.float64) - centre


def is_wide(dtype: np.dtype[Any]) -> bool:
    """Whether the type holds integers that floats do not."""
    return dtype.kind in "iu" and dtype.itemsize == 8


def beyond_floats(values: NDArray[Any]) -> bool:
    """Whether there is an integer whose neighbours float64 does not hold all."""
    if not is_wide(values.dtype) or not values.size:
        return False
    return int(values.max()) > EXACT or int(values.min()) < -EXACT


def offsets_within(values: NDArray[Any], low: int, high: int) -> NDArray[np.uint64]:
    """Return 64-bit integers clipped to a range and counted from its lower end, exactly."""
    held = np.iinfo(values.dtype)
    bottom = np.array(max(low, held.min), values.dtype)
    clipped = np.clip(values, bottom, np.array(min(high, held.max), values.dtype))
    # a difference that wraps around in the unsigned type is the right one
    return np.asarray(clipped.view(np.uint64) - bottom.view(np.uint64))

"""Figures of a whole frame that come out the same however it is cut into pieces."""

import math
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.base import Block, Survey

TOO_LARGE = (
    "The intensities are too large to compute with: bring them into a smaller range first, "
    "with the operation 'rescale'."
)
"""What is said where finite intensities give NaN or infinity."""

_MANTISSA = 53
_HALF = 26


def value_range(survey: Survey) -> tuple[float, float]:
    """Return the lowest and the highest intensity of a frame."""
    return survey.reduce(
        lambda block: (block.image.min().item(), block.image.max().item()),
        lambda one, other: (min(one[0], other[0]), max(one[1], other[1])),
    )


@dataclass(frozen=True)
class Moments:
    """Number, sum and sum of squares of pixels, exact."""

    count: int
    total: Fraction
    squares: Fraction

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.count + other.count, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        """Arithmetic mean, correctly rounded."""
        return float(self.total / self.count)

    @property
    def std(self) -> float:
        """Population standard deviation."""
        variance = float((self.squares - self.total**2 / self.count) / self.count)
        return math.sqrt(max(variance, 0.0))  # below 0 where squares overflow, beyond 1e150


def check_overflow(figure: float) -> None:
    """Raise InvalidInputError if what was computed from finite intensities is not finite: they are too large for it."""
    if not math.isfinite(figure):
        raise InvalidInputError(TOO_LARGE)


def moments(survey: Survey) -> Moments:
    """Return number, sum and sum of squares of a frame's pixels.

    Raises
    ------
    InvalidInputError
        If squares of intensities exceed float64: beyond about 1e154.
    """
    return survey.reduce(_moments_of, Moments.__add__)


def _moments_of(block: Block) -> Moments:
    image = block.image
    if image.dtype.kind in "iu" and image.dtype.itemsize <= 2:
        whole = image.astype(np.int64)
        return Moments(image.size, Fraction(int(whole.sum())), Fraction(int((whole * whole).sum())))
    values = image.astype(np.float64)
    with np.errstate(over="ignore"):
        squares = values * values
    check_overflow(float(squares.max()))
    # What rounding took from each square is added back: Veltkamp's splitting and Dekker's product (Dekker, "A
    # floating-point technique for extending the available precision", Numerische Mathematik 18, 1971).
    high = values * 134_217_729.0
    high -= high - values
    low = values - high
    errors = (high * high - squares) + 2 * high * low + low * low
    return Moments(image.size, exact_sum(values), exact_sum(squares) + exact_sum(errors))


def exact_sum(values: NDArray[np.floating[Any]]) -> Fraction:
    """Return the sum of finite float64 `values` without any rounding.

    Every value is an integer times a power of two. Integers of equal power are summed as integers, in two halves so
    that no sum of up to 2^26 of them leaves the 53 bits that float64 holds exactly.
    """
    total = Fraction(0)
    flat = np.asarray(values, np.float64).reshape(-1)
    for start in range(0, flat.size, 2**26):
        total += _exact_sum(flat[start : start + 2**26])
    return total


def _exact_sum(values: NDArray[np.float64]) -> Fraction:
    fractions, exponents = np.frexp(values)
    whole = np.ldexp(fractions, _MANTISSA)
    high = np.trunc(np.ldexp(whole, -_HALF))
    low = whole - np.ldexp(high, _HALF)
    first = int(exponents.min(initial=0))
    bins = exponents - first
    sums: Counter[int] = Counter()
    for part, shift in ((high, _HALF), (low, 0)):
        for power, value in enumerate(np.bincount(bins, weights=part)):
            sums[power + first + shift - _MANTISSA] += int(value)
    return sum((Fraction(value) * Fraction(2) ** power for power, value in sums.items()), Fraction(0))

"""Percentiles of a whole frame, exact and the same however it is cut into pieces.

The pixel of a given rank is found digit by digit: intensities are mapped to unsigned integers of the same order, the
highest 16 bits are counted, and only among pixels that share them the next 16, until all bits are known. Integers of up
to 16 bits take one pass over the image, 32 bits two, 64 bits four.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.base import Block, Survey

_DIGIT = 16


def percentiles(survey: Survey, percents: Sequence[float]) -> list[float]:
    """Return percentiles of a frame, with linear interpolation between neighbouring ranks (numpy's default).

    Parameters
    ----------
    survey
        Of an integer or float image without NaN.
    percents
        Each from 0 to 100.

    Raises
    ------
    InvalidInputError
        If the frame has no pixels or a percentage lies outside.
    """
    count = math.prod(survey.spec.shape)
    if count == 0:
        raise InvalidInputError("An image without pixels has no percentiles: choose one that is not empty.")
    if not all(0 <= percent <= 100 for percent in percents):
        raise InvalidInputError(f"Percentiles {tuple(percents)} must lie between 0 and 100.")
    places = [(count - 1) * percent / 100 for percent in percents]
    ranks = sorted({rank for place in places for rank in (math.floor(place), math.ceil(place))})
    values = dict(zip(ranks, ranked(survey, ranks), strict=True))
    found = []
    for place in places:
        low, high = values[math.floor(place)], values[math.ceil(place)]
        found.append(_between(low, high, place - math.floor(place)))
    return found


def _between(low: Any, high: Any, part: float) -> float:
    """Return the value at `part` of the way; of integers that floats do not hold, the nearest one."""
    if isinstance(low, int) and max(abs(low), abs(high)) > 2**53:
        return int(low) + round((int(high) - int(low)) * part)
    between = low + (high - low) * part
    return float(between if math.isfinite(between) else low * (1 - part) + high * part)


def ranked(survey: Survey, ranks: Sequence[int]) -> list[Any]:
    """Return the intensities that stand at `ranks` (0 is the lowest pixel) when all pixels are sorted."""
    bits = 8 * survey.spec.dtype.itemsize
    prefixes = [0] * len(ranks)
    remaining = list(ranks)
    for shift in range(max(0, bits - _DIGIT), -1, -_DIGIT):
        wanted = sorted(set(prefixes))
        counts = _count_digits(survey, wanted, shift)
        for index, rank in enumerate(remaining):
            row = counts[wanted.index(prefixes[index])]
            total = np.cumsum(row)
            digit = int(np.searchsorted(total, rank, side="right"))
            remaining[index] = rank - int(total[digit] - row[digit])
            prefixes[index] = prefixes[index] << _DIGIT | digit
    return [_from_key(prefix, survey.spec.dtype) for prefix in prefixes]


def _count_digits(survey: Survey, prefixes: Sequence[int], shift: int) -> NDArray[np.int64]:
    """Count the 16 bits from `shift` up among pixels whose bits above equal each of `prefixes`: (prefixes, 65536)."""

    def measure(block: Block) -> NDArray[np.int64]:
        keys = ordered_keys(block.image)
        digits = keys >> shift
        counts = np.zeros((len(prefixes), 1 << _DIGIT), np.int64)
        for row, prefix in enumerate(prefixes):
            first = shift + _DIGIT >= 8 * keys.itemsize
            chosen = digits if first else digits[keys >> (shift + _DIGIT) == keys.dtype.type(prefix)]
            # Conversion to 16 bits drops the bits above them.
            counts[row] = np.bincount(chosen.astype(np.uint16), minlength=1 << _DIGIT)
        return counts

    return survey.reduce(measure, np.add)


def ordered_keys(image: NDArray[Any]) -> NDArray[Any]:
    """Return unsigned integers, one-dimensional, of the image's width that are ordered as its intensities are.

    Signed integers are moved up by half their range. Of floats, the sign bit is flipped where it is clear and all bits
    where it is set.
    """
    flat = np.ascontiguousarray(image, image.dtype.newbyteorder("=")).reshape(-1)
    unsigned = np.dtype(f"u{image.dtype.itemsize}")
    bits = flat.view(unsigned)
    if image.dtype.kind == "u":
        return bits
    sign = unsigned.type(1 << (8 * unsigned.itemsize - 1))
    if image.dtype.kind == "i":
        return np.asarray(bits ^ sign)
    return np.where(bits & sign, ~bits, bits | sign)


def _from_key(key: int, dtype: np.dtype[Any]) -> Any:
    """Return the intensity, a Python number, that `ordered_keys` maps to `key`."""
    unsigned = np.dtype(f"u{dtype.itemsize}")
    sign = 1 << (8 * dtype.itemsize - 1)
    if dtype.kind == "u":
        return key
    if dtype.kind == "i":
        return key - sign
    bits = key ^ sign if key & sign else ~key & (2 * sign - 1)
    return np.array([bits], unsigned).view(dtype.newbyteorder("="))[0].item()

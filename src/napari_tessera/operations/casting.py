"""Between number types: results of a calculation back into an image's type, and the range that intensities lie in."""

from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.operations.base import Survey
from napari_tessera.operations.reductions.statistics import value_range

Range = Literal["image", "type"]
"""``image``: from the lowest to the highest intensity; ``type``: all that the type can hold, 0 to 1 for floats."""

RANGE_HELP = "'image': lowest to highest intensity of the image; 'type': all that its type can hold, 0 to 1 for floats."


def real_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the float type that holds values of `dtype`: float32 for up to 16 bits and for float32, else float64."""
    dtype = np.dtype(dtype)
    short = dtype.itemsize <= 2 if dtype.kind in "biu" else dtype.itemsize <= 4
    return np.dtype(np.float32 if short else np.float64)


def has_few_levels(dtype: np.dtype[Any]) -> bool:
    """Whether there are so few grey levels (integers of up to 16 bits) that a table of them all is cheap."""
    return dtype.kind in "iu" and dtype.itemsize <= 2


def fit_into(values: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return real `values` as `dtype`: rounded and clipped for integers, merely converted for floats.

    Parameters
    ----------
    values
        Float array of any shape; overwritten.
    dtype
        Integer or float.
    """
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    top = float(limits.max)
    if top > limits.max:  # 2^63 and 2^64 as floats lie above what fits
        top = float(np.nextafter(top, 0))
    np.rint(values, out=values)
    np.clip(values, float(limits.min), top, out=values)
    return values.astype(dtype)


def clip_into(values: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return integer `values` clipped to what the integer `dtype` holds."""
    limits = np.iinfo(np.dtype(dtype))
    held = np.iinfo(values.dtype)
    clipped = np.clip(values, max(limits.min, held.min), min(limits.max, held.max))
    return np.asarray(clipped, dtype)


def type_range(dtype: DTypeLike) -> tuple[float, float]:
    """Return lowest and highest value of an integer type; 0 and 1 for floats."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return 0.0, 1.0
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def range_of(survey: Survey, over: Range) -> tuple[float, float]:
    """Return the range that `over` names, for the surveyed frame."""
    return type_range(survey.spec.dtype) if over == "type" else value_range(survey)

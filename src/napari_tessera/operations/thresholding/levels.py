"""Thresholds applied to pixels: in the image's own numbers, so that no comparison is rounded."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def above(image: NDArray[Any], level: float) -> NDArray[np.bool_]:
    """Return where `image` is greater than `level`, exactly, whatever the dtype of the image.

    Parameters
    ----------
    image
        Array of any shape; integer or real.
    level
        Any finite number; it need not fit into the dtype of the image.
    """
    return np.asarray(image > rounded_down(level, image.dtype))


def classify(image: NDArray[Any], levels: Iterable[float]) -> NDArray[np.uint8]:
    """Return how many of up to 255 `levels` each pixel exceeds, uint8 in the shape of the image."""
    classes = np.zeros(image.shape, np.uint8)
    for level in levels:
        classes += above(image, level).view(np.uint8)
    return classes


def rounded_down(level: float, dtype: np.dtype[Any]) -> Any:
    """Return the highest number of `dtype` that is not greater than `level`; pixels exceed one where they do the other.

    For integers it is an integer, which may lie outside the range of the dtype.
    """
    if dtype.kind in "biu":
        return math.floor(level)
    with np.errstate(over="ignore"):
        near = dtype.type(level)
    # As float: numpy would round `level` to the dtype before it compares.
    return near if float(near) <= level else np.nextafter(near, dtype.type(-np.inf))

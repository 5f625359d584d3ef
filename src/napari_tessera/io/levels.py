"""Smaller copies of a large image, so that a viewer need not read all of it to show all of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.image import ImageSpec
from napari_tessera.core.regions import Region

LARGE = 4096
"""Longest edge in pixels of an image that gets no smaller copies."""

SMALL = 1024
"""Longest edge of the smallest copy, at most."""


def plan_levels(full: ImageSpec) -> tuple[ImageSpec, ...]:
    """Return the specification of every level, the full one first, each half as long along y and x as the one before.

    A mean lies between the pixels that it is of, so the first pixel of a level lies half a step further in; a pixel
    that is picked stays where it is.
    """
    levels = [full]
    if _longest(full) > LARGE:
        while _longest(levels[-1]) > SMALL:
            levels.append(_half(levels[-1]))
    return tuple(levels)


def is_averaged(spec: ImageSpec) -> bool:
    """Whether levels are means, as fits intensities and probabilities; otherwise every second pixel is picked.

    Integers without channels may be labels, between which there is no mean.
    """
    return spec.dtype.kind == "f" or ("c" in spec.axes and spec.dtype.kind in "iu" and spec.dtype.itemsize <= 4)


def factors_of(spec: ImageSpec) -> tuple[int, ...]:
    """Return by how much the level below is shorter along each dimension."""
    return tuple(2 if axis in "yx" and length > 1 else 1 for axis, length in zip(spec.axes, spec.shape, strict=True))


def region_above(region: Region, factors: Sequence[int], shape: Sequence[int]) -> Region:
    """Return which region of the level above, of `shape`, the `region` of a level is made from."""
    return tuple(
        slice(part.start * factor, min(part.stop * factor, length))
        for part, factor, length in zip(region, factors, shape, strict=True)
    )


def shrink(pixels: NDArray[Any], factors: Sequence[int], *, averaged: bool) -> NDArray[Any]:
    """Return `pixels` with every dimension shorter by its factor, rounded up; the dtype stays."""
    if not averaged:
        return pixels[tuple(slice(None, None, factor) for factor in factors)]
    means = pixels.astype(np.float64)
    for axis, factor in enumerate(factors):
        if factor > 1:
            starts = np.arange(0, means.shape[axis], factor)
            counts = np.diff([*starts, means.shape[axis]])  # the last one may be of a single pixel
            shape = [-1 if at == axis else 1 for at in range(means.ndim)]
            means = np.add.reduceat(means, starts, axis=axis) / counts.reshape(shape)
    return (np.rint(means) if pixels.dtype.kind in "iu" else means).astype(pixels.dtype)


def _longest(spec: ImageSpec) -> int:
    return max(spec.sizes["y"], spec.sizes["x"])


def _half(spec: ImageSpec) -> ImageSpec:
    factors = factors_of(spec)
    shape = [-(-length // factor) for length, factor in zip(spec.shape, factors, strict=True)]
    return spec.scaled(factors, shape, centred=is_averaged(spec))

"""Bringing intensities to a common range by statistics of the whole image, so that no tile has a range of its own."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.config.training import IntensityConfig
from napari_tessera.core.axes import move_axes
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSource
from napari_tessera.core.regions import Region
from napari_tessera.core.tiles import TileGrid
from napari_tessera.operations.wide_integers import beyond_floats
from napari_tessera.pipeline.running.spreading import spread_blocks

SAMPLE_PIXELS = 16_000_000
"""Images with more pixels per channel are sampled in blocks spread evenly over them."""

BLOCK = 256

_SCANNED = 2048
"""Edge of the blocks in which the whole of an image is looked at."""


_MOST_INTENSITY = 1e30
"""Beyond this are values that stand for "no data" (as −3.4e38), and no intensities."""

_MOST_SCALED = 1e12
"""Pixels so many times as bright as the range of the image would drown all others in a network's sums."""

_NO_INTENSITIES = "NaN or infinite pixels, or 'no data' values far beyond all intensities"


class ConstantImageError(InvalidInputError):
    """The image has one intensity per channel: there is nothing to see in it."""


@dataclass(frozen=True)
class IntensityRange:
    """The intensities that become 0 and 1, one pair per channel.

    Attributes
    ----------
    low, high
        In the units of the image.
    empty
        Channels with one intensity only; they become 0 everywhere.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    empty: tuple[int, ...] = ()

    def apply(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return `pixels` of shape (c, …), any real dtype, scaled so that low is 0 and high is 1, as float32.

        Raises
        ------
        InvalidInputError
            If a pixel is NaN or infinite.
        """
        exact = _exact(pixels)
        shape = (-1, *[1] * (pixels.ndim - 1))
        low = np.asarray(self.low, dtype=exact.dtype).reshape(shape)
        factor = (1 / np.subtract(self.high, self.low)).astype(exact.dtype).reshape(shape)
        scaled: NDArray[np.float32] = ((exact - low) * factor).astype(np.float32)
        # no comparison holds for NaN
        if scaled.size and not (scaled.min() > -_MOST_SCALED and scaled.max() < _MOST_SCALED):
            raise InvalidInputError(f"The image holds {_NO_INTENSITIES}: replace them, for example by 0, first.")
        return scaled


def fit_intensity(image: ImageSource, config: IntensityConfig) -> IntensityRange:
    """Find the intensity range of each channel of `image`.

    The percentiles are those of the whole image (all planes and time points); of images beyond `SAMPLE_PIXELS`, those
    of blocks spread evenly over it, the same ones each time.

    Raises
    ------
    InvalidInputError
        If the image is empty, complex, or has NaN or infinite pixels.
    ConstantImageError
        If it is constant in every channel, which is an InvalidInputError too.
    """
    if 0 in image.shape:
        raise InvalidInputError(f"The image {image.name!r} is empty (shape {image.shape}): choose another.")
    if image.dtype.kind not in "buif":
        raise InvalidInputError(
            f"The image {image.name!r} has pixels of type {image.dtype}: convert them to real numbers."
        )
    sample = np.concatenate([_channels_first(image, region) for region in _sample_regions(image.spec.sizes)], axis=1)
    _require_finite(sample, image)
    if beyond_floats(sample):
        raise InvalidInputError(
            f"The image {image.name!r} holds integers beyond 2^53, which a network cannot tell apart: bring them into "
            "a smaller range first, with the operation 'rescale'."
        )
    low, high = np.percentile(_exact(sample), [config.low_percentile, config.high_percentile], axis=1)
    flat = high <= low
    if flat.any():  # few bright pixels on a constant ground: fall back to the extremes
        low = np.where(flat, sample.min(axis=1), low)
        high = np.where(flat, sample.max(axis=1), high)
    if (high <= low).all():  # what is rare may lie between the blocks of the sample
        low, high = _extremes(image)
    constant = high <= low
    if constant.all():
        raise ConstantImageError(
            f"The image {image.name!r} has the same intensity everywhere: choose an image with something in it."
        )
    if max(np.abs(low).max(), np.abs(high).max()) > _MOST_INTENSITY:
        raise InvalidInputError(
            f"The image {image.name!r} holds {_NO_INTENSITIES}: replace them, for example by 0, first."
        )
    high = np.where(constant, low + 1, high)
    return IntensityRange(tuple(low.tolist()), tuple(high.tolist()), tuple(np.flatnonzero(constant).tolist()))


def _extremes(image: ImageSource) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the lowest and the highest intensity of each channel of the whole image, as floats."""
    block = tuple(n if axis == "c" else min(n, _SCANNED if axis in "yx" else 1) for axis, n in image.spec.sizes.items())
    lows, highs = [], []
    for tile in TileGrid(image.shape, block):
        pixels = _exact(_channels_first(image, tile.inner))
        _require_finite(pixels, image)
        lows.append(pixels.min(axis=1))
        highs.append(pixels.max(axis=1))
    return np.min(lows, axis=0), np.max(highs, axis=0)


def _require_finite(pixels: NDArray[Any], image: ImageSource) -> None:
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise InvalidInputError(
            f"The image {image.name!r} holds NaN or infinite pixels: replace them, for example by 0, first."
        )


def _exact(pixels: NDArray[Any]) -> NDArray[np.floating[Any]]:
    """Return `pixels` as the float type in which neighbouring values of their dtype stay apart."""
    narrow = pixels.dtype.itemsize < 4 or pixels.dtype == np.float32
    return pixels.astype(np.float32 if narrow else np.float64)


def _channels_first(image: ImageSource, region: Region) -> NDArray[Any]:
    """Read `region` as an array of shape (c, pixels)."""
    others = image.axes.replace("c", "")
    pixels = move_axes(image.read(region), image.axes, "c" + others)
    return pixels.reshape(pixels.shape[0], -1)


def _sample_regions(sizes: Mapping[str, int]) -> list[Region]:
    """Return blocks of about `SAMPLE_PIXELS` in all, spread evenly over the image; one whole region if it is small."""
    whole = {axis: slice(0, length) for axis, length in sizes.items()}
    lengths = {axis: length for axis, length in sizes.items() if axis != "c"}
    if math.prod(lengths.values()) <= SAMPLE_PIXELS:
        return [tuple(whole.values())]
    pixels = math.prod(min(length, BLOCK) for axis, length in lengths.items() if axis in "yx")
    blocks = spread_blocks(lengths, BLOCK, SAMPLE_PIXELS // pixels)
    return [tuple({**whole, **block}.values()) for block in blocks]

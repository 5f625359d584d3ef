"""Smoothing and edge strength that do not depend on how much of the image is looked at.

Both are direct sums over a few pixels round each one, always in the same order: computed in a window with its halo,
each pixel is the same to the last bit as in the whole image. Beyond the borders of the image the last pixel goes on.
Pixels that are NaN or infinite become NaN, and those round them are weighted without them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST = 0.3
"""Sigma, in pixels of an axis, below which a derivative is the plain difference of the two neighbours."""


def radius_of(sigma: float) -> int:
    """Return how many pixels to each side belong to a Gaussian."""
    return int(4 * sigma + 0.5)


def edge_radius_of(sigma: float) -> int:
    """Return how many pixels to each side `edge_strength` looks at."""
    # Twice: what is missing is filled from its neighbours first.
    return 2 * max(radius_of(sigma), 1)


def smooth(image: NDArray[Any], sigmas: Sequence[float]) -> NDArray[Any]:
    """Smooth an image with a Gaussian.

    Parameters
    ----------
    image
        float32 or float64, any number of axes.
    sigmas
        In pixels, one per axis; 0 for none.

    Returns
    -------
    Like `image`, which stays as it is.
    """
    finite = np.isfinite(image)
    if finite.all():
        return _blur(image, sigmas)
    # Where all is finite, the weights have the very sum that they have in the middle of ones: no division then.
    known = _blur(finite.astype(np.float64), sigmas)
    whole = _blur(np.ones([1] * image.ndim), sigmas).item()
    blurred = _blur(np.where(finite, image, 0), sigmas)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(finite, np.where(known == whole, blurred, blurred / known), np.nan).astype(image.dtype)


def edge_strength(image: NDArray[Any], sigmas: Sequence[float], sides: Sequence[float]) -> NDArray[Any]:
    """Return the length of the gradient, from derivatives of a Gaussian.

    Parameters
    ----------
    image
        float32 or float64, any number of axes.
    sigmas
        In pixels, one per axis.
    sides
        Sides of a pixel: the result is in grey levels per unit of them.

    Returns
    -------
    Like `image`.
    """
    finite = np.isfinite(image)
    full = image
    if not finite.all():
        filled = _blur(np.where(finite, image, 0), sigmas) / np.maximum(
            _blur(finite.astype(np.float64), sigmas), 1e-300
        )
        full = np.where(finite, image, filled.astype(image.dtype))
    squares = np.zeros(image.shape, image.dtype)
    for along, side in enumerate(sides):
        part = full
        for axis, sigma in enumerate(sigmas):
            if image.shape[axis] > 1:
                part = _correlate(part, _derivative(sigma) if axis == along else _gaussian(sigma), axis)
        if image.shape[along] > 1:
            squares += (part / side) ** 2
    return np.where(finite, np.sqrt(squares), np.nan).astype(image.dtype)


def _gaussian(sigma: float) -> NDArray[np.float64]:
    at = np.arange(-radius_of(sigma), radius_of(sigma) + 1)
    weights = np.exp(-0.5 * (at / max(sigma, 1e-6)) ** 2)
    return np.asarray(weights / weights.sum(), np.float64)


def _derivative(sigma: float) -> NDArray[np.float64]:
    """Return the derivative of a Gaussian, which is 1 on a ramp that rises by 1 per pixel."""
    radius = max(radius_of(sigma), 1)
    at = np.arange(-radius, radius + 1)
    weights = at * np.exp(-0.5 * (at / max(sigma, SMALLEST)) ** 2)
    return np.asarray(weights / (weights * at).sum(), np.float64)


def _blur(image: NDArray[Any], sigmas: Sequence[float]) -> NDArray[Any]:
    for axis, sigma in enumerate(sigmas):
        if sigma > 0:
            image = _correlate(image, _gaussian(sigma), axis)
    return image


def _correlate(image: NDArray[Any], weights: NDArray[np.float64], axis: int) -> NDArray[Any]:
    from scipy import ndimage

    return np.asarray(ndimage.correlate1d(image, weights, axis, output=image.dtype, mode="nearest"))

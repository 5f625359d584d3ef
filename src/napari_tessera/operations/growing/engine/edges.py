"""Smoothing and edge strength that do not depend on how much of the image is looked at.

Both are direct sums over a few pixels round each one, always in the same order: computed in a window with its halo,
each pixel is the same to the last bit as in the whole image. Beyond the borders of the image the last pixel goes on.
Pixels that are NaN or infinite become NaN, and those round them are weighted without them.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST = 0.3
"""Sigma, in pixels of an axis, below which a derivative is the plain difference of the two neighbours."""

BESIDE_RIDGE = 2.0
"""How far from the ridge of an edge a region may end, beside the sigma of the edge strengths."""


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


def noise_left(sides: Sequence[float], sigma: float) -> float:
    """Return what smoothing leaves of the standard deviation of white noise, as a part of it.

    Parameters
    ----------
    sides
        Of a pixel, one per axis.
    sigma
        In the unit of `sides`.
    """
    return math.sqrt(math.prod(float((_gaussian(sigma / side) ** 2).sum()) for side in sides)) if sigma else 1.0


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


def ridge_rounds(steps: NDArray[np.int64], sides: Sequence[float], sigma: float) -> NDArray[np.int64]:
    """Return in how many rounds of `to_the_ridge` each step may be taken.

    Parameters
    ----------
    steps
        Shape (neighbours, ndim).
    sides
        Of a pixel, as multiples of the smallest.
    sigma
        Of the edge strengths, in those units.
    """
    lengths = np.sqrt(((steps * np.asarray(sides)) ** 2).sum(axis=1))
    return np.asarray(np.maximum(((BESIDE_RIDGE + sigma) / lengths + 1e-6).astype(np.int64), 1))


def to_the_ridge(
    mask: NDArray[np.bool_],
    strengths: NDArray[Any],
    steps: NDArray[np.int64],
    rounds: NDArray[np.int64],
    blocked: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Let a region that was stopped by edges advance uphill to where they are strongest.

    An edge is strong on both its flanks, so that the region has ended before it. In each round, all pixels join that
    lie beside the region and are stronger than their neighbour in it.

    Parameters
    ----------
    mask
        Bool: the region, in a box that reaches as many pixels beyond it as there are rounds, or to the image's border.
    strengths
        Shape of the mask, float32 or float64: edge strengths; what is NaN does not join.
    steps
        Shape (neighbours, ndim): to the neighbours of a pixel.
    rounds
        Shape (neighbours,): see `ridge_rounds`.
    blocked
        Bool, shape of the mask: what may not be entered.

    Returns
    -------
    Bool, shape of the mask.
    """
    from napari_tessera.operations.growing.engine.ridge_kernels import climb

    padded = np.pad(mask, 1)
    inside = (slice(1, -1),) * mask.ndim
    inner = mask.copy()
    for step in steps.tolist():
        inner &= padded[tuple(slice(1 + by, 1 + by + n) for by, n in zip(step, mask.shape, strict=True))]
    border = np.flatnonzero(np.pad(mask & ~inner, 1))
    closed = np.pad(np.zeros(mask.shape, np.uint8) if blocked is None else blocked.view(np.uint8), 1, constant_values=1)
    strides = np.array([math.prod(padded.shape[axis + 1 :]) for axis in range(padded.ndim)], np.int64)
    queue = np.empty(padded.size, np.int32)  # long enough for whatever joins; memory that is not used costs nothing
    queue[: len(border)] = border
    stamps = padded.astype(np.int32)
    levels = np.pad(strengths, 1)
    climb(levels.reshape(-1), closed.reshape(-1), 1, stamps.reshape(-1), queue, len(border), 1, steps @ strides, rounds)
    return np.asarray(stamps[inside] != 0)


def _gaussian(sigma: float) -> NDArray[np.float64]:
    """Return the weights of a Gaussian with a sigma in pixels; their sum is 1."""
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

"""Point spread functions: checked, made from a formula, or turned into transfer functions.

A PSF is a small array of non-negative weights. Its sum is made 1, so that restoring keeps brightness, and its centre of
mass is put at the origin, so that restoring moves nothing.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.fft import fft, fftfreq, rfft, rfftfreq

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.fourier.checking import Spectrum, as_real, require_positive

_SNAP = 1e-3
"""Centres of mass this close to a pixel's centre, in pixels, are taken to lie there."""


def checked_psf(psf: NDArray[Any], shape: Sequence[int] | None = None) -> NDArray[np.float64]:
    """Return `psf` with sum 1, without margins of zeros.

    Parameters
    ----------
    psf
        Weights, real, not negative, shape (..., y, x).
    shape
        Of the image to restore, if there is one.

    Returns
    -------
    ndarray
        float64.

    Raises
    ------
    InvalidInputError
        If it is complex, empty, not finite, negative somewhere, sums to zero, has another number of dimensions than
        the image or is larger.
    """
    weights = as_real(psf, "PSF").astype(np.float64)
    if weights.min() < 0:
        raise InvalidInputError("The PSF has negative values: subtract its background and clip it at 0.")
    total = weights.sum()
    if total == 0:
        raise InvalidInputError("The PSF sums to zero: give one that holds a bright spot.")
    weights = _trimmed(weights / total)
    if shape is not None:
        if len(shape) not in {2, 3}:
            raise InvalidInputError(f"An image of {len(shape)} dimensions cannot be restored: pass planes or volumes.")
        if weights.ndim != len(shape):
            raise InvalidInputError(
                f"The PSF has {weights.ndim} dimensions and the image {len(shape)}: give a PSF of as many."
            )
        if any(k > n for k, n in zip(weights.shape, shape, strict=True)):
            raise InvalidInputError(
                f"The PSF of shape {weights.shape} is larger than the image of shape {tuple(shape)}: crop it."
            )
    return weights


def _trimmed(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    busy = [np.flatnonzero(weights.any(axis=tuple(i for i in range(weights.ndim) if i != axis)))
            for axis in range(weights.ndim)]  # fmt: skip
    return weights[tuple(slice(at[0], at[-1] + 1) for at in busy)]


def centre_of(psf: NDArray[Any]) -> tuple[float, ...]:
    """Return the centre of mass in pixels; at a whole number if it is as good as there."""
    centre = []
    for axis, n in enumerate(psf.shape):
        profile = psf.sum(axis=tuple(i for i in range(psf.ndim) if i != axis), dtype=np.float64)
        position = float((profile * np.arange(n)).sum() / profile.sum())
        centre.append(float(round(position)) if abs(position - round(position)) < _SNAP else position)
    return tuple(centre)


def transfer_function(psf: NDArray[np.float64], shape: Sequence[int], dtype: DTypeLike) -> Spectrum:
    """Return the real Fourier transform of `psf` on a grid of `shape`, its centre of mass at the origin.

    Parameters
    ----------
    psf
        As `checked_psf` gives it, no larger than `shape`.
    shape
        Of the (padded) image.
    dtype
        float32 or float64: the precision of the result, which is complex.

    Returns
    -------
    ndarray
        Shape (..., shape[-1] // 2 + 1); 1 at zero frequency.
    """
    real = np.dtype(dtype)
    centre = centre_of(psf)
    # Axis by axis, each padded when its turn comes: no time is spent on the lines of zeros.
    transformed: Spectrum = rfft(psf.astype(real), n=shape[-1], axis=-1)
    transformed *= _shift(rfftfreq(shape[-1]), centre[-1], transformed.dtype)
    for axis in reversed(range(psf.ndim - 1)):
        whole, fraction = int(np.floor(centre[axis])), centre[axis] % 1
        rolled = np.zeros((*transformed.shape[:axis], shape[axis], *transformed.shape[axis + 1 :]), transformed.dtype)
        before = (slice(None),) * axis
        rolled[(*before, slice(0, psf.shape[axis] - whole))] = transformed[(*before, slice(whole, None))]
        if whole:
            rolled[(*before, slice(-whole, None))] = transformed[(*before, slice(0, whole))]
        transformed = fft(rolled, axis=axis, overwrite_x=True)
        if fraction:
            ramp = _shift(fftfreq(shape[axis]), fraction, transformed.dtype)
            transformed *= ramp.reshape([-1 if i == axis else 1 for i in range(psf.ndim)])
    return transformed


def _shift(frequencies: NDArray[np.float64], pixels: float, dtype: DTypeLike) -> Spectrum:
    shift: Spectrum = np.exp(2j * np.pi * frequencies * pixels).astype(dtype)
    return shift


def half_width(psf: NDArray[Any]) -> tuple[int, ...]:
    """Return how far, in whole pixels, the PSF reaches from its centre of mass along each axis."""
    return tuple(int(np.ceil(max(centre, n - 1 - centre))) for n, centre in zip(psf.shape, centre_of(psf), strict=True))


def gaussian_psf(
    sigma: float | Sequence[float], ndim: int = 2, shape: Sequence[int] | None = None
) -> NDArray[np.float64]:
    """Return a sampled Gaussian.

    Parameters
    ----------
    sigma
        Standard deviation in pixels, one for all axes or one per axis (in the order of the axes), above 0.
    ndim
        Number of dimensions, if `sigma` is a single number.
    shape
        Of the image, if there is one: the Gaussian is cut off at four standard deviations, or where it would be larger.

    Returns
    -------
    ndarray
        float64, sum 1, odd lengths.

    Raises
    ------
    InvalidInputError
        For a standard deviation that is not positive.
    """
    sigmas = [float(sigma)] * ndim if isinstance(sigma, int | float) else [float(s) for s in sigma]
    psf = np.ones((1,) * len(sigmas))
    for axis, width in enumerate(sigmas):
        require_positive(width, "The standard deviation of the PSF")
        reach = int(np.ceil(4 * width))
        if shape is not None:
            reach = min(reach, (shape[axis] - 1) // 2)
        profile = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
        psf = psf * profile.reshape([-1 if i == axis else 1 for i in range(len(sigmas))])
    return np.asarray(psf / psf.sum())


def motion_psf(length: float, angle: float, ndim: int = 2) -> NDArray[np.float64]:
    """Return the blur of a straight motion at constant speed in the plane of the last two axes.

    Parameters
    ----------
    length
        Path in pixels, above 0. A path of 1 or less hardly blurs.
    angle
        Degrees from the x axis, counter-clockwise as seen on screen, where y points down.
    ndim
        Number of dimensions; those before y and x have length 1.

    Returns
    -------
    ndarray
        float64, sum 1, odd lengths, symmetric about its centre.

    Raises
    ------
    InvalidInputError
        For a length that is not positive, an angle that is not finite or fewer than two dimensions.
    """
    require_positive(length, "The length of the motion")
    if ndim < 2 or not np.isfinite(angle):
        raise InvalidInputError(f"Motion at {angle} degrees in {ndim} dimensions: give a finite angle and a plane.")
    samples = max(64, int(np.ceil(length * 32)))
    along = (np.arange(samples) + 0.5) / samples - 0.5
    y, x = -along * length * np.sin(np.deg2rad(angle)), along * length * np.cos(np.deg2rad(angle))
    reach_y, reach_x = (int(np.ceil(np.abs(place).max() - 1e-6)) for place in (y, x))
    psf = np.zeros((2 * reach_y + 1, 2 * reach_x + 1))
    # Each point of the path is shared among the pixels around it.
    for dy in range(-reach_y, reach_y + 1):
        for dx in range(-reach_x, reach_x + 1):
            share = np.maximum(1 - np.abs(y - dy), 0) * np.maximum(1 - np.abs(x - dx), 0)
            psf[dy + reach_y, dx + reach_x] = share.sum()
    psf = psf + psf[::-1, ::-1]
    return np.asarray(psf / psf.sum()).reshape((1,) * (ndim - 2) + psf.shape)

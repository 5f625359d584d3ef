"""Wiener filtering that finds its own regularisation."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.fourier import padding
from napari_tessera.operations.fourier.checking import Spectrum, require_structure
from napari_tessera.operations.restoration import penalty_kernels
from napari_tessera.operations.restoration.blurred import Blurred
from napari_tessera.operations.restoration.deconvolution import column_weights, laplacian_penalty

_TOLERANCE = 1e-3
"""Relative change of the regularisation at which the search ends; the image no longer changes visibly."""


def unsupervised_wiener(image: NDArray[Any], psf: NDArray[Any], max_iterations: int = 200) -> NDArray[Any]:
    """Constrained least squares (Wiener-Hunt) with the most likely noise power and smoothness.

    The model is that of F. Orieux, J.-F. Giovannelli, T. Rodet, "Bayesian estimation of regularization and point spread
    function parameters for Wiener-Hunt deconvolution", J. Opt. Soc. Am. A 27, 1593-1607 (2010): white noise of
    precision γₙ, and an image whose Laplacian is white with precision γₓ. They draw samples; here expectation
    maximisation goes to the top of the likelihood, from which samples hardly stray in an image of usual size. So
    there is no chance in the result.

    Parameters
    ----------
    image
        Shape (..., y, x), real, finite.
    psf
        See `psf.checked_psf`.
    max_iterations
        Steps at most; most images need 5 to 50.

    Returns
    -------
    ndarray
        Shape of `image`; float64 for float64 and integers of 32 bits or more, else float32.

    Raises
    ------
    InvalidInputError
        If the image is constant, or it or the PSF cannot be used.
    """
    if max_iterations < 1:
        raise InvalidInputError(f"max_iterations is {max_iterations}: use 1 or more.")
    blurred = Blurred.of(image, psf)
    require_structure(blurred.image, "noise and smoothness cannot be estimated")
    found = blurred.transformed()
    h = found.transfer()
    penalty = laplacian_penalty(found.shape, blurred.image.dtype)
    gamma = _most_likely_gamma(found.spectrum, h, penalty, found.shape, max_iterations)
    return found.regularised(penalty.scaled(gamma), h)


def _most_likely_gamma(
    spectrum: Spectrum, h: Spectrum, penalty: penalty_kernels.Penalty, shape: padding.Shape, max_iterations: int
) -> float:
    """Return γₓ / γₙ by expectation maximisation."""
    size = int(np.prod(shape))
    weights = column_weights(shape)
    power = penalty_kernels.squared_modulus(spectrum)
    power[(0,) * power.ndim] = 0
    # to a mean of 1, so that neither precision leaves the range of float32
    power *= size / max(float((power.sum(axis=tuple(range(power.ndim - 1)), dtype=np.float64) * weights).sum()), 1e-300)
    passed = penalty_kernels.squared_modulus(h)
    noise, prior = 1.0, 1.0
    for _ in range(max_iterations):
        misfit, roughness = penalty_kernels.expected_sums(power, passed, penalty, noise, prior, weights)
        before = prior / noise
        noise, prior = size / max(misfit, 1e-12 * size), (size - 1) / max(roughness, 1e-12 * size)
        if abs(prior / noise - before) <= _TOLERANCE * before:
            break
    return prior / noise

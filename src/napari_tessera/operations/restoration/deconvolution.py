"""Linear restoration of an image blurred by a known point spread function (PSF).

With G and H the transforms of the image and the PSF, and F̂ that of the result; see Gonzalez & Woods, Digital Image
Processing, 4th ed., sections 5.7 to 5.9. Before the transform the image is extended beyond its borders
(`borders.extended_spectrum`), so that nothing wraps around. The zero frequency is left as it is in all of them: the PSF
does not change the mean, so neither does restoring.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.operations.fourier import padding, transfer
from napari_tessera.operations.fourier.checking import require_positive, require_structure
from napari_tessera.operations.restoration import noise, penalty_kernels
from napari_tessera.operations.restoration.blurred import Blurred, Transformed


def inverse_filter(
    image: NDArray[Any], psf: NDArray[Any], cutoff: float = 0.2, order: int = 10, least: float = 1e-3
) -> NDArray[Any]:
    """Divide by the PSF's transform up to a cut-off: F̂ = G B / H, with B a Butterworth low-pass.

    Parameters
    ----------
    image
        Shape (..., y, x), real, finite.
    psf
        See `psf.checked_psf`.
    cutoff
        In cycles per pixel, above 0; noise takes over where it is chosen too high. 0.71 and more cut off nothing.
    order
        Of the Butterworth low-pass.
    least
        Frequencies of which the PSF lets less than this pass are left out: nothing of them is in the image.

    Returns
    -------
    ndarray
        Shape of `image`; float64 for float64 and integers of 32 bits or more, else float32.

    Raises
    ------
    InvalidInputError
        If the image or the PSF cannot be used, or a number is out of range.
    """
    require_positive(least, "The least transfer")
    found = Blurred.of(image, psf).transformed()
    h = found.transfer()
    frequencies = transfer.rfft_frequencies(found.shape, found.blurred.image.dtype)
    for rows in padding.blocks(len(h), h[0].nbytes, 1 << 18):
        radius2 = transfer.squared_radius((frequencies[0][rows], *frequencies[1:]))
        gain = np.zeros_like(h[rows])
        through = transfer.low_pass(radius2, cutoff, "butterworth", order)
        np.divide(through, h[rows], out=gain, where=np.abs(h[rows]) >= least)
        found.spectrum[rows] *= gain
    return found.image()


def wiener(image: NDArray[Any], psf: NDArray[Any], noise_to_signal: float | None = None) -> NDArray[Any]:
    """Wiener filter: F̂ = G H* / (|H|² + K).

    Parameters
    ----------
    image
        Shape (..., y, x), real, finite.
    psf
        See `psf.checked_psf`.
    noise_to_signal
        K, the power of the noise over that of the image, above 0, for all frequencies: smaller is sharper and noisier.
        None estimates the noise (`noise.noise_variance`) and takes for the image the variance that is left, spread
        over the frequencies as in natural images, by 1 / f^dimensions: K grows with the frequency.

    Returns
    -------
    ndarray
        Shape of `image`; float64 for float64 and integers of 32 bits or more, else float32.

    Raises
    ------
    InvalidInputError
        If the image or the PSF cannot be used, K is not positive, or the image is constant and K is not given.
    """
    blurred = Blurred.of(image, psf)
    real = blurred.image
    ratio = noise.noise_to_signal(real) if noise_to_signal is None else noise_to_signal
    require_positive(ratio, "The noise-to-signal ratio")
    found = blurred.transformed()
    squares = [f**2 for f in transfer.rfft_frequencies(found.shape)]
    penalty = penalty_kernels.penalty_of(squares, real.ndim / 2, real.dtype)
    if noise_to_signal is None:
        penalty = penalty.scaled(ratio * mean_inverse_power(found.shape))
    else:
        penalty = replace(penalty, constant=ratio)
    return found.regularised(penalty)


def mean_inverse_power(shape: padding.Shape) -> float:
    """Return the mean of 1 / f^dimensions over all frequencies but zero, f in cycles per pixel."""
    frequencies = transfer.rfft_frequencies(shape, np.float32)
    columns = np.zeros(shape[-1] // 2 + 1)
    for row in range(shape[0]):
        radius2 = transfer.squared_radius((frequencies[0][row : row + 1], *frequencies[1:]))
        if row == 0:
            radius2[(0,) * radius2.ndim] = np.inf
        inverse = 1 / radius2 if len(shape) == 2 else radius2 ** (-len(shape) / 2)
        columns += inverse.sum(axis=tuple(range(inverse.ndim - 1)), dtype=np.float64)
    return float((columns * column_weights(shape)).sum() / np.prod(shape))


def constrained_least_squares(image: NDArray[Any], psf: NDArray[Any], gamma: float | None = None) -> NDArray[Any]:
    """Constrained least squares: F̂ = G H* / (|H|² + γ |P|²), with P the transform of the Laplacian.

    Parameters
    ----------
    image
        Shape (..., y, x), real, finite.
    psf
        See `psf.checked_psf`.
    gamma
        γ, above 0: larger is smoother. None takes the one for which what the result does not explain has the power of
        the noise (discrepancy principle), the noise being estimated by `noise.noise_variance`.

    Returns
    -------
    ndarray
        Shape of `image`; float64 for float64 and integers of 32 bits or more, else float32.

    Raises
    ------
    InvalidInputError
        If the image or the PSF cannot be used, γ is not positive, or the image is constant and γ is not given.
    """
    blurred = Blurred.of(image, psf)
    if gamma is not None:
        require_positive(gamma, "gamma")
    else:
        require_structure(blurred.image, "gamma cannot be found")
    found = blurred.transformed()
    penalty = laplacian_penalty(found.shape, blurred.image.dtype)
    if gamma is None:
        gamma = _gamma_by_discrepancy(found, penalty, noise.noise_variance(blurred.image))
    return found.regularised(penalty.scaled(gamma))


def laplacian_penalty(shape: padding.Shape, dtype: np.dtype[Any]) -> penalty_kernels.Penalty:
    """Return |P|² for the kernel 0 −1 0, −1 4 −1, 0 −1 0 and its like in other dimensions; P = Σ 2 − 2 cos 2πf."""
    frequencies = transfer.rfft_frequencies(shape)
    return penalty_kernels.penalty_of([2 - 2 * np.cos(2 * np.pi * f) for f in frequencies], 2, dtype).scaled(1)


def column_weights(shape: padding.Shape) -> NDArray[np.float64]:
    """Return how many frequencies each column of a real transform stands for: two but for the first and the last."""
    weights = np.full(shape[-1] // 2 + 1, 2.0)
    weights[0] = 1
    if shape[-1] % 2 == 0:
        weights[-1] = 1
    return weights


def _gamma_by_discrepancy(found: Transformed, penalty: penalty_kernels.Penalty, variance: float) -> float:
    """Return γ for which ‖g − h ∗ f̂‖² is the number of pixels times the noise `variance`."""
    from scipy.optimize import brentq

    power = penalty_kernels.squared_modulus(found.spectrum)
    passed = penalty_kernels.squared_modulus(found.transfer())
    weights = column_weights(found.shape)
    target = variance * float(np.prod(found.shape)) ** 2

    def excess(log_gamma: float) -> float:
        left = penalty_kernels.unexplained_power(power, passed, penalty.scaled(float(np.exp(log_gamma))), weights)
        return float(np.log(max(left, 1e-300)) - np.log(max(target, 1e-300)))

    low, high = np.log(1e-9), np.log(1e6)
    if excess(low) >= 0:  # hardly any noise
        return float(np.exp(low))
    if excess(high) <= 0:  # hardly anything but noise
        return float(np.exp(high))
    return float(np.exp(brentq(excess, low, high, xtol=0.02)))

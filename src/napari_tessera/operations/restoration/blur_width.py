"""How wide the blur of an image is, judged from how its spectrum falls."""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftfreq, rfft2, rfftfreq

from napari_tessera.operations.fourier.checking import Real

_BINS = 32
"""Classes of frequency along each axis."""

_USUAL_EXPONENT = 2.2
"""Of the power spectrum of images before they are blurred; van der Schaaf and van Hateren (1996) give 2 ± 0.4."""

_CERTAINTY = 1e-3
"""How much the usual exponent, and a round blur, count: next to nothing, but where the image says nothing either."""


def blur_widths(image: Real) -> tuple[float, float]:
    """Return the standard deviations along y and x, in pixels, of the Gaussian that most likely has blurred an image.

    The power spectrum of images falls as a power of the frequency (A. van der Schaaf, J. H. van Hateren, "Modelling
    the power spectra of natural images", Vision Research 36, 1996), that of blur as a Gaussian, and that of noise not
    at all. The three are fitted to the spectrum by the likelihood of P. Whittle (1953).

    Parameters
    ----------
    image
        Shape (..., y, x), not constant, y and x of at least 32. The blur in the plane of the last two axes is judged,
        from all planes together.

    Returns
    -------
    tuple of float
        Above 0. On blurred photographs mostly within 20 %.
    """
    from scipy.optimize import minimize

    squares, power, count = _classes(image)
    power = power / np.average(power, weights=count)
    log_radius = 0.5 * np.log(squares.sum(axis=0))
    highest = log_radius > np.quantile(log_radius, 0.8)

    def misfit(parameters: NDArray[np.float64]) -> float:
        level, exponent, noise, *log_widths = parameters
        blur = np.exp(2 * np.clip(log_widths, -5, 5)) @ squares
        expected = np.exp(np.clip(level - exponent * log_radius - 4 * np.pi**2 * blur, -60, 60))
        expected += np.exp(np.clip(noise, -60, 60))
        likelihood = np.average(np.log(expected) + power / expected, weights=count)
        unusual = (exponent - _USUAL_EXPONENT) ** 2 + (log_widths[0] - log_widths[1]) ** 2
        return float(likelihood + _CERTAINTY * unusual)

    low = np.argmin(log_radius)
    level = np.log(power[low]) + _USUAL_EXPONENT * log_radius[low]
    floor = np.log(max(power[highest].mean(), 1e-12))
    fits = [
        minimize(
            misfit,
            (level, _USUAL_EXPONENT, floor, np.log(width), np.log(width)),
            method="Nelder-Mead",
            options={"maxiter": 3000, "maxfev": 3000, "adaptive": True},
        )
        for width in (0.7, 1.5, 3.0)
    ]
    widths = np.exp(np.clip(min(fits, key=lambda fit: fit.fun).x[3:], -5, 5))
    return float(widths[0]), float(widths[1])


def _classes(image: Real) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return mean squared frequency (2, n), mean power and number of frequencies of tapered planes, in n classes."""
    shape = image.shape[-2:]
    taper = np.outer(*(np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in shape)).astype(image.dtype)
    power = np.zeros((shape[0], shape[1] // 2 + 1))
    mean = image.mean(dtype=np.float64).astype(image.dtype)
    for plane in image.reshape(-1, *shape):
        power += np.abs(rfft2((plane - mean) * taper)) ** 2
    y, x = np.broadcast_arrays(np.abs(fftfreq(shape[0]))[:, np.newaxis], rfftfreq(shape[1])[np.newaxis])
    known = (np.hypot(y, x) > 4 / min(shape)) & (y < 0.5) & (x < 0.5)  # below, the taper leaks
    y, x, power = y[known], x[known], power[known]
    place = (y * 2 * _BINS).astype(np.intp) * _BINS + (x * 2 * _BINS).astype(np.intp)
    count, *sums = (np.bincount(place, weights, _BINS**2) for weights in (None, y**2, x**2, power))
    some = count > 0
    squares_y, squares_x, total = (part[some] / count[some] for part in sums)
    return np.stack([squares_y, squares_x]), total, count[some].astype(np.float64)

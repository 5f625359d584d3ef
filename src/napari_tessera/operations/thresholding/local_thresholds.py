"""Mean and standard deviation of the window around each pixel, the same wherever a tile lies.

Integers of up to 16 bits have exact running sums. Sums of all others are built by doubling: those of two neighbours,
then of four, then of eight. A pixel's sum so takes the same steps everywhere (a running sum would carry the rounding of
all that came before it), and costs the logarithm of the window.
"""

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Foreground = Literal["bright", "dark"]

ROUNDING = 2.0**-40
"""More than the relative error of a mean over a window."""


def window_mean_std(image: NDArray[Any], window: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and population standard deviation in the window around each pixel.

    Parameters
    ----------
    image
        Array of any number of dimensions; integer or real. Beyond its borders it is mirrored (about the last
        pixel, which is not repeated). Sums over integers of up to 16 bits are exact.
    window
        Odd length of the window along each axis.

    Returns
    -------
    Two float64 arrays in the shape of the image.
    """
    padded = _padded(image, window)
    pixels = float(window**image.ndim)
    mean = _window_sums(padded, window).astype(np.float64)
    variance = _window_sums(padded * padded, window).astype(np.float64)
    # From sums, not from means: nothing is rounded before the one subtraction that may cancel.
    variance -= mean * (mean / pixels)
    mean /= pixels
    variance /= pixels
    return mean, np.sqrt(np.maximum(variance, 0, out=variance), out=variance)


def window_mean(image: NDArray[Any], window: int) -> NDArray[np.float64]:
    """Return the mean in the window around each pixel; see `window_mean_std`."""
    return _window_sums(_padded(image, window), window) / float(window**image.ndim)


def gaussian_mean(image: NDArray[Any], sigma: float) -> NDArray[np.float64]:
    """Return the mean around each pixel weighted by a Gaussian, which ends at four standard deviations."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(image.astype(np.float64), sigma, mode="mirror", truncate=4.0))


def niblack(image: NDArray[Any], window: int, k: float, offset: float, foreground: Foreground) -> NDArray[np.bool_]:
    """Return what differs from the mean around it by more than `k` standard deviations and `offset` grey levels.

    References
    ----------
    W. Niblack, "An Introduction to Digital Image Processing", Prentice-Hall (1986).
    """
    mean, std = window_mean_std(image, window)
    std *= k
    std += offset
    return differs(image, mean, std, foreground)


def differs(
    image: NDArray[Any], mean: NDArray[np.float64], contrast: NDArray[np.float64] | float, foreground: Foreground
) -> NDArray[np.bool_]:
    """Return where pixels are above (bright) or below (dark) their `mean` by more than `contrast`.

    What rounding may have done to the mean is no contrast: flat regions are background.
    """
    contrast = contrast + ROUNDING * np.abs(mean)
    return np.asarray(image > mean + contrast) if foreground == "bright" else np.asarray(image < mean - contrast)


def sauvola(image: NDArray[Any], window: int, k: float, spread: float) -> NDArray[np.bool_]:
    """Return what is at most ``mean · (1 + k · (std / spread − 1))``: dark objects, darker than what lies around them.

    References
    ----------
    J. Sauvola and M. Pietikäinen, "Adaptive document image binarization", Pattern Recognition 33 (2000).
    """
    mean, std = window_mean_std(image, window)
    std /= spread
    std -= 1
    std *= k
    std += 1
    mean *= std
    return np.asarray(image <= mean)


def _padded(image: NDArray[Any], window: int) -> NDArray[Any]:
    whole = image.dtype.kind in "iu" and image.dtype.itemsize <= 2
    return np.pad(image.astype(np.int64 if whole else np.float64), window // 2, mode="reflect")


def _window_sums(padded: NDArray[Any], window: int) -> NDArray[Any]:
    for axis in range(padded.ndim):
        padded = (_whole_sums_along if padded.dtype.kind == "i" else _sums_along)(padded, window, axis)
    return padded


def _whole_sums_along(padded: NDArray[Any], window: int, axis: int) -> NDArray[Any]:
    from napari_tessera.operations.thresholding.window_kernels import running_sums

    shape = padded.shape
    sums = running_sums(padded.reshape(math.prod(shape[:axis]), shape[axis], -1), window)
    return np.asarray(sums.reshape(*shape[:axis], -1, *shape[axis + 1 :]))


def _sums_along(padded: NDArray[Any], window: int, axis: int) -> NDArray[Any]:
    """Return the sums of `window` neighbours along `axis`, ``window - 1`` fewer than there are pixels."""
    length = padded.shape[axis] - window + 1
    sums, covered = padded, 1
    total: NDArray[Any] | None = None
    done = 0
    while True:
        if window & covered:
            part = _from(sums, done, length, axis)
            total = part.copy() if total is None else np.add(total, part, out=total)
            done += covered
        if 2 * covered > window:
            break
        rest = sums.shape[axis] - covered
        sums = _from(sums, 0, rest, axis) + _from(sums, covered, rest, axis)
        covered *= 2
    assert total is not None
    return total


def _from(array: NDArray[Any], start: int, length: int, axis: int) -> NDArray[Any]:
    return array[(slice(None),) * axis + (slice(start, start + length),)]

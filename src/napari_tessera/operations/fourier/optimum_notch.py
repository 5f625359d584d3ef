"""Optimum notch filtering: the interference is subtracted only as strongly as is best around each pixel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.fourier.checking import Real, as_real
from napari_tessera.operations.fourier.notch import interference_of
from napari_tessera.operations.fourier.transfer import Profile


def optimum_notch(
    image: NDArray[Any],
    centres: NDArray[Any],
    radius: float,
    size: int = 31,
    profile: Profile = "gaussian",
    order: int = 2,
) -> NDArray[Any]:
    """Remove interference whose strength changes over the image.

    The notch-pass filter gives the interference η; the result is g − w η with, for each pixel, the weight that makes
    the variance of the result least in the window around it: w = (mean(g η) − mean(g) mean(η)) / (mean(η²) −
    mean(η)²). Source: Gonzalez & Woods, Digital Image Processing, 4th ed., section 5.4.

    Parameters
    ----------
    image, centres, radius, profile, order
        As in `notch.notch_filter`.
    size
        Edge of the window in pixels, odd, at least 3. It should hold a few periods of the interference.

    Returns
    -------
    ndarray
        Shape of `image`; float64 for float64 and integers of 32 bits or more, else float32.
        Where there is no interference the image stays.

    Raises
    ------
    InvalidInputError
        As `notch.notch_filter`; for a size that is even or below 3.
    """
    if size < 3 or size % 2 == 0:
        raise InvalidInputError(f"The window of {size} pixels has no centre or no surroundings: use 3, 5, 7, …")
    real = as_real(image)
    interference = interference_of(real, centres, radius, profile, order)
    weight = local_weight(real, interference, size)
    return np.asarray(real - weight * interference)


def local_weight(image: Real, interference: Real, size: int) -> Real:
    """Return w for each pixel; 0 where the interference does not vary within the window.

    Parameters
    ----------
    image, interference
        Equal shapes and dtypes.
    size
        Edge of the window in pixels, odd; borders are mirrored.
    """
    # Covariances do not depend on the level, and small numbers lose less to rounding.
    image = image - image.mean(dtype=np.float64).astype(image.dtype)
    mean_image, mean_interference = _quick_mean(image, size), _quick_mean(interference, size)
    covariance = _quick_mean(image * interference, size)
    mean_image *= mean_interference
    covariance -= mean_image
    variance = _quick_mean(interference * interference, size)
    floor = variance.max() * 16 * np.finfo(variance.dtype).eps
    variance -= mean_interference * mean_interference
    weight = np.zeros_like(variance)
    np.divide(covariance, variance, out=weight, where=variance > floor)
    return weight


def _quick_mean(image: Real, size: int) -> Real:
    """Return the mean over a cube of `size` pixels around each pixel, borders mirrored, edge pixel repeated.

    By running sums, whose rounding depends on where the image begins: fit for whole frames only.
    """
    if image.ndim == 2:
        import cv2

        return np.asarray(cv2.boxFilter(image, -1, (size, size), borderType=cv2.BORDER_REFLECT))
    from scipy.ndimage import uniform_filter

    return np.asarray(uniform_filter(image, size, mode="reflect"))

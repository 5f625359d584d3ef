"""How strong the noise in an image is, judged from the image alone."""

import numpy as np

from napari_tessera.operations.fourier.checking import Real, require_structure
from napari_tessera.operations.reductions.statistics import check_overflow

_LEAST_RATIO = 1e-6
"""No image is freer of noise than this; a smaller ratio would only amplify rounding errors."""


def noise_variance(image: Real) -> float:
    """Return the variance of white noise in `image`.

    Second differences along the last two axes remove whatever is smooth; what is left is noise, and the median of its
    modulus ignores edges. Sources: J. Immerkær, "Fast noise variance estimation", CVIU 64, 1996 (the mask); D. L.
    Donoho, I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81, 1994 (the median).

    Parameters
    ----------
    image
        Shape (..., y, x) float; axes shorter than 3 are not differentiated.

    Returns
    -------
    float
        In squared units of intensity; 0 if more than half of the image is smooth without any noise.

    Raises
    ------
    InvalidInputError
        If squares of intensities exceed float64.
    """
    residual = image
    power = 1
    for axis in [axis for axis in range(image.ndim) if image.shape[axis] >= 3][-2:]:
        residual = np.diff(residual, n=2, axis=axis)
        power *= 6  # 1 + 4 + 1: the sum of squares of 1 −2 1
    if power == 1:
        return 0.0
    deviation = float(np.median(np.abs(residual))) / 0.6744897501960817
    check_overflow(deviation * deviation)
    return deviation**2 / power


def noise_to_signal(image: Real) -> float:
    """Return the ratio of noise variance to the variance of what is not noise, at least 1e-6.

    Raises
    ------
    InvalidInputError
        If the image is constant.
    """
    require_structure(image, "the noise-to-signal ratio cannot be estimated")
    variance = noise_variance(image)
    signal = float(image.var(dtype=np.float64)) - variance
    return max(variance / max(signal, variance, np.finfo(np.float64).tiny), _LEAST_RATIO)

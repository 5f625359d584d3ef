"""Low-, high-, band-pass and band-reject filters without wrap-around.

These transfer functions do not change when an axis is reversed. For such, filtering the cosine transform of an image
is the same as filtering the Fourier transform of the image mirrored at all its borders (period 2 N per axis), at the
price of the image alone: no padding, and nothing can reach the opposite border (S. A. Martucci, "Symmetric convolution
and the discrete sine and cosine transforms", IEEE Trans. Signal Processing 42, 1994).
"""

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray
from scipy.fft import dctn, idctn

from napari_tessera.operations.fourier import transfer
from napari_tessera.operations.fourier.checking import Real, as_real
from napari_tessera.operations.fourier.transfer import Profile


def filter_radially(
    image: NDArray[Any], gain: Callable[[Real], Real], spacing: Sequence[float] | None = None
) -> NDArray[Any]:
    """Multiply each frequency of `image` by a function of its distance from zero.

    Parameters
    ----------
    image
        Shape (..., y, x), real, finite.
    gain
        Takes D² (cycles per pixel, squared) and gives the transfer function of the same shape.
    spacing
        Size of a pixel per axis; see `transfer.squared_radius`.

    Returns
    -------
    ndarray
        Shape of `image`; float64 for float64, else float32. Borders are mirrored with the edge pixel repeated.

    Raises
    ------
    InvalidInputError
        If the image cannot be transformed.
    """
    real = as_real(image)
    spectrum = dctn(real)
    frequencies = transfer.dct_frequencies(real.shape, real.dtype)
    spectrum *= gain(transfer.squared_radius(frequencies, spacing))
    filtered: NDArray[Any] = idctn(spectrum, overwrite_x=True)
    return filtered


def low_pass(
    image: NDArray[Any],
    cutoff: float,
    profile: Profile = "butterworth",
    order: int = 2,
    spacing: Sequence[float] | None = None,
) -> NDArray[Any]:
    """Keep what varies slowly, and the mean; parameters as in `transfer.low_pass`, borders as in `filter_radially`."""
    return filter_radially(image, lambda d2: transfer.low_pass(d2, cutoff, profile, order), spacing)


def high_pass(
    image: NDArray[Any],
    cutoff: float,
    profile: Profile = "butterworth",
    order: int = 2,
    spacing: Sequence[float] | None = None,
) -> NDArray[Any]:
    """Keep what varies quickly; the mean becomes 0. Parameters as in `low_pass`."""
    return filter_radially(image, lambda d2: transfer.high_pass(d2, cutoff, profile, order), spacing)


def band_pass(
    image: NDArray[Any],
    low: float,
    high: float,
    profile: Profile = "butterworth",
    order: int = 2,
    spacing: Sequence[float] | None = None,
) -> NDArray[Any]:
    """Keep frequencies from `low` to `high`; the mean becomes 0. Parameters as in `transfer.band_reject`."""
    return filter_radially(image, lambda d2: transfer.band_pass(d2, low, high, profile, order), spacing)


def band_reject(
    image: NDArray[Any],
    low: float,
    high: float,
    profile: Profile = "butterworth",
    order: int = 2,
    spacing: Sequence[float] | None = None,
) -> NDArray[Any]:
    """Remove frequencies from `low` to `high`; the mean stays. Parameters as in `transfer.band_reject`."""
    return filter_radially(image, lambda d2: transfer.band_reject(d2, low, high, profile, order), spacing)

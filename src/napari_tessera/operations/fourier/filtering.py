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
        Shape of `image`; float64 for float64 and integers of 32 bits or more, else float32.
        Borders are mirrored with the edge pixel repeated.

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

"""What all linear restorations begin and end with: the checks, the extension, the transforms."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_tessera.operations.fourier import padding
from napari_tessera.operations.fourier.checking import Real, Spectrum, as_real
from napari_tessera.operations.restoration import penalty_kernels
from napari_tessera.operations.restoration.borders import extended_spectrum
from napari_tessera.operations.restoration.psf import checked_psf, transfer_function


@dataclass(frozen=True)
class Blurred:
    """An image and the PSF that blurred it, both fit to be worked with.

    Attributes
    ----------
    image
        Shape (..., y, x); float64 for float64 and integers of 32 bits or more, else float32.
    psf
        See `psf.checked_psf`.
    """

    image: Real
    psf: NDArray[np.float64]

    @classmethod
    def of(cls, image: NDArray[Any], psf: NDArray[Any]) -> Self:
        """Check both.

        Raises
        ------
        InvalidInputError
            If the image or the PSF cannot be used.
        """
        real = as_real(image)
        return cls(real, checked_psf(psf, real.shape))

    def transformed(self) -> "Transformed":
        """Extend the image beyond its borders and transform it."""
        return Transformed(self, *extended_spectrum(self.image, self.psf))


@dataclass(frozen=True)
class Transformed:
    """The spectrum of a blurred image.

    Attributes
    ----------
    blurred
        The image itself.
    spectrum
        Of the extended image; restoring overwrites it.
    shape
        Of the extended image.
    """

    blurred: Blurred
    spectrum: Spectrum
    shape: padding.Shape

    def transfer(self) -> Spectrum:
        """Return H, the transform of the PSF."""
        return transfer_function(self.blurred.psf, self.shape, self.blurred.image.dtype)

    def regularised(self, penalty: penalty_kernels.Penalty, transfer: Spectrum | None = None) -> Real:
        """Return the image of the spectrum times H* / (|H|² + penalty); `transfer` is H where it is at hand."""
        penalty_kernels.regularise(self.spectrum, self.transfer() if transfer is None else transfer, penalty)
        return self.image()

    def image(self) -> Real:
        """Return the image of the spectrum, without the extension."""
        return padding.inverse(self.spectrum, self.shape, self.blurred.image.shape)

"""Richardson-Lucy restoration: for images whose noise is that of counted photons."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.fourier import padding
from napari_tessera.operations.fourier.checking import Real, Spectrum, as_real
from napari_tessera.operations.restoration.psf import checked_psf, half_width, transfer_function

_LEAST_WEIGHT = 1e-3
"""Pixels beyond the border of which the image sees less than this stay empty."""


def do_nothing() -> None:
    """Stand in for a check between iterations."""


def richardson_lucy(
    image: NDArray[Any],
    psf: NDArray[Any],
    iterations: int = 20,
    background: float = 0.0,
    *,
    check: Callable[[], None] = do_nothing,
) -> NDArray[Any]:
    """Restore by the algorithm of Richardson (1972) and Lucy (1974).

    The object is estimated beyond the borders of the image too, as far as the PSF reaches, and each of its pixels is
    weighted by the part of its light that falls into the image (M. Bertero, P. Boccacci, "A simple method for the
    reduction of boundary effects in the Richardson-Lucy approach to image deconvolution", A&A 437, 2005). So nothing
    wraps around, and objects cut by the border stay where they are.

    Parameters
    ----------
    image
        Shape (..., y, x), real, finite. Negative pixels count as 0.
    psf
        See `psf.checked_psf`.
    iterations
        More are sharper and noisier.
    background
        Intensity that the camera shows without light, 0 or more; it is not part of the result.
    check
        Called before each iteration; may raise.

    Returns
    -------
    ndarray
        Shape of `image`, no value below 0; float64 for float64 and integers of 32 bits or more, else float32.

    Raises
    ------
    InvalidInputError
        If the image or the PSF cannot be used, no pixel is above the background, or a number is out of range.
    """
    if iterations < 1:
        raise InvalidInputError(f"{iterations} iterations restore nothing: use 1 or more.")
    real = as_real(image)
    weights = checked_psf(psf, real.shape)
    scene = start_scene(real, half_width(weights), background)
    h = transfer_function(weights, scene.shape, real.dtype)
    visible = scene.visible_weight(h)
    estimate = scene.first_estimate(visible)
    for _ in range(iterations):
        check()
        improve_object(scene, estimate, h, visible)
    return scene.cropped(estimate)


@dataclass(frozen=True)
class Scene:
    """An image within the larger field that its object may reach into.

    Attributes
    ----------
    observed
        The image, clipped at 0.
    shape
        Of the field, whose first corner the image takes; what is free lies beyond both ends of each axis.
    background
        Added to every prediction.
    """

    observed: Real
    shape: padding.Shape
    background: float

    @property
    def total_light(self) -> float:
        """Sum of the observed intensities."""
        return float(self.observed.sum(dtype=np.float64))

    def cropped(self, field: Real) -> Real:
        """Return the part of a field that the image covers."""
        return np.ascontiguousarray(field[tuple(slice(n) for n in self.observed.shape)])

    def placed(self, image: Real) -> Real:
        """Return a field of zeros around `image`."""
        field = np.zeros(self.shape, image.dtype)
        field[tuple(slice(n) for n in image.shape)] = image
        return field

    def visible_weight(self, h: Spectrum) -> Real:
        """Return the part of each pixel's light that falls into the image, given the transform of the PSF."""
        inside = padding.forward(self.placed(np.ones_like(self.observed)))
        return self._back(inside, h)

    def first_estimate(self, visible: Real) -> Real:
        """Return a uniform object of the image's mean brightness."""
        level = max(float(self.observed.mean(dtype=np.float64)) - self.background, 0.0)
        if level == 0:
            level = float(self.observed.mean(dtype=np.float64))
        return np.where(visible > _LEAST_WEIGHT, self.observed.dtype.type(level), 0).astype(self.observed.dtype)

    def ratio(self, spectrum: Spectrum, h: Spectrum) -> Spectrum:
        """Return the transform of image / prediction, 0 outside the image; `spectrum` is the object's, overwritten."""
        spectrum *= h
        predicted = padding.inverse(spectrum, self.shape, self.observed.shape)
        predicted += self.observed.dtype.type(self.background)
        least = float(np.finfo(predicted.dtype).eps) * float(self.observed.max())
        np.maximum(predicted, least, out=predicted)
        return padding.forward(self.placed(np.divide(self.observed, predicted, out=predicted)))

    def _back(self, spectrum: Spectrum, h: Spectrum) -> Real:
        spectrum *= np.conjugate(h)
        return padding.inverse(spectrum, self.shape, self.shape)

    def correction(self, estimate: Real, h: Spectrum) -> Real:
        """Return the factor by which each pixel of the object changes, not yet divided by its visible weight."""
        return self._back(self.ratio(padding.forward(estimate), h), h)


def start_scene(real: Real, reach: tuple[int, ...], background: float) -> Scene:
    """Return the scene of an image blurred by a PSF of `reach`.

    Raises
    ------
    InvalidInputError
        If the background is negative, or no pixel is above it.
    """
    if not (np.isfinite(background) and background >= 0):
        raise InvalidInputError(f"The background {background} must be 0 or more.")
    observed = np.maximum(real, 0)
    if not observed.max() > background:
        raise InvalidInputError("No pixel lies above the background: subtract less, or add an offset to the image.")
    return Scene(observed, padding.fast_shape(real.shape, [2 * r for r in reach]), float(background))


def improve_object(scene: Scene, estimate: Real, h: Spectrum, visible: Real) -> None:
    """Take one Richardson-Lucy step of the object `estimate`, in place."""
    factor = np.maximum(scene.correction(estimate, h), 0)
    np.divide(factor, visible, out=factor, where=visible > _LEAST_WEIGHT)
    estimate *= factor
    # No point shines brighter than all light of the image: a dark frame around light would run off to infinity.
    np.minimum(estimate, scene.total_light / _LEAST_WEIGHT, out=estimate)

"""What lies beyond the borders of a blurred image, made up so that restoring does not see a border."""

import numpy as np
from numpy.typing import NDArray

from napari_tessera.operations.fourier import padding
from napari_tessera.operations.fourier.checking import Real, Spectrum
from napari_tessera.operations.restoration.psf import centre_of, half_width, transfer_function

_ASYMMETRY = 0.1
"""Part of the PSF's weight that reversing an axis may move before mirrored borders count as wrongly blurred."""


def extended_spectrum(real: Real, psf: NDArray[np.float64]) -> tuple[Spectrum, padding.Shape]:
    """Return the transform of an image extended beyond its borders, and the shape that it was extended to.

    The extension mirrors the image (`padding.extend`). For a PSF that an axis' reversal changes, an oblique motion for
    example, the mirror image is blurred in the wrong direction, which no object can explain; then everything towards
    and beyond the borders is blurred once more by the PSF, with rising weight over twice its reach (edge tapering).

    Parameters
    ----------
    real
        Image in its working dtype.
    psf
        As `psf.checked_psf` gives it.
    """
    reach = half_width(psf)
    tapered = asymmetry(psf) > _ASYMMETRY
    shape = padding.fast_shape(real.shape, [margin_of(r, tapered) for r in reach])
    extended = padding.extend(real, shape)
    if tapered:
        for axis, n in enumerate(real.shape):
            if reach[axis]:
                _taper(extended, psf, axis, n, reach[axis])
    return padding.forward(extended), shape


def margin_of(reach: int, tapered: bool) -> int:
    """Return the free pixels to leave beyond an axis along which the PSF reaches `reach` pixels from its centre.

    Restoring looks further than blurring does, if ever less: a bell less far than an edge, which knows no frequency
    that it lets pass a little.
    """
    return 2 * reach + (64 if tapered else min(max(2 * reach, 32), 64)) if reach else 0


def asymmetry(psf: NDArray[np.float64]) -> float:
    """Return the largest part of the PSF's weight that reversing one axis about the centre of mass moves."""
    moved = 0.0
    for axis, (n, centre) in enumerate(zip(psf.shape, centre_of(psf), strict=True)):
        opposite = round(2 * centre)  # where position 0 comes to lie
        margins = [(0, 0)] * psf.ndim
        margins[axis] = (max(n - 1 - opposite, 0), max(opposite - (n - 1), 0))
        centred = np.pad(psf, margins)
        moved = max(moved, float(np.abs(centred - np.flip(centred, axis)).sum()) / 2)
    return moved


def _taper(extended: Real, psf: NDArray[np.float64], axis: int, n: int, reach: int) -> None:
    """Blur `extended` along the border of `axis`, whose image ends at `n`; in place."""
    length = extended.shape[axis]
    depth = min(2 * reach, n // 2)
    # One strip goes from the image's last pixels over the extension to its first ones, with surroundings to blur from.
    positions = np.arange(n - depth - reach, length + depth + reach)
    strip = np.take(extended, positions, axis, mode="wrap")
    shape = list(extended.shape)
    shape[axis] = padding.fast_shape([strip.shape[axis]], [0])[0]
    padded = np.zeros(shape, strip.dtype)
    padded[(slice(None),) * axis + (slice(strip.shape[axis]),)] = strip
    spectrum = padding.forward(padded)
    spectrum *= transfer_function(psf, shape, strip.dtype)
    blurred = padding.inverse(spectrum, shape, strip.shape)
    inner = (slice(None),) * axis + (slice(reach, strip.shape[axis] - reach),)
    at = positions[reach : strip.shape[axis] - reach]
    inside = np.where(at < n, n - 1 - at, at - length)  # depth within the image; negative in the extension
    weight = np.clip((inside + 0.5) / max(depth, 1), 0, 1).astype(strip.dtype)
    weight = weight.reshape([-1 if i == axis else 1 for i in range(strip.ndim)])
    mixed = weight * strip[inner] + (1 - weight) * blurred[inner]
    # a small image meets itself from both ends: the last word is as good as the first
    extended[(slice(None),) * axis + (at % length,)] = mixed

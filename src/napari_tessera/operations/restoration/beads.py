"""The point spread function (PSF) measured: the mean image of fluorescent beads smaller than the resolution."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter, shift

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.fourier.checking import Real, as_real, require_structure

_MOST_UNEQUAL = 2.0
"""A bead brighter by this factor than the median bead is two beads; one darker by it is dirt."""


def psf_from_beads(image: NDArray[Any], size: Sequence[int], threshold: float = 0.25) -> NDArray[np.float64]:
    """Return the mean of all single beads, each centred to a fraction of a pixel and freed of its background.

    Parameters
    ----------
    image
        Bright beads on a dark background, shape (..., y, x), real, finite.
    size
        Lengths of the PSF, odd, one per axis. Beads closer to one another, or to the border, are left out.
    threshold
        Beads are local maxima at least this part of the way from the median to the brightest pixel, 0 to 1.

    Returns
    -------
    ndarray
        float64, shape `size`, not negative, sum 1, centre of mass in the middle.

    Raises
    ------
    InvalidInputError
        If no single bead is found, a number is out of range, or the image is constant or cannot be used.
    """
    real = as_real(image)
    require_structure(real, "it shows no beads")
    if len(size) != real.ndim or any(k < 1 or k % 2 == 0 for k in size):
        raise InvalidInputError(f"The PSF size {tuple(size)} must have {real.ndim} odd lengths.")
    if not 0 < threshold < 1:
        raise InvalidInputError(f"The threshold {threshold} must lie between 0 and 1.")
    beads = [_centred(real, place, size) for place in find_beads(real, size, threshold)]
    brightness = np.array([bead.sum() for bead in beads])
    positive = brightness > 0
    if not positive.any():
        raise InvalidInputError(
            "There is no single bead away from the border: choose a smaller PSF, or another threshold."
        )
    usual = np.median(brightness[positive])
    alike = positive & (brightness <= usual * _MOST_UNEQUAL) & (brightness >= usual / _MOST_UNEQUAL)
    mean = np.mean([beads[i] / brightness[i] for i in np.flatnonzero(alike)], axis=0)
    psf = np.maximum(mean, 0)
    return np.asarray(psf / psf.sum())


def find_beads(real: Real, size: Sequence[int], threshold: float) -> NDArray[np.intp]:
    """Return the positions (n, dimensions) of beads that have a window of `size` to themselves, within the image."""
    smooth = gaussian_filter(real, [min(1.0, k / 3) if k > 1 else 0 for k in size])
    floor = float(np.median(smooth))
    # Brighter than all within a window of the PSF's size; of a plateau, the first.
    peaks = smooth == maximum_filter(smooth, 3)
    peaks &= smooth > floor + threshold * (float(smooth.max()) - floor)
    places = np.argwhere(peaks)
    half = np.asarray(size) // 2
    single = []
    for place in places:
        near = (np.abs(places - place) <= 2 * half).all(axis=1)
        same = (np.abs(places - place) <= 1).all(axis=1)
        if near.sum() == same.sum():
            single.append(place)
    inside = [
        place
        for place in single
        if ((place >= half + 1) & (place < np.array(real.shape) - half - 1) | (half == 0)).all()
    ]
    return np.asarray(inside, np.intp).reshape(-1, real.ndim)


def _centred(real: Real, place: NDArray[np.intp], size: Sequence[int]) -> NDArray[np.float64]:
    """Return the window of `size` around a bead, background subtracted, centre of mass moved to the middle."""
    half = np.asarray(size) // 2
    margin = np.where(half > 0, 1, 0)  # what moves in from outside the window
    outer = tuple(slice(p - h - m, p + h + m + 1) for p, h, m in zip(place, half, margin, strict=True))
    crop = real[outer].astype(np.float64)
    shell = np.ones(crop.shape, bool)
    shell[tuple(slice(1, -1) if m else slice(None) for m in margin)] = False
    crop -= np.median(crop[shell]) if shell.any() else 0.0
    # The middle of the bead decides: far out, noise times distance would.
    bright = np.where(crop > 0.2 * crop.max(), crop, 0)
    middle = (np.array(crop.shape) - 1) / 2
    positions = np.indices(crop.shape).reshape(crop.ndim, -1)
    centre = (positions * bright.ravel()).sum(axis=1) / max(bright.sum(), np.finfo(np.float64).tiny)
    offset = np.clip(middle - centre, -1, 1) * margin
    moved = shift(crop, offset, order=3, mode="nearest")
    return np.asarray(moved[tuple(slice(m, n - m) for m, n in zip(margin, crop.shape, strict=True))])

"""The spectrum as something to look at, and the way back to the image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftn, fftshift, ifftn, ifftshift

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.fourier.checking import Real, Spectrum, as_real


def log_modulus(image: NDArray[Any]) -> Real:
    """Return ln(1 + |F|) of the discrete Fourier transform F of `image`, zero frequency at ``n // 2``.

    Nothing is padded or tapered, so that `image_from` leads back; the cross through the centre of many spectra is
    the step between opposite borders.

    Parameters
    ----------
    image
        Shape (..., y, x), real, finite.

    Returns
    -------
    ndarray
        Shape of `image`; float64 for float64 and integers of 32 bits or more, else float32.

    Raises
    ------
    InvalidInputError
        If the image cannot be transformed.
    """
    return np.asarray(np.log1p(np.abs(_centred(image))))


def phase(image: NDArray[Any]) -> Real:
    """Return the phase of the discrete Fourier transform of `image` in radians, −π to π; else as `log_modulus`."""
    return np.asarray(np.angle(_centred(image)))


def image_from(log_modulus: NDArray[Any], phase: NDArray[Any]) -> Real:
    """Return the image of a centred spectrum.

    An untouched spectrum returns the image to float rounding. If an edit treats a frequency and its opposite
    differently, the image is that of their average: no real image has such a spectrum.

    Parameters
    ----------
    log_modulus, phase
        As the functions of these names give them, edited or not; equal shapes. Values of `log_modulus` below 0 count
        as 0, where the modulus is 0.

    Raises
    ------
    InvalidInputError
        If shapes differ, or one of them is complex or not finite.
    """
    modulus, angle = as_real(log_modulus, "log modulus"), as_real(phase, "phase")
    if modulus.shape != angle.shape:
        raise InvalidInputError(
            f"The log modulus has shape {modulus.shape} and the phase {angle.shape}: take both from one image."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        magnitude = np.expm1(np.maximum(modulus, 0))
        spectrum = magnitude * np.exp(1j * angle.astype(modulus.dtype))
        image = ifftn(ifftshift(spectrum), overwrite_x=True).real
    if not np.isfinite(image[(0,) * image.ndim]):
        raise InvalidInputError("The log modulus is too large to be taken back: give the layer with logarithms.")
    return np.ascontiguousarray(image)


def _centred(image: NDArray[Any]) -> Spectrum:
    centred: Spectrum = fftshift(fftn(as_real(image)))
    return centred


@dataclass(frozen=True)
class Calibration:
    """Where a layer lies: `scale` is one step, `translate` the first pixel's position, `units` their names."""

    scale: tuple[float, ...]
    translate: tuple[float, ...]
    units: tuple[str | None, ...]


def frequency_calibration(
    shape: Sequence[int], scale: Sequence[float], units: Sequence[str | None] | None = None
) -> Calibration:
    """Return the calibration of the spectrum of an image of `shape` and pixel size `scale`.

    One step is 1 / (n · pixel size) cycles per unit, and zero frequency lies at coordinate 0.
    """
    steps = tuple(1 / (n * size) for n, size in zip(shape, scale, strict=True))
    starts = tuple(-(n // 2) * step for n, step in zip(shape, steps, strict=True))
    return Calibration(steps, starts, tuple(unit and f"1/{unit}" for unit in units or (None,) * len(steps)))


def image_calibration(
    shape: Sequence[int], scale: Sequence[float], units: Sequence[str | None] | None = None
) -> Calibration:
    """Return the calibration of the image whose spectrum has `shape` and steps of `scale`; its origin is at 0."""
    sizes = tuple(1 / (n * step) for n, step in zip(shape, scale, strict=True))
    names = tuple(unit and unit.removeprefix("1/") for unit in units or (None,) * len(sizes))
    return Calibration(sizes, (0.0,) * len(sizes), names)


def to_cycles_per_pixel(frequencies: NDArray[Any], scale: Sequence[float]) -> NDArray[np.float64]:
    """Turn positions on a spectrum layer (cycles per unit, shape (n, dimensions)) into cycles per pixel.

    Parameters
    ----------
    frequencies
        One row per position, columns in the order of the image's axes.
    scale
        Pixel size of the *image*, in units.
    """
    return np.asarray(frequencies, np.float64) * np.asarray(scale, np.float64)

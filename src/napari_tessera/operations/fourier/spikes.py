"""Finding the spikes that periodic interference makes in a spectrum."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftfreq, next_fast_len, rfftfreq, rfftn
from scipy.ndimage import maximum_filter

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.fourier.checking import Real, as_real, require_structure

_LOBE = 2
"""Half width of the peak that a Hann window makes of a pure frequency, in bins."""

_RING = 6
"""How far around a peak its surroundings are looked at, in bins."""

_MOST = 2000
"""Noise has a maximum every few bins; only this many of the strongest are looked at more closely."""


def suggest_notches(
    image: NDArray[Any], count: int = 8, contrast: float = 3.0, minimum_frequency: float = 0.02
) -> NDArray[np.float64]:
    """Return frequencies at which the spectrum has isolated spikes, strongest first.

    The image is tapered by a Hann window, so that the step at its borders makes no spikes. A spike is a local maximum
    of the modulus that exceeds *everything* in the ring between 3 and 6 bins around it by the factor `contrast`:
    streaks, which edges in the image make, have neighbours of their own strength and do not count. Nor do the two
    bins next to the zero frequency in any case.

    Parameters
    ----------
    image
        Shape (..., y, x), real, finite, at least 16 pixels along one axis.
    count
        The most frequencies to return.
    contrast
        Factor of the modulus, above 1. Noise alone reaches 3 about once in a thousand images.
    minimum_frequency
        Frequencies below, in cycles per pixel, belong to the image.

    Returns
    -------
    ndarray
        Cycles per pixel, float64 (n, dimensions of the image), n from 0 to `count`; one of each opposite pair, its
        last coordinate not negative; to a fraction of a bin.

    Raises
    ------
    InvalidInputError
        If the image is constant, too small or cannot be transformed; for a contrast or a count out of range.
    """
    if count < 1 or not contrast > 1:
        raise InvalidInputError(f"count {count} must be 1 or more, and contrast {contrast} above 1.")
    real = as_real(image)
    if max(real.shape) < 16:
        raise InvalidInputError(f"An image of shape {real.shape} is too small for periodic patterns: use 16 pixels.")
    require_structure(real, "there is no periodic pattern to find")
    modulus, axes = _tapered_modulus(real.squeeze())
    found: list[tuple[float, NDArray[np.float64]]] = []
    for peak in _candidates(modulus, axes, minimum_frequency):
        prominence = modulus[tuple(peak)] / max(_ring_maximum(modulus, peak), np.finfo(modulus.dtype).tiny)
        if prominence > contrast:
            frequency = _refined(modulus, peak, axes)
            if not any(_close(frequency, other, axes) for _, other in found):
                found.append((float(prominence), frequency))
    found.sort(key=lambda spike: -spike[0])
    frequencies = np.zeros((min(count, len(found)), real.ndim))
    for row, (_, frequency) in zip(frequencies, found, strict=False):
        row[[axis for axis, n in enumerate(real.shape) if n > 1]] = frequency
    return frequencies


def _tapered_modulus(real: Real) -> tuple[Real, list[NDArray[np.float64]]]:
    """Return |F| of the tapered image, and the frequencies along each axis of it."""
    tapered = real - real.mean(dtype=np.float64).astype(real.dtype)
    for axis, n in enumerate(real.shape):
        window = np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2
        tapered *= window.astype(real.dtype).reshape([-1 if at == axis else 1 for at in range(real.ndim)])
    shape = [int(next_fast_len(n, real=True)) for n in real.shape[:-1]]
    # even, so that the last entry of the half axis is its own opposite
    shape.append(2 * int(next_fast_len((real.shape[-1] + 1) // 2, real=True)))
    modulus = np.abs(rfftn(tapered, shape))
    return modulus, [*(fftfreq(n) for n in shape[:-1]), rfftfreq(shape[-1])]


def _candidates(modulus: Real, axes: list[NDArray[np.float64]], minimum_frequency: float) -> NDArray[np.intp]:
    """Return positions of the strongest local maxima away from zero frequency, in falling order."""
    modes = ["wrap"] * (modulus.ndim - 1) + ["nearest"]
    maxima = modulus == maximum_filter(modulus, 2 * _LOBE + 1, mode=modes)
    frequency2 = np.zeros((1,) * modulus.ndim)
    bins = np.zeros((1,) * modulus.ndim)
    for place, axis in zip(np.ix_(*axes), axes, strict=True):
        frequency2 = frequency2 + place**2
        bins = np.maximum(bins, np.abs(place) / abs(axis[1]))
    maxima &= (frequency2 >= minimum_frequency**2) & (bins > _LOBE + 0.5)
    positions = np.argwhere(maxima)
    strength = modulus[maxima]
    return positions[np.argsort(-strength, kind="stable")[:_MOST]]


def _neighbourhood(modulus: Real, peak: NDArray[np.intp], reach: int) -> Real:
    """Return the modulus around `peak`, `reach` bins to each side; the spectrum continues by symmetry."""
    grid = np.ix_(*(np.arange(at - reach, at + reach + 1) for at in peak))
    # Beyond either end of the half axis stands the opposite frequency, whose modulus is the same.
    end = modulus.shape[-1] - 1
    beyond = (grid[-1] < 0) | (grid[-1] > end)
    columns = end - np.abs(end - np.abs(grid[-1]))
    rows = [np.where(beyond, -at, at) % n for at, n in zip(grid[:-1], modulus.shape[:-1], strict=True)]
    return np.asarray(modulus[(*rows, np.clip(columns, 0, end))])


def _ring_maximum(modulus: Real, peak: NDArray[np.intp]) -> float:
    around = _neighbourhood(modulus, peak, _RING)
    distance = np.zeros((1,) * modulus.ndim)
    for place in np.ix_(*(np.arange(-_RING, _RING + 1),) * modulus.ndim):
        distance = distance + place**2
    ring = (distance > (_LOBE + 0.5) ** 2) & (distance <= _RING**2)
    return float(around[ring].max())


def _refined(modulus: Real, peak: NDArray[np.intp], axes: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the frequency at the top of the parabola through the logarithms next to the peak."""
    around = np.log(np.maximum(_neighbourhood(modulus, peak, 1), np.finfo(modulus.dtype).tiny)).astype(np.float64)
    frequency = np.empty(len(axes))
    for axis, (at, values) in enumerate(zip(peak, axes, strict=True)):
        line = around[tuple(slice(None) if i == axis else 1 for i in range(around.ndim))]
        curvature = line[0] - 2 * line[1] + line[2]
        offset = 0.5 * (line[0] - line[2]) / curvature if curvature < 0 else 0.0
        frequency[axis] = values[at] + np.clip(offset, -0.5, 0.5) * abs(values[1])
    frequency = np.clip(frequency, -0.5, 0.5)
    return -frequency if frequency[-1] < 0 else frequency


def _close(one: NDArray[np.float64], other: NDArray[np.float64], axes: list[NDArray[np.float64]]) -> bool:
    """Tell whether two frequencies, or one and the other's opposite, lie within one peak."""
    steps = np.array([abs(axis[1]) for axis in axes])
    return any(bool(np.all(np.abs((one - sign * other + 0.5) % 1 - 0.5) <= (_LOBE + 0.5) * steps)) for sign in (1, -1))

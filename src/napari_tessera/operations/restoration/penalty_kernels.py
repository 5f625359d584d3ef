"""Compiled loops over spectra: one pass over memory where numpy takes ten.

The penalty at a frequency is ``constant + scale · (a[z] + b[y] + c[x]) ** power``, whose vectors make it anything from
a constant to the squared modulus of the Laplacian.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation
from napari_tessera.operations.fourier.checking import Real, Spectrum
from napari_tessera.operations.reductions.statistics import check_overflow

announce_compilation()


@dataclass(frozen=True)
class Penalty:
    """What is added to |H|²: see the module.

    Attributes
    ----------
    vectors
        a, b and c: frequencies, or functions of them, along the axes (z, y, x) of `as_volume`.
    power
        0.5, 1, 1.5 or 2.
    constant, scale
        Not negative.
    """

    vectors: tuple[Real, Real, Real]
    power: float
    constant: float = 0.0
    scale: float = 0.0

    def scaled(self, scale: float) -> "Penalty":
        """Return the same penalty with another scale."""
        return replace(self, scale=scale)


def penalty_of(vectors: Sequence[Real], power: float, dtype: np.dtype[Any]) -> Penalty:
    """Return a penalty of scale 0 from one vector per axis, of one to three axes."""
    flat = [np.zeros(1, dtype)] * (3 - len(vectors)) + [np.ravel(vector).astype(dtype) for vector in vectors]
    return Penalty((flat[0], flat[1], flat[2]), power)


def as_volume(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view of `array`, of one to three dimensions, with three."""
    return array.reshape((1,) * (3 - array.ndim) + array.shape)


def _pairs(spectrum: Spectrum) -> Real:
    """Return a view (z, y, 2 x) in which real and imaginary parts alternate."""
    return as_volume(spectrum).view(spectrum.real.dtype)


def regularise(spectrum: Spectrum, h: Spectrum, penalty: Penalty) -> None:
    """Multiply `spectrum` by H* / (|H|² + penalty), in place; the zero frequency stays.

    Parameters
    ----------
    spectrum, h
        Equal shapes and dtypes, contiguous, one to three dimensions.
    penalty
        Of the same dimensions.
    """
    real = spectrum.real.dtype.type
    zero = (0,) * spectrum.ndim
    mean = spectrum[zero]
    # Next to nothing of signal and penalty: such a frequency is unknown, and about 0 is as good as anything.
    least = real(np.finfo(real).tiny * 1e6)
    _regularise(
        _pairs(spectrum), _pairs(h), *penalty.vectors, real(penalty.constant), real(penalty.scale),
        int(2 * penalty.power), least,
    )  # fmt: skip
    spectrum[zero] = mean


def squared_modulus(spectrum: Spectrum) -> Real:
    """Return |F|² without more than one temporary array of its size.

    Raises
    ------
    InvalidInputError
        If it exceeds the type of `spectrum`.
    """
    with np.errstate(over="ignore"):
        power = np.square(spectrum.real)
        imaginary = np.square(spectrum.imag)
        power += imaginary
    check_overflow(float(power.max()))
    return power


def unexplained_power(power: Real, passed: Real, penalty: Penalty, weight: NDArray[np.float64]) -> float:
    """Return the sum of power · (penalty / (passed + penalty))²: what a regularised result leaves of the image.

    Parameters
    ----------
    power, passed
        |G|² and |H|².
    penalty
        Its constant is not used.
    weight
        How often each column counts.
    """
    sums = _unexplained(
        as_volume(power), as_volume(passed), *penalty.vectors, power.dtype.type(penalty.scale),
        int(2 * penalty.power), np.finfo(power.dtype).tiny * power.dtype.type(1e6),
    )  # fmt: skip
    return float((sums * weight).sum())


def expected_sums(
    power: Real, passed: Real, penalty: Penalty, noise: float, prior: float, weight: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the expected misfit Σ |G − H F|² and roughness Σ |P F|², given the precisions of noise and prior.

    Parameters
    ----------
    power, passed
        |G|² and |H|².
    penalty
        |P|² when its scale is 1, which is taken for granted.
    noise, prior
        Precisions.
    weight
        How often each column counts.
    """
    real = power.dtype.type
    misfit, roughness = _expected(
        as_volume(power), as_volume(passed), *penalty.vectors, real(noise), real(prior), int(2 * penalty.power),
        real(1e-20),
    )  # fmt: skip
    return float((misfit * weight).sum()), float((roughness * weight).sum())


@njit(cache=True, error_model="numpy", inline="always")
def _raised(value: Any, twice: Any) -> Any:
    """Return value ** (twice / 2)."""
    if twice == 4:
        return value * value
    if twice == 3:
        return value * np.sqrt(value)
    if twice == 1:
        return np.sqrt(value)
    return value


@njit(cache=True, error_model="numpy")
def _regularise(
    spectrum: Any, h: Any, a: Any, b: Any, c: Any, constant: Any, scale: Any, twice: Any, least: Any
) -> None:
    for z in range(a.size):
        for y in range(b.size):
            for x in range(c.size):
                real, imag = spectrum[z, y, 2 * x], spectrum[z, y, 2 * x + 1]
                h_real, h_imag = h[z, y, 2 * x], h[z, y, 2 * x + 1]
                weight = h_real * h_real + h_imag * h_imag + constant + scale * _raised(a[z] + b[y] + c[x], twice)
                weight = max(weight, least)
                spectrum[z, y, 2 * x] = (real * h_real + imag * h_imag) / weight
                spectrum[z, y, 2 * x + 1] = (imag * h_real - real * h_imag) / weight


@njit(cache=True, error_model="numpy")
def _unexplained(power: Any, passed: Any, a: Any, b: Any, c: Any, scale: Any, twice: Any, least: Any) -> Any:
    sums = np.zeros(c.size, np.float64)  # a sum per column: the same on any processor, and still vectorised
    for z in range(a.size):
        for y in range(b.size):
            for x in range(c.size):
                penalty = scale * _raised(a[z] + b[y] + c[x], twice)
                share = penalty / max(passed[z, y, x] + penalty, least)
                sums[x] += power[z, y, x] * share * share
    return sums


@njit(cache=True, error_model="numpy")
def _expected(power: Any, passed: Any, a: Any, b: Any, c: Any, noise: Any, prior: Any, twice: Any, least: Any) -> Any:
    misfit = np.zeros(c.size, np.float64)
    roughness = np.zeros(c.size, np.float64)
    for z in range(a.size):
        for y in range(b.size):
            for x in range(c.size):
                penalty = _raised(a[z] + b[y] + c[x], twice)
                through = passed[z, y, x]
                precision = max(noise * through + prior * penalty, least)
                gain = noise / precision
                left = prior * penalty / precision
                misfit[x] += power[z, y, x] * left * left + through / precision
                roughness[x] += penalty * (power[z, y, x] * through * gain * gain + gain / noise)
    return misfit, roughness

"""Transfer functions: how much of each frequency a filter lets pass.

Frequencies are in cycles per pixel, 0 to 0.5 along an axis, whatever the lengths of the axes: equal frequencies mean
equal periods in the image. All formulas are those of Gonzalez & Woods, Digital Image Processing, 4th ed., chapter 4.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.fft import fftfreq, rfftfreq

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.fourier.checking import Real, require_positive

Profile = Literal["ideal", "butterworth", "gaussian"]
"""How a filter passes from 1 to 0: at once, by a power, or as a bell."""

Frequencies = tuple[Real, ...]
"""Frequencies along each axis, each shaped to broadcast against the others."""


def rfft_frequencies(shape: Sequence[int], dtype: DTypeLike = np.float64) -> Frequencies:
    """Return the frequencies of a real Fourier transform of an array of `shape`, which holds half of the last axis."""
    return _open([*(fftfreq(n) for n in shape[:-1]), rfftfreq(shape[-1])], dtype)


def dct_frequencies(shape: Sequence[int], dtype: DTypeLike = np.float64) -> Frequencies:
    """Return the frequencies of a cosine transform (type II) of an array of `shape`."""
    return _open([np.arange(n) / (2 * n) for n in shape], dtype)


def _open(vectors: Sequence[NDArray[Any]], dtype: DTypeLike) -> Frequencies:
    count = len(vectors)
    return tuple(
        vector.astype(dtype).reshape([-1 if at == axis else 1 for at in range(count)])
        for axis, vector in enumerate(vectors)
    )


def squared_radius(frequencies: Frequencies, spacing: Sequence[float] | None = None) -> Real:
    """Return the squared distance D² of each frequency from zero.

    Parameters
    ----------
    frequencies
        One vector per axis.
    spacing
        Size of a pixel per axis. Then distances count cycles per smallest pixel size, so that a filter treats
        all directions of an anisotropic volume alike; without it, each axis counts in cycles per its own pixel.

    Raises
    ------
    InvalidInputError
        If `spacing` has not one positive entry per axis.
    """
    if spacing is not None:
        if len(spacing) != len(frequencies):
            raise InvalidInputError(f"spacing {tuple(spacing)} must have {len(frequencies)} entries, one per axis.")
        sizes = [require_positive(size, "A pixel size") for size in spacing]
        frequencies = tuple(f * (min(sizes) / size) for f, size in zip(frequencies, sizes, strict=True))
    total = frequencies[0] ** 2
    for f in frequencies[1:]:
        total = total + f**2
    return np.asarray(total)


def low_pass(radius2: Real, cutoff: float, profile: Profile = "butterworth", order: int = 2) -> Real:
    """Return a low-pass transfer function.

    With distance D and cut-off D₀: ideal 1 where D ≤ D₀; Butterworth 1 / (1 + (D / D₀)^2n), ½ at the cut-off;
    Gaussian exp(−D² / 2 D₀²), 0.61 at the cut-off. All are 1 at zero frequency.

    Parameters
    ----------
    radius2
        D², as `squared_radius` gives it.
    cutoff
        D₀ in cycles per pixel, above 0.
    profile
        See `Profile`.
    order
        n of the Butterworth filter; the larger, the steeper.

    Raises
    ------
    InvalidInputError
        For a cut-off or an order out of range, or an unknown profile.
    """
    relative = radius2 / require_positive(cutoff, "The cut-off frequency") ** 2
    return falling(relative, profile, order)


def falling(relative2: Real, profile: Profile, order: int) -> Real:
    """Return a profile that falls from 1 at 0: `relative2` is the squared distance in units of the cut-off."""
    _check_profile(profile, order)
    if profile == "ideal":
        # A whole rounding error of allowance: a cut-off of 0.1 includes the frequency 10 / 100.
        slack = 4 * np.finfo(relative2.dtype).eps
        return (relative2 <= 1 + slack).astype(relative2.dtype)
    if profile == "gaussian":
        return np.asarray(np.exp(relative2 * relative2.dtype.type(-0.5)))
    with np.errstate(over="ignore"):  # beyond the largest number the filter is 0
        return np.asarray(1 / (1 + relative2**order))


def high_pass(radius2: Real, cutoff: float, profile: Profile = "butterworth", order: int = 2) -> Real:
    """Return 1 − `low_pass`: zero at zero frequency, so that the mean of the image goes."""
    return 1 - low_pass(radius2, cutoff, profile, order)


def band_reject(radius2: Real, low: float, high: float, profile: Profile = "butterworth", order: int = 2) -> Real:
    """Return a band-reject transfer function: 1 at zero frequency, down to 0 between `low` and `high`.

    With W = high − low and C₀² = low · high: ideal 0 where low ≤ D ≤ high; Butterworth
    1 / (1 + (D W / (D² − C₀²))^2n), exactly ½ at both edges; Gaussian 1 − exp(−((D² − C₀²) / D W)²), 0.63 at both.
    The textbook takes the arithmetic mean for C₀, which makes the edges unequal.

    Parameters
    ----------
    radius2
        D², as `squared_radius` gives it.
    low, high
        Edges of the band in cycles per pixel, 0 ≤ low < high. From 0 on the band is all that is below `high`.
    profile, order
        As in `low_pass`.

    Raises
    ------
    InvalidInputError
        For edges or an order out of range, or an unknown profile.
    """
    _check_profile(profile, order)
    require_positive(high, "The upper edge of the band")
    if not 0 <= low < high:
        raise InvalidInputError(f"The band from {low} to {high} is empty: its lower edge must be 0 or more, and below.")
    if low == 0:
        return high_pass(radius2, high, profile, order)
    if profile == "ideal":
        within = falling(radius2 / high**2, "ideal", order)
        below = (radius2 < low**2 * (1 - 4 * np.finfo(radius2.dtype).eps)) | (radius2 == 0)
        return np.asarray(1 - within * ~below)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        # squared distance from the band's middle in units of its half width; infinite at zero frequency, also where
        # the square of a tiny middle is rounded to 0
        relative2 = (radius2 - low * high) ** 2 / (radius2 * (high - low) ** 2)
        relative2 = np.where(radius2 == 0, radius2.dtype.type(np.inf), relative2)
        if profile == "gaussian":
            return np.asarray(1 - np.exp(-relative2))
        return np.asarray(1 / (1 + relative2 ** -float(order)))


def band_pass(radius2: Real, low: float, high: float, profile: Profile = "butterworth", order: int = 2) -> Real:
    """Return 1 − `band_reject`: zero at zero frequency unless the band starts there."""
    return 1 - band_reject(radius2, low, high, profile, order)


def _check_profile(profile: str, order: int) -> None:
    if profile not in get_args(Profile):
        raise InvalidInputError(f"There is no filter profile {profile!r}: use one of {', '.join(get_args(Profile))}.")
    if order < 1:
        raise InvalidInputError(f"A Butterworth filter of order {order} does not exist: use 1 or more.")

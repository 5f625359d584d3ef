"""Notch filters: periodic interference taken out around single frequencies.

Transfer functions are products of pairs as in Gonzalez & Woods, Digital Image Processing, 4th ed., section 4.10. The
image ends somewhere, and an interference that is cut off (or mirrored, at an angle) leaks out of its notch: filters
that ignore this leave a fringe of the interference along the borders. Here the pattern is taken by normalised
convolution (H. Knutsson, C.-F. Westin, "Normalized and differential convolution", CVPR 1993): beyond the borders there
is no interference, only the brightness next to them as it fades, and the result is divided by the part of the filter's
weight that lay within the image.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftfreq, irfft, rfft, rfftfreq

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.fourier import notch_kernels, padding
from napari_tessera.operations.fourier.checking import Real, Spectrum, as_real, require_positive
from napari_tessera.operations.fourier.transfer import Profile, falling

Mode = Literal["reject", "pass"]
"""Whether the notches are taken out, or all else."""

Centres = NDArray[np.float64]
"""Frequencies in cycles per pixel, shape (n, dimensions)."""

_LEAST_WEIGHT = 0.02
"""Of the filter within the image; guards the division where a corner of a tiny image holds next to none."""


def notch_filter(
    image: NDArray[Any],
    centres: NDArray[Any],
    radius: float,
    profile: Profile = "gaussian",
    order: int = 2,
    mode: Mode = "reject",
) -> NDArray[Any]:
    """Remove, or keep alone, what lies around given frequencies.

    Parameters
    ----------
    image
        Shape (..., y, x), real, finite.
    centres
        Frequencies in cycles per pixel, shape (n, dimensions of the image), columns in the order of its axes, from
        −0.5 to 0.5. One of each pair of opposite frequencies is enough; both do no harm.
    radius
        D₀ of each notch in cycles per pixel. 0.01 holds an interference whose period or direction drifts a little.
    profile, order
        How the notch ends: see `transfer.low_pass`.
    mode
        ``"reject"`` gives the image without the notches, ``"pass"`` what was in them (the interference, mean 0).

    Returns
    -------
    ndarray
        Shape of `image`; float64 for float64 and integers of 32 bits or more, else float32.
        The two modes add up to the image, whose mean stays.

    Raises
    ------
    InvalidInputError
        If the image cannot be transformed, or a centre or the radius makes no sense.
    """
    real = as_real(image)
    interference = interference_of(real, centres, radius, profile, order)
    if mode == "pass":
        return interference
    return np.asarray(np.subtract(real, interference, out=interference))


def interference_of(
    real: Real, centres: NDArray[Any], radius: float, profile: Profile = "gaussian", order: int = 2
) -> Real:
    """Return what lies in the notches; parameters as in `notch_filter`, `real` in its working dtype."""
    distinct = check_centres(centres, real.ndim, radius)
    shape = padding.fast_shape(real.shape, margin_of(radius, real.shape))
    extended = np.zeros(shape, real.dtype)
    inside = tuple(slice(n) for n in real.shape)
    np.subtract(real, real.mean(dtype=np.float64).astype(real.dtype), out=extended[inside])
    padding.continue_level(extended, real.shape)
    spectrum = padding.forward(extended)
    del extended
    keep_notches(spectrum, shape, distinct, radius, profile, order)
    interference = padding.inverse(spectrum, shape, real.shape)
    for axis, n in enumerate(real.shape):
        weight = _weight_inside(n, shape[axis], radius, profile, order).astype(real.dtype)
        interference /= weight.reshape([-1 if at == axis else 1 for at in range(real.ndim)])
    return interference


def margin_of(radius: float, shape: Sequence[int]) -> tuple[int, ...]:
    """Return how far a notch of `radius` spreads a pixel: four standard deviations of the Gaussian's response."""
    return tuple(min(n, int(np.ceil(4 / (2 * np.pi * radius)))) for n in shape)


def _weight_inside(n: int, padded: int, radius: float, profile: Profile, order: int) -> NDArray[np.float64]:
    """Return which part of the filter's response lies within an axis of `n` pixels, for each of these."""
    inside = np.zeros(padded)
    inside[:n] = 1
    gain = falling((rfftfreq(padded) / radius) ** 2, profile, order)
    weight: NDArray[np.float64] = irfft(rfft(inside) * gain, n=padded)[:n]
    return np.maximum(weight, _LEAST_WEIGHT)


def check_centres(centres: NDArray[Any], ndim: int, radius: float) -> Centres:
    """Return `centres` as float64 (n, `ndim`), opposite ones once.

    Raises
    ------
    InvalidInputError
        If there are none, they have another number of columns, lie beyond 0.5 cycles per pixel, or a notch would
        cover the zero frequency; if the radius is out of range.
    """
    require_positive(radius, "The notch radius")
    points = np.asarray(centres, np.float64)
    if points.size == 0:
        raise InvalidInputError("There are no notch centres: place at least one point on a spike of the spectrum.")
    points = np.atleast_2d(points)
    if points.ndim != 2 or points.shape[1] != ndim:
        raise InvalidInputError(
            f"Notch centres of shape {points.shape} do not fit: give one row per centre with {ndim} coordinates."
        )
    if not (np.abs(points) <= 0.5 + 1e-9).all():
        raise InvalidInputError("A notch centre lies beyond 0.5 cycles per pixel: place it within the spectrum.")
    distances = np.linalg.norm(points, axis=1)
    if (distances < radius).any():
        raise InvalidInputError(
            f"A notch of radius {radius:g} lies {distances.min():g} cycles per pixel from the zero frequency and would "
            "take the image's brightness away: move it outwards or make it smaller."
        )
    return _once_per_pair(points)


def _once_per_pair(points: Centres) -> Centres:
    kept: list[NDArray[np.float64]] = []
    for point in points:
        if not any(_same(point, other) or _same(point, -other) for other in kept):
            kept.append(point)
    return np.stack(kept)


def _same(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    return bool(np.all(np.abs(_wrapped(one - other)) < 1e-9))


def _wrapped(distance: NDArray[Any]) -> NDArray[Any]:
    """Return a difference of frequencies as the shortest way around: the spectrum is periodic, period 1."""
    return (distance + 0.5) % 1 - 0.5


def keep_notches(
    spectrum: Spectrum, shape: Sequence[int], centres: Centres, radius: float, profile: Profile, order: int
) -> None:
    """Multiply `spectrum` (real transform of an array of `shape`) by the notch-pass transfer function, in place."""
    if profile == "butterworth":  # without end, so every frequency is touched
        axes = _axes(shape)
        pairs = [
            [_wrapped(axis - at) / radius for axis, at in zip(axes, place, strict=True)] for place in _signed(centres)
        ]
        notch_kernels.pass_butterworth_notches(spectrum, pairs, order)
        return
    # The notches are small: all other rows are zero without being looked at.
    gain = notch_pass(shape, centres, radius, profile, order, spectrum.real.dtype)
    busy = gain.any(axis=tuple(range(1, gain.ndim)))
    spectrum[~busy] = 0
    spectrum[busy] *= gain[busy]


def notch_pass(
    shape: Sequence[int],
    centres: Centres,
    radius: float,
    profile: Profile = "gaussian",
    order: int = 2,
    dtype: np.dtype[Any] | type[np.floating[Any]] = np.float64,
) -> Real:
    """Return 1 − ∏ (1 − p(D₊)) (1 − p(D₋)) on the grid of a real Fourier transform.

    Parameters
    ----------
    shape
        Of the array that was transformed; the last axis of the result has ``shape[-1] // 2 + 1`` entries.
    centres
        As `check_centres` gives them; D₊ and D₋ are the distances from a centre and from its opposite.
    radius, profile, order
        As in `notch_filter`; p is the low-pass `profile`.
    dtype
        Of the result.
    """
    axes = _axes(shape)
    reject = np.ones([len(axis) for axis in axes], dtype)
    # A Gaussian is below the rounding of float32 from six radii on.
    reach = {"ideal": 1.01, "gaussian": 6.0, "butterworth": np.inf}[profile] * radius
    for place in _signed(centres):
        offsets = [_wrapped(axis - at) for axis, at in zip(axes, place, strict=True)]
        near = [np.flatnonzero(np.abs(offset) <= reach) for offset in offsets]
        parts = np.ix_(*(((offset[at] / radius) ** 2).astype(dtype) for offset, at in zip(offsets, near, strict=True)))
        distance2 = np.asarray(sum(parts[1:], start=parts[0]))
        reject[np.ix_(*near)] *= 1 - falling(distance2, profile, order)
    return np.asarray(np.subtract(1, reject, out=reject))


def _axes(shape: Sequence[int]) -> list[NDArray[np.float64]]:
    return [*(fftfreq(n) for n in shape[:-1]), rfftfreq(shape[-1])]


def _signed(centres: Centres) -> list[NDArray[np.float64]]:
    """Return centres and their opposites; at the corners of the spectrum a frequency is its own."""
    return [sign * centre for centre in centres for sign in ((1,) if _same(centre, -centre) else (1, -1))]

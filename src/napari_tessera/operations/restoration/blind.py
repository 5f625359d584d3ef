"""Blind deconvolution: image and point spread function (PSF) from the blurred image alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfftn

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.fourier import padding
from napari_tessera.operations.fourier.checking import Real, Spectrum, as_real, require_structure
from napari_tessera.operations.restoration.blur_width import blur_widths
from napari_tessera.operations.restoration.psf import gaussian_psf
from napari_tessera.operations.restoration.richardson_lucy import (
    Scene,
    do_nothing,
    improve_object,
    richardson_lucy,
    start_scene,
)

_STEPS = 5
"""Steps of the object, then of the PSF, in each round."""

_LEAST_PLANE = 32
"""Edge of a plane, in pixels, from which on its spectrum tells the width of the blur."""

_STRIDE = 3
"""Power to which the factors of a PSF step are raised: plain steps take some hundred rounds to get anywhere."""


@dataclass(frozen=True)
class BlindResult:
    """What blind deconvolution found: the restored `image`, and the `psf` (float64, sum 1, odd lengths)."""

    image: NDArray[Any]
    psf: NDArray[np.float64]


def blind_deconvolution(
    image: NDArray[Any],
    size: Sequence[int],
    iterations: int = 20,
    rounds: int = 10,
    background: float = 0.0,
    *,
    check: Callable[[], None] = do_nothing,
) -> BlindResult:
    """Estimate the PSF, then restore by Richardson-Lucy with it.

    Parameters
    ----------
    image, background, check
        As in `richardson_lucy.richardson_lucy`; parameters of the PSF as in `estimate_psf`.
    size
        See `estimate_psf`.
    iterations
        Of the restoration.
    rounds
        Of the estimation.

    Raises
    ------
    InvalidInputError
        As the two functions do.
    """
    psf = estimate_psf(image, size, rounds, background, check=check)
    return BlindResult(richardson_lucy(image, psf, iterations, background, check=check), psf)


def estimate_psf(
    image: NDArray[Any],
    size: Sequence[int],
    rounds: int = 10,
    background: float = 0.0,
    *,
    check: Callable[[], None] = do_nothing,
) -> NDArray[np.float64]:
    """Estimate the PSF by Richardson-Lucy steps of object and PSF in turn.

    Source: D. A. Fish, A. M. Brinicombe, E. R. Pike, J. G. Walker, "Blind deconvolution by means of the Richardson-Lucy
    algorithm", J. Opt. Soc. Am. A 12, 58-65 (1995). Where that ends depends much on where it starts: here at
    the Gaussian whose widths `blur_width.blur_widths` reads from the spectrum (along z, a sixth of the window), and the
    steps only touch it up. Blur far from a bell, by motion for example, is not found. Borders are treated as in
    `richardson_lucy.richardson_lucy`, for the object and for the PSF.

    Parameters
    ----------
    image
        Shape (..., y, x), real, finite. Negative pixels count as 0.
    size
        Lengths of the PSF, odd, one per axis; at least one of 3 or more.
    rounds
        How often object and PSF are improved in turn.
    background, check
        As in `richardson_lucy.richardson_lucy`.

    Returns
    -------
    ndarray
        float64, shape `size`, sum 1.

    Raises
    ------
    InvalidInputError
        If the image is constant or cannot be used, or the size does not fit it.
    """
    real = as_real(image)
    require_structure(real, "no PSF can be estimated")
    reach = _checked_reach(size, real.shape)
    if rounds < 1:
        raise InvalidInputError(f"{rounds} rounds estimate nothing: use 1 or more.")
    scene = start_scene(real, reach, background)
    return _touched_up(scene, _first_guess(real, reach), reach, rounds, check)


def _touched_up(
    scene: Scene, psf: NDArray[np.float64], reach: Sequence[int], rounds: int, check: Callable[[], None]
) -> NDArray[np.float64]:
    """Improve the object, beginning with a uniform one, and `psf` in turn; return the PSF."""
    inside = padding.forward(scene.placed(np.ones_like(scene.observed)))
    estimate: Real | None = None
    for _ in range(rounds):
        h = _transform(psf, reach, scene)
        visible = scene.visible_weight(h)
        if estimate is None:
            estimate = scene.first_estimate(visible)
        for _ in range(_STEPS):
            check()
            improve_object(scene, estimate, h, visible)
        seen = padding.forward(estimate)
        for _ in range(_STEPS):
            check()
            psf = _improved_psf(scene, psf, seen, inside, reach)
    return psf


def _checked_reach(size: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    if len(size) != len(shape) or any(k < 1 or k % 2 == 0 for k in size) or max(size) < 3:
        raise InvalidInputError(f"The PSF size {tuple(size)} must have {len(shape)} odd lengths, one of 3 or more.")
    check_window(size, shape)
    return tuple(k // 2 for k in size)


def check_window(size: Sequence[int], shape: Sequence[int]) -> None:
    """Raise InvalidInputError if a PSF of a size is larger than an image of a shape."""
    if any(k > n for k, n in zip(size, shape, strict=True)):
        raise InvalidInputError(
            f"The PSF size {tuple(size)} is larger than the image of shape {tuple(shape)}: make it smaller."
        )


def _first_guess(real: Real, reach: Sequence[int]) -> NDArray[np.float64]:
    """Return a Gaussian cut to `reach`: as wide as the blur in the plane seems to be, or as the window allows."""
    widths = [r / 3 for r in reach]
    if min(real.shape[-2:]) >= _LEAST_PLANE:
        widths[-2:] = [min(width, r / 1.5) for width, r in zip(blur_widths(real), reach[-2:], strict=True)]
    return _fitted(gaussian_psf([max(width, 0.3) for width in widths]), reach)


def _fitted(psf: NDArray[np.float64], reach: Sequence[int]) -> NDArray[np.float64]:
    """Crop the middle of `psf` to `reach` around its centre, or put zeros around it."""
    missing = [max(r - n // 2, 0) for n, r in zip(psf.shape, reach, strict=True)]
    psf = np.pad(psf, [(m, m) for m in missing])
    inner = psf[tuple(slice(n // 2 - r, n // 2 + r + 1) for n, r in zip(psf.shape, reach, strict=True))]
    return np.asarray(inner / inner.sum())


def _wrapped_window(reach: Sequence[int], shape: Sequence[int]) -> tuple[NDArray[np.intp], ...]:
    return np.ix_(*(np.arange(-r, r + 1) % n for r, n in zip(reach, shape, strict=True)))


def _transform(psf: NDArray[np.float64], reach: Sequence[int], scene: Scene) -> Spectrum:
    """Return the transform of `psf` with the middle of its window, not its centre of mass, at the origin."""
    field = np.zeros(scene.shape, scene.observed.dtype)
    field[_wrapped_window(reach, scene.shape)] = psf
    transformed: Spectrum = rfftn(field)
    return transformed


def _improved_psf(
    scene: Scene, psf: NDArray[np.float64], spectrum: Spectrum, inside: Spectrum, reach: Sequence[int]
) -> NDArray[np.float64]:
    """Take one Richardson-Lucy step of the PSF: the object, of which `spectrum` is the transform, takes its part."""
    window = _wrapped_window(reach, scene.shape)
    opposite = np.conjugate(spectrum)
    ratio = scene.ratio(_transform(psf, reach, scene), spectrum)
    change = padding.inverse(ratio * opposite, scene.shape, scene.shape)[window].astype(np.float64)
    seen = padding.inverse(inside * opposite, scene.shape, scene.shape)[window].astype(np.float64)
    factor = np.maximum(change, 0) / np.maximum(seen, np.finfo(np.float32).tiny)
    improved = psf * factor**_STRIDE
    total = improved.sum()
    return np.asarray(improved / total) if total > 0 else psf

"""Filters for ridges (vessels, fibres, neurites), by the eigenvalues of second derivatives at several scales.

Definitions are those of scikit-image, on bright ridges: a ridge is steep in all directions but one, so that all
eigenvalues but one are negative. Signs are turned first, so that "large" means "curved downwards".
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations_with_replacement
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.filtering.correlation import correlate_axis, gaussian_weights
from napari_tessera.operations.reductions.statistics import TOO_LARGE

Ridges = Literal["bright", "dark"]

TRUNCATE = 8
"""Gaussians are cut off at so many standard deviations; what lies beyond weighs less than 10⁻¹³."""

_LINES = 2**16
"""How many pixels of a volume have their eigenvalues found at a time."""


def ridge_reach(sigma: float) -> int:
    """Return how far second derivatives at scale `sigma` look: two filters one after the other."""
    return 2 * _radius(sigma)


def _radius(sigma: float) -> int:
    return int(TRUNCATE * sigma / np.sqrt(2) + 0.5)


def scales_between(low: float, high: float, count: int) -> tuple[float, ...]:
    """Return `count` scales in equal steps; the lower one alone if there is one."""
    return tuple(np.linspace(low, high, count).tolist())


def curvatures(image: NDArray[Any], sigma: float, ridges: Ridges) -> NDArray[np.float64]:
    """Return how strongly intensities curve along the main directions, (dimensions, *shape), in decreasing order.

    These are the eigenvalues of the Hessian, found with derivatives of a Gaussian; of bright ridges with their sign
    turned, so that a ridge has large ones across it and one near 0 along it.

    Raises
    ------
    InvalidInputError
        If intensities are so large that derivatives are not finite.
    """
    values = image.astype(np.float64)
    if ridges == "bright":
        values = -values
    elements = _hessian(values, sigma)
    if not all(np.isfinite(element).all() for element in elements):
        raise InvalidInputError(TOO_LARGE)
    return _eigenvalues_of_planes(elements) if image.ndim == 2 else _eigenvalues_of_volumes(elements)


def _hessian(values: NDArray[np.float64], sigma: float) -> list[NDArray[np.float64]]:
    """Return the upper triangle of the Hessian, row by row: two first derivatives, each blurred by sigma / √2."""
    width = sigma / np.sqrt(2)
    radius = _radius(sigma)
    smooth = gaussian_weights(width, radius)
    slope = np.arange(-radius, radius + 1) / width**2 * smooth
    slope[radius] = 0.0

    def derivative(of: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        for each in range(of.ndim):
            of = correlate_axis(of, slope if each == axis else smooth, each)
        return of

    gradients = [derivative(values, axis) for axis in range(values.ndim)]
    return [derivative(gradients[one], two) for one, two in combinations_with_replacement(range(values.ndim), 2)]


def _eigenvalues_of_planes(elements: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    yy, yx, xx = elements
    middle = (yy + xx) / 2
    half = np.hypot(yx, (yy - xx) / 2)
    return np.stack([middle + half, middle - half])


def _eigenvalues_of_volumes(elements: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    shape = elements[0].shape
    flat = [element.reshape(-1) for element in elements]
    found = np.empty((3, flat[0].size))
    for start in range(0, flat[0].size, _LINES):
        zz, zy, zx, yy, yx, xx = (element[start : start + _LINES] for element in flat)
        matrices = np.stack([zz, zy, zx, zy, yy, yx, zx, yx, xx], axis=-1).reshape(-1, 3, 3)
        found[:, start : start + _LINES] = np.linalg.eigvalsh(matrices)[:, ::-1].T
    return found.reshape(3, *shape)


def strongest(
    image: NDArray[Any],
    scales: Iterable[float],
    ridges: Ridges,
    answer: Callable[[NDArray[np.float64], float], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Return the greatest `answer` to the curvatures and the scale, over all scales; at least 0."""
    best = np.zeros(image.shape)
    for sigma in scales:
        np.maximum(best, answer(curvatures(image, sigma, ridges), sigma), out=best)
    return best


def sato(across: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return the tubeness: σ² times the (geometric) mean of the curvatures but the least, 0 where one is negative.

    References
    ----------
    Y. Sato et al., "Three-dimensional multi-scale line filter for segmentation and visualization of curvilinear
    structures in medical images", Medical Image Analysis 2 (1998), equations 9 and 22.
    """
    positive = np.maximum(across[:-1], 0)
    return np.asarray(sigma**2 * (positive[0] if len(positive) == 1 else np.sqrt(positive[0]) * np.sqrt(positive[1])))


def meijering(across: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """Return the neuriteness before it is divided by its greatest value: the largest modified curvature, at least 0.

    Each curvature gets `alpha` times the sum of the others; the largest by magnitude counts.

    References
    ----------
    E. Meijering et al., "Design and validation of a tool for neurite tracing and analysis in fluorescence microscopy
    images", Cytometry A 58 (2004).
    """
    best = np.zeros(across.shape[1:])
    for index, own in enumerate(across):
        changed = own.copy()
        for other, value in enumerate(across):
            if other != index:
                changed += alpha * value
        larger = np.abs(changed) > np.abs(best)
        best[larger] = changed[larger]
    return np.maximum(best, 0)


def structure(across: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the length of the vector of curvatures (the Frobenius norm of the Hessian)."""
    total = np.abs(across[0])
    for value in across[1:]:
        total = np.hypot(total, value)
    return np.asarray(total)


def frangi(across: NDArray[np.float64], alpha: float, beta: float, gamma: float) -> NDArray[np.float64]:
    """Return the vesselness, 0 to 1; 0 where intensities curve the other way across the ridge.

    References
    ----------
    A. F. Frangi et al., "Multiscale vessel enhancement filtering", MICCAI (1998), equations 13 and 15.
    """
    ordered = np.take_along_axis(across, np.abs(across).argsort(axis=0, kind="stable"), axis=0)
    ridge = (ordered[1:] > 0).all(axis=0)
    safe = np.where(ridge, ordered, 1.0)
    blob = np.abs(safe[0]) / (safe[1] if len(safe) == 2 else np.sqrt(safe[1]) * np.sqrt(safe[2]))
    answer = np.exp(-((blob / beta) ** 2) / 2)
    if len(safe) == 3:
        answer *= -np.expm1(-((safe[1] / safe[2] / alpha) ** 2) / 2)
    answer *= -np.expm1(-((structure(safe) / gamma) ** 2) / 2)
    return np.where(ridge, answer, 0.0)

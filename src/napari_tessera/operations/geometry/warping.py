"""Geometric transforms of planes and volumes: where each pixel of the result comes from, and what lies there."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.casting import fit_into

Interpolation = Literal["nearest", "linear", "cubic"]
ORDERS: dict[Interpolation, int] = {"nearest": 0, "linear": 1, "cubic": 3}

Source = Callable[[NDArray[np.float64], NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Positions (y, x) in the result to positions (y, x) in the image; NaN for nowhere."""

_SPLINE_MARGIN = 12
_SLAB_PIXELS = 2**20


def warp_affine(
    image: NDArray[Any],
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    shape: tuple[int, ...],
    order: int,
    fill: float,
) -> NDArray[Any]:
    """Return the image at ``matrix @ position + offset`` for every position of a result of `shape`.

    Between pixels a spline of `order` (0, 1, 3) is used, outside the image `fill`; integers are rounded and clipped.
    """
    from scipy.ndimage import affine_transform

    if order == 0:
        return np.asarray(
            affine_transform(image, matrix, offset, shape, order=0, mode="grid-constant", cval=_held(fill, image.dtype))
        )
    values = affine_transform(
        image.astype(np.float64), matrix, offset, shape, order=order, mode="grid-constant", cval=fill
    )
    return fit_into(values, image.dtype)


def _held(fill: float, dtype: np.dtype[Any]) -> float:
    """Return `fill` as a value that `dtype` holds."""
    return float(fit_into(np.array([fill], np.float64), dtype)[0])


def warp_plane(
    image: NDArray[Any], source: Source, order: int, fill: float, check: Callable[[], None] = lambda: None
) -> NDArray[Any]:
    """Return a plane of the same shape whose pixels come from where `source` says; row by row, to save memory."""
    from scipy.ndimage import map_coordinates, spline_filter

    height, width = image.shape
    margin = 0
    values = image
    if order > 0:
        values = image.astype(np.float64)
    if order > 1:
        margin = _SPLINE_MARGIN
        values = spline_filter(np.pad(values, margin, constant_values=fill), order, mode="mirror")
    result = np.empty_like(image)
    rows = max(1, _SLAB_PIXELS // max(1, width))
    for first in range(0, height, rows):
        check()
        ys, xs = np.mgrid[first : min(first + rows, height), 0:width].astype(np.float64)
        places = np.stack(source(ys, xs)) + margin
        places[:, ~np.isfinite(places).all(axis=0)] = -1e9
        np.clip(places, -1e9, 1e9, out=places)
        cval = _held(fill, image.dtype) if order == 0 else fill
        found = map_coordinates(values, places, order=order, mode="grid-constant", cval=cval, prefilter=False)
        result[first : first + rows] = found if order == 0 else fit_into(found, image.dtype)
    return result


def resample(image: NDArray[Any], shape: Sequence[int], steps: Sequence[float], order: int) -> NDArray[Any]:
    """Return the image on another grid that begins at the same outer border.

    Parameters
    ----------
    image
        Plane or volume.
    shape
        Of the result.
    steps
        How many pixels of the image one of the result is long, along each axis.
    order
        0, 1 or 3. Above 0, axes along which pixels become longer are blurred first by a Gaussian of (step − 1) / 2, so
        that nothing is skipped.
    """
    from scipy.ndimage import affine_transform, gaussian_filter

    offset = [(step - 1) / 2 for step in steps]
    options = {"output_shape": tuple(shape), "order": order, "mode": "reflect"}
    if order == 0:
        return np.asarray(affine_transform(image, np.array(steps), offset, **options))
    values = image.astype(np.float64)
    if any(step > 1 for step in steps):
        values = gaussian_filter(values, [max(0.0, (step - 1) / 2) for step in steps], mode="reflect")
    return fit_into(affine_transform(values, np.array(steps), offset, **options), image.dtype)


def bin_pixels(
    image: NDArray[Any], factors: Sequence[int], statistic: Literal["mean", "sum", "max", "min"], dtype: Any
) -> NDArray[Any]:
    """Return one pixel for each block of ``factors`` pixels; what does not fill a block at the end is left out."""
    shape = [length // factor for length, factor in zip(image.shape, factors, strict=True)]
    parts = (
        image[tuple(slice(o, o + n * f, f) for o, n, f in zip(offset, shape, factors, strict=True))]
        for offset in itertools.product(*(range(factor) for factor in factors))
    )
    if statistic in ("max", "min"):
        chosen = np.maximum if statistic == "max" else np.minimum
        result = next(parts).copy()
        for part in parts:
            chosen(result, part, out=result)
        return result
    total = np.zeros(shape, {"u": np.uint64, "i": np.int64}.get(image.dtype.kind, np.float64))
    for part in parts:
        total += part
    return total.astype(dtype) if statistic == "sum" else fit_into(total / int(np.prod(factors)), dtype)


def parse_rows(text: str, rows: int, columns: int, what: str) -> NDArray[np.float64]:
    """Return typed numbers, (rows, columns).

    Raises
    ------
    InvalidInputError
        If they are not so many or not finite.
    """
    from napari_tessera.operations.filtering.convolution import parse_kernel

    numbers = parse_kernel(text)
    if numbers.shape != (rows, columns) or not np.isfinite(numbers).all():
        raise InvalidInputError(
            f"{what} needs {rows} rows of {columns} numbers, rows parted by semicolons; {text!r} has another form."
        )
    return numbers


def homography(sources: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the 3 × 3 matrix that maps four points (x, y) to four others.

    Raises
    ------
    InvalidInputError
        If four of them are no convex quadrilateral, corner after corner.
    """
    rows = []
    for (x, y), (u, v) in zip(sources, targets, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    if not (_is_convex(sources) and _is_convex(targets)):
        raise InvalidInputError(
            "The corners lie on a line or out of order: give those of a quadrilateral, from the top left clockwise."
        )
    return np.append(np.linalg.solve(np.array(rows), targets.reshape(-1)), 1.0).reshape(3, 3)


def _is_convex(corners: NDArray[np.float64]) -> bool:
    """Whether all turns from side to side go the same way, and none goes straight on."""
    sides = np.roll(corners, -1, axis=0) - corners
    after = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * after[:, 1] - sides[:, 1] * after[:, 0]
    least = 1e-9 * float((sides**2).sum())
    return bool((turns > least).all() or (turns < -least).all())


def projective_source(inverse: NDArray[np.float64]) -> Source:
    """Return where pixels come from, given the matrix from result to image, both (x, y, 1)."""

    def source(ys: NDArray[np.float64], xs: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        x, y, w = (row[0] * xs + row[1] * ys + row[2] for row in inverse)
        w = np.where(w > 0, w, np.nan)  # behind the viewer
        return y / w, x / w

    return source


def radial_source(shape: tuple[int, ...], centre: tuple[float, float], k1: float, k2: float) -> Source:
    """Return where pixels of a straightened image lie in the distorted one.

    ``r_distorted = r · (1 + k1 r² + k2 r⁴)``, r in half diagonals of the plane (Brown 1966, "Decentering distortion of
    lenses").
    """
    half = math.hypot(*shape) / 2

    def source(ys: NDArray[np.float64], xs: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        y, x = ys - centre[0], xs - centre[1]
        squared = (y * y + x * x) / half**2
        factor = 1 + squared * (k1 + k2 * squared)
        return centre[0] + y * factor, centre[1] + x * factor

    return source

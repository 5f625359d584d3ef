"""Where the pixels of a result come from: affine, projective and lens maps, and what parts of an image they reach."""

import math

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.regions import Region
from napari_tessera.operations.geometry.warping import Places, Source, corners_of


def affine_source(matrix: NDArray[np.float64], offset: NDArray[np.float64]) -> Source:
    """Return ``matrix @ position + offset`` as a source."""

    def source(places: Places) -> Places:
        found = []
        for row, start in zip(matrix.tolist(), offset.tolist(), strict=True):
            total = np.full((1,) * len(places), start)
            for weight, at in zip(row, places, strict=True):
                if weight:
                    total = total + weight * at
            found.append(total)
        return tuple(found)

    return source


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

    def source(places: Places) -> Places:
        ys, xs = places
        x, y, w = (row[0] * xs + row[1] * ys + row[2] for row in inverse.tolist())
        w = np.where(w > 0, w, np.nan)  # behind the viewer
        return y / w, x / w

    return source


def projective_reach(inverse: NDArray[np.float64], part: Region, shape: tuple[int, ...]) -> Places:
    """Return positions in an image of `shape` around all that a part of a projective result comes from."""
    reached = projective_source(inverse)(corners_of(part))
    seen = np.isfinite(reached[0])
    if seen.any() and not seen.all():  # the horizon lies across
        return tuple(np.array([0.0, length - 1.0]) for length in shape)
    return reached


def radial_source(shape: tuple[int, ...], centre: tuple[float, float], k1: float, k2: float) -> Source:
    """Return where pixels of a straightened image lie in the distorted one.

    ``r_distorted = r · (1 + k1 r² + k2 r⁴)``, r in half diagonals of the plane (Brown 1966, "Decentering distortion of
    lenses").
    """
    half = math.hypot(*shape) / 2

    def source(places: Places) -> Places:
        y, x = places[0] - centre[0], places[1] - centre[1]
        squared = (y * y + x * x) / half**2
        factor = 1 + squared * (k1 + k2 * squared)
        return centre[0] + y * factor, centre[1] + x * factor

    return source


def radial_reach(shape: tuple[int, ...], centre: tuple[float, float], k1: float, k2: float, part: Region) -> Places:
    """Return positions around all that a part of a straightened image comes from."""
    half = math.hypot(*shape) / 2
    ends = [(p.start - c, p.stop - 1 - c) for p, c in zip(part, centre, strict=True)]
    nearest = sum((0.0 if low <= 0 <= high else min(low**2, high**2)) for low, high in ends) / half**2
    farthest = sum(max(low**2, high**2) for low, high in ends) / half**2
    turning = [-k1 / (2 * k2)] if k2 else []
    factors = [
        1 + squared * (k1 + k2 * squared)
        for squared in [nearest, farthest, *(at for at in turning if nearest < at < farthest)]
    ]
    reached = []
    for (low, high), middle in zip(ends, centre, strict=True):
        products = [side * factor for side in (low, high) for factor in (min(factors), max(factors))]
        reached.append(np.array([middle + min(products), middle + max(products)]))
    return tuple(reached)

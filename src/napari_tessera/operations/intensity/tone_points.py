"""Tone curves through points that a person chooses."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.intensity.curves import Curve

_FORM = "type pairs of intensities before and after, like 0 0; 50 70; 100 100."


def parse_points(text: str) -> NDArray[np.float64]:
    """Return points typed as pairs, (points, 2), in ascending order of the first number.

    Raises
    ------
    InvalidInputError
        If there are fewer than two, they are no pairs of finite numbers, or two have the same place.
    """
    rows = [row for row in text.replace("\n", ";").split(";") if row.strip()]
    points = [_parse_point(row, number, text) for number, row in enumerate(rows, 1)]
    if len(points) < 2:
        raise InvalidInputError(f"The curve {text!r} has fewer than two points: {_FORM}")
    ordered = np.array(sorted(points))
    same = np.flatnonzero(np.diff(ordered[:, 0]) <= 0)
    if same.size:
        raise InvalidInputError(
            f"The curve {text!r} has two points at the intensity {ordered[same[0], 0]:g}: move or remove one of them."
        )
    return ordered


def _parse_point(row: str, number: int, text: str) -> tuple[float, float]:
    try:
        before, after = map(float, row.replace(",", " ").split())
    except ValueError:  # other than two, or no numbers
        before = after = math.nan
    if not (math.isfinite(before) and math.isfinite(after)):
        raise InvalidInputError(f"Point {number} of the curve {text!r} is {row.strip()!r}, no two numbers: {_FORM}")
    return before, after


def through(points: NDArray[np.float64], shape: Literal["linear", "smooth"]) -> Curve:
    """Return the curve through points, level beyond the first and the last.

    Parameters
    ----------
    points
        (points, 2), the first numbers ascending.
    shape
        Straight between points, or smooth without overshooting them (monotone cubic: Fritsch & Carlson 1980).
    """
    first = np.append(True, np.diff(points[:, 0]) > 0)  # a range may be narrower than floats tell apart
    places, values = points[first].T
    if shape == "linear" or len(places) < 2:
        return lambda intensities: np.interp(intensities, places, values)
    from scipy.interpolate import PchipInterpolator

    pieces = PchipInterpolator(places, values)
    return lambda intensities: np.asarray(pieces(np.clip(intensities, places[0], places[-1])), np.float64)

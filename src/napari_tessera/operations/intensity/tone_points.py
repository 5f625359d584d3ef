"""Tone curves through points that a person chooses."""

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
    rows = [row.replace(",", " ").split() for row in text.replace("\n", ";").split(";") if row.strip()]
    try:
        points = [[float(number) for number in row] for row in rows]
    except ValueError as error:
        raise InvalidInputError(f"The curve {text!r} holds something else than numbers: {_FORM}") from error
    if len(points) < 2 or any(len(point) != 2 for point in points) or not np.isfinite(points).all():
        raise InvalidInputError(f"The curve {text!r} is no two pairs of finite numbers or more: {_FORM}")
    ordered = np.array(sorted(points))
    if (np.diff(ordered[:, 0]) <= 0).any():
        raise InvalidInputError(f"The curve {text!r} has two values at one place: move or remove one of the points.")
    return ordered


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

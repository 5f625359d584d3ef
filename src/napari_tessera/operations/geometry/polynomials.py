"""Polynomial maps of a plane, fitted to pairs of points."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.regions import Region
from napari_tessera.operations.geometry.warping import Places, places_of

_ROWS = 2**20
"""How many positions are looked at at a time where the reach of a region is found."""


def pairs_needed(degree: int) -> int:
    """Return how many pairs of points determine a polynomial map."""
    return (degree + 1) * (degree + 2) // 2


@dataclass(frozen=True)
class PolynomialMap:
    """Where pixels of a result come from.

    Attributes
    ----------
    centre, half
        Of the positions fitted to, which are brought to −1 … 1 first.
    powers
        Powers of y and x in each term.
    weights
        (terms, 2): of y and x in the image.
    """

    centre: tuple[float, float]
    half: float
    powers: tuple[tuple[int, int], ...]
    weights: NDArray[np.float64]

    def __call__(self, places: Places) -> Places:
        """Return the positions in the image of positions in the result."""
        y, x = ((at - middle) / self.half for at, middle in zip(places, self.centre, strict=True))
        degree = max(max(power) for power in self.powers)
        ys, xs = _powers(y, degree), _powers(x, degree)
        with np.errstate(over="ignore", invalid="ignore"):
            terms = [ys[i] * xs[j] for i, j in self.powers]
            found = []
            for column in self.weights.T.tolist():
                total = column[0] * terms[0]
                for weight, term in zip(column[1:], terms[1:], strict=True):  # one by one: the same sum in any tile
                    total = total + weight * term
                found.append(total)
        return found[0], found[1]

    def reach(self, part: Region) -> Places:
        """Return the ends of where the pixels of a region come from."""
        step = max(1, _ROWS // max(1, part[1].stop - part[1].start))
        lows, highs = [], []
        for start in range(part[0].start, part[0].stop, step):
            piece = (slice(start, min(start + step, part[0].stop)), part[1])
            found = [np.where(np.isfinite(at), at, np.nan) for at in np.broadcast_arrays(*self(places_of(piece)))]
            if not all(np.isnan(at).all() for at in found):
                lows.append([np.nanmin(at) for at in found])
                highs.append([np.nanmax(at) for at in found])
        if not lows:
            return np.zeros(1), np.zeros(1)
        ends = np.stack([np.min(lows, axis=0), np.max(highs, axis=0)])
        return ends[:, 0], ends[:, 1]


def _powers(values: NDArray[np.float64], degree: int) -> Sequence[NDArray[np.float64]]:
    powers = [np.ones_like(values)]
    for _ in range(degree):
        powers.append(powers[-1] * values)
    return powers


def fit_polynomial(points: NDArray[np.float64], targets: NDArray[np.float64], degree: int) -> PolynomialMap:
    """Return the map from the result to the image that takes `targets` to `points` with the least squared error.

    Parameters
    ----------
    points, targets
        (pairs, 2) as (y, x), in pixels: places in the image, and where they belong in the result.
    degree
        Highest power; 1 is an affine map.

    Raises
    ------
    InvalidInputError
        If the numbers of points differ, they are too few, or lie so that they do not determine the map.
    """
    if len(points) != len(targets):
        raise InvalidInputError(
            f"There are {len(points)} points and {len(targets)} targets: give one target for each point, in the same "
            "order."
        )
    needed = pairs_needed(degree)
    if len(points) < needed:
        raise InvalidInputError(
            f"A polynomial of degree {degree} needs {needed} pairs of points or more, and there are {len(points)}: "
            "give more, or choose a lower degree."
        )
    low, high = targets.min(axis=0), targets.max(axis=0)
    centre, half = (low + high) / 2, float((high - low).max()) / 2 or 1.0
    powers = tuple((i, total - i) for total in range(degree + 1) for i in range(total + 1))
    y, x = ((targets - centre) / half).T
    terms = np.stack([y**i * x**j for i, j in powers], axis=1)
    weights, _, rank, sizes = np.linalg.lstsq(terms, points, rcond=None)
    if rank < needed or sizes[-1] < 1e-9 * sizes[0]:
        raise InvalidInputError(
            "The targets lie on a line or curve, so that they do not say what happens beside it: spread them out, or "
            "choose a lower degree."
        )
    return PolynomialMap((float(centre[0]), float(centre[1])), half, powers, np.asarray(weights, np.float64))

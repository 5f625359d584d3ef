"""Neighbours and scales in physical units, for voxels that are not cubes.

The unit is the smallest side of a pixel: two images that differ in nothing but the size of all their pixels give the
same.
"""

import math
from itertools import product

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError


def relative_sides(spacing: tuple[float, ...]) -> tuple[float, ...]:
    """Return the sides of a pixel as multiples of the smallest.

    Raises
    ------
    InvalidInputError
        If a side is not a number above 0.
    """
    if not all(math.isfinite(side) and side > 0 for side in spacing):
        raise InvalidInputError(
            f"A pixel of the size {spacing} does not exist: set the scale of the image to numbers > 0."
        )
    smallest = min(spacing)
    return tuple(float(side / smallest) for side in spacing)


def physical_steps(spacing: tuple[float, ...], connectivity: int) -> NDArray[np.int64]:
    """Return the steps to the neighbours of a pixel, shape (neighbours, ndim), in raster order.

    Pixels that share a face are always neighbours. Of those that are reached along 2 … `connectivity` axes at once,
    those are that lie no farther away than they would in an image of cubes: √connectivity times the smallest side. So
    cubes have the 6, 18 or 26 neighbours they always have, and with planes far apart the diagonals stay in the plane.

    Raises
    ------
    InvalidInputError
        If `connectivity` is not from 1 to the number of axes, or a side is not a number above 0.
    """
    ndim = len(spacing)
    if not 1 <= connectivity <= ndim:
        raise InvalidInputError(f"Connectivity {connectivity} is not defined here: choose 1 to {ndim}.")
    sides = relative_sides(spacing)
    reach = math.sqrt(connectivity) * (1 + 1e-6)

    def is_neighbour(step: tuple[int, ...]) -> bool:
        axes = sum(map(abs, step))
        length = math.hypot(*(part * side for part, side in zip(step, sides, strict=True)))
        return axes == 1 or (1 < axes <= connectivity and length <= reach)

    return np.array([step for step in product((-1, 0, 1), repeat=ndim) if is_neighbour(step)], np.int64)

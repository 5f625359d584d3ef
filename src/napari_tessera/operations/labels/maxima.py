"""Peaks of an image."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.wide_integers import differences_from

MOST = 2**22
"""Peaks of which those too near to each other are found."""


def local_maxima(
    image: NDArray[Any],
    prominence: float,
    least: float | None,
    distance: float,
    spacing: Sequence[float],
    check: Callable[[], None] = lambda: None,
) -> NDArray[np.int64]:
    """Return the positions of peaks, (peaks, dimensions), in raster order.

    A peak is a pixel, or a plateau of equal ones that touch (diagonals too), that is higher than all around it; of a
    plateau the pixel nearest to its middle is given. An image that is all one plateau has none.

    Parameters
    ----------
    image
        (y, x) or (z, y, x), integer or float.
    prominence
        How far one must go down at least to come from a peak to a higher one (h-maxima); 0 for any.
    least
        Peaks that are lower are left out; None for none.
    distance
        No two peaks are nearer to each other than this: the higher one stays, of equals the first.
    spacing
        Length of a pixel along each axis, in the unit of `distance`.
    check
        Called now and then.

    References
    ----------
    L. Vincent, "Morphological grayscale reconstruction in image analysis", IEEE Trans. Image Processing 2 (1993), for
    the prominence.
    """
    # from the lowest on, so that floats tell large integers apart where they can
    heights = image.astype(np.float64) if image.dtype.kind == "f" else differences_from(image, float(image.min()))
    plateaus = _plateaus(heights if prominence <= 0 else _levelled(heights, prominence))
    check()
    if not plateaus.any():
        return np.zeros((0, image.ndim), np.int64)
    positions = _middles(plateaus, heights)
    if least is not None:
        positions = positions[image[tuple(positions.T)] >= least]
    return _apart(positions, heights[tuple(positions.T)], distance, spacing, check)


def _levelled(heights: NDArray[np.float64], prominence: float) -> NDArray[np.float64]:
    """Return the image whose peaks of less than `prominence` are cut off, and the others by so much."""
    from skimage.morphology import reconstruction

    footprint = np.ones((3,) * heights.ndim)
    down = prominence * (1 - 1e-9)  # a peak of just this prominence stays
    return np.asarray(reconstruction(heights - down, heights, "dilation", footprint), np.float64)


def _plateaus(heights: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return numbers of the plateaus that are higher than all around them."""
    from scipy.ndimage import label
    from skimage.morphology import local_maxima as flat_maxima

    numbers, _ = label(flat_maxima(heights), np.ones((3,) * heights.ndim))
    return np.asarray(numbers, np.int32)


def _middles(plateaus: NDArray[np.int32], heights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return of each plateau the highest pixel, of equally high ones that nearest to their middle."""
    places = np.argwhere(plateaus)
    numbers = plateaus[tuple(places.T)]
    top = np.full(int(numbers.max()) + 1, -np.inf)
    values = heights[tuple(places.T)]
    np.maximum.at(top, numbers, values)
    highest = values == top[numbers]  # a levelled peak is broader than its summit
    places, numbers = places[highest], numbers[highest]
    sizes = np.bincount(numbers)
    middles = np.stack([np.bincount(numbers, column) for column in places.T], axis=1) / np.maximum(sizes, 1)[:, None]
    far = ((places - middles[numbers]) ** 2).sum(axis=1)
    order = np.lexsort((far, numbers))
    chosen = order[np.unique(numbers[order], return_index=True)[1]]
    return np.asarray(places[np.sort(chosen)], np.int64)


def _apart(
    positions: NDArray[np.int64],
    heights: NDArray[np.float64],
    distance: float,
    spacing: Sequence[float],
    check: Callable[[], None],
) -> NDArray[np.int64]:
    """Return those of the positions that have no higher one within `distance` that stays."""
    from scipy.spatial import cKDTree

    if distance <= min(spacing) or len(positions) < 2:
        return positions
    if len(positions) > MOST:
        raise InvalidInputError(
            f"There are {len(positions):,} peaks: smooth the image first, or choose a greater prominence or threshold."
        )
    places = positions * np.array(spacing)
    tree = cKDTree(places)
    stays = np.ones(len(positions), bool)
    radius = distance * (1 - 1e-9)  # what lies exactly at the distance stays
    for step, index in enumerate(np.argsort(-heights, kind="stable")):
        if step % 1024 == 0:
            check()
        if stays[index]:
            stays[tree.query_ball_point(places[index], radius)] = False
            stays[index] = True
    return positions[stays]

"""Scribbles without a hand: strokes along the middle of objects and of the background, as a person would paint them."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import line
from skimage.morphology import skeletonize

from napari_tessera.config.training import SCRIBBLED_BACKGROUND
from napari_tessera.core.errors import AnnotationError, InvalidInputError

FOREGROUND = 2

_THIN = 3
"""Strokes on the background keep so many pixels away from objects, if there is background as far away."""

_EIGHT = np.ones((3, 3), bool)


def draw_scribbles(truth: NDArray[np.generic], *, seed: int = 0, share: float = 0.01) -> NDArray[np.uint8]:
    """Draw sparse scribbles from the truth: fragments of skeletons of objects and of background.

    Half of the strokes fall on objects, along their middle; a quarter on the middle line between objects; a quarter
    beside objects, three to five pixels off, where a person shows the network how far an object goes. Where all
    background is as thin as a membrane there is no such place, and that half falls on its middle line.

    Parameters
    ----------
    truth
        ``integer or bool (y, x)``; 0 is background, instance labels or one class otherwise.
    seed
        Start of the random numbers.
    share
        Share of the pixels to paint, at most.

    Returns
    -------
    ndarray
        ``uint8 (y, x)``: 0 unlabelled, 1 background, 2 object.

    Raises
    ------
    InvalidInputError
        If `truth` is not two-dimensional or `share` not between 0 and 1.
    AnnotationError
        If `truth` holds no object or no background.
    """
    if truth.ndim != 2 or not 0 < share < 1:
        raise InvalidInputError("Scribbles are drawn on a two-dimensional truth with a share between 0 and 1.")
    mask = truth != 0
    if mask.all() or not mask.any():
        raise AnnotationError("The truth has no object or no background: choose another image.")
    rng = np.random.default_rng(seed)
    budget = share * mask.size
    distance = ndimage.distance_transform_edt(~mask)
    scribbles = np.zeros(truth.shape, np.uint8)
    _add_strokes(scribbles, FOREGROUND, _interiors(truth), mask, budget / 2, reach=7, rng=rng)
    if np.mean(distance[~mask] > _THIN) < 0.1:
        _add_strokes(scribbles, SCRIBBLED_BACKGROUND, skeletonize(~mask), ~mask, budget / 2, reach=7, rng=rng)
    else:
        between = skeletonize(distance > _THIN)
        _add_strokes(scribbles, SCRIBBLED_BACKGROUND, between, ~mask, budget / 4, reach=12, rng=rng)
        beside = skeletonize((distance >= _THIN) & (distance < 5))
        _add_strokes(scribbles, SCRIBBLED_BACKGROUND, beside, ~mask, budget / 4, reach=7, rng=rng)
    if not {SCRIBBLED_BACKGROUND, FOREGROUND} <= set(np.unique(scribbles).tolist()):
        raise AnnotationError(f"No strokes fit into {share:.2%} of the image: raise the share.")
    return scribbles


def draw_lines(
    shape: tuple[int, int], strokes: Sequence[tuple[int, Sequence[tuple[int, int]]]], *, width: int = 3
) -> NDArray[np.uint8]:
    """Draw broken lines by hand-written coordinates.

    Parameters
    ----------
    shape
        ``(y, x)`` of the scribbles.
    strokes
        Per stroke its label and its corners ``(y, x)``; later strokes lie on top.
    width
        Thickness in pixels.

    Returns
    -------
    ndarray
        ``uint8 (y, x)``, 0 where no stroke passes.
    """
    scribbles = np.zeros(shape, np.uint8)
    pen = np.hypot(*np.ogrid[-(width // 2) : width // 2 + 1, -(width // 2) : width // 2 + 1]) <= width / 2
    for label, corners in strokes:
        path = np.zeros(shape, bool)
        for (y0, x0), (y1, x1) in pairwise(corners):
            path[line(y0, x0, y1, x1)] = True
        scribbles[ndimage.binary_dilation(path, pen)] = label
    return scribbles


def _interiors(truth: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return the skeletons of all objects; touching instances are taken apart first."""
    borders = ndimage.grey_dilation(truth, footprint=_EIGHT) != ndimage.grey_erosion(truth, footprint=_EIGHT)
    skeleton: NDArray[np.bool_] = skeletonize((truth != 0) & ~borders)
    return skeleton


def _add_strokes(
    scribbles: NDArray[np.uint8],
    label: int,
    paths: NDArray[np.bool_],
    where: NDArray[np.bool_],
    budget: float,
    *,
    reach: int,
    rng: np.random.Generator,
) -> None:
    """Paint fragments of `paths` in random order until `budget` pixels are used.

    Strokes are two pixels wide, one more than their path, but do not leave `where`, the pixels that `label` is true of.
    """
    starts = np.argwhere(paths)
    for y, x in rng.permutation(starts):
        if budget < 4 * reach:
            return
        window = tuple(slice(max(at - reach, 0), at + reach + 1) for at in (y, x))
        if scribbles[window].any():
            continue  # strokes stay apart, as they do when a person spreads them over the image
        pieces, _ = ndimage.label(paths[window], _EIGHT)
        piece = pieces == pieces[y - window[0].start, x - window[1].start]
        stroke = ndimage.binary_dilation(piece, np.ones((2, 2), bool)) & where[window]
        if stroke.sum() > budget:
            continue
        scribbles[window][stroke] = label
        budget -= np.count_nonzero(stroke)

"""Simulated hands: strokes drawn from a truth as different people would paint them.

Every hand gives ``uint8 (y, x)``: 0 unlabelled, 1 background, 2 foreground.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label
from skimage.morphology import skeletonize

SHARE = 0.013
"""Share of the pixels that is painted, half of it per class."""

MOST_OF_CLASS = 0.25
"""A hand leaves at least the rest of a class unpainted, however rare it is."""

FRAGMENT = 41
"""Edge length of the square in which a fragment of a skeleton lies, in pixels."""

LENGTHS = (12, 60)
"""Shortest and longest curve, in pixels."""

BEND = 0.06
"""Standard deviation of the curvature of a curve, in radians per pixel."""

TRIES = 4
"""Directions that a person considers before painting the curve that goes on longest."""

MOST_CURVES = 2000
"""A hand gives up where so many curves find no room."""

_PEN = np.ones((3, 3), bool)

Objects = NDArray[np.integer[Any]]
Scribbles = NDArray[np.uint8]


def skeleton_hand(objects: Objects, rng: np.random.Generator) -> Scribbles:
    """Paint fragments of the skeletons of objects and of the background, one pixel wide."""
    scribbles = np.zeros(objects.shape, np.uint8)
    # objects are thinned one by one, so that touching ones are not bridged
    inside = np.zeros(objects.shape, bool)
    for number in np.unique(objects[objects > 0]):
        inside |= skeletonize(objects == number)
    for value, skeleton in ((2, inside), (1, skeletonize(objects == 0))):
        budget = _budget(objects, value)
        for y, x in rng.permutation(np.argwhere(skeleton)):
            left = budget - int((scribbles == value).sum())
            if left <= 0:
                break
            square = tuple(slice(max(at - FRAGMENT // 2, 0), at + FRAGMENT // 2) for at in (y, x))
            pieces = label(skeleton[square], connectivity=2)
            piece = pieces == pieces[y - square[0].start, x - square[1].start]
            scribbles[square][np.unravel_index(np.flatnonzero(piece)[:left], piece.shape)] = value
    return scribbles


def human_hand(objects: Objects, rng: np.random.Generator) -> Scribbles:
    """Paint curves of random start, direction and bend, three pixels thick, that end a pixel before the border."""
    scribbles = np.zeros(objects.shape, np.uint8)
    for value in (2, 1):
        budget, painted = _budget(objects, value), 0
        for stroke in islice(_curves(objects, value, rng), MOST_CURVES):
            pixels = np.flatnonzero(stroke & (scribbles == 0))[: budget - painted]
            scribbles.flat[pixels] = value
            painted += len(pixels)
            if painted >= budget:
                break
    return scribbles


def sparse_hands(pictures: Sequence[Objects], rng: np.random.Generator, strokes: int) -> list[Scribbles]:
    """Paint so many curves of `human_hand` per class and no more, spread over `pictures` in turn."""
    painted = [np.zeros(objects.shape, np.uint8) for objects in pictures]
    for value in (2, 1):
        curves = [_curves(objects, value, rng) for objects in pictures]
        for number in range(strokes):
            stroke = next(curves[number % len(pictures)], None)
            if stroke is not None:
                painted[number % len(pictures)][stroke] = value
    return painted


def _budget(objects: Objects, value: int) -> int:
    """Return how many pixels to paint of the class `value` at most."""
    pixels = np.count_nonzero((objects > 0) == (value == 2))
    return round(min(SHARE / 2 * objects.size, MOST_OF_CLASS * pixels))


def _curves(objects: Objects, value: int, rng: np.random.Generator) -> Iterator[NDArray[np.bool_]]:
    """Yield strokes of one class for ever, each as a mask ``(y, x)``; none if the class is too thin to paint."""
    mask = (objects > 0) == (value == 2)
    # the border of the image is no border of an object
    allowed = ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1] > 1
    starts = np.argwhere(allowed)
    if not len(starts):
        return
    while True:
        start = starts[rng.integers(len(starts))]
        paths = [_path(start, allowed, rng) for _ in range(TRIES)]
        path = max(paths, key=len)
        stroke = np.zeros(objects.shape, bool)
        stroke[tuple(np.array(path).T)] = True
        yield ndimage.binary_dilation(stroke, _PEN) & allowed


def _path(
    start: NDArray[np.integer[Any]], allowed: NDArray[np.bool_], rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Walk from `start` along a bent line for as long as it stays on what is allowed."""
    at, angle = start.astype(float), rng.uniform(0, 2 * np.pi)
    bend, path = rng.normal(0, BEND), []
    for _ in range(int(rng.integers(*LENGTHS))):
        y, x = np.rint(at).astype(int)
        if not (0 <= y < allowed.shape[0] and 0 <= x < allowed.shape[1] and allowed[y, x]):
            break
        path.append((int(y), int(x)))
        at += np.array([np.sin(angle), np.cos(angle)])
        angle += bend
    return path

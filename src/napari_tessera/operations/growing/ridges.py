"""The last step of regions that edges have stopped: they advance to where the edges are strongest."""

import numpy as np
from numpy.typing import NDArray

from napari_tessera.operations.growing.click_window import Box
from napari_tessera.operations.growing.growth import Growth

Origin = tuple[int, ...]


def at_ridges(growth: Growth, regions: NDArray[np.uint32], most: float) -> tuple[Origin, NDArray[np.uint32]]:
    """Return regions that have advanced, the first ones first where two meet: see `edges.to_the_ridge`.

    Parameters
    ----------
    growth
        One that has ended, over edge strengths.
    regions
        Shape of its bounds: numbers from 1, 0 elsewhere.
    most
        Pixels of a region; one that would have more stays as it is.

    Returns
    -------
    Where the box that holds all regions begins in the frame, and the numbers in it.
    """
    from napari_tessera.operations.growing.edges import ridge_rounds, to_the_ridge

    frame, steps = growth.frame, growth.steps
    rounds = ridge_rounds(steps, frame.sides, max(frame.sigma, 1.0))
    box = _wider(growth.bounds, int(rounds.max()), frame.shape)
    numbers = np.zeros([part.stop - part.start for part in box], np.uint32)
    numbers[_inside(growth.bounds, box)] = regions
    strengths, closed = growth.look(box)
    for number, tight in _boxes_of(numbers, growth.many):
        part = _wider(tight, int(rounds.max()), numbers.shape)
        mask = numbers[part] == number
        others = (numbers[part] != 0) & ~mask
        blocked = others if closed is None else others | closed[part]
        climbed = to_the_ridge(mask, strengths[part], steps, rounds, blocked)
        if np.count_nonzero(climbed) <= most:
            numbers[part][climbed] = number
    held = _inside_of(numbers)
    return tuple(a.start + b.start for a, b in zip(box, held, strict=True)), numbers[held]


def _boxes_of(numbers: NDArray[np.uint32], many: bool) -> list[tuple[int, Box]]:
    if not many:
        return [(1, _inside_of(numbers))]
    from scipy import ndimage

    found = ndimage.find_objects(numbers.astype(np.int64))
    return [(number, box) for number, box in enumerate(found, start=1) if box is not None]


def _inside_of(numbers: NDArray[np.uint32]) -> Box:
    """Return the smallest box that holds all that is not 0; there is something."""
    box = []
    for axis in range(numbers.ndim):
        along = np.flatnonzero(numbers.any(axis=tuple(other for other in range(numbers.ndim) if other != axis)))
        box.append(slice(int(along[0]), int(along[-1]) + 1))
    return tuple(box)


def _wider(box: Box, by: int, shape: tuple[int, ...]) -> Box:
    return tuple(slice(max(part.start - by, 0), min(part.stop + by, n)) for part, n in zip(box, shape, strict=True))


def _inside(inner: Box, outer: Box) -> Box:
    return tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(inner, outer, strict=True))

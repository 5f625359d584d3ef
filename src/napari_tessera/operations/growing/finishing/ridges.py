"""The last step of regions that edges have stopped: they advance to where the edges are strongest."""

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.regions import Region
from napari_tessera.operations.growing.engine.growth import Growth

Origin = tuple[int, ...]


def at_ridges(growth: Growth, grown_regions: NDArray[np.uint32], most: float) -> tuple[Origin, NDArray[np.uint32]]:
    """Return regions that have advanced, the first ones first where two meet: see `edges.to_the_ridge`.

    Parameters
    ----------
    growth
        One that has ended, over edge strengths.
    grown_regions
        Shape of its bounds: numbers from 1, 0 elsewhere.
    most
        Pixels of a region; one that would have more stays as it is.

    Returns
    -------
    Where the box that holds all regions begins in the frame, and the numbers in it.
    """
    from napari_tessera.operations.growing.engine.edges import ridge_rounds, to_the_ridge

    frame, steps = growth.frame, growth.steps
    rounds = ridge_rounds(steps, frame.sides, max(frame.sigma, 1.0))
    box = regions.grown(growth.bounds, int(rounds.max()), frame.shape)
    numbers = np.zeros(regions.size(box), np.uint32)
    numbers[regions.relative(growth.bounds, box)] = grown_regions
    strengths, closed = growth.look(box)
    for number, tight in _boxes_of(numbers, growth.many):
        part = regions.grown(tight, int(rounds.max()), numbers.shape)
        mask = numbers[part] == number
        others = (numbers[part] != 0) & ~mask
        blocked = others if closed is None else others | closed[part]
        climbed = to_the_ridge(mask, strengths[part], steps, rounds, blocked)
        if np.count_nonzero(climbed) <= most:
            numbers[part][climbed] = number
    held = _held(numbers)
    return regions.start(regions.moved(held, regions.start(box))), numbers[held]


def _boxes_of(numbers: NDArray[np.uint32], many: bool) -> list[tuple[int, Region]]:
    if not many:
        return [(1, _held(numbers))]
    from scipy import ndimage

    found = ndimage.find_objects(numbers.astype(np.int64))
    return [(number, box) for number, box in enumerate(found, start=1) if box is not None]


def _held(numbers: NDArray[np.uint32]) -> Region:
    """Return the smallest region that holds all that is not 0; there is something."""
    held = regions.bounds(numbers)
    assert held is not None
    return held

"""The smoothing of a first click, from the noise round the clicked pixel: none, unless noise asks for it.

A region grows pixel by pixel, so it needs an object that stands out from its noise in every one. What stands out less
is still seen by the eye, as that takes the mean over many. Here, too, means are taken, over small blocks: whether the
clicked place stands out from what surrounds it, or the window has any contrast at all, by more than chance; and whether
that is so little beside the noise that regions would leak or crumble. Then the least smoothing is taken that leaves
little enough of the noise.
"""

import math
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.regions import Region
from napari_tessera.operations.growing.engine.click_window import Frame
from napari_tessera.operations.growing.engine.edges import noise_left

HALF = {2: 48, 3: 24}
"""How far the window reaches to each side, by the number of axes, in smallest sides of a pixel."""
BLOCKS = (3, 5)
"""Sides of the blocks round the clicked pixel, in the same; the window is cut into the last."""
MOST_ROWS = 40
"""Of so many rows of the window the noise is taken: it costs less, and is as good."""
SEEN, SEEN_IN_WINDOW = 5.0, 9.0
"""By how many standard deviations of the mean of a block the clicked place differs from the usual one, and the
brightest blocks of a window from the darkest, if that is no chance."""
DARKEST, BRIGHTEST = 2, 98
"""Percentiles."""
CLEAN = 5.0
"""An object whose contrast is as many times the noise needs no smoothing."""
WANTED = 7.0
"""How many times the noise that is left the contrast should be."""
SIGMAS = (1.0, 1.5, 2.0)
"""From which the smoothing is chosen: more would take small objects away."""


def first_smoothing(frame: Frame, point: NDArray[np.int64]) -> float:
    """Return the sigma with which a first click at a point is mostly best smoothed; 0 for none.

    Parameters
    ----------
    frame
        Where; its own smoothing does not count.
    point
        Shape (ndim,): the pixel.

    Returns
    -------
    In units of the smallest side of a pixel, as `ClickRule.smoothing`.
    """
    reach = [max(int(HALF[frame.ndim] / side), 2) for side in frame.sides]
    box = regions.grown(regions.pixel(point), reach, frame.shape)
    levels = replace(frame, edges=False, sigma=0.0).prepared(box)
    levels = levels if frame.channels else levels[..., None]
    noise = _noise(levels)
    if noise == 0:
        return 0.0
    at = [int(p) - part.start for p, part in zip(point, box, strict=True)]
    with np.errstate(over="ignore"):  # what is too large for short numbers becomes infinite, and is left out
        contrast = _contrast(frame, levels.astype(np.float32, copy=False), at, noise)
    if not 0 < contrast < CLEAN * noise:
        return 0.0
    for sigma in SIGMAS:
        if contrast >= WANTED * noise * noise_left(frame.sides, sigma):
            return sigma
    return SIGMAS[-1]


def _noise(levels: NDArray[Any]) -> float:
    """Return the standard deviation of white noise, over all channels together, whatever edges and slopes there are.

    From second differences along the last axis, in which a slope is nothing.
    """
    if levels.shape[-2] < 3:
        return 0.0
    rows = levels.reshape(-1, *levels.shape[-2:])
    rows = rows[:: -(-len(rows) // MOST_ROWS)].astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinity less infinity
        steps = np.abs(rows[:, 2:] - 2 * rows[:, 1:-1] + rows[:, :-2])
    variance = 0.0
    for channel in range(steps.shape[-1]):
        known = steps[..., channel]
        known = known[np.isfinite(known)]
        if known.size:
            variance += (1.4826 * float(np.partition(known, known.size // 2)[known.size // 2])) ** 2 / 6
    return math.sqrt(variance)


def _contrast(frame: Frame, levels: NDArray[np.float32], at: list[int], noise: float) -> float:
    """Return by how much what is clicked stands out, or else what there is in the window; 0 if nothing does."""
    blocks, pixels = _block_means(levels, [_side(BLOCKS[-1], side) for side in frame.sides])
    blocks = blocks[np.isfinite(blocks).all(axis=-1)]
    if len(blocks) < 2:
        return 0.0
    usual = np.median(blocks, axis=0)
    most = 0.0
    for across in BLOCKS:
        around: Region = tuple(
            slice(max(p - _side(across, side) // 2, 0), p + _side(across, side) // 2 + 1)
            for p, side in zip(at, frame.sides, strict=True)
        )
        block = levels[around].reshape(-1, levels.shape[-1])
        block = block[np.isfinite(block).all(axis=-1)]
        if len(block):
            apart = float(np.linalg.norm(block.mean(axis=0, dtype=np.float64) - usual))
            most = max(most, apart) if apart > SEEN * noise / math.sqrt(len(block)) else most
    if most:  # beside a border, the blocks round the place are more truly what the object is
        return max(most, float(np.linalg.norm(_near(frame, levels, at) - usual, axis=-1).max(initial=0)))
    low, high = np.percentile(blocks, (DARKEST, BRIGHTEST), axis=0)
    span = float(np.linalg.norm(high - low))
    return span if span > SEEN_IN_WINDOW * noise / math.sqrt(pixels) else 0.0


def _near(frame: Frame, levels: NDArray[np.float32], at: list[int]) -> NDArray[np.float64]:
    """Return the means of the smaller blocks at a place and next to it, shape (blocks, channels)."""
    sides = [_side(BLOCKS[0], side) for side in frame.sides]
    patch: Region = tuple(
        slice(max(p - side - side // 2, 0), p + side + side // 2 + 1) for p, side in zip(at, sides, strict=True)
    )
    means, _ = _block_means(levels[patch], sides)
    return np.asarray(means[np.isfinite(means).all(axis=-1)])


def _side(across: int, side: float) -> int:
    """Return how many pixels of that side a block has: an odd number."""
    return 2 * int(across / 2 / side) + 1


def _block_means(levels: NDArray[np.float32], sides: list[int]) -> tuple[NDArray[np.float64], int]:
    """Return the means of the blocks into which a window is cut, shape (blocks, channels), and the pixels of each."""
    sides = [min(side, n) for side, n in zip(sides, levels.shape, strict=False)]
    counts = [n // side for side, n in zip(sides, levels.shape, strict=False)]
    total = np.zeros((*counts, levels.shape[-1]), np.float64)
    for start in product(*map(range, sides)):
        total += levels[tuple(slice(s, s + c * side, side) for s, c, side in zip(start, counts, sides, strict=True))]
    return total.reshape(-1, levels.shape[-1]) / math.prod(sides), math.prod(sides)

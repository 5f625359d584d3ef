"""Compiled loop of `first_tolerance`: how the contrast along the outline changes as a region is let grow."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation

announce_compilation()

SIZE, RISE, PAIRS, BORDER = 0, 1, 2, 3
"""Columns of `trace`: pixels of the region; sum of what the distance rises by, and number, over all pairs of a pixel in
it and a neighbour outside; how many of its pixels lie at the border of the window."""

NEVER = 65535
"""The level of a pixel that does not join."""


@njit(cache=True, nogil=True, error_model="numpy")
def trace(
    distances: NDArray[np.float32],
    ranks: NDArray[np.uint16],
    levels: int,
    seeds: NDArray[np.int64],
    steps: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Let a region grow level by level, and describe it after each.

    Parameters
    ----------
    distances, ranks
        Shape (pixels,), flat, with a shell of one pixel: distance from the grey level of the seeds, and its level, from
        0 to ``levels - 1``, or `levels` or more where nothing joins and, in the shell, ``levels + 1``.
    seeds
        Shape (seeds,): places.
    steps
        Shape (neighbours,): from a pixel to its neighbours in the flat window.

    Returns
    -------
    Shape (levels, 4), see `SIZE`; and uint16, shape (pixels,): the level at which each pixel joins, or `NEVER`.
    """
    table = np.zeros((levels, 4), np.float64)
    joined = np.full(ranks.size, NEVER, np.uint16)
    heads = np.full(levels, -1, np.int32)
    links = np.full(ranks.size, -2, np.int32)
    for seed in seeds:
        if links[seed] == -2:
            links[seed] = heads[0]
            heads[0] = seed
    size = pairs = border = 0
    rise = 0.0
    for level in range(levels):
        while heads[level] >= 0:
            here = np.int64(heads[level])
            heads[level] = links[here]
            joined[here] = level
            size += 1
            beside = 0
            for k in range(steps.size):
                there = here + steps[k]
                rank = np.int64(ranks[there])
                if rank == levels + 1:
                    beside = 1
                    continue
                if joined[there] != NEVER:
                    pairs -= 1
                    rise -= distances[here] - distances[there]
                    continue
                if rank < levels:
                    pairs += 1
                    rise += distances[there] - distances[here]
                    if links[there] == -2:
                        at: Any = max(rank, level)
                        links[there] = heads[at]
                        heads[at] = there
            border += beside
        table[level, SIZE], table[level, RISE], table[level, PAIRS], table[level, BORDER] = size, rise, pairs, border
    return table, joined

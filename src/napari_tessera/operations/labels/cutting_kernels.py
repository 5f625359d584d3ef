"""Compiled flooding of `cutting`."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation
from napari_tessera.operations.labels.splitting_kernels import neighbour

announce_compilation()

FINE = 32
"""Into how many steps a unit of distance or depth is divided."""


@njit(cache=True, nogil=True, error_model="numpy")
def flood(
    depth: NDArray[np.float32],
    parts: NDArray[np.uint8],
    free: NDArray[np.bool_],
    offsets: NDArray[np.int64],
    lengths: NDArray[np.float64],
    cap: float,
) -> None:
    """Spread parts over what is free, in place: where it is deep the nearest first, then down to the outline.

    Parameters
    ----------
    depth
        Distance to the outline, shape (z, y, x).
    parts
        Same shape: numbers of seeds from 1, and 0.
    free
        Same shape: where parts may spread.
    offsets
        Steps to the neighbours, shape (neighbours, 3).
    lengths
        Of those steps, in the unit of `depth`.
    cap
        Pixels at least so deep are all alike: there the way from the seeds decides.
    """
    _, height, width = depth.shape
    deep, names, may = depth.reshape(-1), parts.reshape(-1), free.reshape(-1)
    way = np.zeros(deep.size, np.float32)
    # Queues of flat indices, linked through `following`: a ring of them by the way, then one per level of depth.
    following = np.full(deep.size, -1, np.int64)
    ring, levels = int(FINE * lengths.max()) + 2, int(FINE * cap) + 1
    first, last = np.full(ring + levels, -1, np.int64), np.full(ring + levels, -1, np.int64)
    waiting = 0
    for here in range(deep.size):
        if names[here] > 0:
            append(first, last, following, 0, here)
            waiting += 1
    bucket, level = 0, 0
    while level < levels:
        near = waiting > 0  # all that is deep and can be reached through what is deep is done before the rest
        slot = bucket % ring if near else ring + level
        here = first[slot]
        if here < 0:
            bucket += near
            level += not near
            continue
        first[slot] = following[here]
        waiting -= near
        z, y, x = here // (height * width), here // width % height, here % width
        for k in range(offsets.shape[0]):
            there = neighbour(z, y, x, offsets[k], depth.shape)
            if there < 0 or not may[there] or names[there] > 0:
                continue
            names[there] = names[here]
            way[there] = way[here] + lengths[k]
            if near and deep[there] >= cap:
                append(first, last, following, int(FINE * way[there]) % ring, there)
                waiting += 1
            else:
                append(first, last, following, ring + max(level, int(FINE * (cap - deep[there]))), there)


@njit(cache=True, nogil=True, error_model="numpy")
def append(first: Any, last: Any, following: Any, bucket: int, item: int) -> None:
    """Put an item at the end of the queue of a bucket."""
    following[item] = -1
    if first[bucket] < 0:
        first[bucket] = item
    else:
        following[last[bucket]] = item
    last[bucket] = item

"""Compiled loop of `edges.to_the_ridge`: a region climbs to where the edges round it are strongest."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation

announce_compilation()


@njit(
    [
        "i8(f4[::1], u1[::1], u1, i4[::1], i4[::1], i8, i8, i8[::1], i8[::1])",
        "i8(f8[::1], u1[::1], u1, i4[::1], i4[::1], i8, i8, i8[::1], i8[::1])",
    ],
    cache=True,
    nogil=True,
    error_model="numpy",
)
def climb(
    strengths: NDArray[Any],
    marks: NDArray[np.uint8],
    closed: int,
    stamps: NDArray[np.int32],
    queue: NDArray[np.int32],
    size: int,
    stamp: int,
    steps: NDArray[np.int64],
    rounds: NDArray[np.int64],
) -> int:
    """Let pixels join, round by round, that lie beside the region and are higher than their neighbour in it.

    Parameters
    ----------
    strengths, marks
        Shape (pixels,), flat, with a shell of one pixel that is `closed` in `marks`: what is climbed, and what nothing
        enters.
    stamps
        Shape (pixels,): `stamp` in the region, and then in what has joined.
    queue, size
        The first `size` places hold all pixels of the region at its border, at least; those that join follow.
    steps, rounds
        Shape (neighbours,): from a pixel to its neighbours, and in how many rounds each may be taken.

    Returns
    -------
    How many places of the queue are used then; or 0 if it is too short.
    """
    begin, end = 0, size
    for turn in range(rounds.max()):
        tail = end
        for i in range(begin, end):
            here = np.int64(queue[i])
            for k in range(steps.size):
                there = here + steps[k]
                if turn >= rounds[k] or stamps[there] == stamp or marks[there] == closed:
                    continue
                if strengths[there] > strengths[here]:
                    if tail == queue.size:
                        return 0
                    queue[tail], stamps[there] = there, stamp
                    tail += 1
        if tail == end:
            break
        begin, end = end, tail
    return end

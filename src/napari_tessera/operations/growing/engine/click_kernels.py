"""Compiled loops of `clicking`: regions that grow inside a window of the image, which has a shell of one pixel.

What the functions share:

values
    Shape (pixels,) or (pixels, channels): the window with its shell, flat.
stamps, base, unread
    Shape (pixels,): ``base + region`` (from 0) where a pixel belongs to a region, less than `base` where it is free,
    `unread` where it lies beyond the window, and ``unread + 1`` where it may not be entered.
queue, cursor
    The pixels that have joined, in their order, as places in the flat window; those that have been taken may be cleared
    away. Cursor: see `HEAD`.
steps
    Shape (neighbours,): from a pixel to its neighbours in the flat window, in the order in which they are tried.
tolerance, room
    How much nearer than that to the mean a pixel must be to join, and how many pixels a region may have.

Where `unread` is met or the queue is used up, everything stops before that neighbour is tried, and goes on there when
there is more: so the sizes of windows and queues have no say in the result.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation

announce_compilation()

HEAD, TAIL, STEP, FULL, LOWEST, HIGHEST, LENGTH = range(7)
"""Where in `cursor` stand: how many pixels of the queue have been taken and have entered, which neighbour of the next
one is to be tried, whether a pixel was turned away because its region was full, and the lowest and the highest place
that has ever joined. Then the length of the cursor."""
GOES_ON, UNREAD, CROWDED = 0, 1, 2
"""Why a loop has stopped: nothing is missing; it met a pixel that is not read yet; the queue is used up."""


@njit(cache=True, nogil=True, error_model="numpy")
def flood(
    values: NDArray[Any],
    stamps: NDArray[np.uint8],
    base: int,
    unread: int,
    queue: NDArray[np.int32],
    cursor: NDArray[np.int64],
    steps: NDArray[np.int64],
    totals: NDArray[Any],
    counts: NDArray[Any],
    running: bool,
    tolerance: float,
    room: int,
    budget: int,
) -> int:
    """Let one region grow by one channel for `budget` pixels; return why it stopped: see `GOES_ON`.

    The mean is that of `totals` and `counts`, one number each, which take up what joins if `running`. It is at its end
    when nothing waits in its queue or more than `room` pixels would be in it.
    """
    zero = np.zeros(1, totals.dtype)[0]
    head, tail, first, last = cursor[HEAD], cursor[TAIL], cursor[STEP], cursor[HEAD] + budget
    most = min(room, queue.size)
    total, count, limit = totals[0], counts[0], tolerance * counts[0]
    begin, why, stopped = tail, GOES_ON, False
    while head < tail and head < last and not stopped:
        here = np.int64(queue[np.uint64(head)])
        for k in range(first, steps.size):
            there = np.uint64(here + steps[np.uint64(k)])
            stamp = np.int64(stamps[there])
            if stamp < base:
                value = values[there] + zero
                if abs(total - value * count) < limit:
                    if tail >= most:
                        stopped, first = True, k
                        why = GOES_ON if tail >= room else CROWDED
                        break
                    stamps[there] = base
                    queue[np.uint64(tail)] = there
                    tail += 1
                    if running:
                        total += value
                        count += 1
                        limit = tolerance * count
            elif stamp == unread:
                stopped, first, why = True, k, UNREAD
                break
        if not stopped:
            head += 1
            first = 0
    if tail > begin:
        cursor[LOWEST] = min(cursor[LOWEST], queue[begin:tail].min())
        cursor[HIGHEST] = max(cursor[HIGHEST], queue[begin:tail].max())
    totals[0], counts[0] = total, count
    cursor[HEAD], cursor[TAIL], cursor[STEP], cursor[FULL] = head, tail, first, stopped and why == GOES_ON
    return why


@njit(cache=True, nogil=True, error_model="numpy")
def compete(
    values: NDArray[Any],
    stamps: NDArray[np.int32],
    base: int,
    unread: int,
    queue: NDArray[np.int32],
    cursor: NDArray[np.int64],
    steps: NDArray[np.int64],
    totals: NDArray[np.float64],
    counts: NDArray[np.float64],
    sizes: NDArray[np.int64],
    running: bool,
    tolerances: NDArray[np.float64],
    room: int,
    budget: int,
) -> int:
    """Let many regions grow by many channels for `budget` pixels; return why they stopped: see `GOES_ON`.

    Parameters
    ----------
    totals, counts
        Shape (regions, channels) and (regions,): what the means are made of; they take up what joins if `running`.
    sizes, tolerances
        Shape (regions,).
    """
    head, tail, first, last = cursor[HEAD], cursor[TAIL], cursor[STEP], cursor[HEAD] + budget
    why = GOES_ON
    while head < tail and head < last and why == GOES_ON:
        here = np.int64(queue[head])
        region = np.int64(stamps[here]) - base
        for k in range(first, steps.size):
            there = here + steps[k]
            stamp = stamps[there]
            if stamp == unread:
                why, first = UNREAD, k
                break
            if stamp >= base or not is_near(values, there, totals, counts, region, tolerances[region]):
                continue
            if sizes[region] >= room:
                cursor[FULL] = 1
                continue
            if tail >= queue.size:
                why, first = CROWDED, k
                break
            stamps[there] = base + region
            queue[tail] = there
            tail += 1
            cursor[LOWEST], cursor[HIGHEST] = min(cursor[LOWEST], there), max(cursor[HIGHEST], there)
            sizes[region] += 1
            if running:
                counts[region] += 1
                for c in range(totals.shape[1]):
                    totals[region, c] += values[there, c]
        if why == GOES_ON:
            head += 1
            first = 0
    cursor[HEAD], cursor[TAIL], cursor[STEP] = head, tail, first
    return why


@njit(cache=True, nogil=True, error_model="numpy")
def is_near(
    values: NDArray[Any],
    there: int,
    totals: NDArray[np.float64],
    counts: NDArray[np.float64],
    region: int,
    tolerance: float,
) -> Any:
    """Whether a pixel lies nearer to the mean of a region than its tolerance: by Euclidean distance over channels."""
    limit, squares = tolerance * counts[region], 0.0
    if totals.shape[1] == 1:
        return abs(totals[region, 0] - values[there, 0] * counts[region]) < limit
    for c in range(totals.shape[1]):
        off = totals[region, c] - values[there, c] * counts[region]
        squares += off * off
    return squares < limit * limit


@njit(cache=True, nogil=True, error_model="numpy")
def mark_outside(marks: NDArray[np.uint8], steps: NDArray[np.int64], queue: NDArray[np.int32], shell: int) -> None:
    """Set to 2 the zeros of `marks` (flat, with a shell of zeros round it) that are joined to place 0 by `steps`.

    Parameters
    ----------
    queue
        As long as `marks`.
    shell
        How far a step may lead beyond either end; there it stays where it is.
    """
    marks[0] = 2
    queue[0] = 0
    waiting = 1
    while waiting > 0:
        waiting -= 1
        here = np.int64(queue[waiting])
        inside = shell <= here < marks.size - shell
        for k in range(steps.size):
            there = here + steps[k]
            if (inside or 0 <= there < marks.size) and marks[there] == 0:
                marks[there] = 2
                queue[waiting] = there
                waiting += 1


@njit(cache=True, nogil=True, error_model="numpy")
def mark_seen(
    seen: NDArray[np.bool_], stamps: NDArray[Any], low: int, unread: int, first: int, planes: int, strides: NDArray[Any]
) -> None:
    """Set what of `seen` has a stamp from `low` to below `unread` in any of `planes` behind each other.

    Parameters
    ----------
    seen
        Shape (lines, pixels).
    low, unread
        Of the type of the stamps.
    first, strides
        The place of the first pixel of the first plane, and by how much it grows from a plane and from a line to the
        next.
    """
    for plane in range(planes):
        for line in range(seen.shape[0]):
            start = first + plane * strides[0] + line * strides[1]
            row, marks = stamps[start : start + seen.shape[1]], seen[line]
            for at in range(row.size):
                marks[at] |= (row[at] >= low) & (row[at] < unread)

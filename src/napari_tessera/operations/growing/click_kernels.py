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

BATCH = 32
"""How many pixels join, or a few more, before the mean is asked again."""
LARGEST, ROUNDING = 1e290, 1e-12
"""Below the first, products with a count of pixels are finite; the second is far more than sums and products of
numbers are off by rounding, in relation to the largest of them."""


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

    While a few pixels join, the mean hardly moves: so most neighbours are surely near or surely far all that time, and
    batches of them are taken without asking the mean again. One that is neither is compared exactly.
    """
    head, tail, first, last = cursor[HEAD], cursor[TAIL], cursor[STEP], cursor[HEAD] + budget
    begin, most, most_new = tail, min(room, queue.size), BATCH + steps.size
    total, count = totals[0], counts[0]
    why, stopped = GOES_ON, False
    while head < tail and head < last and not stopped:
        if first == 0 and tail + most_new <= most:
            known, end, full = tail, min(tail, last), tail + BATCH
            mean, near, far = sure_distances(total, count, tolerance, most_new if running else 0)
            head, tail = take_surely(values, stamps, base, unread, queue, head, tail, end, full, steps, mean, near, far)
            if running:
                total, count = with_joined(values, queue, known, tail, total, count)
            if head == end or tail > full:
                continue
        tail, first, total, count = take_exactly(
            values, stamps, base, unread, queue, head, tail, most, steps, first, total, count, running, tolerance
        )
        stopped = first < steps.size
        if stopped and stamps[queue[head] + steps[first]] == unread:
            why = UNREAD
        elif stopped and tail < room:
            why = CROWDED
        elif not stopped:
            head, first = head + 1, 0
    for place in queue[begin:tail]:
        cursor[LOWEST], cursor[HIGHEST] = min(cursor[LOWEST], place), max(cursor[HIGHEST], place)
    totals[0], counts[0] = total, count
    cursor[HEAD], cursor[TAIL], cursor[STEP], cursor[FULL] = head, tail, first, stopped and why == GOES_ON
    return why


@njit(cache=True, nogil=True, error_model="numpy")
def sure_distances(total: Any, count: Any, tolerance: float, joining: int) -> tuple[float, float, float]:
    """Return the mean, and the distances from it below which pixels are near, and from which on they are far, until
    `joining` more have joined; 0 if the mean stays.
    """
    mean = total / count
    largest = abs(mean) + tolerance
    if joining == 0 and count == 1:
        return mean, tolerance, tolerance  # the comparison is the exact one
    if not largest < LARGEST:
        return mean, 0.0, np.inf
    # Each that joins moves the mean by less than its share of the tolerance; and all numbers are rounded.
    slack = tolerance * joining / count + ROUNDING * largest
    return mean, tolerance - slack, tolerance + slack


@njit(cache=True, nogil=True, error_model="numpy")
def take_surely(
    values: NDArray[Any],
    stamps: NDArray[np.uint8],
    base: int,
    unread: int,
    queue: NDArray[np.int32],
    head: int,
    tail: int,
    end: int,
    full: int,
    steps: NDArray[np.int64],
    mean: float,
    near: float,
    far: float,
) -> tuple[int, int]:
    """Take what waits before `end`, until `tail` passes `full` or a neighbour is not sure; return `head` and `tail`.

    No branch depends on the noise of the image, which no processor foresees: each neighbour is queued and stamped, but
    so that it counts only if it joins.
    """
    while head < end and tail <= full:
        here = np.int64(queue[np.uint64(head)])
        for k in range(steps.size):
            there = np.uint64(here + steps[np.uint64(k)])
            stamp = np.int64(stamps[there])
            away = abs(values[there] - mean)
            free, is_near = stamp < base, away < near
            if (stamp == unread) | (free & (away < far) & (not is_near)):
                return head, tail
            joins = free & is_near
            queue[np.uint64(tail)] = there
            stamps[there] = base if joins else stamp
            tail += joins
        head += 1
    return head, tail


@njit(cache=True, nogil=True, error_model="numpy")
def with_joined(
    values: NDArray[Any], queue: NDArray[np.int32], known: int, tail: int, total: Any, count: Any
) -> tuple[Any, Any]:
    """Return a total and a count with those who have joined since the queue ended at `known`."""
    for at in range(known, tail):
        total += values[queue[at]]
        count += 1
    return total, count


@njit(cache=True, nogil=True, error_model="numpy")
def take_exactly(
    values: NDArray[Any],
    stamps: NDArray[np.uint8],
    base: int,
    unread: int,
    queue: NDArray[np.int32],
    head: int,
    tail: int,
    most: int,
    steps: NDArray[np.int64],
    first: int,
    total: Any,
    count: Any,
    running: bool,
    tolerance: float,
) -> tuple[int, int, Any, Any]:
    """Take one pixel from the queue, from its neighbour `first` on.

    Returns
    -------
    The new `tail`; the neighbour at which it had to stop, or how many there are; the new total and count.
    """
    zero = total - total
    here = np.int64(queue[head])
    for k in range(first, steps.size):
        there = here + steps[k]
        stamp = np.int64(stamps[there])
        if stamp == unread:
            return tail, k, total, count
        value = values[there] + zero
        if stamp >= base or not abs(total - value * count) < tolerance * count:
            continue
        if tail >= most:
            return tail, k, total, count
        stamps[there] = base
        queue[tail] = there
        tail += 1
        if running:
            total += value
            count += 1
    return tail, steps.size, total, count


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

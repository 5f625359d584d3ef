"""Compiled loops of `growing`: regions that grow from one first-in-first-out queue.

What the functions share:

values, shape
    Shape (z·y·x,), the image; and its (z, y, x), with z = 1 in two dimensions.
offsets
    Shape (neighbours, 3): steps (z, y, x) in the order in which neighbours are tried.
stamps, base
    Shape (z·y·x,): ``base + region`` (from 0) where a pixel belongs to a region, less than `base` elsewhere.
queue
    Ring of pixels; its length is a power of two. Each is its three coordinates in one number: without a division, they
    tell the bounds of what has grown and whether all neighbours lie in the image.
cursor
    Shape (9,), changed in place: see `HEAD`.
totals, counts
    Per region, in the dtype of the arithmetic: sum and number of the pixels that its mean stands for.
sizes
    Per region: all its pixels; or None if the mean follows the pixels that join, so that `counts` are the sizes.
tolerance, room
    How much nearer than that to the mean a pixel must be to join, and how many pixels a region may have.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation

announce_compilation()

BITS = 21
"""Bits per coordinate in the queue, of which the highest stays 0: an axis may be 2^20 long."""

GUARD = (1 << (BITS - 1)) * (1 + (1 << BITS) + (1 << (2 * BITS)))
"""The highest bit of each coordinate."""

HEAD, TAIL, BOUNDS = 0, 1, 2
"""Where in `cursor` stand: how many pixels have left and entered the queue, and from which entry on the lowest and
highest z, then y, then x of the seeds and of the pixels that have left it."""


@njit(cache=True, nogil=True, error_model="numpy")
def advance(
    values: NDArray[Any],
    shape: tuple[int, int, int],
    offsets: NDArray[np.int64],
    stamps: NDArray[Any],
    base: int,
    queue: NDArray[np.int64],
    cursor: NDArray[np.int64],
    totals: NDArray[Any],
    counts: NDArray[Any],
    sizes: NDArray[np.int64] | None,
    tolerance: float,
    room: int,
    budget: int,
) -> None:
    """Take up to `budget` pixels from the queue and let their neighbours join, until it is empty or nearly full."""
    flat, packed = pack_offsets(offsets, shape[1], shape[2])
    last = cursor[HEAD] + budget
    while True:
        waiting = cursor[TAIL] - cursor[HEAD]
        # So many that their neighbours fit into the queue: nothing is to be checked while they are taken.
        batch = min(waiting, last - cursor[HEAD], (queue.size - waiting) // offsets.shape[0])
        if batch <= 0:
            return
        take(
            values,
            shape,
            offsets,
            flat,
            packed,
            stamps,
            base,
            queue,
            cursor,
            batch,
            totals,
            counts,
            sizes,
            tolerance,
            room,
        )


@njit(cache=True, nogil=True, error_model="numpy")
def take(
    values: NDArray[Any],
    shape: tuple[int, int, int],
    offsets: NDArray[np.int64],
    flat: NDArray[np.int64],
    packed: NDArray[np.int64],
    stamps: NDArray[Any],
    base: int,
    queue: NDArray[np.int64],
    cursor: NDArray[np.int64],
    batch: int,
    totals: NDArray[Any],
    counts: NDArray[Any],
    sizes: NDArray[np.int64] | None,
    tolerance: float,
    room: int,
) -> None:
    """Take `batch` pixels from the queue; `flat` and `packed` come from `pack_offsets`."""
    _, height, width = shape
    zero, mask, one = np.zeros(1, totals.dtype)[0], (1 << BITS) - 1, np.uint64(1)
    # Unsigned indices spare the check for negative ones.
    ring, head, tail = np.uint64(queue.size - 1), np.uint64(cursor[HEAD]), np.uint64(cursor[TAIL])
    low, high = common_box(cursor, shape, offsets)
    region, total, count, size, limit = np.int64(0), totals[0], counts[0], np.int64(0), 0.0
    current = stamps[0] - stamps[0]
    for _ in range(batch):
        entry = queue[head & ring]
        head += one
        first, after = 0, offsets.shape[0]
        if ((entry | GUARD) - low) & (high - entry) & GUARD != GUARD:
            first, after = after, at_border(entry, cursor, shape, offsets, flat, packed)
            low, high = common_box(cursor, shape, offsets)
        here = ((entry >> (2 * BITS)) * height + ((entry >> BITS) & mask)) * width + (entry & mask)
        stamp = stamps[np.uint64(here)]
        if stamp != current:
            store(region, total, count, size, totals, counts, sizes)
            current, region = stamp, np.int64(stamp) - base
            total, count = totals[region], counts[region]
            size = count if sizes is None else sizes[region]
            limit = tolerance * count if size < room else -1.0
        for k in range(first, after):
            there = np.uint64(here + flat[np.uint64(k)])
            if stamps[there] < base:
                value = values[there] + zero
                if abs(total - value * count) < limit:
                    stamps[there] = stamp
                    queue[tail & ring] = entry + packed[np.uint64(k)]
                    tail += one
                    if sizes is None:
                        total += value
                        count += 1
                        limit = tolerance * count if count < room else -1.0
                    else:
                        size += 1
                        limit = limit if size < room else -1.0
    store(region, total, count, size, totals, counts, sizes)
    cursor[HEAD], cursor[TAIL] = np.int64(head), np.int64(tail)


@njit(cache=True, nogil=True, error_model="numpy")
def store(
    region: Any,
    total: Any,
    count: Any,
    size: Any,
    totals: NDArray[Any],
    counts: NDArray[Any],
    sizes: NDArray[np.int64] | None,
) -> None:
    """Write what a region has become while it was at hand."""
    if sizes is None:
        totals[region], counts[region] = total, count
    else:
        sizes[region] = max(size, sizes[region])


@njit(cache=True, nogil=True, error_model="numpy")
def pack_offsets(offsets: NDArray[np.int64], height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the steps to the neighbours in the flat image, and in entries of the queue, with space behind them."""
    flat, packed = np.empty(2 * offsets.shape[0], np.int64), np.empty(2 * offsets.shape[0], np.int64)
    for k in range(offsets.shape[0]):
        z, y, x = offsets[k]
        flat[k] = (z * height + y) * width + x
        packed[k] = (z << (2 * BITS)) + (y << BITS) + x
    return flat, packed


@njit(cache=True, nogil=True, error_model="numpy")
def common_box(cursor: NDArray[np.int64], shape: tuple[int, int, int], offsets: NDArray[np.int64]) -> tuple[Any, Any]:
    """Return the corners, packed, of what lies in the bounds and not at the border of the image.

    Three comparisons are then two subtractions: a coordinate out of the box borrows its guard bit.
    """
    low, high = np.int64(0), np.int64(GUARD)
    for axis in range(3):
        # In a plane no step leads along z: the first one would.
        inset = 0 if axis == 0 and offsets[0, 0] == 0 else 1
        first = max(cursor[BOUNDS + 2 * axis], inset)
        # An empty side, as at first, is one that no coordinate lies in.
        after = min(cursor[BOUNDS + 2 * axis + 1], shape[axis] - 1 - inset)
        if after < first:
            first, after = (1 << (BITS - 1)) - 1, 0
        low += first << (BITS * (2 - axis))
        high += after << (BITS * (2 - axis))
    return low, high


@njit(cache=True, nogil=True, error_model="numpy")
def at_border(
    entry: Any,
    cursor: NDArray[np.int64],
    shape: tuple[int, int, int],
    offsets: NDArray[np.int64],
    flat: NDArray[np.int64],
    packed: NDArray[np.int64],
) -> Any:
    """Widen the bounds to hold a pixel, put the steps that stay in the image behind all; return where they end."""
    mask = (1 << BITS) - 1
    z, y, x = entry >> (2 * BITS), (entry >> BITS) & mask, entry & mask
    for axis, at in enumerate((z, y, x)):
        place = BOUNDS + 2 * axis
        cursor[place], cursor[place + 1] = min(cursor[place], at), max(cursor[place + 1], at)
    near = offsets.shape[0]
    for k in range(offsets.shape[0]):
        a, b, c = z + offsets[k, 0], y + offsets[k, 1], x + offsets[k, 2]
        if 0 <= a < shape[0] and 0 <= b < shape[1] and 0 <= c < shape[2]:
            flat[near], packed[near] = flat[k], packed[k]
            near += 1
    return near


@njit(cache=True, nogil=True, error_model="numpy")
def plant(
    values: NDArray[Any],
    shape: tuple[int, int, int],
    seeds: NDArray[np.int64],
    owners: NDArray[np.int64],
    stamps: NDArray[Any],
    base: int,
    queue: NDArray[np.int64],
    cursor: NDArray[np.int64],
    totals: NDArray[Any],
    counts: NDArray[Any],
) -> int:
    """Put seeds into an empty queue and their regions, and the bounds of all seeds into `cursor`.

    Parameters
    ----------
    seeds, owners
        Shape (seeds, 3): z, y, x in the image; and shape (seeds,): the region of each. A pixel keeps its first region.

    Returns
    -------
    The first seed whose value is not finite, or -1.
    """
    _, height, width = shape
    cursor[HEAD] = cursor[TAIL] = 0
    for axis in range(3):
        cursor[BOUNDS + 2 * axis], cursor[BOUNDS + 2 * axis + 1] = shape[axis], -1
    for k in range(seeds.shape[0]):
        z, y, x = seeds[k, 0], seeds[k, 1], seeds[k, 2]
        here = (z * height + y) * width + x
        if not np.isfinite(values[here]):
            return k
        if stamps[here] >= base:
            continue
        for axis in range(3):
            at = BOUNDS + 2 * axis
            cursor[at], cursor[at + 1] = min(cursor[at], seeds[k, axis]), max(cursor[at + 1], seeds[k, axis])
        region = owners[k]
        stamps[here] = base + region
        totals[region] += values[here]
        counts[region] += 1
        queue[cursor[TAIL]] = (z << (2 * BITS)) + (y << BITS) + x
        cursor[TAIL] += 1
    return -1

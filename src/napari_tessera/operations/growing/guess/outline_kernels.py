"""Compiled loops of `star_outlines`: how grey levels rise along rays, and the best closed path round their start."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation
from napari_tessera.operations.growing.engine.ridge_kernels import climb

announce_compilation()

# With their types, so that they are compiled when they are imported: no click has to wait for one.

SEEN, INSIDE, CLOSED = 1, 2, 4
"""Marks of a pixel that counts when a region is compared with a guess; that lies in the guess; that nothing enters."""


@njit(
    "Tuple((f8[:, ::1], i8[::1]))(f4[:, ::1], b1[:, ::1], i8[::1], f8[:, ::1], f8[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def rises(
    plane: NDArray[np.float32],
    known: NDArray[np.bool_],
    at: NDArray[np.int64],
    rays: NDArray[np.float64],
    radii: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return how steeply a plane rises along rays.

    Parameters
    ----------
    plane, known
        Shape (rows, columns): grey levels, and which of them count.
    at
        Where the rays start, in pixels: shape (2,).
    rays
        Shape (rays, 2): what one unit of length along each is in pixels.
    radii
        Shape (radii,): where to look, in units of length, ascending and above 1.

    Returns
    -------
    Shape (rays, radii), in grey levels per unit of length; and shape (rays,): how many radii lie before what is not
    known or outside.
    """
    result = np.zeros((len(rays), radii.size), np.float64)
    reach = np.zeros(len(rays), np.int64)
    for a in range(len(rays)):
        for k in range(radii.size):
            low = high = 0.0
            inside = True
            for sign in (-1.0, 1.0):
                y = at[0] + rays[a, 0] * (radii[k] + sign)
                x = at[1] + rays[a, 1] * (radii[k] + sign)
                if not (0 <= y <= plane.shape[0] - 1 and 0 <= x <= plane.shape[1] - 1):
                    inside = False
                    break
                top, left = int(y), int(x)
                below, right = min(top + 1, plane.shape[0] - 1), min(left + 1, plane.shape[1] - 1)
                if not known[int(y + 0.5), int(x + 0.5)]:
                    inside = False
                    break
                down, along = y - top, x - left
                level = (1 - down) * ((1 - along) * plane[top, left] + along * plane[top, right]) + down * (
                    (1 - along) * plane[below, left] + along * plane[below, right]
                )
                if sign < 0:
                    low = level
                else:
                    high = level
            if not inside:
                break
            result[a, k] = (high - low) / 2
            reach[a] = k + 1
    return result, reach


@njit("i8[::1](f8[:, ::1], i8, f8, i8, i8)", cache=True, nogil=True, error_model="numpy")
def open_path(worth: NDArray[np.float64], jump: int, price: float, count: int, end: int) -> NDArray[np.int64]:
    """Return the path over `count` rays, again from the first after the last, that is worth most: shape (count,).

    Parameters
    ----------
    worth, jump, price
        See `closed_path`.
    end
        The radius at both ends; -1: any.
    """
    rays, radii = worth.shape
    came = np.zeros((count, radii), np.int64)
    best, then = worth[0].copy(), np.empty(radii, np.float64)
    if end >= 0:
        best[:] = -np.inf
        best[end] = worth[0, end]
    for a in range(1, count):
        for r in range(radii):
            most, source = best[r], r
            for q in range(max(r - jump, 0), min(r + jump, radii - 1) + 1):
                value = best[q] - price * abs(q - r)
                if value > most:
                    most, source = value, q
            then[r] = most + worth[a % rays, r]
            came[a, r] = source
        best[:] = then
    path = np.zeros(count, np.int64)
    at = np.int64(best.argmax()) if end < 0 else end
    for a in range(count - 1, -1, -1):
        path[a] = at
        at = came[a, at]
    return path


@njit("i8[::1](f8[:, ::1], i8, f8)", cache=True, nogil=True, error_model="numpy")
def closed_path(worth: NDArray[np.float64], jump: int, price: float) -> NDArray[np.int64]:
    """Return the path round a cylinder that is worth most, or nearly so.

    Parameters
    ----------
    worth
        Shape (rays, radii): of each place.
    jump, price
        By how many radii the path may change from a ray to the next, and what each of them costs.

    Returns
    -------
    Shape (rays,): the radius on each ray.
    """
    rays = worth.shape[0]
    # Half way along two turns, the ends have hardly a say any more: what is best there is where the circle is closed.
    middle = open_path(worth, jump, price, 2 * rays + 1, -1)[rays]
    path: NDArray[np.int64] = open_path(worth, jump, price, rays + 1, middle)[:rays]
    return path


@njit("i8(f4[:, ::1], u1[::1], i4[::1], i4[::1], i8, i8, i8[::1], b1, f8)", cache=True, nogil=True, error_model="numpy")
def grow_one(
    values: NDArray[np.float32],
    marks: NDArray[np.uint8],
    stamps: NDArray[np.int32],
    queue: NDArray[np.int32],
    stamp: int,
    seed: int,
    steps: NDArray[np.int64],
    running: bool,
    tolerance: float,
) -> int:
    """Let one region of `compare` grow in `queue` and `stamps`; return its size, or 0 if the queue is too short."""
    totals = np.zeros(values.shape[1], np.float64)
    if running:
        totals += values[seed]
    count = 1.0
    queue[0], stamps[seed] = seed, stamp
    head, tail = 0, 1
    while head < tail:
        here = np.int64(queue[head])
        head += 1
        for k in range(steps.size):
            there = here + steps[k]
            if stamps[there] == stamp or marks[there] == CLOSED:
                continue
            squares, limit = 0.0, tolerance * count
            for c in range(totals.size):
                off = totals[c] - values[there, c] * count
                squares += off * off
            if squares < limit * limit or (not running and squares == limit * limit):
                if tail == queue.size:
                    return 0
                queue[tail], stamps[there] = there, stamp
                tail += 1
                if running:
                    count += 1
                    totals += values[there]
    return tail


@njit(
    "f8[:, ::1](f4[:, ::1], f4[::1], u1[::1], i8, i8[::1], i8[::1], b1, f8[::1], i8)",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def compare(
    values: NDArray[np.float32],
    grey: NDArray[np.float32],
    marks: NDArray[np.uint8],
    seed: int,
    steps: NDArray[np.int64],
    rounds: NDArray[np.int64],
    running: bool,
    tolerances: NDArray[np.float64],
    most: int,
) -> NDArray[np.float64]:
    """Let a region grow by several tolerances, in the order of `click_kernels.flood`, and compare each with a guess.

    Parameters
    ----------
    values
        Shape (pixels, channels): a window with a shell of one pixel, flat. Distances are taken from 0; if `running`,
        from the mean of the region, of which the seed is the first pixel.
    grey
        Shape (pixels,): that of which the contrast is told.
    marks
        Shape (pixels,): see `SEEN`; the shell is closed.
    seed, steps
        See `click_kernels`.
    rounds
        Shape (neighbours,): in how many rounds each step is taken in the end by `climb`; or empty.
    tolerances
        Shape (n,), ascending.
    most
        Pixels of the largest region; where one comes to more, that one and those of higher tolerances stay 0.

    Returns
    -------
    Shape (n, 3): pixels seen that the region and the guess have in common, and that any of them has; and the mean rise
    of the grey levels across the border of the region.
    """
    result = np.zeros((tolerances.size, 3), np.float64)
    queue, stamps = np.empty(most, np.int32), np.zeros(marks.size, np.int32)
    wanted = 0
    for at in range(marks.size):
        wanted += marks[at] == SEEN | INSIDE
    for n in range(tolerances.size):
        size = grow_one(values, marks, stamps, queue, n + 1, seed, steps, running, tolerances[n])
        if size > 0 and rounds.size > 0:
            size = climb(values.reshape(-1), marks, CLOSED, stamps, queue, size, n + 1, steps, rounds)
        if size == 0:
            break
        common = beside = pairs = 0
        rise = 0.0
        for i in range(size):
            here = np.int64(queue[i])
            common += marks[here] == SEEN | INSIDE
            beside += marks[here] == SEEN
            for k in range(steps.size):
                there = here + steps[k]
                if stamps[there] != n + 1 and marks[there] != CLOSED:
                    pairs += 1
                    rise += grey[there] - grey[here]
        result[n, 0], result[n, 1], result[n, 2] = common, wanted + beside, rise / max(pairs, 1)
    return result

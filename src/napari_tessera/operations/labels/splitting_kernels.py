"""Compiled flooding of `splitting`."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation

announce_compilation()


@njit(cache=True, nogil=True, error_model="numpy")
def flood(
    heights: NDArray[np.float64],
    labels: NDArray[Any],
    order: NDArray[np.int64],
    offsets: NDArray[np.int64],
    depth: float,
) -> NDArray[np.uint32]:
    """Divide objects into the catchments of their summits, and join those that no deep saddle parts.

    Pixels are taken from the highest down. One without a neighbour that has been taken is a summit; any other joins the
    summit of its highest such neighbour. Where two summits meet, the lower one joins the higher unless it rises by more
    than `depth` above the place.

    Parameters
    ----------
    heights
        Shape (z, y, x).
    labels
        Same shape; 0 belongs to nothing, and only neighbours of equal value are neighbours.
    order
        Flat indices of the pixels of all objects, from the highest down.
    offsets
        Shape (neighbours, 3).
    depth
        In the unit of `heights`.

    Returns
    -------
    Labels from 1 in raster order, in the shape of `heights`.
    """
    _, height, width = heights.shape
    flat, names = heights.reshape(-1), labels.reshape(-1)
    # The summit of each pixel, as the pixel's own flat index; then, per summit, the one that it has joined.
    summit = np.full(flat.size, -1, np.int64)
    joined = np.full(flat.size, -1, np.int64)
    for here in order:
        z, y, x = here // (height * width), here // width % height, here % width
        best, chosen = -np.inf, here
        for k in range(offsets.shape[0]):
            there = neighbour(z, y, x, offsets[k], heights.shape)
            if there >= 0 and names[there] == names[here] and summit[there] >= 0 and flat[there] > best:
                best, chosen = flat[there], summit[there]
        summit[here] = chosen
        if chosen == here:
            joined[here] = here
            continue
        for k in range(offsets.shape[0]):
            there = neighbour(z, y, x, offsets[k], heights.shape)
            if there >= 0 and names[there] == names[here] and summit[there] >= 0:
                meet(joined, flat, root(joined, chosen), root(joined, summit[there]), flat[here] + depth)
    parts: NDArray[np.uint32] = numbered(summit, joined, heights.shape)
    return parts


@njit(cache=True, nogil=True, error_model="numpy")
def neighbour(z: int, y: int, x: int, offset: NDArray[np.int64], shape: tuple[int, int, int]) -> int:
    """Return the flat index of a neighbour, or -1 if it lies outside."""
    a, b, c = z + offset[0], y + offset[1], x + offset[2]
    if 0 <= a < shape[0] and 0 <= b < shape[1] and 0 <= c < shape[2]:
        place: int = (a * shape[1] + b) * shape[2] + c
        return place
    return -1


@njit(cache=True, nogil=True, error_model="numpy")
def root(joined: NDArray[np.int64], summit: int) -> int:
    """Return the summit that `summit` has joined in the end, and shorten the way to it."""
    here = np.int64(summit)
    while joined[here] != here:
        joined[here] = joined[joined[here]]
        here = joined[here]
    return here  # type: ignore[return-value]  # an integer of numba's


@njit(cache=True, nogil=True, error_model="numpy")
def meet(joined: NDArray[np.int64], flat: NDArray[np.float64], one: int, other: int, needed: float) -> None:
    """Join the lower of two summits to the higher if it is not higher than `needed`; of equals the later pixel."""
    if one == other:
        return
    if flat[one] < flat[other] or (flat[one] == flat[other] and one > other):
        one, other = other, one
    if flat[other] <= needed:
        joined[other] = one


@njit(cache=True, nogil=True, error_model="numpy")
def numbered(summit: NDArray[np.int64], joined: NDArray[np.int64], shape: tuple[int, int, int]) -> NDArray[np.uint32]:
    """Return labels from 1, in the order of their first pixels, of pixels that have a summit."""
    result = np.zeros(summit.size, np.uint32)
    given = np.zeros(summit.size, np.uint32)
    count = 0
    for at in range(summit.size):
        if summit[at] >= 0:
            top = root(joined, summit[at])
            if given[top] == 0:
                count += 1
                given[top] = count
            result[at] = given[top]
    return result.reshape(shape)

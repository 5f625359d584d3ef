"""Compiled loops of `morphology`: each works on lines, so that the axes of an image are done in turn."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation

announce_compilation()


@njit(cache=True, nogil=True, error_model="numpy")
def nearest_along(
    labels: NDArray[Any], squares: NDArray[np.float64], reach: int, weight: float, limit: float
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Take over the nearest label along the line, of equally near ones the lowest.

    Parameters
    ----------
    labels
        Shape (lines, length): the nearest label found along the axes before; 0 for none.
    squares
        Same shape: its squared distance, infinite for none.
    reach
        How far to look along the line.
    weight
        Squared length of a step along the line.
    limit
        Largest squared distance.

    Returns
    -------
    Labels and squared distances.
    """
    lines, length = labels.shape
    found, near = labels.copy(), squares.copy()
    for line in range(lines):
        for at in range(length):
            best, name = squares[line, at], labels[line, at]
            for step in range(1, reach + 1):
                added = weight * step * step
                if added > best or added > limit:
                    break
                for there in (at - step, at + step):
                    if 0 <= there < length and labels[line, there] != 0:
                        square = squares[line, there] + added
                        if square <= limit and (square < best or (square == best and labels[line, there] < name)):
                            best, name = square, labels[line, there]
            found[line, at], near[line, at] = name, best
    return found, near


@njit(cache=True, nogil=True, error_model="numpy")
def erode_along(labels: NDArray[Any], radius: int) -> NDArray[Any]:
    """Keep what has no other value within `radius` along the line; what lies beyond its ends does not count.

    Parameters
    ----------
    labels
        Shape (lines, length).
    """
    lines, length = labels.shape
    kept = np.zeros_like(labels)
    for line in range(lines):
        start = 0
        while start < length:
            stop = start + 1
            while stop < length and labels[line, stop] == labels[line, start]:
                stop += 1
            first = start + radius if start > 0 else start
            last = stop - radius if stop < length else stop
            for at in range(first, last):
                kept[line, at] = labels[line, start]
            start = stop
    return kept


@njit(cache=True, nogil=True, error_model="numpy")
def squares_along(labels: NDArray[Any], squares: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Return the squared distance to the nearest pixel of another value, given that along the axes before.

    Within a run of equal labels it is the lower envelope of one parabola per pixel (as high as its squared distance so
    far) and one beyond each end that is not an end of the line.

    Parameters
    ----------
    labels
        Shape (lines, length).
    squares
        Same shape: squared distances along the axes before; infinite where there is nothing else.
    weight
        Squared length of a step along the line.

    References
    ----------
    P. F. Felzenszwalb and D. P. Huttenlocher, "Distance transforms of sampled functions", Theory of Computing 8 (2012).
    """
    lines, length = labels.shape
    result = np.empty_like(squares)
    apex = np.empty(length + 2, np.int64)
    base = np.empty(length + 2)
    begin = np.empty(length + 3)
    for line in range(lines):
        start = 0
        while start < length:
            stop = start + 1
            while stop < length and labels[line, stop] == labels[line, start]:
                stop += 1
            count = 0
            for at in range(max(start - 1, 0), min(stop + 1, length)):
                height = squares[line, at] if start <= at < stop else 0.0
                if height < np.inf:
                    count = add_parabola(apex, base, begin, count, at, height, weight)
            k = 0
            for at in range(start, stop):
                if count == 0:
                    result[line, at] = np.inf
                    continue
                while k + 1 < count and begin[k + 1] <= at:
                    k += 1
                result[line, at] = base[k] + weight * (at - apex[k]) * (at - apex[k])
            start = stop
    return result


@njit(cache=True, nogil=True, error_model="numpy")
def add_parabola(
    apex: NDArray[np.int64],
    base: NDArray[np.float64],
    begin: NDArray[np.float64],
    count: int,
    at: int,
    height: float,
    weight: float,
) -> int:
    """Add a parabola to the right of an envelope of `count` and return how many it then has.

    Parabola ``k`` stands on ``apex[k]``, ``base[k]`` high, and is the lowest from ``begin[k]`` on.
    """
    cut = -np.inf
    while count > 0:
        last = count - 1
        cut = ((height + weight * at * at) - (base[last] + weight * apex[last] * apex[last])) / (
            2 * weight * (at - apex[last])
        )
        if cut > begin[last]:
            break
        count -= 1
        cut = -np.inf
    apex[count], base[count], begin[count] = at, height, cut
    return count + 1

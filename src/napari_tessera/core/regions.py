"""Regions: boxes of an image, one slice per axis, and what is worked out about them.

Used by its module name (``regions.union(one, other)``), since the functions have the plain names of what they give.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Region = tuple[slice, ...]
"""One slice per dimension, with explicit integer ``start`` and ``stop`` and no step; ``start`` is not negative where
the region indexes an array."""

Place = Sequence[int] | NDArray[np.integer[Any]]
"""One index per dimension."""


def whole(shape: Sequence[int]) -> Region:
    """Return the region that covers an array of `shape`."""
    return tuple(slice(0, length) for length in shape)


def placed(start: Place, shape: Place) -> Region:
    """Return the region of `shape` whose first pixel is `start`."""
    return tuple(slice(int(at), int(at) + int(length)) for at, length in zip(start, shape, strict=True))


def pixel(at: Place) -> Region:
    """Return the region of the single pixel `at`."""
    return placed(at, (1,) * len(at))


def start(region: Region) -> tuple[int, ...]:
    """Return the first pixel of `region`."""
    return tuple(part.start for part in region)


def size(region: Region) -> tuple[int, ...]:
    """Return the length of `region` along each dimension: the shape of what is read from it."""
    return tuple(part.stop - part.start for part in region)


def is_empty(region: Region) -> bool:
    """Whether `region` holds no pixel."""
    return any(part.stop <= part.start for part in region)


def contains(outer: Region, inner: Region) -> bool:
    """Whether all of `inner` lies within `outer`."""
    return all(b.start <= a.start and a.stop <= b.stop for a, b in zip(inner, outer, strict=True))


def holds(region: Region, at: Place) -> bool:
    """Whether the pixel `at` lies within `region`."""
    return all(part.start <= place < part.stop for part, place in zip(region, at, strict=True))


def moved(region: Region, by: Sequence[int]) -> Region:
    """Return `region` moved `by` so many pixels per dimension.

    ``moved(part, start(outer))`` is where a part of what was read from `outer` lies in the image; `relative` is its
    inverse.
    """
    return tuple(slice(part.start + step, part.stop + step) for part, step in zip(region, by, strict=True))


def relative(inner: Region, outer: Region) -> Region:
    """Return where `inner` lies inside an array that covers `outer`."""
    return tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(inner, outer, strict=True))


def clipped(region: Region, shape: Sequence[int]) -> Region:
    """Return the part of `region` that lies in an array of `shape`; of length 0 where it lies beyond."""
    kept = []
    for part, length in zip(region, shape, strict=True):
        first = min(max(part.start, 0), length)
        kept.append(slice(first, max(first, min(part.stop, length))))
    return tuple(kept)


def grown(region: Region, by: int | Sequence[int], shape: Sequence[int]) -> Region:
    """Return a region with more pixels on every side.

    Parameters
    ----------
    region
        Inside the array.
    by
        How many pixels more: one number, or one for each dimension.
    shape
        Of the array, at whose borders the result is cut.
    """
    steps = (by,) * len(region) if isinstance(by, int) else by
    return tuple(
        slice(max(part.start - step, 0), min(part.stop + step, length))
        for part, step, length in zip(region, steps, shape, strict=True)
    )


def union(*several: Region) -> Region:
    """Return the smallest region that holds all of `several`, at least one."""
    return tuple(
        slice(min(part.start for part in parts), max(part.stop for part in parts))
        for parts in zip(*several, strict=True)
    )


def intersection(one: Region, other: Region) -> Region | None:
    """Return what two regions share; None where they share no pixel."""
    shared = tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
    return None if is_empty(shared) else shared


def bounds(mask: NDArray[Any]) -> Region | None:
    """Return the smallest region that holds all of `mask` that is not 0; None where nothing is."""
    found = []
    for axis in range(mask.ndim):
        held = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        if held.size == 0:
            return None
        found.append(slice(int(held[0]), int(held[-1]) + 1))
    return tuple(found)


def of_pixels(indices: Sequence[NDArray[np.integer[Any]]]) -> Region:
    """Return the smallest region that holds the pixels of `indices`: positions per dimension, at least one."""
    return tuple(slice(int(along.min()), int(along.max()) + 1) for along in indices)


def cell(index: Sequence[int], edges: Sequence[int], shape: Sequence[int]) -> Region:
    """Return the region of one cell of a grid, as chunks are.

    Parameters
    ----------
    index, edges
        Which cell, and how long cells are, per dimension.
    shape
        Of the array, at whose end cells are cut.
    """
    return tuple(
        slice(at * edge, min((at + 1) * edge, length)) for at, edge, length in zip(index, edges, shape, strict=True)
    )


def cells(region: Region, edges: Sequence[int]) -> Region:
    """Return which cells of a grid share pixels with `region`, as a region of the grid's indices."""
    return tuple(slice(part.start // edge, -(-part.stop // edge)) for part, edge in zip(region, edges, strict=True))

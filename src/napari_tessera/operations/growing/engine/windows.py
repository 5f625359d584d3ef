"""Regions that grow in windows of an image, of which no more is read than they reach.

A region only looks at its own pixels and their neighbours. So as long as no pixel of it lies at the edge of a window
that goes on outside, it grows in the window as it would in the whole image; if one does, the window is enlarged there
and its regions start again. Windows do not overlap: regions that could meet share one, where they grow in turns.
Regions in different windows never try the same pixel, so that whose turn comes first does not matter to them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.regions import Region

WHOLE = 2**22
"""Images of no more pixels are one window."""

MARGINS = {2: 128, 3: 24}
"""How far the first windows reach beyond the seeds, by the number of dimensions."""

MOST_WINDOWS = 4096
"""More regions than this are given one window together."""

GREATEST_ID = 2**32 - 1
"""Labels of regions are uint32."""

Growth = Callable[[Region, NDArray[np.int64], NDArray[np.int64]], tuple[NDArray[Any] | None, Region]]
"""Takes a window, and positions (n, dimensions) in the image and ids (n,) of seed pixels. Returns the labels of the
window, or None if it was left because regions have come to its edge; and the bounds of what has grown in it."""


@dataclass(frozen=True)
class Seeds:
    """Seed pixels of an image.

    Attributes
    ----------
    places
        Shape (n, dimensions), int64.
    ids
        Shape (n,): the region of each, ascending.
    are_points
        Whether they are points: one per region, and several may lie on the same pixel.
    """

    places: NDArray[np.int64]
    ids: NDArray[np.int64]
    are_points: bool


def seeds_at_points(points: NDArray[np.int64], shape: tuple[int, ...]) -> Seeds:
    """Return points as seeds of the regions 1, 2, … in their order.

    Raises
    ------
    InvalidInputError
        If one lies outside the image.
    """
    outside = ((points < 0) | (points >= shape)).any(axis=1)
    if outside.any():
        first = tuple(points[outside.argmax()].tolist())
        raise InvalidInputError(f"The seed at {first} lies outside the image of shape {shape}: move or remove it.")
    return Seeds(points, np.arange(1, len(points) + 1), are_points=True)


def seeds_of_labels(pieces: Iterator[tuple[Region, NDArray[Any]]], ndim: int) -> Seeds:
    """Return the pixels that are not 0 of labels that come in pieces, in raster order within each region.

    Raises
    ------
    InvalidInputError
        If an id is negative, or greater than the result holds.
    """
    places, ids = [np.zeros((0, ndim), np.int64)], [np.zeros(0, np.int64)]
    for region, labels in pieces:
        where = np.argwhere(labels)
        found = labels[tuple(where.T)].astype(np.int64)
        if found.size and (found.min() < 0 or found.max() > GREATEST_ID):  # ids beyond int64 have become negative
            raise InvalidInputError(f"Ids of seeds must be from 1 to {GREATEST_ID}: use the operation 'relabel' first.")
        places.append(where + [part.start for part in region])
        ids.append(found)
    all_places, all_ids = np.concatenate(places), np.concatenate(ids)
    order = np.lexsort((*all_places.T[::-1], all_ids))
    return Seeds(all_places[order], all_ids[order], are_points=False)


def grow_in_windows(seeds: Seeds, shape: tuple[int, ...], grow: Growth) -> Iterator[tuple[Region, NDArray[Any]]]:
    """Yield windows and the labels in them; a later window holds all of an earlier one that it touches.

    Parameters
    ----------
    seeds
        Where to start.
    shape
        Of the image.
    grow
        Grows regions in a window.
    """
    if not len(seeds.ids):
        return
    boxes = _Boxes(len(shape))
    waiting = [boxes.add(box) for box in _first_boxes(seeds, shape)]
    while waiting:
        box = waiting.pop()
        if box not in boxes:  # taken up by another one since
            continue
        members = _members(seeds, box)
        labels, bounds = grow(box, seeds.places[members], seeds.ids[members])
        larger = _enlarged(box, bounds, shape)
        if larger == box:
            assert labels is not None
            yield box, labels
        else:
            boxes.remove(box)
            waiting.append(boxes.add(larger))


def touches(box: Region, bounds: Region, shape: tuple[int, ...]) -> bool:
    """Whether `bounds` within a window reach an edge of it beyond which the image goes on."""
    return _enlarged(box, bounds, shape) != box


def _enlarged(box: Region, bounds: Region, shape: tuple[int, ...]) -> Region:
    """Return a window made as long again towards every side that `bounds` within it reach."""
    larger = []
    for part, inner, length in zip(box, bounds, shape, strict=True):
        size = part.stop - part.start
        start = max(0, part.start - size) if inner.start == 0 else part.start
        stop = min(length, part.stop + size) if inner.stop == size else part.stop
        larger.append(slice(start, stop))
    return tuple(larger)


def _first_boxes(seeds: Seeds, shape: tuple[int, ...]) -> list[Region]:
    """Return a window around every region's seeds, or one for all."""
    margin = MARGINS[len(shape)]
    firsts = np.flatnonzero(np.diff(seeds.ids, prepend=-1))
    if int(np.prod(shape)) <= WHOLE:
        return [regions.whole(shape)]
    if len(firsts) > MOST_WINDOWS:
        firsts = firsts[:1]
    low = np.maximum(np.minimum.reduceat(seeds.places, firsts) - margin, 0)
    high = np.minimum(np.maximum.reduceat(seeds.places, firsts) + 1 + margin, shape)
    return [
        tuple(slice(a, b) for a, b in zip(one, other, strict=True))
        for one, other in zip(low.tolist(), high.tolist(), strict=True)
    ]


def _members(seeds: Seeds, box: Region) -> NDArray[np.bool_]:
    """Return which seed pixels lie in a window: those of its regions and no others, for windows do not overlap."""
    low, high = [part.start for part in box], [part.stop for part in box]
    return np.asarray(((seeds.places >= low) & (seeds.places < high)).all(axis=1))


class _Boxes:
    """Windows that do not overlap."""

    def __init__(self, ndim: int) -> None:
        self._low = np.zeros((0, ndim), np.int64)
        self._high = np.zeros((0, ndim), np.int64)

    def __contains__(self, box: Region) -> bool:
        return bool(self._is(box).any())

    def _is(self, box: Region) -> NDArray[np.bool_]:
        low, high = _ends(box)
        return np.asarray((self._low == low).all(axis=1) & (self._high == high).all(axis=1))

    def remove(self, box: Region) -> None:
        """Take a window out."""
        self._keep(np.logical_not(self._is(box)))

    def _keep(self, kept: NDArray[np.bool_]) -> None:
        self._low, self._high = self._low[kept], self._high[kept]

    def add(self, box: Region) -> Region:
        """Put in the smallest window around `box` and all that it overlaps or so comes to overlap; return it."""
        low, high = (np.array(end, np.int64) for end in _ends(box))
        while True:
            apart = np.asarray(((self._low >= high) | (self._high <= low)).any(axis=1))
            if apart.all():
                break
            low = np.minimum(low, self._low[~apart].min(axis=0))
            high = np.maximum(high, self._high[~apart].max(axis=0))
            self._keep(apart)
        self._low, self._high = np.vstack([self._low, low]), np.vstack([self._high, high])
        return tuple(slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True))


def _ends(box: Region) -> tuple[Sequence[int], Sequence[int]]:
    return [part.start for part in box], [part.stop for part in box]

"""Labels corrected by hand: objects merged, split, deleted, filled and smoothed, and found.

Every function leaves `labels` as they are and returns which box of them is to be replaced, and by what. An *object*
here is one connected piece of pixels with the same label, diagonals included: the piece that a person points at. It is
found by searching outward from there, so that a large array is not looked through; what is done costs as much as the
box of the object.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.regions import Region

Edit = tuple[Region, NDArray[Any]]
"""A box of the labels, and what is to stand in it."""

_FIRST_REACH = 48
"""How far the search for an object looks at first, in pixels; it then doubles."""


@dataclass(frozen=True)
class Piece:
    """A connected piece of pixels with one label.

    Attributes
    ----------
    number
        The label.
    box
        The smallest that holds it.
    mask
        Bool, of the shape of the box.
    """

    number: int
    box: Region
    mask: NDArray[np.bool_]


def piece_at(labels: NDArray[Any], point: Sequence[int]) -> Piece | None:
    """Return the object at an index of the labels; None on background and outside.

    Parameters
    ----------
    labels
        Integers of any number of dimensions, 0 for background.
    point
        One index per dimension.
    """
    from scipy.ndimage import generate_binary_structure, label

    if any(not 0 <= at < n for at, n in zip(point, labels.shape, strict=True)):
        return None
    number = labels[tuple(point)]
    if number == 0:
        return None
    all_around = generate_binary_structure(labels.ndim, labels.ndim)
    ends = zip(point, labels.shape, strict=True)
    window = [(max(at - _FIRST_REACH, 0), min(at + _FIRST_REACH + 1, n)) for at, n in ends]
    while True:
        where = tuple(slice(low, high) for low, high in window)
        pieces, _ = label(labels[where] == number, all_around)
        mask = pieces == pieces[tuple(at - low for at, (low, _) in zip(point, window, strict=True))]
        wider = _widened(window, mask, labels.shape)
        if wider == window:
            break
        window = wider
    inner = regions.bounds(mask)
    assert inner is not None
    box = regions.moved(inner, [low for low, _ in window])
    return Piece(int(number), box, np.ascontiguousarray(mask[inner]))


def _widened(window: list[tuple[int, int]], mask: NDArray[np.bool_], shape: Sequence[int]) -> list[tuple[int, int]]:
    """Return the window, twice as long towards each side that the mask touches."""
    wider = []
    for axis, ((low, high), n) in enumerate(zip(window, shape, strict=True)):
        length = high - low
        first, last = np.take(mask, 0, axis).any(), np.take(mask, -1, axis).any()
        wider.append((max(low - length, 0) if first else low, min(high + length, n) if last else high))
    return wider


def delete_at(labels: NDArray[Any], point: Sequence[int], locked: Collection[int] = ()) -> Edit | None:
    """Turn the object at `point` into background; None if there is none, or it is one of `locked`."""
    piece = piece_at(labels, point)
    if piece is None or piece.number in locked:
        return None
    return piece.box, np.where(piece.mask, labels.dtype.type(0), labels[piece.box])


def merge_across(labels: NDArray[Any], line: NDArray[Any], locked: Collection[int] = ()) -> Edit | None:
    """Give all objects that a line touches the label of the first one.

    Parameters
    ----------
    labels
        Integers, 0 for background.
    line
        Points of the line as indices of the labels, shape (points, dimensions); a part outside of the labels is left
        out.
    locked
        Labels that are neither changed nor given to others.

    Returns
    -------
    None if the line does not touch two objects that may be changed.
    """
    pieces = pieces_under(labels, rasterised(line), locked)
    others = [piece for piece in pieces[1:] if piece.number != pieces[0].number]
    if not others:
        return None
    box = regions.union(*(piece.box for piece in others))
    after = labels[box].copy()
    for piece in others:
        after[regions.relative(piece.box, box)][piece.mask] = pieces[0].number
    return box, after


def pieces_under(labels: NDArray[Any], path: NDArray[np.int64], locked: Collection[int] = ()) -> list[Piece]:
    """Return the objects that a path of pixels touches, in its order, without `locked` ones."""
    path = path[((path >= 0) & (path < np.array(labels.shape))).all(1)]
    under = labels[tuple(path.T)]
    begins = np.ones(len(path), bool)
    begins[1:] = under[1:] != under[:-1]
    pieces: list[Piece] = []
    for point in path[begins & (under != 0)]:
        if int(labels[tuple(point)]) in locked or any(_holds(piece, point) for piece in pieces):
            continue
        piece = piece_at(labels, [int(at) for at in point])
        assert piece is not None
        pieces.append(piece)
    return pieces


def fill_holes_at(labels: NDArray[Any], point: Sequence[int], locked: Collection[int] = ()) -> Edit | None:
    """Fill background that the object at `point` encloses; other objects in its holes stay.

    None if there is no object, it is one of `locked`, or it has no holes. In volumes a hole is closed all around.
    """
    from scipy.ndimage import binary_fill_holes

    piece = piece_at(labels, point)
    if piece is None or piece.number in locked:
        return None
    before = labels[piece.box]
    added = binary_fill_holes(piece.mask) & (before == 0)
    return _changed(piece.box, before, np.where(added, before.dtype.type(piece.number), before))


def smooth_outline_at(
    labels: NDArray[Any],
    point: Sequence[int],
    radius: float,
    locked: Collection[int] = (),
    spacing: Sequence[float] | None = None,
) -> Edit | None:
    """Smooth the outline of the object at `point`: a Gaussian of its mask, cut at one half.

    What it gains was background; other objects are not entered. An object that would vanish is left as it is.

    Parameters
    ----------
    labels
        Integers, 0 for background.
    point
        Index of a pixel of the object.
    radius
        Standard deviation of the Gaussian, in the unit of `spacing`.
    locked
        Labels that are not changed.
    spacing
        Length of a pixel along each axis; 1 if None.

    Returns
    -------
    None if there is no object, it is one of `locked`, or nothing changes.
    """
    from scipy.ndimage import gaussian_filter

    piece = piece_at(labels, point)
    if piece is None or piece.number in locked or radius <= 0:
        return None
    sigmas = [radius / step for step in spacing or (1.0,) * labels.ndim]
    box = regions.grown(piece.box, [round(sigma) + 1 for sigma in sigmas], labels.shape)
    before = labels[box]
    mask = np.zeros(before.shape, np.float32)
    mask[regions.relative(piece.box, box)] = piece.mask
    smooth = gaussian_filter(mask, sigmas, mode="nearest") > 0.5
    if not smooth.any():
        return None
    after = before.copy()
    after[(mask > 0) & ~smooth] = 0
    after[smooth & (before == 0)] = piece.number
    return _changed(box, before, after)


def rasterised(line: NDArray[Any]) -> NDArray[np.int64]:
    """Return the pixels of a line in order, each sharing a side with the next: what touches diagonally cannot pass.

    Parameters
    ----------
    line
        Points as indices, shape (points, dimensions), at least one.

    Returns
    -------
    Indices, shape (pixels, dimensions).
    """
    points = np.atleast_2d(np.asarray(line, float))
    if points.size == 0 or not np.isfinite(points).all():
        raise InvalidInputError("The line has no points: draw it across the objects with the button held down.")
    samples = [points[:1]]
    for start, stop in pairwise(points):
        count = max(1, int(np.ceil(4 * np.abs(stop - start).max())))
        samples.append(np.linspace(start, stop, count + 1)[1:])
    pixels = np.floor(np.concatenate(samples) + 0.5).astype(np.int64)
    path = [pixels[0]]
    for pixel in pixels[1:]:
        for axis in np.flatnonzero(pixel != path[-1]):  # one coordinate after the other
            corner = path[-1].copy()
            corner[axis] = pixel[axis]
            path.append(corner)
    return np.array(path)


def _holds(piece: Piece, point: NDArray[np.int64]) -> bool:
    within = tuple(point - regions.start(piece.box))
    return regions.holds(piece.box, point) and bool(piece.mask[within])


def _changed(box: Region, before: NDArray[Any], after: NDArray[Any]) -> Edit | None:
    return None if np.array_equal(before, after) else (box, after)

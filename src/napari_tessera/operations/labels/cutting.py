"""An object split in two along a line that a person has drawn through it."""

from collections.abc import Collection, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.labels.editing import Edit, Piece, pieces_under, rasterised

_NEAR = 2
"""How far from the line, in pixels, it is told which side a pixel is on."""

_TANGENT = 3
"""The direction of the line at a pixel is that from so many pixels before to so many after."""


def split_along(
    labels: NDArray[Any],
    line: NDArray[Any],
    next_id: int,
    locked: Collection[int] = (),
    spacing: Sequence[float] | None = None,
    normal: int | None = None,
) -> Edit | None:
    """Split the object in which the longest part of a line lies.

    Where the line cuts right through, what is on either side of it makes the two parts. Where it does not, it is a
    hint: each side is flooded from beside the line, from the middle of the object outward, so that beyond the ends of
    the line the parts meet where the object is narrow. In a volume a line lies in a slice: nearly always a hint.

    Parameters
    ----------
    labels
        Integers of shape (y, x) or (z, y, x), 0 for background.
    line
        Points as indices of the labels, shape (points, dimensions).
    next_id
        Label of the smaller part; the larger keeps its own.
    locked
        Labels that are not split.
    spacing
        Length of a pixel along each axis; 1 if None.
    normal
        In a volume the axis across the slice in which the line was drawn; if None, one that does not change along it.

    Returns
    -------
    None if the line does not pass through an object that may be split, or has nothing of it on one side.

    Raises
    ------
    InvalidInputError
        If `next_id` does not fit the labels, or the line is a point or does not lie in a slice.

    References
    ----------
    F. Meyer, "Un algorithme optimal pour la ligne de partage des eaux", 8e congrès de reconnaissance des formes et
    intelligence artificielle (1991), for flooding from seeds.
    """
    if not 0 <= next_id <= np.iinfo(labels.dtype).max:
        raise InvalidInputError(f"Label {next_id} does not fit labels of type {labels.dtype}: widen them first.")
    path = rasterised(line)
    plane = _plane_of(path, normal)
    pieces = pieces_under(labels, path, locked)
    if not pieces:
        return None
    piece = max(pieces, key=lambda candidate: _on_mask(candidate, path).sum())
    parts = _parts(piece, path - [part.start for part in piece.box], plane, spacing or (1.0,) * labels.ndim)
    if parts is None:
        return None
    first, second = (int((parts == side).sum()) for side in (1, 2))
    smaller = 2 if first >= second else 1
    after = np.where(parts == smaller, labels.dtype.type(next_id), labels[piece.box])
    return piece.box, after


def _plane_of(path: NDArray[np.int64], normal: int | None) -> tuple[int, int]:
    """Return the two axes of the slice in which a line lies."""
    ndim = path.shape[1]
    still = [axis for axis in range(ndim) if (path[:, axis] == path[0, axis]).all()]
    if len(still) == ndim:
        raise InvalidInputError("The line is a single point: draw it through the object with the button held down.")
    if ndim > 2:
        across = still[0] if normal is None and still else normal
        if across is None or across not in still or ndim != 3:
            raise InvalidInputError("The line does not lie in a slice: draw it with the slices shown one at a time.")
        left = [axis for axis in range(ndim) if axis != across]
        return left[0], left[1]
    return 0, 1


def _on_mask(piece: Piece, path: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which pixels of a path lie on a piece."""
    here = path - [part.start for part in piece.box]
    held: NDArray[np.bool_] = ((here >= 0) & (here < piece.mask.shape)).all(1)
    held[held] = piece.mask[tuple(here[held].T)]
    return held


def _parts(
    piece: Piece, path: NDArray[np.int64], plane: tuple[int, int], spacing: Sequence[float]
) -> NDArray[np.uint8] | None:
    """Return 1 and 2 for the parts of a piece, 0 elsewhere; None if all is on one side. `path` begins at its box."""
    inside = path[((path >= 0) & (path < piece.mask.shape)).all(1)]
    on_line = np.zeros_like(piece.mask)
    on_line[tuple(inside.T)] = True
    rest = piece.mask & ~on_line
    sides = np.where(rest, _sides(path, plane, piece.mask.shape), 0)
    parts = _cut(rest, sides)
    if parts is None:
        if not ((sides > 0).any() and (sides < 0).any()):
            return None
        parts = _flooded(piece.mask, rest, sides, spacing)
    _give_line(parts, np.argwhere(on_line & piece.mask))
    return parts


def _sides(path: NDArray[np.int64], plane: tuple[int, int], shape: tuple[int, ...]) -> NDArray[np.int16]:
    """Return, for pixels near a line in its plane, positive numbers on one side and negative ones on the other."""
    count = len(path)
    at = np.arange(count)
    course = path[np.minimum(at + _TANGENT, count - 1)] - path[np.maximum(at - _TANGENT, 0)]
    votes = np.zeros(shape, np.int16)
    a, b = plane
    steps = range(-_NEAR, _NEAR + 1)
    for step_a, step_b in product(steps, steps):
        there = path.copy()
        there[:, a] += step_a
        there[:, b] += step_b
        side = np.sign(course[:, a] * step_b - course[:, b] * step_a).astype(np.int16)
        held = ((there >= 0) & (there < shape)).all(1)
        np.add.at(votes, tuple(there[held].T), side[held])
    return votes


def _cut(rest: NDArray[np.bool_], sides: NDArray[np.int16]) -> NDArray[np.uint8] | None:
    """Return the parts if the line cuts right through, None if not: crumbs beside a trembling line are no parts."""
    from scipy.ndimage import generate_binary_structure, label, sum_labels

    pieces, count = label(rest, generate_binary_structure(rest.ndim, rest.ndim))
    if count < 2:
        return None
    votes = sum_labels(np.sign(sides), pieces, np.arange(1, count + 1))
    part_of = np.zeros(count + 1, np.uint8)
    part_of[1:] = np.where(votes > 0, 1, 2)
    parts: NDArray[np.uint8] = part_of[pieces]
    smaller = min(int((parts == 1).sum()), int((parts == 2).sum()))
    return parts if smaller >= max(1, min(10, int(rest.sum()) // 50)) else None


def _flooded(
    mask: NDArray[np.bool_], rest: NDArray[np.bool_], sides: NDArray[np.int16], spacing: Sequence[float]
) -> NDArray[np.uint8]:
    """Flood a piece from both sides of a line.

    A plain watershed would let one side run around the end of the line into all that is deeper than the pixels beside
    it. What is deeper than those on the side that is less deep therefore counts as flat: there the nearer side has it.
    """
    from scipy.ndimage import distance_transform_edt

    from napari_tessera.operations.labels.cutting_kernels import flood

    finest = min(spacing)
    steps = [step / finest for step in spacing]
    depth = distance_transform_edt(np.pad(mask, 1), sampling=steps)[(slice(1, -1),) * mask.ndim]
    seeds = ((sides > 0) + 2 * (sides < 0)).astype(np.uint8)
    cap = float(min(depth[seeds == side].max() for side in (1, 2)))
    lead = (1,) * (3 - mask.ndim)
    offsets = np.array(
        [(0,) * len(lead) + step for step in product((-1, 0, 1), repeat=mask.ndim) if any(step)], np.int64
    )
    lengths = np.sqrt((offsets**2 * np.array([1.0] * len(lead) + steps) ** 2).sum(1))
    shape = lead + mask.shape
    parts = seeds.reshape(shape)
    flood(np.ascontiguousarray(depth, np.float32).reshape(shape), parts, rest.reshape(shape), offsets, lengths, cap)
    return parts.reshape(mask.shape)


def _give_line(parts: NDArray[np.uint8], line: NDArray[np.int64]) -> None:
    """Give the pixels of the line to the part that has most of their neighbours, in place."""
    offsets = np.array([step for step in product((-1, 0, 1), repeat=parts.ndim) if any(step)])
    while len(line):
        around = line[:, None] + offsets
        held = ((around >= 0) & (around < parts.shape)).all(2)
        around = np.where(held[..., None], around, line[:, None])  # itself, which has no part yet
        found = parts[tuple(np.moveaxis(around, -1, 0))]
        first, second = (found == 1).sum(1), (found == 2).sum(1)
        given = np.where(first >= second, 1, 2)
        known = first + second > 0
        if not known.any():  # a crumb of nothing but line
            parts[tuple(line.T)] = 1
            return
        parts[tuple(line[known].T)] = given[known]
        line = line[~known]

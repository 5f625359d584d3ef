"""Blocks spread evenly over an image of any size, the same ones each time: what stands for the whole of it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Block = dict[str, slice]
"""One slice per axis."""


def spread_blocks(lengths: Mapping[str, int], edge: int, most: int, *, scattered: bool = False) -> list[Block]:
    """Return blocks of one plane each, spread evenly over an image.

    Parameters
    ----------
    lengths
        Length of each axis but ``c``, in pixels.
    edge
        Edge length of a block along y and x; at the far end of the image they may be smaller.
    most
        Number of blocks to return; fewer if the image has not so many.
    scattered
        Spread them along each axis and each pair of axes by a sequence of low discrepancy (Roberts 2018, of the
        generalised golden ratio), rather than one after the other in row order, which may run along a diagonal.
    """
    sizes = {axis: min(length, edge if axis in "yx" else 1) for axis, length in lengths.items()}
    counts = {axis: -(-length // sizes[axis]) for axis, length in lengths.items()}
    total = int(np.prod(list(counts.values()), dtype=np.int64))
    if scattered and total > most:
        chosen = _scattered(tuple(counts.values()), most)
    else:
        chosen = np.linspace(0, total - 1, min(total, most)).round().astype(np.int64)
    found = []
    for flat in chosen:
        places = dict(zip(counts, np.unravel_index(flat, tuple(counts.values())), strict=True))
        starts = {axis: int(place) * sizes[axis] for axis, place in places.items()}
        found.append({axis: slice(at, min(at + sizes[axis], lengths[axis])) for axis, at in starts.items()})
    return found


def _scattered(counts: tuple[int, ...], most: int) -> NDArray[np.int64]:
    """Return the flat indices of `most` cells of a grid, fewer where two fall together."""
    ratio = 2.0
    for _ in range(64):  # the root of x^(d + 1) = x + 1
        ratio = (1 + ratio) ** (1 / (len(counts) + 1))
    steps = ratio ** -np.arange(1.0, len(counts) + 1)
    shares = (0.5 + np.outer(np.arange(1, most + 1), steps)) % 1
    cells = (shares * counts).astype(np.int64)
    return np.unique(np.ravel_multi_index(tuple(cells.T), counts))

"""Blocks spread evenly over an image of any size, the same ones each time: what stands for the whole of it."""

from collections.abc import Mapping

import numpy as np

Block = dict[str, slice]
"""One slice per axis."""


def spread_blocks(lengths: Mapping[str, int], edge: int, most: int) -> list[Block]:
    """Return blocks of one plane each, spread evenly over an image.

    Parameters
    ----------
    lengths
        Length of each axis but ``c``, in pixels.
    edge
        Edge length of a block along y and x; at the far end of the image they may be smaller.
    most
        Number of blocks to return; fewer if the image has not so many.
    """
    sizes = {axis: min(length, edge if axis in "yx" else 1) for axis, length in lengths.items()}
    counts = {axis: -(-length // sizes[axis]) for axis, length in lengths.items()}
    total = int(np.prod(list(counts.values()), dtype=np.int64))
    chosen = np.linspace(0, total - 1, min(total, most)).round().astype(np.int64)
    found = []
    for flat in chosen:
        places = dict(zip(counts, np.unravel_index(flat, tuple(counts.values())), strict=True))
        starts = {axis: int(place) * sizes[axis] for axis, place in places.items()}
        found.append({axis: slice(at, min(at + sizes[axis], lengths[axis])) for axis, at in starts.items()})
    return found

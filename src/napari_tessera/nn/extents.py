"""Geometry of the parts that a network is applied to; no arithmetic on pixels happens here."""

import math
from collections.abc import Iterator, Sequence

from napari_tessera.core import regions
from napari_tessera.core.regions import Region
from napari_tessera.core.tiles import TileGrid, round_up


def least_extents(lengths: Sequence[int], pixels: int) -> tuple[int, ...]:
    """Return the edge lengths of a block of at least `pixels` pixels that fits into `lengths`, as square as it can be.

    The block is the whole of `lengths` where that holds fewer pixels.
    """
    extents = [0] * len(lengths)
    missing = max(pixels, 1)
    shortest_first = sorted(range(len(lengths)), key=lambda axis: lengths[axis])
    for done, axis in enumerate(shortest_first):
        extents[axis] = min(lengths[axis], _root(missing, len(lengths) - done))
        missing = math.ceil(missing / extents[axis])
    return tuple(extents)


def _root(value: int, degree: int) -> int:
    """Return the smallest integer whose power `degree` reaches `value`."""
    root = max(int(value ** (1 / degree)) - 1, 1)
    while math.prod([root] * degree) < value:
        root += 1
    return root


def grow(region: Region, lengths: Sequence[int], extents: Sequence[int], stride: Sequence[int]) -> Region:
    """Return `region` enlarged to at least `extents` inside an array of `lengths`.

    It grows towards the start first; it starts at multiples of `stride`, and stops at one or at the array's end.
    `region` itself must do so too, and `extents` must not exceed `lengths`.
    """
    grown = []
    for part, length, extent, step in zip(region, lengths, extents, stride, strict=True):
        start = min(part.start, max(part.stop - extent, 0) // step * step)
        stop = max(part.stop, min(round_up(start + extent, step), length))
        grown.append(slice(start, stop))
    return tuple(grown)


def split(inner: Region, edges: Sequence[int]) -> Iterator[Region]:
    """Cut `inner` into parts of at most `edges`, in row-major order."""
    for tile in TileGrid(regions.size(inner), edges):
        yield regions.moved(tile.inner, regions.start(inner))

"""Geometry of the parts that a network is applied to; no arithmetic on pixels happens here."""

import math
from collections.abc import Iterator, Sequence

from napari_tessera.core.image import Region


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


def grow(region: Region, lengths: Sequence[int], extents: Sequence[int], stride: int) -> Region:
    """Return `region` enlarged to at least `extents` inside an array of `lengths`.

    It grows towards the start first; it starts at a multiple of `stride`, and stops at one or at the array's end.
    `region` itself must do so too, and `extents` must not exceed `lengths`.
    """
    grown = []
    for part, length, extent in zip(region, lengths, extents, strict=True):
        start = min(part.start, max(part.stop - extent, 0) // stride * stride)
        stop = max(part.stop, min(-(-(start + extent) // stride) * stride, length))
        grown.append(slice(start, stop))
    return tuple(grown)


def split(inner: Region, edge: int) -> Iterator[Region]:
    """Cut `inner` into parts of at most `edge` per dimension, in row-major order."""
    counts = [math.ceil((part.stop - part.start) / edge) for part in inner]
    for flat in range(math.prod(counts)):
        rest, cut = flat, []
        for part, count in zip(reversed(inner), reversed(counts), strict=True):
            rest, position = divmod(rest, count)
            start = part.start + position * edge
            cut.append(slice(start, min(start + edge, part.stop)))
        yield tuple(reversed(cut))


def widen(inner: Region, lengths: Sequence[int], halo: int) -> Region:
    """Return `inner` with `halo` on every side, clipped to an array of `lengths`."""
    return tuple(
        slice(max(part.start - halo, 0), min(part.stop + halo, length))
        for part, length in zip(inner, lengths, strict=True)
    )


def relative(inner: Region, outer: Region) -> Region:
    """Return where `inner` lies inside an array that covers `outer`."""
    return tuple(
        slice(part.start - whole.start, part.stop - whole.start) for part, whole in zip(inner, outer, strict=True)
    )


def extents_of(region: Region) -> tuple[int, ...]:
    """Return the length of `region` along each dimension."""
    return tuple(part.stop - part.start for part in region)


def round_up(value: int, multiple: int) -> int:
    """Return the smallest multiple of `multiple` that is at least `value`."""
    return -(-value // multiple) * multiple

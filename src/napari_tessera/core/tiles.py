"""Tile geometry: how an image is cut so that the mosaic equals the whole.

    image border
    ┌───────────────────────────────
    │        ┌── outer ─────────┐
    │        │   halo           │
    │        │   ┌── inner ──┐  │        inner: what the tile writes; the inners partition the image
    │        │   │           │  │        outer: what it reads; inner grown by the halo, clipped to the image
    │        │   └───────────┘  │        crop:  where the inner lies inside the outer
    │        └──────────────────┘

At a border the outer is clipped, so that whatever the work does there (zero padding, reflection) it does at the same
place as on the whole image. `Tile.padding` says how much was clipped, for work that needs every tile of one shape.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from napari_tessera.core import regions
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.regions import Region

MOST_TILES = 2**40
"""No computer goes through more; metadata of a few bytes can describe such an image."""


@dataclass(frozen=True)
class Tile:
    """One unit of processing; all regions have one slice per dimension of the image.

    Attributes
    ----------
    index
        Position in the grid's order.
    inner
        What the tile writes, in image coordinates.
    outer
        What the tile reads, in image coordinates; contains `inner`.
    padding
        ``(before, after)`` per dimension: how far the halo would have reached beyond the image.
    """

    index: int
    inner: Region
    outer: Region
    padding: tuple[tuple[int, int], ...]

    @property
    def crop(self) -> Region:
        """Where `inner` lies inside an array read from `outer`."""
        return regions.relative(self.inner, self.outer)


@dataclass(frozen=True)
class TileGrid:
    """The tiles of an image, computed one at a time: a grid over a terabyte costs nothing.

    Attributes
    ----------
    shape
        Shape of the image.
    tile
        Length of the inner region per dimension; rounded up to a multiple of `alignment`.
    halo
        How far the outer region reaches beyond the inner per dimension; rounded up to a multiple of `alignment`.
    alignment
        Every inner and outer region starts at a multiple of it (the total stride of a network; 1 otherwise).

    Raises
    ------
    InvalidInputError
        If lengths are not positive, halos negative, the number of entries differs, or there are more than `MOST_TILES`.
    """

    shape: tuple[int, ...]
    tile: tuple[int, ...]
    halo: tuple[int, ...]
    alignment: tuple[int, ...]

    def __init__(
        self,
        shape: Sequence[int],
        tile: Sequence[int],
        halo: Sequence[int] | None = None,
        alignment: Sequence[int] | None = None,
    ) -> None:
        halo = (0,) * len(shape) if halo is None else tuple(halo)
        alignment = (1,) * len(shape) if alignment is None else tuple(alignment)
        if not len(shape) == len(tile) == len(halo) == len(alignment):
            raise InvalidInputError("shape, tile, halo and alignment must have one entry per dimension each.")
        if min((*shape, *tile, *alignment), default=1) < 1 or min(halo, default=0) < 0:
            raise InvalidInputError(
                f"Cannot tile shape {tuple(shape)} by {tuple(tile)} with halo {halo} and alignment {alignment}: "
                "lengths must be at least 1 and halos at least 0."
            )
        object.__setattr__(self, "shape", tuple(shape))
        object.__setattr__(self, "tile", tuple(map(round_up, tile, alignment)))
        object.__setattr__(self, "halo", tuple(map(round_up, halo, alignment)))
        object.__setattr__(self, "alignment", alignment)
        if math.prod(self.counts) > MOST_TILES:
            lengths = " × ".join(map(str, shape))
            raise InvalidInputError(
                f"An image of {lengths} pixels is too large for any computer to go through: crop it, or use a coarser "
                "level of it."
            )

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of tiles along each dimension."""
        return tuple(-(-n // size) for n, size in zip(self.shape, self.tile, strict=True))

    def __len__(self) -> int:
        return math.prod(self.counts)

    def __iter__(self) -> Iterator[Tile]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Tile:
        if not 0 <= index < len(self):
            raise IndexError(f"tile {index} of {len(self)}")
        rest, starts = index, []
        for count in reversed(self.counts):
            rest, position = divmod(rest, count)
            starts.append(position)
        inner = regions.cell(starts[::-1], self.tile, self.shape)
        return _tile(index, inner, self.halo, self.shape)


@dataclass(frozen=True)
class BlockGrid:
    """Tiles of which none crosses the border of a block, and which come block by block.

    So a block that is written at once waits for its own tiles alone.

    Attributes
    ----------
    shape, tile, halo, alignment
        As of a `TileGrid`.
    block
        Lengths of a block, multiples of `alignment` where there are several; a tile that is larger is cut to it.
    """

    shape: tuple[int, ...]
    block: tuple[int, ...]
    tile: tuple[int, ...]
    halo: tuple[int, ...]
    alignment: tuple[int, ...]

    def __len__(self) -> int:
        count = 1
        for length, block, tile in zip(self.shape, self.block, self.tile, strict=True):
            whole, rest = divmod(length, block)
            count *= whole * -(-min(block, length) // tile) + -(-rest // tile)
        return count

    def __iter__(self) -> Iterator[Tile]:
        index = 0
        for block in TileGrid(self.shape, self.block):
            start = regions.start(block.inner)
            for tile in TileGrid(regions.size(block.inner), self.tile, None, self.alignment):
                inner = regions.moved(tile.inner, start)
                yield _tile(index, inner, self.halo, self.shape)
                index += 1


def _tile(index: int, inner: Region, halo: tuple[int, ...], shape: tuple[int, ...]) -> Tile:
    padding = tuple(
        (max(around - part.start, 0), max(part.stop + around - length, 0))
        for part, around, length in zip(inner, halo, shape, strict=True)
    )
    return Tile(index, inner, regions.grown(inner, halo, shape), padding)


@dataclass(frozen=True)
class TileNeeds:
    """What a tile must be so that a model gives on it what it gives on the whole image.

    Attributes
    ----------
    dimensions
        Number of spatial dimensions that it looks along at once: 2 (y, x) or 3 (z, y, x).
    halo
        Per axis (z, y, x) or (y, x), pixels to read beyond what is written, per side; multiples of `stride`.
    stride
        Per axis, tiles must start at multiples of it.
    least_pixels
        A tile must read at least so many pixels, or the whole image if that has fewer.
    bytes_per_pixel
        Memory that the model takes while it runs, per pixel read.
    """

    dimensions: int
    halo: tuple[int, ...]
    stride: tuple[int, ...]
    least_pixels: int
    bytes_per_pixel: int


def round_up(value: int, multiple: int) -> int:
    """Return the smallest multiple of `multiple` that is at least `value`."""
    return -(-value // multiple) * multiple

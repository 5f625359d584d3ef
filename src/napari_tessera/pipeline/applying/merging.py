"""Connected components across tiles: found in each, joined where tiles overlap, numbered as in the whole frame.

Every tile is labelled together with the last pixels of its neighbours before it (one layer at the low end of every
axis). Any two neighbouring pixels lie together in at least one such region, diagonals across edges and corners of tiles
included: the box around them has its last corner in the inner region of some tile, and the region of that tile holds
all of it. So whatever is connected in the frame is connected within the regions, and the pixels that two regions share
say which of their components are one. Only the shared layers wait in memory, until both tiles have been seen; beside
them memory grows with the number of components.
"""

import math
import threading
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.regions import Region
from napari_tessera.core.tiles import Tile, TileGrid
from napari_tessera.operations.base import Block, Components, Connected
from napari_tessera.operations.labels.components import (
    Numbered,
    labels_around,
    number_components,
    numbers_at,
    numbers_on_border,
)
from napari_tessera.operations.whole import decide
from napari_tessera.pipeline.applying.frames import Frames, Position

KEPT_BYTES = 256 * 2**20
"""Frames whose numbers fit into this many bytes are labelled once; others a second time when they are painted."""

Offset = tuple[int, ...]


@dataclass(frozen=True)
class _Found:
    """The components of one tile; arrays have one entry each."""

    values: NDArray[Any]
    first: NDArray[np.int64]
    sizes: NDArray[np.int64]
    on_border: NDArray[np.bool_]
    marked: NDArray[np.bool_]
    around: NDArray[np.int64]


@dataclass(eq=False)
class TiledComponents:
    """The components of one frame.

    `find` every tile, `decide` once, then `paint` every tile; `find` and `paint` are safe to call from several threads.

    Attributes
    ----------
    operation
        Says what is connected, and what becomes of it.
    frames, position
        Which frame.
    grid
        How it is cut; a halo of 1 along the axes that are cut.
    """

    operation: Connected
    frames: Frames
    position: Position
    grid: TileGrid

    def __post_init__(self) -> None:
        self._connectivity = self.operation.connections(self.frames.spec)
        cut = [count > 1 for count in self.grid.counts]
        self._offsets: list[Offset] = [step for step in product(*[(0, 1) if c else (0,) for c in cut]) if any(step)]
        self._lock = threading.Lock()
        self._total = 0
        self._bases: dict[int, tuple[int, int]] = {}
        self._found: list[_Found] = []
        self._shared: dict[tuple[int, Offset], tuple[int, NDArray[Any]]] = {}
        self._pairs: list[NDArray[np.int64]] = []
        self._decided: NDArray[Any] = np.zeros(0)
        self._kept: dict[int, NDArray[Any]] | None = {} if 4 * math.prod(self.grid.shape) <= KEPT_BYTES else None

    def find(self, tile: Tile) -> None:
        """Find the components of a tile, and join them to those of the neighbours that have been seen."""
        block = self.frames.block(self.position, tile.outer)
        region = self._labelled(tile)
        numbered = self._number(block, regions.relative(region, tile.outer))
        numbers = numbered.numbers[regions.relative(tile.inner, region)]
        found = self._describe(tile, block, numbered, numbers, region)
        with self._lock:
            base, self._total = self._total, self._total + len(numbered)
            self._bases[tile.index] = base, len(numbered)
            self._found.append(found)
            if self._kept is not None:
                self._kept[tile.index] = numbers
        self._join(tile, base, numbered.numbers, numbers)

    def _labelled(self, tile: Tile) -> Region:
        """Return the region that is labelled: the tile and one layer of pixels before it."""
        return tuple(slice(outer.start, inner.stop) for inner, outer in zip(tile.inner, tile.outer, strict=True))

    def _number(self, block: Block, within: Region) -> Numbered:
        parts = np.asarray(self.operation.parts(block))
        if parts.shape != block.image.shape:
            raise TypeError(
                f"{self.operation.name()} gave parts of shape {parts.shape} for pixels {block.image.shape}."
            )
        return number_components(np.ascontiguousarray(parts[within]), self._connectivity)

    def _describe(self, tile: Tile, block: Block, numbered: Numbered, numbers: NDArray[Any], region: Region) -> _Found:
        """Describe the components by the pixels of the tile alone, so that every pixel counts once."""
        count, crop = len(numbered), tile.crop
        sides = tuple(
            (part.start == 0, part.stop == length) for part, length in zip(tile.inner, self.grid.shape, strict=True)
        )
        places = np.unravel_index(numbered.first, numbered.numbers.shape)
        moved = [place + part.start for place, part in zip(places, region, strict=True)]
        marks, surroundings = self.operation.marks(block), self.operation.surroundings(block)
        around = np.zeros((count, 2), np.int64)
        if surroundings is not None:
            placed = np.zeros(block.image.shape, numbers.dtype)
            placed[crop] = numbers
            around = labels_around(placed, surroundings, count, self._connectivity)
        return _Found(
            values=numbered.values,
            first=np.ravel_multi_index(tuple(moved), self.grid.shape).astype(np.int64),
            sizes=numbered.sizes - _counted_before(numbered.numbers, regions.relative(tile.inner, region), count),
            on_border=numbers_on_border(numbers, count, sides),
            marked=numbers_at(numbers, None if marks is None else marks[crop], count),
            around=around,
        )

    def _join(self, tile: Tile, base: int, labelled: NDArray[Any], inner: NDArray[Any]) -> None:
        """Compare the pixels shared with every neighbour: the first of two tiles leaves its numbers to the second."""
        index = np.unravel_index(tile.index, self.grid.counts)
        lengths = inner.shape
        for offset in self._offsets:
            before = all(at >= step for at, step in zip(index, offset, strict=True))
            after = all(at + step < n for at, step, n in zip(index, offset, self.grid.counts, strict=True))
            if before:
                layer = tuple(
                    slice(0, 1) if step else slice(whole - length, whole)
                    for step, whole, length in zip(offset, labelled.shape, lengths, strict=True)
                )
                self._meet((tile.index, offset), base, labelled[layer])
            if after:
                layer = tuple(slice(n - 1, n) if step else slice(0, n) for step, n in zip(offset, lengths, strict=True))
                other = np.ravel_multi_index(
                    [at + step for at, step in zip(index, offset, strict=True)], self.grid.counts
                )
                self._meet((int(other), offset), base, inner[layer])

    def _meet(self, key: tuple[int, Offset], base: int, layer: NDArray[Any]) -> None:
        with self._lock:
            other = self._shared.pop(key, None)
            if other is None:
                self._shared[key] = base, layer.copy()
                return
        pairs = _unique_pairs(layer, other[1]) + np.array([base - 1, other[0] - 1])
        with self._lock:
            self._pairs.append(pairs)

    def decide(self) -> None:
        """Join what belongs together, and let the operation decide on each component as a whole."""
        pairs = np.concatenate([np.zeros((0, 2), np.int64), *self._pairs])
        found = _Found(**{name: self._column(name) for name in _Found.__dataclass_fields__})
        self._pairs.clear()
        self._found.clear()
        number, components = _merge(found, pairs, self.frames)
        self._decided = decide(self.operation, components)[number]

    def _column(self, name: str) -> NDArray[Any]:
        return np.concatenate([getattr(found, name) for found in self._found])

    def paint(self, tile: Tile) -> NDArray[Any]:
        """Return the result over the inner region of a tile."""
        if self._kept is not None:
            numbers = self._kept.pop(tile.index)
            block = self.frames.block(self.position, tile.inner)
        else:
            region = self._labelled(tile)
            wide = self.frames.block(self.position, region)
            numbered = self._number(wide, regions.relative(region, region))
            block = self.frames.cropped(wide, tile.inner)
            numbers = numbered.numbers[regions.relative(tile.inner, region)]
        base, count = self._bases[tile.index]
        lookup = np.zeros(count + 1, self._decided.dtype)
        lookup[1:] = self._decided[base : base + count]
        return self.operation.paint(block, lookup[numbers])


def _counted_before(numbers: NDArray[Any], inner: Region, count: int) -> NDArray[np.int64]:
    """Return how many pixels each component has in the layers before `inner`, shape (count,)."""
    total = np.zeros(count + 1, np.int64)
    for axis, part in enumerate(inner):
        if part.start > 0:  # corners count once: with the first axis that they lie before
            layer = (*inner[:axis], slice(0, part.start), *(slice(None) for _ in inner[axis + 1 :]))
            total += np.bincount(numbers[layer].reshape(-1), minlength=count + 1)
    return total[1:]


def _unique_pairs(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.int64]:
    """Return which numbers lie on the same pixels, int64 (pairs, 2)."""
    there = one != 0
    width = int(other.max(initial=0)) + 1
    codes = np.unique(one[there].astype(np.int64) * width + other[there])
    return np.stack(np.divmod(codes, width), axis=1)


def _merge(found: _Found, pairs: NDArray[np.int64], frames: Frames) -> tuple[NDArray[np.int64], Components]:
    """Join components that `pairs` connect.

    Returns
    -------
    number
        int64, for each of `found`: which component of the frame it belongs to, from 0.
    Components
        Of the frame, in the order of their first pixel.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    total = len(found.sizes)
    links = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(total, total))
    count, group = connected_components(links, directed=False) if total else (0, np.zeros(0, np.int32))
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, group, found.first)
    rank = np.empty(count, np.int64)
    rank[np.argsort(first)] = np.arange(count)
    number = rank[group]

    values = np.zeros(count, found.values.dtype)
    values[number] = found.values
    sizes = np.zeros(count, np.int64)
    np.add.at(sizes, number, found.sizes)
    on_border, marked = np.zeros(count, bool), np.zeros(count, bool)
    on_border[number[found.on_border]] = True
    marked[number[found.marked]] = True
    around = _merged_around(found.around, number, count)
    return number, Components(values, sizes, on_border, marked, around, frames.spec)


def _merged_around(around: NDArray[np.int64], number: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    low, high = np.full(count, np.iinfo(np.int64).max), np.full(count, np.iinfo(np.int64).min)
    some = around.any(axis=1)
    np.minimum.at(low, number[some], around[some, 0])
    np.maximum.at(high, number[some], around[some, 1])
    none = low > high
    low[none] = high[none] = 0
    return np.stack([low, high], axis=1)

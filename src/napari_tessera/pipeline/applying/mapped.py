"""Operations that put frames on another grid, tile by tile of the result."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.image import ImageSink, ImageSpec
from napari_tessera.core.regions import Region
from napari_tessera.core.tiles import TileGrid
from napari_tessera.operations.base import Mapped
from napari_tessera.pipeline.applying.frames import Frames, Position
from napari_tessera.pipeline.running.tiling import SMALL, choose_unit, memory_budget, plan_tiles


@dataclass(frozen=True)
class MappedTiles:
    """Tiles of the results of a mapped operation.

    Attributes
    ----------
    operation
        What is applied.
    frames
        To what.
    most
        How many pixels of a frame may be read at a time; a tile that comes from more is made in pieces.
    """

    operation: Mapped
    frames: Frames
    most: int | None = None

    @property
    def output(self) -> ImageSpec:
        """What comes out of a frame."""
        assert self.frames.frame_output is not None
        return self.frames.frame_output

    def compute(self, position: Position, part: Region) -> NDArray[Any]:
        """Return the result over a region of it."""
        region = self.operation.source_region(part, self.frames.spec, self.frames.arrays(position))
        if self.most is None or _pixels(region) <= self.most or _pixels(part) == 1:
            block = self.frames.block(position, region)
            pixels = np.asarray(self.operation.compute_part(block, part))
            return pixels.copy() if np.may_share_memory(pixels, block.image) else pixels
        result = np.empty(regions.size(part), self.output.dtype)
        for half in _halves(part):
            result[regions.relative(half, part)] = self.compute(position, half)
        return result


def _pixels(region: Region) -> int:
    return math.prod(regions.size(region))


def _halves(part: Region) -> tuple[Region, Region]:
    """Return a region cut in two along its longest dimension."""
    lengths = regions.size(part)
    axis = lengths.index(max(lengths))
    middle = part[axis].start + lengths[axis] // 2
    return (
        (*part[:axis], slice(part[axis].start, middle), *part[axis + 1 :]),
        (*part[:axis], slice(middle, part[axis].stop), *part[axis + 1 :]),
    )


def plan_mapped(
    frames: Frames, sink: ImageSink | None, bytes_per_pixel: int, threads: int, tile: int | None
) -> tuple[TileGrid, int]:
    """Return how the results of frames are cut, and how many threads work on tiles.

    Tiles are whole chunks of the output. A tile counts as many pixels as it comes from, on the average.
    """
    output = frames.frame_output
    assert output is not None
    if tile is not None:
        return TileGrid(output.shape, [min(tile, length) for length in output.shape]), threads
    pixels, sources = math.prod(output.shape), math.prod(frames.spec.shape)
    fits = (pixels + sources) * bytes_per_pixel * min(threads, len(frames)) <= memory_budget()
    if max(pixels, sources) <= SMALL and (fits or len(frames) == 1):
        return TileGrid(output.shape, output.shape), min(threads, len(frames))
    size = bytes_per_pixel * (1 + math.ceil(sources / pixels))
    chunks = None if sink is None else sink.chunks
    if chunks and sink is not None:
        by_axis = sink.spec.by_axis(chunks)
        chunks = tuple(by_axis[axis] for axis in output.axes)
    unit = choose_unit(output.shape, chunks, None, size)
    plan = plan_tiles(output.shape, halo=[0] * len(unit), chunks=unit, bytes_per_pixel=size, threads=threads)
    grid = TileGrid(output.shape, plan.tile)
    return grid, max(1, min(plan.threads, len(grid) * len(frames)))

"""How large tiles are: large enough that halos cost little, small enough that all threads' tiles fit into memory."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_tessera.core.tiles import round_up
from napari_tessera.io.memory import free_memory

MOST_THREADS = 8

LARGEST_BUDGET = 512 * 2**20
LEAST_BUDGET = 32 * 2**20
"""Bytes that the tiles of all threads may take together, in most cases and at least."""

WORKING_BYTES = 32
"""What computing takes per pixel beside input and output, by experience: a few copies in float64."""

SMALL = 2**22
"""A frame of no more pixels is one tile: cutting it would cost more than it brings."""

TILE_PIXELS = 2**20
"""A tile of so many pixels keeps a thread busy for long enough."""

UNIT = 64
"""Edge of the blocks that tiles are made of where no storage asks for others."""

OVERHEAD = 1.5
"""Reading so many times what is written is accepted before tiles grow further."""

DEAR_OVERHEAD = 3.0
"""Beyond this it is better to compute in fewer threads, with larger tiles."""


@dataclass(frozen=True)
class TilePlan:
    """Lengths of a tile, and how many threads work on tiles at a time."""

    tile: tuple[int, ...]
    threads: int


def default_threads() -> int:
    """Return the number of cores that this process may use, at most `MOST_THREADS`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_THREADS)


def memory_budget() -> int:
    """Return how many bytes the tiles of all threads may take together."""
    free = free_memory()
    return LARGEST_BUDGET if free is None else max(LEAST_BUDGET, min(LARGEST_BUDGET, free // 4))


def pixel_bytes(dtypes: Sequence[np.dtype[Any]]) -> int:
    """Return about how many bytes a pixel takes while it is worked on; `dtypes` are those of inputs and output."""
    return sum(dtype.itemsize for dtype in dtypes) + WORKING_BYTES


def plan_tiles(
    lengths: Sequence[int],
    *,
    halo: Sequence[int],
    chunks: Sequence[int],
    bytes_per_pixel: int,
    threads: int,
    budget: int | None = None,
) -> TilePlan:
    """Choose the tile for a frame.

    Parameters
    ----------
    lengths
        Of the dimensions that are cut.
    halo
        How far the work looks along each.
    chunks
        Tiles are whole numbers of these; 1 where it does not matter.
    bytes_per_pixel
        Of one position along these dimensions, everything else included.
    threads
        How many may work at a time; fewer will if one tile each would not fit into memory, or would be mostly halo.
    budget
        Bytes for the tiles of all threads; None: `memory_budget`.
    """
    budget = memory_budget() if budget is None else budget
    while True:
        tile = _grown(lengths, halo, chunks, budget // threads // bytes_per_pixel)
        fits = _read_pixels(tile, halo, lengths) * bytes_per_pixel * threads <= budget
        if threads == 1 or (fits and _overhead(tile, halo, lengths) <= DEAR_OVERHEAD):
            return TilePlan(tile, threads)
        threads = max(1, threads // 2)


def _grown(lengths: Sequence[int], halo: Sequence[int], chunks: Sequence[int], most: int) -> tuple[int, ...]:
    """Double a tile of one chunk, along the dimension where that saves most, as long as it is worth it."""
    tile = tuple(min(chunk, length) for chunk, length in zip(chunks, lengths, strict=True))
    while True:
        enough = math.prod(tile) >= TILE_PIXELS and _overhead(tile, halo, lengths) <= OVERHEAD
        wider = [_doubled(tile, axis, lengths, chunks) for axis in range(len(tile)) if tile[axis] < lengths[axis]]
        wider = [one for one in wider if _read_pixels(one, halo, lengths) <= most]
        if enough or not wider:
            return tile
        # Equal costs: the tile that is nearest to a cube, and rather long along x, which lies in one piece.
        tile = min(wider, key=lambda one: (_overhead(one, halo, lengths), max(one) / min(one), one))


def _doubled(tile: tuple[int, ...], axis: int, lengths: Sequence[int], chunks: Sequence[int]) -> tuple[int, ...]:
    length = min(round_up(2 * tile[axis], min(chunks[axis], lengths[axis])), lengths[axis])
    return (*tile[:axis], length, *tile[axis + 1 :])


def _read_pixels(tile: Sequence[int], halo: Sequence[int], lengths: Sequence[int]) -> int:
    return math.prod(min(size + 2 * h, n) for size, h, n in zip(tile, halo, lengths, strict=True))


def _overhead(tile: Sequence[int], halo: Sequence[int], lengths: Sequence[int]) -> float:
    return _read_pixels(tile, halo, lengths) / math.prod(tile)


def choose_unit(
    lengths: Sequence[int], written: Sequence[int] | None, read: Sequence[int] | None, bytes_per_pixel: int
) -> tuple[int, ...]:
    """Return the lengths that tiles are whole numbers of.

    Chunks of the output, so that no two threads write to the same one, and of the input too if that fits, so that
    none is decoded twice; blocks of `UNIT` where there are no chunks, or they are too large.
    """
    free = (1,) * len(lengths)
    both = tuple(map(math.lcm, written or free, read or free))
    budget = memory_budget()
    for unit in (both, tuple(written or read or free)):
        shape = tuple(min(length, size) for length, size in zip(lengths, unit, strict=True))
        if unit != free and math.prod(shape) * bytes_per_pixel <= budget:
            return shape
    return tuple(min(length, UNIT) for length in lengths)

"""Chunks that several tiles read are decoded once: the halo of one tile lies in the chunks of its neighbours."""

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.image import DerivedSource, ImageSource
from napari_tessera.core.regions import Region
from napari_tessera.io.memory import free_memory

LARGEST_CACHE = 256 * 2**20
"""Bytes of decoded chunks that are kept at most, of one input."""

LEAST_CHUNK = 2**15
"""Smaller chunks (in pixels) are read many at a time, which is quicker than one by one from here."""

WORTH = 1.3
"""A region whose chunks hold no more than so many times its pixels is read without keeping anything."""

Index = tuple[int, ...]


@dataclass(eq=False)
class _Chunk:
    lock: threading.Lock = field(default_factory=threading.Lock)
    pixels: NDArray[Any] | None = None


class CachedSource(DerivedSource):
    """An image whose chunks are kept for a while after they were decoded; safe to read from several threads.

    Parameters
    ----------
    source
        Where the pixels come from.
    chunks
        Its unit of storage.
    most
        Bytes to keep.
    """

    def __init__(self, source: ImageSource, chunks: tuple[int, ...], most: int) -> None:
        super().__init__(source)
        self._chunks, self._most = chunks, most
        self._kept: OrderedDict[Index, _Chunk] = OrderedDict()
        self._lock = threading.Lock()
        self._bytes = math.prod(chunks) * source.dtype.itemsize

    @property
    def chunks(self) -> tuple[int, ...]:
        """What is kept at once."""
        return self._chunks

    def read(self, region: Region) -> NDArray[Any]:
        """Return the pixels of `region`."""
        ranges = [range(part.start, part.stop) for part in regions.cells(region, self.chunks)]
        lengths = regions.size(region)
        stored = math.prod(
            min(which.stop * chunk, length) - which.start * chunk
            for which, chunk, length in zip(ranges, self.chunks, self.shape, strict=True)
        )
        if stored <= WORTH * math.prod(lengths) or self._bytes > self._most:
            return self.base.read(region)
        pixels = np.empty(lengths, self.dtype)
        for index in product(*ranges):
            place = self._region(index)
            if both := regions.intersection(region, place):
                pixels[regions.relative(both, region)] = self._chunk(index, place)[regions.relative(both, place)]
        return pixels

    def _region(self, index: Index) -> Region:
        return regions.cell(index, self.chunks, self.shape)

    def _chunk(self, index: Index, place: Region) -> NDArray[Any]:
        with self._lock:
            chunk = self._kept.setdefault(index, _Chunk())
            self._kept.move_to_end(index)
            while len(self._kept) * self._bytes > self._most and len(self._kept) > 1:
                self._kept.popitem(last=False)
        with chunk.lock:  # whoever comes second waits for the first, in place of decoding it again
            if chunk.pixels is None:
                chunk.pixels = self.base.read(place)
            return chunk.pixels


def cached(source: ImageSource) -> ImageSource:
    """Return `source` with a cache of its chunks, if it has any that are worth it."""
    chunks = source.chunks
    if not chunks or len(chunks) != len(source.shape):
        return source
    chunks = tuple(min(chunk, length) for chunk, length in zip(chunks, source.shape, strict=True))
    if math.prod(chunks) < LEAST_CHUNK:
        return source
    free = free_memory()
    return CachedSource(source, chunks, LARGEST_CACHE if free is None else min(LARGEST_CACHE, free // 8))

"""Write units: what an output is written in, a chunk at a time, whatever the tiles are that it comes from."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.regions import Region
from napari_tessera.core.tiles import round_up
from napari_tessera.io.ledger import Ledger

GATHERED_BYTES = 256 * 2**20
"""Pixels of units that wait for the rest of them, at most; beyond that the oldest are stored as they are."""

Index = tuple[int, ...]


@dataclass
class _Gathered:
    """A unit of which a part has come."""

    place: Region
    pixels: NDArray[Any] | None
    there: NDArray[np.bool_]


class WriteUnits:
    """Takes regions as they come, stores each unit once where that is possible, and records those that are complete.

    Safe to call from several threads.

    Parameters
    ----------
    shape, edges
        Of the output, and of one unit.
    dtype
        Of the pixels.
    store
        Writes a region of pixels.
    load
        Reads a region that was stored before; None for an output in which parts of units are as easily stored as
        wholes, so that nothing is gathered.
    ledger
        Where complete units are recorded; None: nowhere.
    """

    def __init__(
        self,
        shape: Sequence[int],
        edges: Sequence[int],
        dtype: np.dtype[Any],
        *,
        store: Callable[[Region, NDArray[Any]], None],
        load: Callable[[Region], NDArray[Any]] | None,
        ledger: Ledger | None,
    ) -> None:
        self._shape, self._edges, self._dtype = tuple(shape), tuple(edges), dtype
        self._counts = count_units(shape, edges)
        self._store, self._load, self._ledger = store, load, ledger
        self._before = frozenset() if ledger is None else frozenset(ledger.complete)
        self._gathered: dict[Index, _Gathered] = {}
        self._torn: set[Index] = set()
        self._lock = threading.Lock()
        self.written = False

    def write(self, region: Region, pixels: NDArray[Any]) -> None:
        """Store `pixels` at `region`, or keep them until the rest of their unit has come."""
        self.written = True
        inside = self._whole_units(region)
        if self._load is None:
            self._store(region, pixels)
        elif inside is not None:
            self._store(inside, pixels[regions.relative(inside, region)])
        if inside is not None:
            self._complete(list(_indices(regions.cells(inside, self._edges))))
        if inside == region or (self._load is None and self._ledger is None):
            return
        within = None if inside is None else regions.cells(inside, self._edges)
        for index in _indices(regions.cells(region, self._edges)):
            if within is None or not regions.holds(within, index):
                self._gather(index, region, pixels)

    def _whole_units(self, region: Region) -> Region | None:
        """Return the part of `region` that consists of whole units; None if there is none."""
        part = tuple(
            slice(-(-here.start // edge) * edge, here.stop if here.stop == length else here.stop // edge * edge)
            for here, edge, length in zip(region, self._edges, self._shape, strict=True)
        )
        return None if regions.is_empty(part) else part

    def _gather(self, index: Index, region: Region, pixels: NDArray[Any]) -> None:
        place = regions.cell(index, self._edges, self._shape)
        both = regions.intersection(place, region)
        if both is None or self._number(index) in self._before:  # by a tile that reaches into what an earlier run did
            return
        with self._lock:
            unit = self._gathered.get(index) or self._begin(index, place)
            unit.there[regions.relative(both, place)] = True
            if unit.pixels is not None:
                unit.pixels[regions.relative(both, place)] = pixels[regions.relative(both, region)]
            if not unit.there.all():
                return
            del self._gathered[index]
            if unit.pixels is not None:
                self._store(place, unit.pixels)
        self._complete([index])

    def _begin(self, index: Index, place: Region) -> _Gathered:
        """Begin to gather a unit; the lock is held."""
        lengths = regions.size(place)
        pixels = None
        if self._load is not None:
            stored = index in self._torn or (self._ledger is not None and self._number(index) in self._ledger.complete)
            pixels = self._load(place) if stored else np.zeros(lengths, self._dtype)
        unit = self._gathered[index] = _Gathered(place, pixels, np.zeros(lengths, bool))
        each = unit.there.size * (1 + (0 if pixels is None else self._dtype.itemsize))
        while len(self._gathered) > 1 and len(self._gathered) * each > GATHERED_BYTES:
            self._store_part(next(iter(self._gathered)))
        return unit

    def _store_part(self, index: Index) -> None:
        """Store what has come of a unit, which is then not recorded; the lock is held."""
        unit = self._gathered.pop(index)
        self._torn.add(index)
        if unit.pixels is not None:
            self._store(unit.place, unit.pixels)

    def flush(self) -> None:
        """Store all that has come."""
        with self._lock:
            while self._gathered:
                self._store_part(next(iter(self._gathered)))

    def holds(self, region: Region) -> bool:
        """Whether all units that share pixels with `region` are recorded as complete."""
        if self._ledger is None or not self._ledger.complete:
            return False
        cells = regions.cells(region, self._edges)
        return all(self._number(index) in self._ledger.complete for index in _indices(cells))

    def settle(self, region: Region) -> None:
        """Record that nothing more will be written into `region`: what has not come is 0."""
        if self._ledger is None:
            return
        inside = self._whole_units(region)
        if inside is None:
            return
        found = list(_indices(regions.cells(inside, self._edges)))
        with self._lock:
            for index in found:
                if index in self._gathered:
                    self._store_part(index)
        self._complete(found)

    def _complete(self, found: list[Index]) -> None:
        with self._lock:
            for index in found:
                self._gathered.pop(index, None)  # replaced as a whole
            if self._ledger is not None:
                self._ledger.record(map(self._number, found))

    def _number(self, index: Index) -> int:
        number = 0
        for at, count in zip(index, self._counts, strict=True):
            number = number * count + at
        return number


def checked_chunks(chunks: Sequence[int] | None, spec: ImageSpec) -> tuple[int, ...]:
    """Return `chunks` within the image, or whole planes cut into squares.

    Raises
    ------
    InvalidInputError
        If they do not fit the axes.
    """
    if chunks is None:
        edge = 512 if max(spec.sizes["y"], spec.sizes["x"]) <= 4096 else 1024
        return tuple(min(n, edge) if axis in "yx" else 1 for axis, n in zip(spec.axes, spec.shape, strict=True))
    if len(chunks) != len(spec.shape) or min(chunks) < 1:
        raise InvalidInputError(f"Chunks {tuple(chunks)} do not fit axes {spec.axes!r}: give one length for each.")
    return tuple(min(int(chunk), n) for chunk, n in zip(chunks, spec.shape, strict=True))


def shard_shape(shape: Sequence[int], chunks: Sequence[int], edge: int) -> tuple[int, ...]:
    """Return the lengths of shards of whole chunks, at least `edge` long where chunks are longer than 1."""
    return tuple(
        1 if chunk == 1 else round_up(min(edge, length), chunk) for chunk, length in zip(chunks, shape, strict=True)
    )


def count_units(shape: Sequence[int], edges: Sequence[int]) -> tuple[int, ...]:
    """Return how many units there are along each dimension."""
    return tuple(-(-length // edge) for length, edge in zip(shape, edges, strict=True))


def _indices(cells: Region) -> Iterator[Index]:
    return product(*(range(part.start, part.stop) for part in cells))

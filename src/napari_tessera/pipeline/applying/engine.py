"""The engine: takes an operation through the frames of its inputs, whole or tile by tile, each family in its way."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import NoContrastError
from napari_tessera.core.image import ImageSink, ImageSource
from napari_tessera.core.jobs import Warning
from napari_tessera.core.tiles import TileGrid
from napari_tessera.io.memory import free_memory
from napari_tessera.operations.base import Connected, Family, Fitted, Global, Local, Mapped, Operation, of_family
from napari_tessera.operations.paging import Paged
from napari_tessera.operations.whole import check_finite_result, run_whole
from napari_tessera.pipeline.applying.frames import Frames, Position
from napari_tessera.pipeline.applying.mapped import MappedTiles, plan_mapped
from napari_tessera.pipeline.applying.merging import TiledComponents
from napari_tessera.pipeline.applying.paged import FramePages
from napari_tessera.pipeline.applying.plain_frames import PlainFrames, StandIn
from napari_tessera.pipeline.applying.results import Results, checked, cut_axes, cut_out, naming, where_in
from napari_tessera.pipeline.applying.surveys import TiledSurvey
from napari_tessera.pipeline.running.parallel import Counter, Report, Work, run_all
from napari_tessera.pipeline.running.tiling import SMALL, choose_unit, memory_budget, pixel_bytes, plan_tiles


@dataclass(frozen=True)
class Applied:
    """What one application came to.

    Attributes
    ----------
    tiles
        How many were computed.
    points
        float64 (N, looped axes and dimensions of a frame); None if the operation gives none.
    """

    tiles: int
    points: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Engine:
    """One application of an operation.

    Attributes
    ----------
    frames
        What it is applied to.
    sink
        Where the result goes; None for points.
    work
        Says when to stop, and lets nothing be written after that.
    report
        Takes progress.
    threads
        How many may compute at a time.
    tile
        Edge of the tiles along every dimension that is cut, in place of the engine's choice.
    plain
        Frames that the operation found nothing in.
    """

    frames: Frames
    sink: ImageSink | None
    work: Work
    report: Report
    threads: int
    tile: int | None = None
    plain: PlainFrames = field(default_factory=PlainFrames)

    def run(self) -> Applied:
        """Apply the operation to every frame."""
        self.plain.go_on(self.sink)
        told = self._run()
        doubts = self.plain.conclude(self.frames.operation, len(self.frames))
        if doubts:
            self.report(Warning(doubts))
        if self.frames.rounded:
            self.report(Warning(self.frames.rounding))
        return told

    def _run(self) -> Applied:
        runners: Mapping[Family, Callable[[Any], Applied]] = {
            "local": self._unless_one_tile(lambda operation: self._run_local(operation, self.frames)),
            "fitted": self._unless_one_tile(self._frame_by_frame(self._run_fitted)),
            "connected": self._unless_one_tile(self._frame_by_frame(self._run_connected)),
            "mapped": self._run_mapped,
            "paged": self._run_paged,
            "global": lambda _: self._run_whole(),
        }
        return of_family(runners, self.frames.operation)(self.frames.operation)

    def _unless_one_tile(self, run: Callable[[Any], Applied]) -> Callable[[Any], Applied]:
        return lambda operation: self._run_whole() if self._is_one_tile else run(operation)

    def _frame_by_frame(self, run: Callable[[Any, Position], Applied]) -> Callable[[Any], Applied]:
        return lambda operation: Applied(sum(run(operation, position).tiles for position in self.frames))

    @property
    def results(self) -> Results:
        """Where what comes out goes."""
        return Results(self.frames, self.sink, self.work)

    @property
    def message(self) -> str:
        """What a person reads beside the progress."""
        return f"{self.frames.operation.title} on {self.frames.inputs.image.name}"

    def _stand_in(self, position: Position, error: NoContrastError) -> StandIn:
        """Return what stands for the result of a frame in which nothing was found, and note that."""
        self.plain.note(where_in(self.frames, position), error, self.sink)
        return StandIn.of(self.frames.operation, self.frames.spec)

    # -- whole frames ----------------------------------------------------------------------------------------------

    @property
    def _is_one_tile(self) -> bool:
        spec, cut = self.frames.spec, cut_axes(self.frames)
        if self.tile is not None:
            return all(spec.sizes[axis] <= self.tile for axis in cut)
        pixels = math.prod(spec.shape)
        if len(self.frames) == 1:
            return pixels <= SMALL
        return pixels <= SMALL and pixels * self._pixel_bytes * self.threads <= memory_budget()

    def _run_whole(self) -> Applied:
        """Apply the operation to frames as wholes, several at a time if memory allows."""
        counter = Counter(self.report, len(self.frames), self.message)
        points: dict[tuple[int, ...], NDArray[Any]] = {}

        def apply(position: Position) -> None:
            if self.results.are_done(position, {}):
                counter.step()
                return
            try:
                with naming(self.frames, position):
                    block = self.frames.block(position)
                    result = np.asarray(run_whole(self.frames.operation, block))
            except NoContrastError as error:
                instead = self._stand_in(position, error)
                none = np.zeros((0, len(self.frames.spec.spatial)))
                result = none if self.sink is None else instead.compute(block)
            self.work.check()
            if any(np.may_share_memory(result, given) for given in (block.image, *block.others.values())):
                result = result.copy()  # a sink may keep it, and an array of the caller's may lie behind it
            if self.sink is None:
                points[tuple(position.values())] = _placed(self.frames.operation, position, result)
            else:
                self.results.write(position, {}, checked(self.frames, result, {}))
            counter.step()

        run_all(self.frames, apply, min(self._frames_at_a_time, len(self.frames)), self.work.check)
        found = np.concatenate([points[index] for index in sorted(points)]) if self.sink is None else None
        return Applied(len(self.frames), found)

    @property
    def _frames_at_a_time(self) -> int:
        operation, spec = self.frames.operation, self.frames.spec
        if not isinstance(operation, Global | Paged):
            return self.threads
        free = free_memory()
        return 1 if free is None else max(1, min(self.threads, free // 2 // max(1, operation.memory(spec))))

    # -- tiles -----------------------------------------------------------------------------------------------------

    def _run_local(self, operation: Local, positions: Iterable[Position]) -> Applied:
        """Apply a local operation tile by tile."""
        halo = self._halo(operation)
        grid, threads = self._grid(halo)
        count = len(positions) if isinstance(positions, Frames | tuple) else 1
        counter = Counter(self.report, len(grid) * count, self.message)

        def apply(item: tuple[Position, int]) -> None:
            position, index = item
            tile = grid[index]
            if not self.results.are_done(position, cut_out(self.frames, tile.inner)):
                with naming(self.frames, position):
                    result = operation.compute(self.frames.block(position, tile.outer))
                self.work.check()
                self.results.write_tile(position, tile, result)
            counter.step()

        run_all(_in_order(self.frames, positions, self._by_unit(grid)), apply, threads, self.work.check)
        return Applied(len(grid) * count)

    def _run_fitted(self, operation: Fitted, position: Position) -> Applied:
        """Fit the operation to a frame, then apply what it has become."""
        grid, threads = self._grid((0,) * len(self.frames.spec.axes))
        if self.results.are_done(position, {}):
            return Applied(len(grid))
        local: Local
        try:
            with naming(self.frames, position):
                local = operation.fit(TiledSurvey(self.frames, position, grid, threads, self.report))
        except NoContrastError as error:
            local = self._stand_in(position, error)
        self.work.check()
        return self._run_local(local, (position,))

    def _run_connected(self, operation: Connected, position: Position) -> Applied:
        """Find components tile by tile, merge them, and paint what is decided on each."""
        halo = tuple(1 if axis in self.frames.spec.spatial else 0 for axis in self.frames.spec.axes)
        grid, threads = self._grid(halo)
        if self.results.are_done(position, {}):
            return Applied(len(grid))
        components = TiledComponents(operation, self.frames, position, grid)
        counter = Counter(self.report, 2 * len(grid), self.message)

        def find(index: int) -> None:
            with naming(self.frames, position):
                components.find(grid[index])
            counter.step()

        def paint(index: int) -> None:
            tile = grid[index]
            if not self.results.are_done(position, cut_out(self.frames, tile.inner)):
                with naming(self.frames, position):
                    result = components.paint(tile)
                self.work.check()
                self.results.write_tile(position, replace(tile, outer=tile.inner), result)
            counter.step()

        run_all(range(len(grid)), find, threads, self.work.check)
        with naming(self.frames, position):
            components.decide()
        run_all(self._by_unit(grid), paint, threads, self.work.check)
        return Applied(len(grid))

    def _run_mapped(self, operation: Mapped) -> Applied:
        """Go through tiles of the result, each made of what it comes from."""
        grid, threads = plan_mapped(self.frames, self.sink, self._pixel_bytes, self.threads, self.tile)
        most = None if self.tile is not None else memory_budget() // threads // self._pixel_bytes
        tiles = MappedTiles(operation, self.frames, most)
        counter = Counter(self.report, len(grid) * len(self.frames), self.message)

        def apply(item: tuple[Position, int]) -> None:
            position, index = item
            tile = grid[index]
            by_axis = tiles.output.by_axis(tile.inner)
            if not self.results.are_done(position, by_axis):
                with naming(self.frames, position):
                    result = checked(self.frames, tiles.compute(position, tile.inner), by_axis)
                    check_finite_result(operation, result)
                self.work.check()
                self.results.write(position, by_axis, result)
            counter.step()

        run_all(_in_order(self.frames, self.frames, self._by_unit(grid)), apply, threads, self.work.check)
        return Applied(len(grid) * len(self.frames))

    def _run_paged(self, operation: Paged) -> Applied:
        """Write the regions of the result that are not empty, frame by frame."""
        counter = Counter(self.report, len(self.frames), self.message)
        grid, _ = self._grid((0,) * len(self.frames.spec.axes))

        def apply(position: Position) -> None:
            if self.results.are_done(position, {}):
                counter.step()
                return
            with naming(self.frames, position):
                for region, result in operation.compute_pages(FramePages(self.frames, position, grid)):
                    self.work.check()
                    by_axis = self.frames.spec.by_axis(region)
                    check_finite_result(operation, result)
                    self.results.write(position, by_axis, checked(self.frames, result, by_axis))
            self.results.settle(position)
            counter.step()

        run_all(self.frames, apply, min(self._frames_at_a_time, len(self.frames)), self.work.check)
        return Applied(len(self.frames))

    @property
    def _pixel_bytes(self) -> int:
        output = self.frames.output
        dtypes = [self.frames.spec.dtype, *(source.dtype for source in self.frames.inputs.sources.values())]
        return pixel_bytes([*dtypes, *([output.dtype] if output is not None else [])])

    def _by_unit(self, grid: TileGrid) -> Sequence[int]:
        """Return the numbers of the tiles in the order in which few write units wait for the rest of them."""
        unit = None if self.sink is None else self.sink.write_unit
        if self.sink is None or unit is None or unit == self.sink.chunks:
            return range(len(grid))
        lengths = self.sink.spec.by_axis(unit)

        def unit_of(index: int) -> tuple[int, ...]:
            parts = cut_out(self.frames, grid[index].inner).items()
            return tuple(part.start // lengths[axis] for axis, part in parts)

        return sorted(range(len(grid)), key=unit_of)

    def _halo(self, operation: Local) -> tuple[int, ...]:
        """Return the halo along every axis of the frame."""
        spec = self.frames.spec
        halo = dict(zip(spec.spatial, operation.halo(spec), strict=True))
        return tuple(halo.get(axis, 0) for axis in spec.axes)

    def _grid(self, halo: tuple[int, ...]) -> tuple[TileGrid, int]:
        """Return how frames are cut, and how many threads work on tiles."""
        spec, cut = self.frames.spec, cut_axes(self.frames)
        if self.tile is not None:
            asked = [min(self.tile, length) if axis in cut else length for axis, length in spec.sizes.items()]
            return TileGrid(spec.shape, asked, halo), self.threads
        lengths = [spec.sizes[axis] for axis in cut]
        halos = [spec.by_axis(halo)[axis] for axis in cut]
        others = math.prod(length for axis, length in spec.sizes.items() if axis not in cut)
        size = self._pixel_bytes * others
        unit = choose_unit(lengths, self._chunks(self.sink), self._chunks(self.frames.inputs.image), size)
        plan = plan_tiles(lengths, halo=halos, chunks=unit, bytes_per_pixel=size, threads=self.threads)
        by_axis = dict(zip(cut, plan.tile, strict=True))
        grid = TileGrid(spec.shape, [by_axis.get(axis, length) for axis, length in spec.sizes.items()], halo)
        return grid, min(plan.threads, len(grid) * len(self.frames))

    def _chunks(self, store: ImageSource | ImageSink | None) -> tuple[int, ...] | None:
        """Return the chunks of a source or sink along the axes that are cut, None where it has none."""
        chunks = None if store is None else store.chunks
        if store is None or not chunks:
            return None
        by_axis = store.spec.by_axis(chunks)
        return tuple(by_axis[axis] for axis in cut_axes(self.frames))


def _in_order(frames: Frames, positions: Iterable[Position], tiles: Sequence[int]) -> Iterator[tuple[Position, int]]:
    """Yield every tile of every frame; of frames that share chunks, one tile of all of them after the other."""
    chunks = frames.inputs.image.chunks or (1,) * len(frames.inputs.image.axes)
    lengths = frames.inputs.image.spec.by_axis(chunks)

    def chunk_of(position: Position) -> tuple[int, ...]:
        return tuple(at // lengths[axis] for axis, at in position.items())

    for _, together in groupby(positions, chunk_of):
        shared = tuple(together)
        for index in tiles:
            for position in shared:
                yield position, index


def _placed(operation: Operation, position: Position, points: NDArray[Any]) -> NDArray[np.float64]:
    """Return the points of a frame with its place along the looped axes before them."""
    points = np.asarray(points, np.float64)
    if points.ndim != 2:
        raise TypeError(f"{operation.name()} gave points of shape {points.shape}: give (points, dimensions).")
    place = np.broadcast_to(np.array([*position.values()], np.float64), (len(points), len(position)))
    return np.hstack([place, points])

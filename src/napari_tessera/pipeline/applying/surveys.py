"""The whole of a frame to a fitted operation: measured tile by tile, in threads."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.regions import Region
from napari_tessera.core.tiles import TileGrid
from napari_tessera.operations.base import Block
from napari_tessera.pipeline.applying.frames import Frames, Position
from napari_tessera.pipeline.running.parallel import Counter, Report, run_all

T = TypeVar("T")


@dataclass(frozen=True)
class TiledSurvey:
    """A `Survey` that reads one tile per thread at a time.

    Attributes
    ----------
    frames, position
        Which frame.
    grid
        How it is cut.
    threads
        How many tiles are measured at a time.
    report
        Takes the progress of each pass.
    """

    frames: Frames
    position: Position
    grid: TileGrid
    threads: int
    report: Report

    @property
    def spec(self) -> ImageSpec:
        """Specification of the frame."""
        return self.frames.spec

    @property
    def others(self) -> Mapping[str, NDArray[Any]]:
        """Inputs that are read whole: kernels and points."""
        return self.frames.arrays(self.position)

    def reduce(self, measure: Callable[[Block], T], combine: Callable[[T, T], T]) -> T:
        """Measure every tile and combine the results, in any order."""
        return self._reduce(lambda inner: measure(self.frames.block(self.position, inner)), combine)

    def reduce_around(
        self, measure: Callable[[Block, Region], T], combine: Callable[[T, T], T], halo: Sequence[int]
    ) -> T:
        """Measure every tile, read with what lies around it, and combine the results, in any order."""

        def measured(inner: Region) -> T:
            outer = regions.grown(inner, halo, self.spec.shape)
            return measure(self.frames.block(self.position, outer), regions.relative(inner, outer))

        return self._reduce(measured, combine)

    def _reduce(self, measure: Callable[[Region], T], combine: Callable[[T, T], T]) -> T:
        counter = Counter(self.report, len(self.grid), f"Measuring {self.frames.inputs.image.name}")
        lock = threading.Lock()
        waiting: list[T] = []

        def take(index: int) -> None:
            value = measure(self.grid[index].inner)
            while True:
                with lock:
                    if not waiting:
                        waiting.append(value)
                        break
                    other = waiting.pop()
                # outside the lock: combining may take as long as measuring
                value = combine(other, value)
            counter.step()

        run_all(range(len(self.grid)), take, self.threads, self.frames.check)
        return waiting[0]

"""What the steps of a recipe hand to one another: in memory while it is small, in temporary zarr files otherwise."""

import math
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

from napari_tessera.core.image import DerivedSource, ImageSink, ImageSource, ImageSpec
from napari_tessera.core.leftovers import STEPS, Hidden
from napari_tessera.core.regions import Region
from napari_tessera.core.tiles import TileGrid
from napari_tessera.io.arrays import ArraySource, MemorySink
from napari_tessera.io.creating import create_image
from napari_tessera.io.memory import free_memory
from napari_tessera.io.opening import open_image
from napari_tessera.io.writing import writing
from napari_tessera.pipeline.running.sinks import finishing

MEMORY_BYTES = 2**29
"""How much all intermediate results together may take in memory, at most a quarter of what is free."""

_BLOCK = 1024
"""Edge of the blocks in which a result is copied, where the output has no chunks of its own."""


class Intermediates:
    """Results of steps by name; whatever is left is removed at the end.

    Parameters
    ----------
    beside
        An output, in whose folder temporary files go; None: among the computer's temporary files.
    """

    def __init__(self, beside: Path | None) -> None:
        self._beside = beside
        self._folder: Path | None = None
        self._hidden: Hidden | None = None
        self._kept: dict[str, MemorySink | Path] = {}
        self._specs: dict[str, ImageSpec] = {}
        self._budget = min(MEMORY_BYTES, (free_memory() or 4 * MEMORY_BYTES) // 4)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kept.clear()
        if self._hidden is not None:
            self._hidden.release()
        elif self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def sink(self, name: str, spec: ImageSpec) -> ImageSink:
        """Return what the result called `name` is written into."""
        self._specs[name] = spec
        taken = sum(_bytes(self._specs[other]) for other, kept in self._kept.items() if isinstance(kept, MemorySink))
        if taken + _bytes(spec) <= self._budget:
            memory = MemorySink(spec)
            self._kept[name] = memory
            return memory
        path = self._temporary() / f"{name}.ome.zarr"
        self._kept[name] = path
        return create_image(path, spec, levels=False)

    def source(self, name: str) -> ImageSource:
        """Return the finished result called `name`."""
        kept, spec = self._kept[name], self._specs[name]
        return ArraySource(kept.array, spec) if isinstance(kept, MemorySink) else _Rearranged(open_image(kept), spec)

    def drop(self, name: str) -> None:
        """Give up a result that no step needs any more."""
        kept = self._kept.pop(name, None)
        if isinstance(kept, Path):
            shutil.rmtree(kept, ignore_errors=True)

    def _temporary(self) -> Path:
        if self._folder is None:
            if self._beside is None:
                self._folder = Path(tempfile.mkdtemp(prefix="napari-tessera-"))
            else:
                with writing(self._beside):
                    self._beside.parent.mkdir(parents=True, exist_ok=True)
                    self._hidden = Hidden(self._beside, STEPS, folder=True)
                self._folder = self._hidden.path
        return self._folder


class _Rearranged(DerivedSource):
    """An image whose file stores the dimensions in another order than `spec` has them."""

    def __init__(self, source: ImageSource, spec: ImageSpec) -> None:
        super().__init__(source, spec)
        self._order = [source.axes.index(axis) for axis in spec.axes]

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Shape of one unit of storage."""
        chunks = self.base.chunks
        return None if chunks is None else tuple(chunks[at] for at in self._order)

    def read(self, region: Region) -> NDArray[Any]:
        """Return the pixels of `region`."""
        stored = tuple(region[self._spec.axes.index(axis)] for axis in self.base.axes)
        return self.base.read(stored).transpose(self._order)


def copy_image(source: ImageSource, sink: ImageSink, check: Callable[[], None]) -> None:
    """Write all of `source` into `sink`, block by block, and finish it; `check` is called before each block."""
    shape = source.shape
    chunks = sink.chunks or [min(n, _BLOCK) if a in "yx" else 1 for n, a in zip(shape, source.axes, strict=True)]
    with finishing(sink):
        for tile in TileGrid(shape, chunks):
            check()
            if not sink.holds(tile.inner):
                sink.write(tile.inner, source.read(tile.inner))


def _bytes(spec: ImageSpec) -> int:
    return math.prod(spec.shape) * spec.dtype.itemsize

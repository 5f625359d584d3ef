"""Where the results of an operation go: a frame or a tile of one, checked and put into its place."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSink
from napari_tessera.core.regions import Region
from napari_tessera.core.tiles import Tile
from napari_tessera.operations.whole import check_finite_result, quiet
from napari_tessera.pipeline.applying.frames import Frames, Position, crop
from napari_tessera.pipeline.running.parallel import Work


@dataclass(frozen=True)
class Results:
    """The results of all frames.

    Attributes
    ----------
    frames
        What they are made of.
    sink
        Where they go; None for points.
    work
        Lets nothing be written once the work has ended.
    """

    frames: Frames
    sink: ImageSink | None
    work: Work

    def are_done(self, position: Position, inner: Mapping[str, slice]) -> bool:
        """Whether an earlier run has finished `inner` of a frame, all of it along axes that are not named."""
        return self.sink is not None and self.sink.holds(self.frames.output_region(position, inner))

    def write_tile(self, position: Position, tile: Tile, result: NDArray[Any]) -> None:
        """Write the inner region of a tile, of which `result` covers the outer one."""
        output = self.frames.frame_output
        assert output is not None
        inner, outer = cut_out(self.frames, tile.inner), cut_out(self.frames, tile.outer)
        with naming(self.frames, position):
            result = crop(checked(self.frames, result, outer), output.axes, inner, outer)
            check_finite_result(self.frames.operation, result)
        self.write(position, inner, result)

    def write(self, position: Position, inner: Mapping[str, slice], result: NDArray[Any]) -> None:
        """Write what came out of `inner` of a frame."""
        assert self.sink is not None
        with self.work.writing():
            self.sink.write(self.frames.output_region(position, inner), self.frames.arranged(result))

    def settle(self, position: Position) -> None:
        """Take note that nothing more comes of a frame."""
        assert self.sink is not None
        with self.work.writing():
            self.sink.settle(self.frames.output_region(position, {}))


def cut_axes(frames: Frames) -> str:
    """Return the axes along which frames may be cut: spatial ones whose length the operation leaves as it is."""
    spec, output = frames.spec, frames.frame_output
    if output is None:
        return ""
    return "".join(axis for axis in spec.spatial if output.sizes.get(axis) == spec.sizes[axis])


def cut_out(frames: Frames, region: Region) -> dict[str, slice]:
    """Return a region of a frame along the axes that are cut."""
    along = cut_axes(frames)
    return {axis: part for axis, part in frames.spec.by_axis(region).items() if axis in along}


@contextmanager
def naming(frames: Frames, position: Position) -> Iterator[None]:
    """Say which of several frames cannot be worked on; what numpy warns of is found in the results."""
    try:
        with quiet():
            yield
    except InvalidInputError as error:
        where = where_in(frames, position)
        if not where:
            raise
        raise type(error)(f"{where}: {error}") from error


def where_in(frames: Frames, position: Position) -> str:
    """Return which frame that is, in words; empty if there is one only."""
    sizes = frames.inputs.image.spec.sizes
    return ", ".join(f"{axis}={at}" for axis, at in position.items() if sizes[axis] > 1)


def checked(frames: Frames, result: NDArray[Any], outer: Mapping[str, slice]) -> NDArray[Any]:
    """Return `result`, or raise TypeError if it is not what the operation said: a fault of the operation."""
    output = frames.frame_output
    assert output is not None
    result = np.asarray(result)
    expected = tuple(
        outer[axis].stop - outer[axis].start if axis in outer else length for axis, length in output.sizes.items()
    )
    if result.shape != expected or result.dtype != output.dtype:
        raise TypeError(
            f"{frames.operation.name()} gave {result.dtype} of shape {result.shape}, but its output_spec says "
            f"{output.dtype} of shape {expected}."
        )
    return result

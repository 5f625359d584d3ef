"""Frames of any size to operations that read of them only what they come to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from napari_tessera.core.errors import OutOfMemoryError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.regions import Region
from napari_tessera.core.tiles import TileGrid
from napari_tessera.io.memory import describe_bytes, free_memory
from napari_tessera.operations.base import Block
from napari_tessera.pipeline.applying.frames import Frames, Position


@dataclass(frozen=True)
class FramePages:
    """One frame as `Pages`.

    Attributes
    ----------
    frames, position
        Which frame.
    grid
        How it is cut to look for something.
    """

    frames: Frames
    position: Position
    grid: TileGrid

    @property
    def spec(self) -> ImageSpec:
        """Specification of the frame."""
        return self.frames.spec

    @property
    def others(self) -> Mapping[str, NDArray[Any]]:
        """Inputs that are read whole: kernels and points."""
        return self.frames.arrays(self.position)

    def block(self, region: Region) -> Block:
        """Read a region of the frame, and of the inputs that belong to it."""
        return self.frames.block(self.position, region)

    def other(self, name: str, region: Region) -> NDArray[Any]:
        """Read a region of another input alone."""
        return self.frames.other(name, self.position, region)

    def tiles(self) -> Iterator[Region]:
        """Yield the regions of the grid."""
        return (tile.inner for tile in self.grid)

    def reserve(self, size: int, remedy: str) -> None:
        """Raise OutOfMemoryError, with `remedy`, if `size` bytes are more than there are."""
        free = free_memory()
        if free is not None and size > free:
            raise OutOfMemoryError(
                f"{self.frames.operation.title} has reached so much of {self.frames.inputs.image.name} that it needs "
                f"about {describe_bytes(size)} of memory; {describe_bytes(free)} are free: {remedy}."
            )

    def check(self) -> None:
        """Raise once the work is to stop."""
        self.frames.check()

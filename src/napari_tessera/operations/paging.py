"""Operations that need a frame as a whole in principle, but read of it only what they come to."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.regions import Region
from napari_tessera.operations.base import Block, Operation


class Pages(Protocol):
    """A frame of any size to a paged operation: read where it is asked for."""

    @property
    def spec(self) -> ImageSpec:
        """Specification of the frame."""
        ...

    @property
    def others(self) -> Mapping[str, NDArray[Any]]:
        """Inputs that are read whole: kernels and points."""
        ...

    def block(self, region: Region) -> Block:
        """Read a region of the frame, and of the inputs that belong to it."""
        ...

    def other(self, name: str, region: Region) -> NDArray[Any]:
        """Read a region of another input alone."""
        ...

    def tiles(self) -> Iterator[Region]:
        """Yield regions that together cover the frame, each small enough to be read."""
        ...

    def reserve(self, size: int, remedy: str) -> None:
        """Raise OutOfMemoryError, with `remedy`, if `size` bytes are more than there are."""
        ...

    def check(self) -> None:
        """Raise if the job has been cancelled."""
        ...


class Paged(Operation):
    """An operation whose result is 0 but for some regions, which it finds without reading all of the frame.

    Pixels that it does not come to are not looked at: neither do they need memory, nor is anything in them refused.
    """

    family: ClassVar = "paged"

    @abstractmethod
    def memory(self, spec: ImageSpec) -> int:
        """Return about how many bytes it takes if it comes to all of a frame of `spec`, input and result included."""

    @abstractmethod
    def compute_pages(self, pages: Pages) -> Iterator[tuple[Region, NDArray[Any]]]:
        """Yield regions of the result and what is in them; a later one replaces what it covers."""

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the result over a whole frame in memory."""
        output = self.output_spec(block.spec)
        result = np.zeros(output.shape, output.dtype)
        for region, pixels in self.compute_pages(BlockPages(block)):
            result[region] = pixels
        return result


@dataclass(frozen=True)
class BlockPages:
    """A frame that lies in memory as `Pages`."""

    whole: Block

    @property
    def spec(self) -> ImageSpec:
        """Specification of the frame."""
        return self.whole.spec

    @property
    def others(self) -> Mapping[str, NDArray[Any]]:
        """All further inputs."""
        return self.whole.others

    def block(self, region: Region) -> Block:
        """Return a part of the block; the further inputs are not cut."""
        return replace(self.whole, image=self.whole.image[regions.relative(region, self.whole.region)], region=region)

    def other(self, name: str, region: Region) -> NDArray[Any]:
        """Return a part of a further input."""
        return self.whole.others[name][regions.relative(region, self.whole.region)]

    def tiles(self) -> Iterator[Region]:
        """Yield the whole region."""
        yield self.whole.region

    def reserve(self, size: int, remedy: str) -> None:
        """Do nothing: who has read the frame has found it to fit."""

    def check(self) -> None:
        """Raise if the job has been cancelled."""
        self.whole.check()

"""Operations that grow regions from seeds."""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block, Global, Input
from napari_tessera.operations.labels.neighbours import Connectivity, check_connectivity
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.registry import register

GROUP = "Region growing"

BYTES_PER_PIXEL = 40
"""Marks, the queue, and the result on its way to uint32."""

SLICE = 2**18
"""Pixels that grow between two looks at whether the job has been cancelled: some hundredths of a second."""


@register
class GrowRegions(Global):
    """Grow regions from seeds over neighbouring pixels of similar intensity.

    Points give regions 1, 2, … in their order; seeds painted as labels keep their labels. Regions grow in turns and
    never overlap; a time point without seeds stays empty. A pixel joins if its intensity is within the tolerance of
    the mean of the region so far (running mean), or of the mean of the seed (fixed range).

    References
    ----------
    R. Adams and L. Bischof, "Seeded region growing", IEEE Trans. Pattern Anal. Mach. Intell. 16 (1994), for the idea.
    """

    title: ClassVar = "Grow regions from seeds"
    group: ClassVar = GROUP
    menu: ClassVar = "segment"
    inputs: ClassVar = (
        Input("image", "image", "The image to grow in."),
        Input("seeds", "seeds", "Where to start: points, or labels painted on the image."),
    )
    output: ClassVar = "labels"
    one_channel: ClassVar = True

    tolerance: float = parameter(
        10.0, "How much intensities may differ from the mean.", unit="grey levels", ge=0, allow_inf_nan=False
    )
    criterion: Literal["running_mean", "fixed_range"] = parameter(
        "running_mean", "Whether the mean follows the pixels that join, or stays that of the seed."
    )
    connectivity: Connectivity = 1
    max_size: int | None = parameter(None, "Largest size of a region; any if left out.", unit="pixels", ge=1)

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse a connectivity that the frame is too flat for."""
        check_connectivity(self.connectivity, spec)

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:  # noqa: ARG002
        """Return uint32, whatever the image."""
        return np.uint32

    def memory(self, spec: ImageSpec) -> int:
        """Return the size of image, marks, queue and result."""
        return int(np.prod(spec.shape)) * (spec.dtype.itemsize + BYTES_PER_PIXEL)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the regions."""
        from napari_tessera.operations.growing.grower import Grower

        grower = Grower(block.image, self.connectivity)
        grower.start(seeds_of(block), self.criterion, self.tolerance, self.max_size)
        while not grower.step(SLICE):
            block.check()
        return grower.labels(np.zeros(block.image.shape, np.uint32))


def seeds_of(block: Block) -> NDArray[Any]:
    """Return the seeds as integers: points (N, dimensions) rounded to pixels, or labels."""
    seeds = np.asarray(block.others["seeds"])
    if seeds.dtype.kind != "f":
        return seeds
    # Beyond all images, so that it is refused as outside and does not overflow.
    return np.asarray(np.clip(np.rint(seeds), -(2.0**40), 2.0**40), np.int64)

"""Operations that smooth, remove noise and take away the background."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block, Local, PlaneOrVolume
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.registry import register

GROUP = "Smoothing and background"


@register
class Gaussian(PlaneOrVolume, Local):
    """Blur with a Gaussian.

    Integer images are blurred in float64 and rounded, so that their type stays.
    """

    title: ClassVar = "Gaussian blur"
    group: ClassVar = GROUP

    sigma: float = parameter(1.0, "Standard deviation of the Gaussian; larger blurs more.", unit="pixels", gt=0, le=200)

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return where the Gaussian is cut off: four standard deviations, as scipy does."""
        return (int(4 * self.sigma + 0.5),) * len(spec.spatial)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the blurred block, reflected at the frame's borders."""
        from scipy.ndimage import gaussian_filter

        image = block.image
        if image.dtype.kind == "f":
            return np.asarray(gaussian_filter(image, self.sigma, mode="reflect"), image.dtype)
        blurred = gaussian_filter(image.astype(np.float64), self.sigma, mode="reflect")
        return np.asarray(np.rint(blurred, out=blurred), image.dtype)

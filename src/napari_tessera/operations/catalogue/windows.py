"""Operations that give a figure of the window around every pixel: lowest, highest, variance."""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block, Fitted, Local, PlaneOrVolume, Survey
from napari_tessera.operations.casting import fit_into, real_dtype
from napari_tessera.operations.filtering.background import extreme
from napari_tessera.operations.filtering.smoothing import window_variance
from napari_tessera.operations.parameters import OddSize, parameter
from napari_tessera.operations.reductions.statistics import moments
from napari_tessera.operations.registry import register

GROUP = "Smoothing and background"


class _Extreme(PlaneOrVolume, Local):
    """An extreme of a disk or square around each pixel; nothing beyond the border counts."""

    keeps_wide: ClassVar = True

    radius: int = parameter(1, "Radius of the disk or square.", unit="pixels", ge=1, le=200)
    shape: Literal["disk", "square"] = parameter(
        "disk", "Disk (a ball in volumes), or square (a cube), which is much faster."
    )

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return the radius."""
        return (self.radius,) * len(spec.spatial)


@register
class Minimum(_Extreme):
    """Replace every pixel by the lowest around it: bright objects shrink (erosion of grey levels)."""

    title: ClassVar = "Minimum filter"
    also: ClassVar = ("min", "erode", "erosion", "grey erosion", "gray erosion", "rank", "morphology")
    group: ClassVar = GROUP

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the lowest pixels under the footprint."""
        return extreme(block.image, self.radius, self.shape, largest=False)


@register
class Maximum(_Extreme):
    """Replace every pixel by the highest around it: bright objects grow (dilation of grey levels)."""

    title: ClassVar = "Maximum filter"
    also: ClassVar = ("max", "dilate", "dilation", "grey dilation", "gray dilation", "rank", "morphology")
    group: ClassVar = GROUP

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the highest pixels under the footprint."""
        return extreme(block.image, self.radius, self.shape, largest=True)


@register
class Variance(PlaneOrVolume, Fitted):
    """Show how much intensities vary in the window around every pixel: texture, edges, focus.

    The variance of all pixels of the window (not the estimate from a sample), or its square root. The result is float32
    (float64 for integers of 32 bits or more and for float64); the image is mirrored at the borders.
    """

    title: ClassVar = "Variance filter"
    also: ClassVar = ("var", "standard deviation", "std", "texture", "entropy", "local contrast", "focus")
    group: ClassVar = GROUP
    keeps_wide: ClassVar = True

    size: OddSize = parameter(3, "Length of the window: 3, 5, 7, … pixels.", unit="pixels", ge=3, le=201)
    result: Literal["variance", "deviation"] = parameter(
        "variance", "The variance, or the standard deviation, which is in grey levels."
    )

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return the float type that holds the result."""
        return real_dtype(dtype)

    def fit(self, survey: Survey) -> Local:
        """Find the mean: squares of differences from it lose fewer digits than those of the intensities."""
        mean = moments(survey).mean
        return VarianceAbout(per_plane=self.per_plane, size=self.size, result=self.result, centre=mean)


class VarianceAbout(PlaneOrVolume, Local):
    """The variance filter, computed from differences to a grey level."""

    size: int = parameter(..., "Length of the window.")
    result: Literal["variance", "deviation"] = parameter(..., "What to give.")
    centre: float = parameter(..., "What intensities are counted from.")

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return the float type that holds the result."""
        return real_dtype(dtype)

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return half the window."""
        return (self.size // 2,) * len(spec.spatial)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the variance over windows, reflected at the frame's borders."""
        variance = window_variance(block.image, self.size, self.centre)
        if self.result == "deviation":
            np.sqrt(variance, out=variance)
        return fit_into(variance, real_dtype(block.image.dtype))

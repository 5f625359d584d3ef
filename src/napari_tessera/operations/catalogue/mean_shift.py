"""The mean shift filter."""

from typing import Any, ClassVar

from numpy.typing import NDArray

from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block, Fitted, Local, PlaneOrVolume, Survey
from napari_tessera.operations.filtering.mean_shift import mean_shift
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.reductions.statistics import moments
from napari_tessera.operations.registry import register


class _AllChannels(PlaneOrVolume):
    """Takes in the channels: what counts is whether pixels are alike in all of them."""

    def frame_axes(self, axes: str) -> str:
        """Return the channels, if there are any, and the spatial axes."""
        return "c" * ("c" in axes) + super().frame_axes(axes)


@register
class MeanShift(_AllChannels, Fitted):
    """Flatten regions of like intensity or colour and keep their edges (mean shift), as a step before a threshold.

    Comaniciu & Meer 2002, "Mean shift: a robust approach toward feature space analysis": each pixel moves, in place and
    intensity at once, to the mean of what is near it in both, and takes the intensity that it comes to. The number of
    moves is limited, which bounds the time and makes tiles exact. The range is fixed for the whole image before it is
    cut into tiles.
    """

    title: ClassVar = "Mean shift"
    also: ClassVar = ("mean-shift", "posterize", "edge preserving", "smooth", "superpixels", "segmentation")
    group: ClassVar = "Smoothing and background"

    radius: int = parameter(
        4, "How far away pixels are looked for; larger smooths more and takes longer.", unit="pixels", ge=1, le=30
    )
    spread: float | None = parameter(
        None,
        "Difference of intensity that still counts as near; left empty: half of the standard deviation of the image.",
        unit="grey levels",
        gt=0,
        allow_inf_nan=False,
    )
    iterations: int = parameter(5, "Most moves of a pixel.", ge=1, le=20)

    def fit(self, survey: Survey) -> Local:
        """Take half of the image's standard deviation where no range is given."""
        spread = self.spread or moments(survey).std / 2 or 1.0
        return MeanShiftWithin(per_plane=self.per_plane, radius=self.radius, spread=spread, iterations=self.iterations)


class MeanShiftWithin(_AllChannels, Local):
    """Mean shift with a given range."""

    radius: int = parameter(..., "How far away pixels are looked for.")
    spread: float = parameter(..., "Difference of intensity that counts as near.")
    iterations: int = parameter(..., "Most moves of a pixel.")

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return the way of all moves."""
        return (self.radius * self.iterations,) * len(spec.spatial)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the intensities that pixels come to."""
        channels = block.image if "c" in block.spec.axes else block.image[None]
        return mean_shift(channels, self.radius, self.spread, self.iterations).reshape(block.image.shape)

"""Operations that take away the background and uneven illumination."""

from fractions import Fraction
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block, Fitted, Input, Local, PlaneOrVolume, Survey
from napari_tessera.operations.casting import fit_into
from napari_tessera.operations.filtering.background import closing, flat_field, opening, rolling_ball
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.reductions.statistics import exact_sum, value_range
from napari_tessera.operations.registry import register

GROUP = "Smoothing and background"
Shape = Literal["disk", "square"]


class _Tophat(PlaneOrVolume, Local):
    """What flat morphology takes away; nothing beyond the border counts."""

    keeps_wide: ClassVar = True

    radius: int = parameter(
        10, "Radius of the disk or square: larger than the objects that are to stay.", unit="pixels", ge=1, le=200
    )
    shape: Shape = parameter("disk", "Disk (a ball in volumes), or square (a cube), which is much faster.")

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return the reach of erosion and dilation together."""
        return (2 * self.radius,) * len(spec.spatial)


@register
class WhiteTophat(_Tophat):
    """Keep bright objects smaller than a disk and remove the background.

    The image minus its opening.
    """

    title: ClassVar = "White top-hat"
    also: ClassVar = ("subtract background", "background subtraction", "background", "flatten", "uneven illumination")
    group: ClassVar = GROUP

    def compute(self, block: Block) -> NDArray[Any]:
        """Return image − opening."""
        return _difference(block.image, opening(block.image, self.radius, self.shape))


@register
class BlackTophat(_Tophat):
    """Show dark objects smaller than a disk as bright ones, without the background.

    The closing minus the image.
    """

    title: ClassVar = "Black top-hat"
    also: ClassVar = ("bottom hat", "background")
    group: ClassVar = GROUP

    def compute(self, block: Block) -> NDArray[Any]:
        """Return closing − image."""
        return _difference(closing(block.image, self.radius, self.shape), block.image)


def _difference(larger: NDArray[Any], smaller: NDArray[Any]) -> NDArray[Any]:
    """Return the difference in the images' type; what signed integers cannot hold is clipped."""
    if larger.dtype.kind != "i":
        return np.asarray(larger - smaller)
    difference = larger - smaller  # wraps around to below 0 where it does not fit
    return np.where(difference < 0, np.iinfo(larger.dtype).max, difference).astype(larger.dtype)


@register
class RollingBall(PlaneOrVolume, Fitted):
    """Remove a smooth background: what a ball follows that rolls below the image.

    Sternberg 1983, "Biomedical image processing"; the same definition as in scikit-image. Large radii take long.
    """

    title: ClassVar = "Rolling ball background"
    also: ClassVar = ("subtract background", "background subtraction", "background", "flatten", "uneven illumination")
    group: ClassVar = GROUP
    keeps_wide: ClassVar = True

    radius: int = parameter(
        50, "Radius of the ball: larger than the objects that are to stay.", unit="pixels", ge=1, le=500
    )
    height: float | None = parameter(
        None,
        "Radius of the ball along the intensities; left empty: as many 255ths of the image's range as the radius has "
        "pixels (of all 256 grey levels for 8-bit images).",
        unit="grey levels",
        gt=0,
    )
    result: Literal["subtracted", "background"] = parameter(
        "subtracted", "The image without its background, or the background itself."
    )

    def fit(self, survey: Survey) -> Local:
        """Find the height of the ball."""
        height = self.height or float(self.radius)
        if self.height is None and survey.spec.dtype.itemsize > 1:
            low, high = value_range(survey)
            height = self.radius * (float(high) - float(low)) / 255 or 1.0
        return RollingBallOf(per_plane=self.per_plane, radius=self.radius, height=height, result=self.result)


class RollingBallOf(PlaneOrVolume, Local):
    """The rolling ball of given size."""

    radius: int = parameter(..., "In pixels.")
    height: float = parameter(..., "In grey levels.")
    result: Literal["subtracted", "background"] = parameter(..., "What to give.")

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return the radius."""
        return (self.radius,) * len(spec.spatial)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the background, or the image without it."""
        background = rolling_ball(block.image, self.radius, self.height)
        return background if self.result == "background" else _difference(block.image, background)


@register
class FlatField(Fitted):
    """Correct uneven illumination: divide by an image of an empty, evenly bright field.

    (image − dark) / (flat − dark) · mean of (flat − dark), plane by plane. Integers are rounded and clipped to their
    type; pixels that the flat image shows unlit become 0.
    """

    title: ClassVar = "Flat-field correction"
    also: ClassVar = ("shading", "background", "illumination", "vignetting")
    group: ClassVar = GROUP
    inputs: ClassVar = (
        Input("image", "image", "The image to correct."),
        Input("flat", "image", "An image of an empty, evenly bright field."),
        Input("dark", "image", "An image taken without light.", optional=True),
    )

    def frame_axes(self, axes: str) -> str:  # noqa: ARG002  illumination is uneven within a plane
        """Return ``yx``: the flat image belongs to every plane."""
        return "yx"

    def fit(self, survey: Survey) -> Local:
        """Find the mean of the flat image.

        Raises
        ------
        InvalidInputError
            If the flat image is not brighter than the dark one.
        """
        total, count = survey.reduce(_brightness, lambda one, other: (one[0] + other[0], one[1] + other[1]))
        if total <= 0:
            raise InvalidInputError("The flat image is not brighter than the dark one: check which is which.")
        return FlatFieldWith(mean=float(total / count))


def _brightness(block: Block) -> tuple[Fraction, int]:
    flat = block.others["flat"].astype(np.float64)
    total = exact_sum(flat)
    if "dark" in block.others:
        total -= exact_sum(block.others["dark"].astype(np.float64))
    return total, flat.size


class FlatFieldWith(Local):
    """Flat-field correction to a given brightness."""

    inputs: ClassVar = FlatField.inputs

    mean: float = parameter(..., "Brightness of the flat image.")

    def frame_axes(self, axes: str) -> str:  # noqa: ARG002
        """Return ``yx``."""
        return "yx"

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the corrected block."""
        corrected = flat_field(block.image, block.others["flat"], block.others.get("dark"), self.mean)
        return fit_into(corrected, block.image.dtype)

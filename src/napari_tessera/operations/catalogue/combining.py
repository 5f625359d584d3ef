"""Operations that make one image out of several."""

import math
from dataclasses import replace
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block, Global, Input, Local
from napari_tessera.operations.casting import fit_into, real_dtype, type_range
from napari_tessera.operations.intensity.arithmetic import along_first, combine, difference, divide
from napari_tessera.operations.intensity.fusion import fuse_exposures
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.registry import register
from napari_tessera.operations.summing import sum_dtype

GROUP = "Combine images"
Axis = Literal["t", "z", "c"]


class _TwoImages(Local):
    """Works on two images pixel by pixel."""

    group: ClassVar = GROUP
    inputs: ClassVar = (
        Input("image", "image", "The first image; the result has its type."),
        Input("other", "image", "The second image, of the same size."),
    )


class _Combined(_TwoImages):
    """Sum, difference or product in the type of the first image."""

    how: ClassVar[Literal["add", "subtract", "multiply"]]

    def compute(self, block: Block) -> NDArray[Any]:
        """Return what `how` says of image and other."""
        return combine(block.image, block.others["other"], self.how)


@register
class Add(_Combined):
    """Add two images.

    The result has the type of the first; sums that an integer type cannot hold are clipped to its limits.
    """

    title: ClassVar = "Add images"
    how: ClassVar = "add"
    keeps_wide: ClassVar = True


@register
class Subtract(_Combined):
    """Subtract the second image from the first.

    The result has the type of the first: below 0, unsigned integers are clipped to 0. Convert the first image to a
    float type to keep negative values.
    """

    title: ClassVar = "Subtract images"
    how: ClassVar = "subtract"
    keeps_wide: ClassVar = True


@register
class Multiply(_Combined):
    """Multiply two images, for example an image and a mask of 0 and 1.

    The result has the type of the first; products that an integer type cannot hold are clipped to its limits.
    """

    title: ClassVar = "Multiply images"
    how: ClassVar = "multiply"


@register
class Divide(_TwoImages):
    """Divide the first image by the second.

    The result is float32 (float64 if the first image has integers of 32 bits or more, or float64).
    """

    title: ClassVar = "Divide images"
    also: ClassVar = ("ratio",)
    inputs: ClassVar = (
        Input("image", "image", "The image to divide."),
        Input("other", "image", "The image to divide by, of the same size."),
    )

    where_zero: float = parameter(0.0, "The result where the second image is 0.", allow_inf_nan=False)

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return the float type that holds the quotient."""
        return real_dtype(dtype)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return image / other."""
        return divide(block.image, block.others["other"], self.where_zero, real_dtype(block.image.dtype))


@register
class Difference(_TwoImages):
    """Show where two images differ: the absolute difference, in the type of the first image."""

    title: ClassVar = "Difference of images"
    also: ClassVar = ("subtract", "absolute difference")
    keeps_wide: ClassVar = True

    def compute(self, block: Block) -> NDArray[Any]:
        """Return |image − other|."""
        return difference(block.image, block.others["other"])


def _check_axis(axis: str, spec: ImageSpec) -> None:
    if axis not in spec.axes:
        has = [each for each in spec.axes if each in get_args(Axis)]
        advice = f"choose {' or '.join(has)}" if has else "it needs a series, a stack or several channels"
        raise InvalidInputError(f"The image has no axis {axis!r}, only {spec.axes}: {advice}.")


def _frames_along(block: Block, axis: str) -> NDArray[Any]:
    """Return the frames of a block with `axis` first."""
    return np.moveaxis(block.image, block.spec.axes.index(axis), 0)


class _Along(Local):
    """Takes in all frames along an axis."""

    keeps_wide: ClassVar = True

    axis: Axis = parameter("t", "Along which axis: time (t), depth (z) or channels (c).")

    def frame_axes(self, axes: str) -> str:
        """Return the axis and the spatial ones."""
        spatial = super().frame_axes(axes)
        return self.axis + spatial if self.axis in axes and self.axis not in spatial else spatial

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse an image without the axis."""
        _check_axis(self.axis, spec)


@register
class MeanAlong(_Along):
    """Average noisy frames along an axis: all of them, or so many neighbours at a time.

    The noise of K independent frames falls by √K. A last group that is not full is averaged as it is.
    """

    title: ClassVar = "Mean of frames"
    also: ClassVar = ("average", "averaging")
    group: ClassVar = GROUP

    frames: int | None = parameter(
        None, "How many neighbouring frames to put into one; left empty: all of them.", unit="frames", ge=2
    )
    keep_type: bool = parameter(True, "Round to the type of the image; otherwise integers become floats.")

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return the type of the image or floats."""
        return dtype if self.keep_type else real_dtype(dtype)

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return the frame without the axis, or with fewer, longer steps along it."""
        result = super().output_spec(spec)
        if self.frames is None:
            return result.without(self.axis)
        at = spec.axes.index(self.axis)
        step = spec.scale[at]
        lengths, scale, translate = list(spec.shape), list(spec.scale), list(spec.translate)
        group = min(self.frames, spec.shape[at])
        lengths[at] = math.ceil(spec.shape[at] / self.frames)
        scale[at] = step * self.frames
        translate[at] += step * (group - 1) / 2
        names = spec.channel_names[:: self.frames] if self.axis == "c" else spec.channel_names
        return replace(
            result, shape=tuple(lengths), scale=tuple(scale), translate=tuple(translate), channel_names=names
        )

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the mean of frames."""
        frames = _frames_along(block, self.axis)
        dtype = self.output_dtype(block.image.dtype)
        if self.frames is None:
            return along_first(frames, "mean", dtype)
        starts = range(0, len(frames), self.frames)
        means = [along_first(frames[start : start + self.frames], "mean", dtype) for start in starts]
        return np.stack(means, axis=block.spec.axes.index(self.axis))


@register
class Project(_Along):
    """Project along an axis: the highest, mean, … of all frames, pixel by pixel.

    Mean and standard deviation of integers are floats; sums have 32 bits, 64 where more may be needed.
    """

    title: ClassVar = "Project along an axis"
    also: ClassVar = (
        *("z projection", "z project", "z-projection", "projection", "maximum intensity projection", "mip"),
        *("max projection", "mean projection", "sum of slices", "flatten"),
    )
    group: ClassVar = GROUP

    axis: Axis = parameter("z", "Along which axis: time (t), depth (z) or channels (c).")
    statistic: Literal["max", "mean", "median", "min", "sum", "std"] = parameter(
        "max", "What is kept of all frames: highest, mean, median, lowest, sum or standard deviation."
    )

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return the frame without the axis, in the type that holds the statistic."""
        return spec.with_dtype(self._dtype(spec)).without(self.axis)

    def _dtype(self, spec: ImageSpec) -> np.dtype[Any]:
        if self.statistic in ("mean", "std"):
            return real_dtype(spec.dtype)
        return sum_dtype(spec.dtype, spec.sizes[self.axis]) if self.statistic == "sum" else spec.dtype

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the projection."""
        return along_first(_frames_along(block, self.axis), self.statistic, self._dtype(block.spec))


@register
class FuseExposures(Global):
    """Fuse several exposures of a scene into one image that shows dark and bright parts.

    Mertens, Kautz & Van Reeth 2007, "Exposure fusion": of every exposure the parts with most contrast and nearest to
    mid-grey are blended, plane by plane. Exposures lie along an axis; other channels of an exposure are fused with the
    same weights. Mid-grey is the middle of the range: that of the type for 8-bit images, otherwise that of all
    exposures together, since cameras of 12 bits fill but a sixteenth of 16.
    """

    title: ClassVar = "Fuse exposures"
    version: ClassVar = 2
    also: ClassVar = ("hdr", "exposure fusion")
    group: ClassVar = GROUP

    axis: Axis = parameter("t", "Along which axis the exposures lie: time (t), depth (z) or channels (c).")
    contrast: float = parameter(1.0, "How much contrast counts; 0 for not at all.", ge=0, le=10)
    exposure: float = parameter(1.0, "How much nearness to mid-grey counts; 0 for not at all.", ge=0, le=10)
    over: Literal["auto", "image", "type"] = parameter(
        "auto",
        "Range whose middle is mid-grey: that of all exposures ('image'), all that the type can hold, 0 to 1 for "
        "floats ('type'), or the latter for 8-bit images alone ('auto').",
    )

    def frame_axes(self, axes: str) -> str:
        """Return the axis of the exposures, the channels, and the plane."""
        first = self.axis if self.axis in axes else ""
        return first + ("c" if "c" in axes and self.axis != "c" else "") + "yx"

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse an image without the axis."""
        _check_axis(self.axis, spec)

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return the frame without the axis."""
        return spec.without(self.axis)

    def memory(self, spec: ImageSpec) -> int:
        """Return about what scaling and the pyramids take."""
        return math.prod(spec.shape) * (spec.dtype.itemsize + 30)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the fused image."""
        stack = _frames_along(block, self.axis)
        dtype = block.image.dtype
        by_type = self.over == "type" or (self.over == "auto" and dtype.itemsize == 1)
        low, high = type_range(dtype) if by_type else (stack.min().item(), stack.max().item())
        extent = (float(high) - float(low)) or 1.0
        scaled = ((stack.astype(np.float64) - low) / extent).astype(np.float32)
        if scaled.ndim == 3:
            scaled = scaled[:, np.newaxis]
        fused = fuse_exposures(scaled, contrast=self.contrast, exposure=self.exposure, check=block.check)
        result = np.clip(fused.astype(np.float64) * extent + low, low, high)
        return fit_into(result, dtype).reshape(self.output_spec(block.spec).shape)

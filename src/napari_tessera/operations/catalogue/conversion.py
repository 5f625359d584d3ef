"""Operations that change the type of pixels, replace invalid ones, or reduce channels."""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block, Fitted, Local, Survey
from napari_tessera.operations.casting import clip_into, fit_into, type_range
from napari_tessera.operations.catalogue.intensity import StretchBetween
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.reductions.statistics import value_range
from napari_tessera.operations.registry import register
from napari_tessera.operations.summing import as_mean, total_of

GROUP = "Intensity"
_REC709 = (0.2126, 0.7152, 0.0722)


@register
class ReplaceInvalid(Local):
    """Replace pixels that are not a number (NaN) or infinite by a value."""

    title: ClassVar = "Replace invalid pixels"
    also: ClassVar = ("nan", "infinite", "inf")
    group: ClassVar = GROUP
    needs_finite: ClassVar = False
    keeps_wide: ClassVar = True

    value: float = parameter(
        0.0, "What stands in the place of NaN and infinity.", unit="grey levels", allow_inf_nan=False
    )

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the pixels with `value` where they are not finite; integers as they are."""
        if block.image.dtype.kind != "f":
            return block.image.copy()
        return np.where(np.isfinite(block.image), block.image, block.image.dtype.type(self.value))


class _OneChannel(Local):
    """Takes in the channels and gives one image."""

    def frame_axes(self, axes: str) -> str:
        """Return the channel axis and the spatial ones."""
        return ("c" if "c" in axes else "") + super().frame_axes(axes)

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return the frame without its channel axis."""
        return spec.without("c")


@register
class Grey(_OneChannel):
    """Make a grey image out of colours or channels.

    Integers are rounded. A fourth channel of a colour image (opacity) is left out of the luminance.
    """

    title: ClassVar = "Grey"
    also: ClassVar = ("gray", "grayscale", "luminance", "rgb to gray", "rgb to grey", "rgb2gray", "desaturate")
    group: ClassVar = GROUP

    method: Literal["luminance", "mean", "max"] = parameter(
        "luminance", "Brightness as the eye sees red, green and blue (Rec. 709), or mean or maximum of all channels."
    )

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse images whose channels are not red, green and blue where these are needed."""
        if self.method == "luminance" and spec.channels not in (3, 4):
            raise InvalidInputError(
                f"Luminance needs red, green and blue, and the image has {spec.channels} channel(s): choose the method "
                "'mean' or 'max'."
            )

    def compute(self, block: Block) -> NDArray[Any]:
        """Return one grey image."""
        image = block.image if "c" in block.spec.axes else block.image[np.newaxis]
        if self.method == "max":
            return np.asarray(image.max(axis=0))
        if self.method == "mean" and image.dtype.kind in "iu" and image.dtype.itemsize == 8:
            return as_mean(total_of(image, image.shape[1:], image.dtype), len(image), image.dtype)
        weights = _REC709 if self.method == "luminance" else (1.0,) * len(image)
        total = np.zeros(image.shape[1:])
        for channel, weight in zip(image, weights, strict=False):  # one by one: the same sum in any tile
            total += channel.astype(np.float64) * weight
        return fit_into(total / sum(weights), image.dtype)


@register
class Channel(_OneChannel):
    """Pick one channel."""

    title: ClassVar = "Choose a channel"
    also: ClassVar = ("colour", "color", "split")
    group: ClassVar = GROUP
    keeps_wide: ClassVar = True

    channel: int = parameter(0, "Which channel, counted from 0.", ge=0)

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse a channel that is not there."""
        if self.channel >= spec.channels:
            raise InvalidInputError(
                f"There is no channel {self.channel}: the image has {spec.channels}, counted from 0."
            )

    def compute(self, block: Block) -> NDArray[Any]:
        """Return that channel."""
        return np.ascontiguousarray(block.image[self.channel]) if "c" in block.spec.axes else block.image.copy()


@register
class ConvertType(Fitted):
    """Convert pixels to another number type.

    Values that the new type cannot hold are clipped, and fractions are rounded for integers.
    """

    title: ClassVar = "Convert type"
    also: ClassVar = ("bit depth", "uint8", "uint16", "8-bit", "16-bit", "float")
    group: ClassVar = GROUP

    dtype: Literal["uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64"] = parameter(
        "float32", "The new type."
    )
    values: Literal["keep", "type", "image"] = parameter(
        "keep",
        "'keep' intensities as they are; 'type': stretch all that the old type can hold to all that the new one can "
        "(0 to 1 for floats); 'image': stretch from the lowest to the highest intensity of the image.",
    )

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:  # noqa: ARG002
        """Return the new type."""
        return np.dtype(self.dtype)

    def fit(self, survey: Survey) -> Local:
        """Find what is stretched to the new range."""
        if self.values == "keep":
            return Cast(dtype=self.dtype)
        source = type_range(survey.spec.dtype) if self.values == "type" else value_range(survey)
        low, high = type_range(self.dtype)
        return StretchBetween(low=source[0], high=source[1], bottom=low, top=high, dtype=self.dtype)


class Cast(Local):
    """Conversion that keeps values."""

    dtype: str = parameter(..., "The new type.")

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:  # noqa: ARG002
        """Return the new type."""
        return np.dtype(self.dtype)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the values in the new type."""
        target = np.dtype(self.dtype)
        if target.kind == "f":
            largest = float(np.finfo(target).max)
            values = block.image.clip(-largest, largest) if block.image.dtype.kind == "f" else block.image
            return np.array(values, target)
        if block.image.dtype.kind in "iu":
            return clip_into(block.image, target)
        return fit_into(block.image.astype(np.float64), target)

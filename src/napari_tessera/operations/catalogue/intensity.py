"""Operations that change intensities pixel by pixel."""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import model_validator

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block, Fitted, Local, PlaneOrVolume, Survey
from napari_tessera.operations.casting import RANGE_HELP, Range, fit_into, range_of, real_dtype, type_range
from napari_tessera.operations.filtering.smoothing import gaussian, gaussian_radius
from napari_tessera.operations.intensity import curves
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.reductions.percentiles import percentiles
from napari_tessera.operations.reductions.statistics import moments, value_range
from napari_tessera.operations.registry import register

GROUP = "Intensity"


@register
class Invert(PlaneOrVolume, Fitted):
    """Turn bright into dark: the negative.

    Integers are mirrored within their type (255 − x for uint8, −1 − x for signed ones), floats within the range of
    the image (lowest + highest − x). An 8-bit image whose highest intensity is 1 counts as a mask and becomes 1 − x;
    one that is all 0 is black and becomes 255, unless `values` says that it is a mask.
    """

    title: ClassVar = "Invert"
    group: ClassVar = GROUP
    keeps_wide: ClassVar = True

    values: Literal["auto", "mask", "type"] = parameter(
        "auto",
        "What is inverted: a mask of 0 and 1 ('mask'), all that the type can hold, 0 to 1 for floats ('type'), or what "
        "the intensities suggest ('auto').",
    )

    def fit(self, survey: Survey) -> Local:
        """Find what pixels are subtracted from."""
        dtype = survey.spec.dtype
        if self.values == "mask":
            _check_mask(value_range(survey))
            return SubtractFrom(top=1)
        if self.values == "type":
            low, high = type_range(dtype)
            return SubtractFrom(top=low + high)
        if dtype.kind != "f":
            limits = np.iinfo(dtype)
            # Bool images arrive as 0 and 1. A frame without any 1 may as well be the empty channel of a colour image.
            if dtype == np.uint8 and value_range(survey)[1] == 1:
                return SubtractFrom(top=1)
            return SubtractFrom(top=int(limits.min) + int(limits.max))
        low, high = value_range(survey)
        if abs(low + high) > float(np.finfo(dtype).max):
            return MirrorBetween(low=low, high=high)
        return SubtractFrom(top=low + high)


def _check_mask(found: tuple[float, float]) -> None:
    low, high = found
    if low < 0 or high > 1:
        raise InvalidInputError(
            f"The image has values from {low:g} to {high:g}, so it is no mask of 0 and 1: make one with 'binary_mask', "
            "or leave values at 'auto'."
        )


class SubtractFrom(Local):
    """Subtract pixels from a value."""

    top: float | int = parameter(..., "What pixels are subtracted from.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return top − x in the dtype of the image."""
        return np.asarray(block.image.dtype.type(self.top) - block.image)


class MirrorBetween(Local):
    """Turn the ends of a range around whose sum the type does not hold; they are of one sign then."""

    low: float = parameter(..., "Lower end of the range.")
    high: float = parameter(..., "Upper end of the range.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return low + (high − x), computed by halves, and kept within the range where that is rounded."""
        of_type = block.image.dtype.type
        low, high = of_type(self.low) / 2, of_type(self.high) / 2
        return np.asarray(np.clip(low + (high - block.image / 2), low, high) * 2)


@register
class Gamma(PlaneOrVolume, Fitted):
    """Brighten or darken the middle tones: t becomes t to the power of gamma.

    t runs from 0 to 1 over the range, and the ends of the range stay where they are. Integers are rounded.
    """

    title: ClassVar = "Gamma correction"
    also: ClassVar = ("brightness", "contrast")
    group: ClassVar = GROUP
    keeps_wide: ClassVar = True

    gamma: float = parameter(0.5, "Below 1 brightens the middle tones, above 1 darkens them.", gt=0, le=20)
    over: Range = parameter("image", f"Range of the curve. {RANGE_HELP}")

    def fit(self, survey: Survey) -> Local:
        """Find the range of the curve."""
        low, high = range_of(survey, self.over)
        return GammaOver(low=low, high=high, gamma=self.gamma)


class GammaOver(Local):
    """Gamma correction over a given range."""

    low: float | int = parameter(..., "Lower end of the range.")
    high: float | int = parameter(..., "Upper end of the range.")
    gamma: float = parameter(..., "Exponent.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the curve of each pixel."""
        ends = self.low, self.high
        return curves.apply_over(block.image, lambda over, _: curves.gamma(*over, self.gamma), ends, ends)


@register
class Log(PlaneOrVolume, Fitted):
    """Brighten dark parts by a logarithmic curve, or undo that.

    t becomes log(1 + strength · t) / log(1 + strength), t running from 0 to 1 over the range. Integers are rounded.
    """

    title: ClassVar = "Logarithm"
    also: ClassVar = ("log",)
    group: ClassVar = GROUP
    keeps_wide: ClassVar = True

    strength: float = parameter(255.0, "How strongly dark parts are brightened.", gt=0, le=1e9)
    inverse: bool = parameter(False, "Apply the inverse curve, which darkens.")
    over: Range = parameter("image", f"Range of the curve. {RANGE_HELP}")

    def fit(self, survey: Survey) -> Local:
        """Find the range of the curve."""
        low, high = range_of(survey, self.over)
        return LogOver(low=low, high=high, strength=self.strength, inverse=self.inverse)


class LogOver(Local):
    """The logarithmic curve over a given range."""

    low: float | int = parameter(..., "Lower end of the range.")
    high: float | int = parameter(..., "Upper end of the range.")
    strength: float = parameter(..., "How strongly dark parts are brightened.")
    inverse: bool = parameter(..., "Apply the inverse curve.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the curve of each pixel."""

        def curve(over: curves.Ends, _: curves.Ends) -> curves.Curve:
            return curves.logarithm(*over, self.strength, inverse=self.inverse)

        ends = self.low, self.high
        return curves.apply_over(block.image, curve, ends, ends)


@register
class ContrastStretch(PlaneOrVolume, Fitted):
    """Stretch the contrast linearly between two percentiles.

    What lies below the lower or above the upper percentile is clipped. Percentiles are exact, for floats too.
    """

    title: ClassVar = "Contrast stretch"
    also: ClassVar = ("brightness", "normalize", "auto contrast")
    group: ClassVar = GROUP
    keeps_wide: ClassVar = True

    low: float = parameter(1.0, "Share of pixels that become black.", unit="% of pixels", ge=0, le=100)
    high: float = parameter(
        99.0, "Share of pixels that stay below white: 99 makes 1 % white.", unit="% of pixels", ge=0, le=100
    )
    over: Range = parameter("type", f"Range of the result. {RANGE_HELP}")

    @model_validator(mode="after")
    def _in_order(self) -> "ContrastStretch":
        if self.low >= self.high:
            raise ValueError(f"low = {self.low:g} must be less than high = {self.high:g}: swap them.")
        return self

    def fit(self, survey: Survey) -> Local:
        """Find the percentiles."""
        low, high = percentiles(survey, (self.low, self.high))
        bottom, top = range_of(survey, self.over)
        return StretchBetween(low=low, high=high, bottom=bottom, top=top)


class StretchBetween(Local):
    """A linear stretch from one range to another."""

    low: float | int = parameter(..., "What becomes the lower end.")
    high: float | int = parameter(..., "What becomes the upper end.")
    bottom: float | int = parameter(..., "Lower end of the result.")
    top: float | int = parameter(..., "Upper end of the result.")
    dtype: str = parameter("", "Type of the result; empty for that of the image.")

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return the type asked for."""
        return np.dtype(self.dtype) if self.dtype else dtype

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the stretched pixels."""
        ends, target = (self.low, self.high), (self.bottom, self.top)
        return curves.apply_over(block.image, curves.stretch, ends, target, self.output_dtype(block.image.dtype))


@register
class SubtractMean(PlaneOrVolume, Fitted):
    """Subtract the mean of the image.

    The result has both signs: float32 (float64 for integers of 32 bits or more and for float64).
    """

    title: ClassVar = "Subtract mean"
    group: ClassVar = GROUP

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return the float type that holds the differences."""
        return real_dtype(dtype)

    def fit(self, survey: Survey) -> Local:
        """Find the mean."""
        return Standardise(mean=moments(survey).mean, std=1.0)


@register
class Normalize(PlaneOrVolume, Fitted):
    """Shift and scale intensities so that their mean is 0 and their standard deviation 1.

    A constant image becomes 0. The result is float32 (float64 for integers of 32 bits or more and for float64).
    """

    title: ClassVar = "Normalise"
    also: ClassVar = ("normalize", "z-score", "standardize")
    group: ClassVar = GROUP

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return the float type that holds the result."""
        return real_dtype(dtype)

    def fit(self, survey: Survey) -> Local:
        """Find mean and standard deviation."""
        found = moments(survey)
        return Standardise(mean=found.mean, std=found.std or 1.0)


class Standardise(Local):
    """Subtract a mean and divide by a standard deviation."""

    mean: float = parameter(..., "What is subtracted.")
    std: float = parameter(..., "What is divided by.")

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return the float type that holds the result."""
        return real_dtype(dtype)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return (x − mean) / std, computed in float64."""
        values = block.image.astype(np.float64)
        return fit_into((values - self.mean) / self.std, real_dtype(block.image.dtype))


@register
class NormalizeLocally(PlaneOrVolume, Fitted):
    """Even out contrast: subtract the mean of the surroundings and divide by their standard deviation.

    Surroundings are weighted by a Gaussian. Where their standard deviation is small, a part of that of the whole image
    is divided by instead, so that noise is not blown up. The result is float32 (or float64) around 0.
    """

    title: ClassVar = "Normalise locally"
    also: ClassVar = ("normalize", "background", "uneven illumination")
    group: ClassVar = GROUP

    sigma: float = parameter(20.0, "Size of the surroundings: standard deviation.", unit="pixels", gt=0, le=200)
    least: float = parameter(
        10.0,
        "Least standard deviation that is divided by, relative to that of the whole image.",
        unit="%",
        gt=0,
        le=1000,
    )

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return the float type that holds the result."""
        return real_dtype(dtype)

    def fit(self, survey: Survey) -> Local:
        """Find the standard deviation of the whole image."""
        return NormalizeWithin(sigma=self.sigma, least=moments(survey).std * self.least / 100 or 1.0)


class NormalizeWithin(Local):
    """Local contrast normalisation with a given least deviation."""

    sigma: float = parameter(..., "Size of the surroundings.")
    least: float = parameter(..., "Least standard deviation, in grey levels.")

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return the float type that holds the result."""
        return real_dtype(dtype)

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return the reach of two Gaussians one after the other."""
        return (2 * gaussian_radius(self.sigma),) * len(spec.spatial)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return (x − local mean) / local standard deviation, reflected at the frame's borders."""
        values = block.image.astype(np.float64)
        values -= gaussian(values, self.sigma)
        deviation = np.sqrt(gaussian(values * values, self.sigma))
        return fit_into(values / np.maximum(deviation, self.least), real_dtype(block.image.dtype))


@register
class Rescale(PlaneOrVolume, Fitted):
    """Map intensities linearly so that the lowest and the highest of the image become given values.

    Results are floats, or are rounded and clipped to the type of the image.
    """

    title: ClassVar = "Rescale intensities"
    also: ClassVar = ("normalize", "stretch", "contrast")
    group: ClassVar = GROUP
    keeps_wide: ClassVar = True

    low: float = parameter(0.0, "What the lowest intensity becomes.", unit="grey levels", allow_inf_nan=False)
    high: float = parameter(1.0, "What the highest intensity becomes.", unit="grey levels", allow_inf_nan=False)
    keep_type: bool = parameter(False, "Keep the type of the image; otherwise integers become floats.")

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return the type of the image or floats."""
        return dtype if self.keep_type else real_dtype(dtype)

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse a range that the image's type cannot hold."""
        dtype = np.dtype(self.output_dtype(spec.dtype))
        largest = float(np.finfo(dtype).max) if dtype.kind == "f" else 0.0
        bottom, top = (-largest, largest) if largest else type_range(dtype)
        if not all(bottom <= end <= top for end in (self.low, self.high)):
            remedy = "choose a range within" + (", or do without keep_type." if dtype.kind != "f" else ".")
            raise InvalidInputError(
                f"{dtype} holds {bottom:g} to {top:g}, not {self.low:g} to {self.high:g}: {remedy}"
                if largest
                else f"{dtype} holds {bottom} to {top}, not {self.low:g} to {self.high:g}: {remedy}"
            )

    def fit(self, survey: Survey) -> Local:
        """Find the range of the image."""
        low, high = value_range(survey)
        dtype = np.dtype(self.output_dtype(survey.spec.dtype)).name
        return StretchBetween(low=low, high=high, bottom=self.low, top=self.high, dtype=dtype)

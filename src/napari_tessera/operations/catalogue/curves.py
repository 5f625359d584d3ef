"""Operations that give intensities a curve of your own, or the histogram of another image."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import ConfigDict, field_validator

from napari_tessera.core.errors import InvalidInputError, NoContrastError
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block, Fitted, Input, Local, PlaneOrVolume, Survey
from napari_tessera.operations.casting import RANGE_HELP, Range, range_of, real_dtype, type_range
from napari_tessera.operations.intensity.curves import apply_curve
from napari_tessera.operations.intensity.matching import ChannelSurvey, matching_curve, reference_channels
from napari_tessera.operations.intensity.tone_points import parse_points, through
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.reductions.histograms import histogram
from napari_tessera.operations.reductions.statistics import check_overflow
from napari_tessera.operations.reductions.surveying import survey_histogram
from napari_tessera.operations.registry import register

GROUP = "Intensity"


@register
class ToneCurve(PlaneOrVolume, Fitted):
    """Change intensities by a curve through points of your own: piecewise linear, or smooth.

    Below the first point and above the last the curve is level. Integers are rounded and clipped to their type.
    """

    title: ClassVar = "Tone curve"
    also: ClassVar = (
        *("curves", "curve", "piecewise", "piecewise linear", "lookup table", "lut", "levels"),
        *("brightness", "contrast"),
    )
    group: ClassVar = GROUP

    points: str = parameter(
        "0 0; 25 15; 75 85; 100 100",
        "Intensities before and after: two numbers per point, semicolons between points, as 0 0; 50 70; 100 100.",
        title="Points (before after; …)",
    )
    values: Literal["percent", "levels"] = parameter(
        "percent", "Whether the numbers are per cent of the range, or grey levels."
    )
    shape: Literal["linear", "smooth"] = parameter(
        "linear", "Straight lines between the points, or a smooth curve that does not overshoot them."
    )
    over: Range = parameter("image", f"Range of the percentages. {RANGE_HELP}", needs={"values": ["percent"]})

    @field_validator("points")
    @classmethod
    def _readable(cls, points: str) -> str:
        parse_points(points)
        return points

    def fit(self, survey: Survey) -> Local:
        """Find the range that percentages are of."""
        points = parse_points(self.points)
        if self.values == "percent":
            low, high = (float(end) for end in range_of(survey, self.over))
            if low == high:  # of which every part is the same: pixels stay as they are
                return ToneCurveThrough(points=((low, low), (np.nextafter(low, np.inf), low)), shape="linear")
            points = low * (1 - points / 100) + high * (points / 100)
            check_overflow(float(np.abs(points).max()))
        return ToneCurveThrough(points=tuple(map(tuple, points.tolist())), shape=self.shape)


class ToneCurveThrough(Local):
    """A curve through points that are grey levels."""

    points: tuple[tuple[float, float], ...] = parameter(..., "Intensities before and after, ascending.")
    shape: Literal["linear", "smooth"] = parameter(..., "What lies between the points.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the curve of each pixel."""
        return apply_curve(block.image, through(np.array(self.points), self.shape))


@register
class MatchHistogram(Fitted):
    """Give an image the brightness and contrast of another one: its histogram becomes that of the reference.

    Each channel is matched to that of the reference, if both have several. Integers of up to 16 bits are counted level
    by level, other images in 65,536 bins; a channel that is all of one intensity stays as it is.
    """

    title: ClassVar = "Match histogram"
    also: ClassVar = (
        *("histogram matching", "histogram specification", "match intensities", "normalize", "normalise"),
        *("bleach correction", "color transfer"),
    )
    group: ClassVar = GROUP
    inputs: ClassVar = (
        Input("image", "image", "The image to change."),
        Input("reference", "kernel", "The image that it is to look like, of any size; it is taken into memory."),
    )

    keep_type: bool = parameter(True, "Round to the type of the image; otherwise integers become floats.")

    def frame_axes(self, axes: str) -> str:
        """Return the channels, if there are any, and the spatial axes."""
        return "c" * ("c" in axes) + super().frame_axes(axes)

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return the type of the image or floats."""
        return dtype if self.keep_type else real_dtype(dtype)

    def check_given(self, spec: ImageSpec, given: Mapping[str, NDArray[Any]]) -> None:
        """Refuse a reference that the type of the image cannot hold, or with other channels."""
        if self.keep_type:
            _check_held(given["reference"], spec.dtype)
        reference_channels(given["reference"], spec)

    def fit(self, survey: Survey) -> Local:
        """Count the image and the reference.

        Raises
        ------
        NoContrastError
            If the image is constant.
        """
        spec = survey.spec
        reference = survey.others["reference"]
        several = "c" in spec.axes
        surveys = [ChannelSurvey(survey, at) for at in range(spec.channels)] if several else [survey]
        counted = [survey_histogram(one) for one in surveys]
        wanted = [histogram(one) for one in reference_channels(reference, spec)]
        plain = [np.count_nonzero(one.counts) < 2 for one in counted]
        if all(plain):
            raise NoContrastError("The image is constant, so it has no histogram to match: choose one that is not.")
        curves = [
            None if flat else matching_curve(one, other)
            for flat, one, other in zip(plain, counted, wanted, strict=True)
        ]
        return MatchedBy(curves=tuple(curves), keep_type=self.keep_type)


def _check_held(reference: NDArray[Any], dtype: np.dtype[Any]) -> None:
    if dtype.kind == "f":
        return
    low, high = type_range(dtype)
    found = reference.min().item(), reference.max().item()
    if found[0] < low or found[1] > high:
        raise InvalidInputError(
            f"The reference has intensities from {found[0]:g} to {found[1]:g}, and {dtype} holds {low:g} to {high:g}: "
            "do without keep_type, or convert the image first, with the operation 'convert_type'."
        )


class MatchedBy(Local):
    """The curves of the channels."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    curves: tuple[Any, ...] = parameter(..., "One curve per channel; None for none.")
    keep_type: bool = parameter(..., "Whether to keep the type of the image.")

    def frame_axes(self, axes: str) -> str:
        """Return the channels, if there are any, and the spatial axes."""
        return "c" * ("c" in axes) + super().frame_axes(axes)

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return the type of the image or floats."""
        return dtype if self.keep_type else real_dtype(dtype)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the curve of each pixel."""
        dtype = np.dtype(self.output_dtype(block.image.dtype))
        channels = block.image if "c" in block.spec.axes else block.image[np.newaxis]
        done = [
            channel.astype(dtype) if curve is None else apply_curve(channel, curve, dtype)
            for channel, curve in zip(channels, self.curves, strict=True)
        ]
        return np.stack(done) if "c" in block.spec.axes else done[0]

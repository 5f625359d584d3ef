"""Operations that make grey levels equally frequent."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block, Fitted, Local, PlaneOrVolume, Survey
from napari_tessera.operations.casting import RANGE_HELP, Range, range_of, type_range
from napari_tessera.operations.intensity.curves import Curve, Ends, apply_over
from napari_tessera.operations.intensity.equalisation import (
    MOST_REGIONS,
    Regions,
    added,
    equalise_regions,
    equalising_curve,
    region_totals,
    smallest_region,
)
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.reductions.histograms import bins_for, full_range, histogram_of
from napari_tessera.operations.reductions.statistics import value_range
from napari_tessera.operations.registry import register

GROUP = "Intensity"
_REGION_BINS = 256


@register
class EqualizeHistogram(PlaneOrVolume, Fitted):
    """Spread intensities so that all are about equally frequent: the most contrast where most pixels are.

    Integers of up to 16 bits are counted level by level, other images in 65,536 bins between which the curve is linear.
    """

    title: ClassVar = "Equalise histogram"
    also: ClassVar = ("equalize", "contrast", "histogram equalization")
    group: ClassVar = GROUP
    keeps_wide: ClassVar = True

    over: Range = parameter("image", f"Range of the result. {RANGE_HELP}")

    def fit(self, survey: Survey) -> Local:
        """Count the whole image."""
        dtype = survey.spec.dtype
        low, high = full_range(dtype) or value_range(survey)
        bins = bins_for(dtype, low, high)
        counts = survey.reduce(lambda block: histogram_of(block.image, low, high, bins), np.add)
        by_level = dtype.kind in "iu" and int(high) - int(low) + 1 == bins
        target = range_of(survey, self.over)
        return Equalised(low=low, high=high, bottom=target[0], top=target[1], counts=counts, by_level=by_level)


class Equalised(Local):
    """Equalisation by a given histogram."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    low: float | int = parameter(..., "Lower end of the histogram.")
    high: float | int = parameter(..., "Upper end of the histogram.")
    bottom: float | int = parameter(..., "Lower end of the result.")
    top: float | int = parameter(..., "Upper end of the result.")
    counts: Any = parameter(..., "Histogram of the whole image, int64.")
    by_level: bool = parameter(..., "Whether bins are grey levels.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the pixels by the curve of the histogram."""

        def curve(source: Ends, target: Ends) -> Curve:
            return equalising_curve(self.counts, *source, target, by_level=self.by_level)

        return apply_over(block.image, curve, (self.low, self.high), (self.bottom, self.top))


@register
class Clahe(PlaneOrVolume, Fitted):
    """Equalise contrast region by region, with a limit that keeps noise down (CLAHE).

    Zuiderveld 1994, "Contrast limited adaptive histogram equalization". The histograms of the regions are counted over
    the whole image before it is cut into tiles; between the centres of regions their curves are mixed linearly. 8-bit
    images come within two grey levels of OpenCV's where regions divide the image evenly and the range is the type's.
    """

    title: ClassVar = "CLAHE (local contrast)"
    version: ClassVar = 2
    also: ClassVar = ("equalize", "adaptive histogram", "contrast")
    group: ClassVar = GROUP
    keeps_wide: ClassVar = True

    region: int | None = parameter(
        None, "Length of a region; left empty: an eighth of the image.", unit="pixels", ge=2, le=100_000
    )
    clip_limit: float = parameter(
        3.0, "How many times its fair share of pixels a grey level may count; larger gives more contrast.", ge=1, le=1e6
    )
    over: Range = parameter("image", f"Range of the result. {RANGE_HELP}")

    def _regions(self, spec: ImageSpec) -> "Regions":
        return Regions.of(spec.shape, self.region) if self.region else Regions.eighths(spec.shape)

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse more regions than their histograms should take memory."""
        if self.region and len(self._regions(spec)) > MOST_REGIONS:
            raise InvalidInputError(
                f"Regions of {self.region} pixels divide the image into {len(self._regions(spec)):,}, more than "
                f"{MOST_REGIONS:,}: choose a region of {smallest_region(spec.shape, self.region)} pixels or more."
            )

    def fit(self, survey: Survey) -> Local:
        """Count every region."""
        spec = survey.spec
        # the range of the bins is that of the result: bins of levels that do not occur would take up what is clipped
        eight_bit = spec.dtype.itemsize == 1 and self.over == "type"
        low, high = type_range(spec.dtype) if eight_bit else value_range(survey)
        regions = self._regions(spec)
        counts = survey.reduce(lambda block: regions.counts(block.image, block.region, low, high, _REGION_BINS), added)
        totals = region_totals(counts, regions, _REGION_BINS, self.clip_limit)
        return ClaheBy(grid=regions.grid, totals=totals, span=(low, high), target=range_of(survey, self.over))


class ClaheBy(Local):
    """CLAHE by the given curves of the regions."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    grid: tuple[int, ...] = parameter(..., "Number of regions along each axis.")
    totals: Any = parameter(..., "Pixels of each region in a bin or below, unsigned integers (*grid, bins).")
    span: tuple[float | int, float | int] = parameter(..., "Range of the bins.")
    target: tuple[float | int, float | int] = parameter(..., "Range of the result.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the pixels by the curves of the regions around them."""
        regions = Regions(block.spec.shape, self.grid)
        return equalise_regions(block.image, block.region, regions, self.totals, self.span, self.target)

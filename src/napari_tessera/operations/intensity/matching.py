"""Histograms made alike, channel by channel."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.regions import Region
from napari_tessera.operations.base import Block, Survey
from napari_tessera.operations.intensity.curves import Curve
from napari_tessera.operations.reductions.histograms import Histogram

T = TypeVar("T")


@dataclass(frozen=True)
class ChannelSurvey:
    """One channel of a surveyed frame whose first axis is ``c``."""

    survey: Survey
    channel: int

    @property
    def spec(self) -> ImageSpec:
        """Specification of the frame with all its channels."""
        return self.survey.spec

    @property
    def others(self) -> Mapping[str, NDArray[Any]]:
        """Inputs that are read whole."""
        return self.survey.others

    def reduce(self, measure: Callable[[Block], T], combine: Callable[[T, T], T]) -> T:
        """Measure the channel in every piece."""
        return self.survey.reduce(lambda block: measure(self._of(block)), combine)

    def reduce_around(
        self, measure: Callable[[Block, Region], T], combine: Callable[[T, T], T], halo: Sequence[int]
    ) -> T:
        """Measure the channel in every piece, with what lies around it."""
        return self.survey.reduce_around(lambda block, inner: measure(self._of(block), inner[1:]), combine, halo)

    def _of(self, block: Block) -> Block:
        return replace(block, image=block.image[self.channel])


def reference_channels(reference: NDArray[Any], spec: ImageSpec) -> list[NDArray[Any]]:
    """Return the part of a reference image that each channel of `spec` is to look like.

    Raises
    ------
    InvalidInputError
        If the reference has another number of channels than the image.
    """
    count = spec.channels
    if count == 1 or reference.ndim <= len(spec.spatial):
        return [reference] * count
    for axis in (reference.ndim - 1, 0):
        if reference.shape[axis] == count:
            return list(np.moveaxis(reference, axis, 0))
    raise InvalidInputError(
        f"The image has {count} channels and the reference has shape {reference.shape}: choose one with as many "
        "channels, or make both grey with the operation 'grey'."
    )


def matching_curve(source: Histogram, reference: Histogram) -> Curve:
    """Return the curve that gives an image with one histogram another one.

    An intensity becomes the one below which as many of the reference's pixels lie (Gonzalez & Woods, "Digital Image
    Processing", histogram specification; between grey levels of the reference it is linear, as in scikit-image).
    """
    values, parts = _cumulative(source)
    levels, shares = _cumulative(reference)
    first = np.append(True, np.diff(shares) > 0)  # of equal shares the lowest level
    levels, shares = levels[first], shares[first]

    def curve(intensities: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.interp(np.interp(intensities, values, parts), shares, levels), np.float64)

    return curve


def _cumulative(histogram: Histogram) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return intensities, ascending, and the part of all pixels that is not greater."""
    parts = np.cumsum(histogram.counts) / histogram.counts.sum()
    if histogram.by_level:
        occupied = histogram.counts > 0
        return histogram.centers[occupied], parts[occupied]
    return histogram.edges, np.append(0.0, parts)

"""Further thresholds that are found from the histogram of the whole image."""

from typing import ClassVar

from napari_tessera.operations.catalogue.threshold import FromHistogram
from napari_tessera.operations.reductions.histograms import Histogram
from napari_tessera.operations.registry import register
from napari_tessera.operations.thresholding.thresholds import isodata, yen


@register
class Yen(FromHistogram):
    """Threshold by Yen's method (maximum correlation); for few bright objects on a dark background."""

    title: ClassVar = "Yen threshold"
    also: ClassVar = ("binarize", "automatic threshold", "maximum correlation", "entropy")

    def find(self, histogram: Histogram) -> tuple[float, ...]:
        """Return the level."""
        return (yen(histogram),)


@register
class Isodata(FromHistogram):
    """Threshold midway between the means of foreground and background (isodata, ImageJ's default).

    Of several such grey levels it is the lowest.
    """

    title: ClassVar = "Isodata threshold"
    also: ClassVar = (
        "binarize",
        "automatic threshold",
        "intermeans",
        "ridler",
        "iterative selection",
        "imagej default",
    )

    def find(self, histogram: Histogram) -> tuple[float, ...]:
        """Return the level."""
        return (isodata(histogram),)

"""Operations that divide an image into foreground and background, or into classes, by grey levels."""

from abc import abstractmethod
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import model_validator

from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import (
    Block,
    Components,
    Connected,
    Fitted,
    Local,
    Operation,
    PlaneOrVolume,
    Survey,
)
from napari_tessera.operations.labels.neighbours import Connectivity, check_connectivity
from napari_tessera.operations.parameters import OddSize, parameter
from napari_tessera.operations.reductions.histograms import Histogram
from napari_tessera.operations.reductions.statistics import value_range
from napari_tessera.operations.reductions.surveying import survey_histogram
from napari_tessera.operations.registry import register
from napari_tessera.operations.thresholding.levels import above, classify
from napari_tessera.operations.thresholding.local_thresholds import (
    Foreground,
    differs,
    gaussian_mean,
    niblack,
    sauvola,
    window_mean,
)
from napari_tessera.operations.thresholding.thresholds import li, multi_otsu, otsu, triangle

GROUP = "Threshold and cluster"


class Dividing(Operation):
    """What all thresholds have in common: classes of each channel by itself, uint8."""

    group: ClassVar = GROUP
    is_threshold: ClassVar = True
    menu: ClassVar = "segment"
    output: ClassVar = "labels"
    one_color: ClassVar = True

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:  # noqa: ARG002
        """Return uint8, whatever the image."""
        return np.uint8


def foreground_parameter() -> Any:
    """Return the field that says what is looked for."""
    return parameter("bright", "Whether the objects are brighter or darker than the background.")


class Levels(Dividing, Local):
    """Divide pixels at grey levels: class k is what is greater than k of them."""

    title: ClassVar = "Divide at grey levels"

    levels: tuple[float | int, ...] = parameter(
        ..., "Grey levels, ascending; a pixel is counted above if it is greater."
    )
    foreground: Foreground = foreground_parameter()

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the classes from 0, the darkest, on; from the brightest on if the foreground is dark."""
        classes = classify(block.image, self.levels)
        return classes if self.foreground == "bright" else np.uint8(len(self.levels)) - classes


@register
class ManualThreshold(Dividing, Local):
    """Keep pixels above, below or between grey levels that you choose.

    What is above one level is exactly what is not below it: ``above`` is greater than the threshold, ``below`` is all
    the rest, and ``between`` is greater than the threshold and not greater than the upper one.
    """

    title: ClassVar = "Threshold by hand"
    also: ClassVar = ("binarize", "manual", "segmentation")

    keep: Literal["above", "below", "between"] = parameter("above", "Which pixels become foreground.")
    threshold: float = parameter(
        128, "Grey level; pixels greater than it are above.", unit="grey levels", allow_inf_nan=False
    )
    upper: float = parameter(
        255,
        "Second grey level, only for 'between': pixels up to it belong to the foreground.",
        unit="grey levels",
        allow_inf_nan=False,
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.keep == "between" and self.upper <= self.threshold:
            raise ValueError(
                f"Nothing lies between {self.threshold:g} and {self.upper:g}: choose upper greater than threshold."
            )
        return self

    @property
    def levels(self) -> tuple[float, ...]:
        """The grey levels at which pixels are divided."""
        return (self.threshold, self.upper) if self.keep == "between" else (self.threshold,)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return 1 in the foreground, 0 elsewhere."""
        mask = above(block.image, self.threshold)
        if self.keep == "below":
            mask = ~mask
        elif self.keep == "between":
            mask &= ~above(block.image, self.upper)
        return mask.view(np.uint8)


class FromHistogram(PlaneOrVolume, Dividing, Fitted):
    """Base of thresholds found from the histogram of the whole image."""

    keeps_wide: ClassVar = True

    foreground: Foreground = foreground_parameter()

    def fit(self, survey: Survey) -> Levels:
        """Return the division at the levels found."""
        return Levels(levels=self.find(survey_histogram(survey)), foreground=self.foreground)

    @abstractmethod
    def find(self, histogram: Histogram) -> tuple[float, ...]:
        """Return the levels for an image with this histogram."""


@register
class Otsu(FromHistogram):
    """Threshold by Otsu's method, into two classes or more (multi-Otsu).

    The levels are those that make the classes differ most from each other (greatest variance between them) of all
    possible ones. Result 0 is the background, 1 and up the classes. An image of floats is counted in 65,536 bins.
    """

    title: ClassVar = "Otsu threshold"
    also: ClassVar = ("multi-otsu", "binarize", "automatic threshold", "segmentation", "nuclei")

    classes: int = parameter(2, "Number of classes, background included.", ge=2, le=10)

    def find(self, histogram: Histogram) -> tuple[float, ...]:
        """Return ``classes - 1`` levels."""
        return (otsu(histogram),) if self.classes == 2 else multi_otsu(histogram, self.classes)


@register
class Li(FromHistogram):
    """Threshold by Li's method of least cross entropy; finds dim objects that Otsu misses."""

    title: ClassVar = "Li threshold"
    also: ClassVar = ("binarize", "automatic threshold", "minimum cross entropy")

    def find(self, histogram: Histogram) -> tuple[float, ...]:
        """Return the level."""
        return (li(histogram),)


@register
class Triangle(FromHistogram):
    """Threshold at the foot of the histogram's peak (triangle method); for few objects on a wide background."""

    title: ClassVar = "Triangle threshold"
    also: ClassVar = ("binarize", "automatic threshold")

    def find(self, histogram: Histogram) -> tuple[float, ...]:
        """Return the level."""
        return (triangle(histogram),)


@register
class Hysteresis(PlaneOrVolume, Dividing, Connected):
    """Keep pixels above a low threshold that are connected to one above a high threshold.

    For a dark foreground it keeps what is not above the high threshold and connected to what is not above the low one.
    """

    title: ClassVar = "Hysteresis threshold"
    also: ClassVar = ("binarize", "double threshold")

    low: float = parameter(64, "The lower grey level.", unit="grey levels", allow_inf_nan=False)
    high: float = parameter(128, "The higher grey level.", unit="grey levels", allow_inf_nan=False)
    connectivity: Connectivity = 1
    foreground: Foreground = foreground_parameter()

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"The low threshold {self.low:g} is above the high one {self.high:g}: exchange them.")
        return self

    @property
    def levels(self) -> tuple[float, ...]:
        """The two grey levels."""
        return (self.low, self.high)

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse a connectivity that the frame is too flat for."""
        check_connectivity(self.connectivity, spec)

    def connections(self, spec: ImageSpec) -> int:  # noqa: ARG002
        """Return the connectivity chosen."""
        return self.connectivity

    def parts(self, block: Block) -> NDArray[Any]:
        """Return what may belong to the foreground."""
        return above(block.image, self.low) if self.foreground == "bright" else ~above(block.image, self.high)

    def marks(self, block: Block) -> NDArray[np.bool_] | None:
        """Return what surely belongs to it."""
        return above(block.image, self.high) if self.foreground == "bright" else ~above(block.image, self.low)

    def decide(self, components: Components) -> NDArray[Any]:
        """Keep what holds a sure pixel."""
        return components.marked.astype(np.uint8)


class Windowed(PlaneOrVolume, Dividing):
    """What thresholds of the surroundings have in common."""

    window: OddSize = parameter(
        15, "Length of the window around each pixel; larger than the objects.", unit="pixels", ge=3, le=1001
    )
    foreground: Foreground = foreground_parameter()

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return half the window."""
        return (self.window // 2,) * len(spec.spatial)


@register
class LocalThreshold(Windowed, Local):
    """Keep what differs from the mean around it by more than some grey levels (adaptive threshold).

    Mirrored at the borders. With Gaussian weights the standard deviation is a sixth of the window.
    """

    title: ClassVar = "Local threshold (mean or Gaussian)"
    also: ClassVar = ("adaptive threshold", "binarize", "uneven illumination", "nuclei")

    window: OddSize = parameter(
        51, "Length of the window around each pixel; larger than the objects.", unit="pixels", ge=3, le=1001
    )
    weights: Literal["gaussian", "mean"] = parameter("gaussian", "How pixels of the window count for the mean.")
    offset: float = parameter(
        0.0, "How far above or below the mean objects must be.", unit="grey levels", allow_inf_nan=False
    )

    @property
    def _sigma(self) -> float:
        return (self.window - 1) / 6

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return how far the weights reach."""
        reach = self.window // 2 if self.weights == "mean" else int(4 * self._sigma + 0.5)
        return (reach,) * len(spec.spatial)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return 1 in the foreground, 0 elsewhere."""
        image = block.image
        mean = window_mean(image, self.window) if self.weights == "mean" else gaussian_mean(image, self._sigma)
        return differs(image, mean, self.offset, self.foreground).view(np.uint8)


@register
class Niblack(Windowed, Local):
    """Keep what differs from the mean around it by more than so many standard deviations (Niblack).

    A bright foreground is greater than mean + k · std + offset, a dark one less than mean − k · std − offset. The image
    is mirrored at the borders.

    References
    ----------
    W. Niblack, "An Introduction to Digital Image Processing", Prentice-Hall (1986).
    """

    title: ClassVar = "Niblack local threshold"
    also: ClassVar = ("adaptive threshold", "binarize")

    k: float = parameter(0.2, "Number of standard deviations.", title="Deviations (k)", ge=-10, le=10)
    offset: float = parameter(
        0.0, "Further difference needed; keeps noise of flat regions out.", unit="grey levels", allow_inf_nan=False
    )

    def compute(self, block: Block) -> NDArray[Any]:
        """Return 1 in the foreground, 0 elsewhere."""
        return niblack(block.image, self.window, self.k, self.offset, self.foreground).view(np.uint8)


@register
class Sauvola(Windowed, Fitted):
    """Threshold by the mean and the contrast around each pixel (Sauvola); for uneven background.

    Dark objects are what is at most mean · (1 + k · (std / spread − 1)), as published. For bright ones the image is
    first turned into its negative (highest intensity − x). The window is mirrored at the borders.

    References
    ----------
    J. Sauvola and M. Pietikäinen, "Adaptive document image binarization", Pattern Recognition 33 (2000).
    """

    title: ClassVar = "Sauvola local threshold"
    also: ClassVar = ("adaptive threshold", "binarize", "documents")

    k: float = parameter(
        0.2, "Weight of the contrast; larger makes objects smaller.", title="Weight of contrast (k)", ge=0, le=10
    )
    spread: float | None = parameter(
        None,
        "Standard deviation that counts as full contrast; half the range of the image if left out.",
        unit="grey levels",
        gt=0,
        allow_inf_nan=False,
    )

    def fit(self, survey: Survey) -> Local:
        """Find the range of the image."""
        low, high = value_range(survey)
        if low == high:  # no contrast, hence no objects
            return Levels(levels=(high,))
        spread = self.spread or (float(high) - float(low)) / 2
        top = high if self.foreground == "bright" else None
        return SauvolaLevels(per_plane=self.per_plane, window=self.window, k=self.k, spread=spread, top=top)


class SauvolaLevels(Windowed, Local):
    """Sauvola's threshold with everything known that depends on the whole image."""

    title: ClassVar = "Sauvola local threshold"

    k: float = parameter(..., "Weight of the contrast.")
    spread: float = parameter(..., "Standard deviation that counts as full contrast.")
    top: int | float | None = parameter(..., "What pixels are subtracted from; None to take them as they are.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return 1 in the foreground, 0 elsewhere."""
        image = block.image
        if self.top is not None:
            image = negative(image, self.top)
        return sauvola(image, self.window, self.k, self.spread).view(np.uint8)


def negative(image: NDArray[Any], top: float) -> NDArray[Any]:
    """Return ``top − x``, where `top` is the highest pixel of the frame: integers without sign, floats as they are."""
    if image.dtype.kind in "iu":
        # The difference fits into the unsigned type of the same size; wrapping on the way there does no harm.
        unsigned = np.dtype(f"u{image.dtype.itemsize}")
        return np.asarray(unsigned.type(int(top) % 2 ** (8 * unsigned.itemsize)) - image.view(unsigned))
    return np.asarray(image.dtype.type(top) - image)

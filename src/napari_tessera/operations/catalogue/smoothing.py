"""Operations that smooth and remove noise."""

from typing import Any, ClassVar

from numpy.typing import NDArray

from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block, Fitted, Local, PlaneOrVolume, Survey
from napari_tessera.operations.filtering.smoothing import (
    bilateral,
    bilateral_radius,
    box_mean,
    gaussian,
    gaussian_radius,
    non_local_means,
)
from napari_tessera.operations.parameters import OddSize, parameter
from napari_tessera.operations.rank.adaptive_median import adaptive_median
from napari_tessera.operations.rank.median import median
from napari_tessera.operations.reductions.statistics import moments
from napari_tessera.operations.registry import register

GROUP = "Smoothing and background"


@register
class Gaussian(PlaneOrVolume, Local):
    """Blur with a Gaussian.

    Integer images are blurred in float64 and rounded, so that their type stays.
    """

    title: ClassVar = "Gaussian blur"
    also: ClassVar = ("noise", "denoise", "smooth", "blur")
    group: ClassVar = GROUP

    sigma: float = parameter(1.0, "Standard deviation of the Gaussian; larger blurs more.", unit="pixels", gt=0, le=200)

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return where the Gaussian is cut off: four standard deviations, as scipy does."""
        return (gaussian_radius(self.sigma),) * len(spec.spatial)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the blurred block, reflected at the frame's borders."""
        return gaussian(block.image, self.sigma)


class _Window(PlaneOrVolume, Local):
    """A square or cubic window of odd length; beyond the border the image is mirrored, as often as it takes."""

    keeps_wide: ClassVar = True

    size: OddSize = parameter(3, "Length of the window: 3, 5, 7, …; larger smooths more.", unit="pixels", ge=1, le=201)

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return half the window."""
        return (self.size // 2,) * len(spec.spatial)


@register
class Mean(_Window):
    """Replace every pixel by the mean of the window around it.

    Sums of integers are exact and halves are rounded up, so that their type stays.
    """

    title: ClassVar = "Mean filter"
    also: ClassVar = ("noise", "denoise", "smooth", "blur", "average", "box")
    group: ClassVar = GROUP

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the means over windows, reflected at the frame's borders."""
        return box_mean(block.image, self.size)


@register
class Median(_Window):
    """Replace every pixel by the median of the window around it: removes specks and keeps edges."""

    title: ClassVar = "Median filter"
    also: ClassVar = ("noise", "denoise", "despeckle", "smooth", "rank", "salt and pepper")
    group: ClassVar = GROUP

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the medians over windows, reflected at the frame's borders."""
        return median(block.image, self.size, check=block.check)


@register
class AdaptiveMedian(PlaneOrVolume, Local):
    """Remove heavy salt-and-pepper noise with a median whose window grows only where it must.

    Levels A and B of Gonzalez & Woods, "Digital Image Processing": the window grows from 3 until its median is no
    extreme; a pixel that is itself no extreme of that window is left as it is.
    """

    title: ClassVar = "Adaptive median filter"
    also: ClassVar = ("noise", "denoise", "despeckle", "impulse", "salt and pepper")
    group: ClassVar = GROUP
    keeps_wide: ClassVar = True

    largest: OddSize = parameter(
        7, "Largest window that may be used (S_max): 3, 5, 7, …; more noise needs more.", unit="pixels", ge=3, le=99
    )

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return half the largest window."""
        return (self.largest // 2,) * len(spec.spatial)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the filtered block, reflected at the frame's borders."""
        return adaptive_median(block.image, self.largest)


@register
class Bilateral(PlaneOrVolume, Fitted):
    """Smooth without blurring edges: only neighbours of similar intensity are averaged.

    The tolerated difference of intensity is fixed for the whole image before it is cut into tiles. Weights of distance
    and of intensity are Gaussian (Tomasi & Manduchi 1998); the window reaches three standard deviations far.
    """

    title: ClassVar = "Bilateral filter"
    also: ClassVar = ("noise", "denoise", "smooth", "edge preserving")
    group: ClassVar = GROUP

    sigma: float = parameter(
        1.5, "Standard deviation of the distance of neighbours; larger smooths more.", unit="pixels", gt=0, le=10
    )
    sigma_range: float | None = parameter(
        None,
        "Difference of intensity that still counts as similar (a standard deviation); left empty: that of the image.",
        unit="grey levels",
        gt=0,
    )

    def fit(self, survey: Survey) -> Local:
        """Take the image's standard deviation where no tolerance is given."""
        tolerance = self.sigma_range or moments(survey).std or 1.0
        return BilateralWithin(per_plane=self.per_plane, sigma=self.sigma, sigma_range=tolerance)


class BilateralWithin(PlaneOrVolume, Local):
    """The bilateral filter with a given tolerance."""

    sigma: float = parameter(..., "Standard deviation of the distance.")
    sigma_range: float = parameter(..., "Standard deviation of the intensity.")

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return half the window."""
        return (bilateral_radius(self.sigma),) * len(spec.spatial)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the smoothed block, reflected at the frame's borders."""
        return bilateral(block.image, self.sigma, self.sigma_range)


@register
class NonLocalMeans(PlaneOrVolume, Fitted):
    """Remove noise by averaging pixels whose surroundings look alike: keeps fine, repeated structure.

    Buades, Coll & Morel 2005, "A non-local algorithm for image denoising", with plain means over square patches. The
    strength is fixed for the whole image before it is cut into tiles.
    """

    title: ClassVar = "Non-local means"
    also: ClassVar = ("noise", "denoise", "smooth", "nlm")
    group: ClassVar = GROUP

    patch_size: OddSize = parameter(5, "Length of the patches that are compared.", unit="pixels", ge=1, le=11)
    distance: int = parameter(6, "How far patches are looked for; larger takes longer.", unit="pixels", ge=1, le=15)
    strength: float | None = parameter(
        None,
        "Difference between patches that is taken for noise, about its standard deviation; larger smooths more; "
        "left empty: 30 % of the standard deviation of the image.",
        unit="grey levels",
        gt=0,
    )

    def fit(self, survey: Survey) -> Local:
        """Take a part of the image's standard deviation where no strength is given."""
        strength = self.strength or 0.3 * moments(survey).std or 1.0
        return NonLocalMeansWith(
            per_plane=self.per_plane, patch_size=self.patch_size, distance=self.distance, strength=strength
        )


class NonLocalMeansWith(PlaneOrVolume, Local):
    """Non-local means of a given strength."""

    patch_size: int = parameter(..., "Length of the patches.")
    distance: int = parameter(..., "How far patches are looked for.")
    strength: float = parameter(..., "Difference that is taken for noise.")

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return how far the remotest patch reaches."""
        return (self.patch_size // 2 + self.distance,) * len(spec.spatial)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the smoothed block, reflected at the frame's borders."""
        return non_local_means(block.image, self.patch_size, self.distance, self.strength)

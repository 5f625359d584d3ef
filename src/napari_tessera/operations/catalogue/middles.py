"""Operations that find middles: peaks of an image, distances to the outlines of objects, and their skeletons."""

import math
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.core.errors import InvalidInputError, NoContrastError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.lengths import pixel_lengths
from napari_tessera.operations.base import Block, Global, PlaneOrVolume
from napari_tessera.operations.labels.maxima import local_maxima
from napari_tessera.operations.labels.morphology import squared_distance
from napari_tessera.operations.labels.on_labels import OnLabels, Unit, check_unit, labels_of, unit_parameter
from napari_tessera.operations.labels.thinning import Method, skeleton
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.registry import register


def _spacing(spec: ImageSpec, unit: Unit) -> list[float]:
    return list(pixel_lengths(spec)) if unit == "calibrated" else [1.0] * len(spec.spatial)


@register
class LocalMaxima(PlaneOrVolume, Global):
    """Find peaks: pixels brighter than all around them, as points to count or to grow regions from.

    Of a flat top the pixel nearest to its middle is given. Smooth a noisy image first, or ask for some prominence. No
    two points are nearer to each other than the distance: the brighter one stays. A constant image has none.
    """

    title: ClassVar = "Local maxima"
    also: ClassVar = (
        *("peaks", "peak local max", "find maxima", "h-maxima", "h maxima", "spots", "spot detection", "seeds"),
        *("nuclei", "count", "blob", "points"),
    )
    group: ClassVar = "Labels"
    menu: ClassVar = "segment"
    output: ClassVar = "points"
    one_color: ClassVar = True
    keeps_wide: ClassVar = True

    distance: float = parameter(1.0, "Least distance of two peaks.", ge=0, le=1e9, allow_inf_nan=False)
    unit: Unit = unit_parameter("Distance")
    prominence: float = parameter(
        0.0,
        "How far one must go down from a peak, at least, to reach a higher one (h-maxima); keeps noise out.",
        unit="grey levels",
        ge=0,
        allow_inf_nan=False,
    )
    threshold: float | None = parameter(
        None, "Darker peaks are left out; left empty: none.", unit="grey levels", allow_inf_nan=False
    )

    def memory(self, spec: ImageSpec) -> int:
        """Return the size of the image, heights, plateaus and what finding them takes."""
        return math.prod(spec.shape) * (spec.dtype.itemsize + (130 if self.prominence else 50))

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse a distance in a unit that only some axes have."""
        check_unit(self.unit, spec)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the peaks, in pixels."""
        spacing = _spacing(block.spec, self.unit)
        peaks = local_maxima(block.image, self.prominence, self.threshold, self.distance, spacing, block.check)
        return peaks.astype(np.float64)


@register
class DistanceTransform(PlaneOrVolume, OnLabels, Global):
    """Show how far each pixel of an object is from its outline, in pixels or in the unit of the image.

    Distances are straight-line (Euclidean), between centres of pixels: to the nearest one outside the object, which may
    belong to another object. What lies beyond the border of the image does not count.
    """

    title: ClassVar = "Distance transform"
    also: ClassVar = ("distance map", "euclidean distance", "edt", "thickness", "watershed")
    output: ClassVar = "image"

    side: Literal["inside", "outside", "signed"] = parameter(
        "inside",
        "Distances inside objects (0 outside), in the background to the nearest object, or both, the latter negative.",
    )
    unit: Unit = unit_parameter("Distances")

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:  # noqa: ARG002
        """Return float32, whatever the labels."""
        return np.float32

    def memory(self, spec: ImageSpec) -> int:
        """Return the size of labels, squared distances twice and the result."""
        return math.prod(spec.shape) * (2 * spec.dtype.itemsize + 28)

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse distances in a unit that only some axes have."""
        check_unit(self.unit, spec)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the distances.

        Raises
        ------
        NoContrastError
            If there is nothing to be far from.
        """
        labels = labels_of(block)
        squared = squared_distance(labels, _spacing(block.spec, self.unit))
        inside = labels != 0
        asked = inside if self.side == "inside" else ~inside if self.side == "outside" else np.ones_like(inside)
        if np.isinf(squared[asked]).any():
            what = "background, so that nothing bounds the objects" if inside.any() else "object"
            raise NoContrastError(f"There is no {what}: choose labels that leave some, or make a mask by a threshold.")
        distances = np.sqrt(np.where(asked, squared, 0))
        return np.where(inside | (self.side != "signed"), distances, -distances).astype(np.float32)


@register
class Skeleton(PlaneOrVolume, OnLabels, Global):
    """Thin objects to a line in their middle, one pixel wide, that keeps their branches and loops.

    Zhang & Suen 1984 in planes, Lee, Kashyap & Chu 1994 in volumes, as in scikit-image. Each label is thinned by
    itself and keeps its number.
    """

    title: ClassVar = "Skeleton"
    also: ClassVar = ("skeletonize", "skeletonise", "thinning", "thin", "centreline", "centerline", "medial axis")

    method: Method = parameter(
        "auto", "Method of Zhang & Suen (planes only) or of Lee; 'auto' takes the former for planes."
    )

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse volumes where the method is for planes."""
        if self.method == "zhang" and len(spec.spatial) == 3:
            raise InvalidInputError(
                "The method 'zhang' thins planes, and this is a volume: choose 'lee' or 'auto', or go plane by plane "
                "('per_plane')."
            )

    def memory(self, spec: ImageSpec) -> int:
        """Return the size of labels, their sorting, masks and the result."""
        return math.prod(spec.shape) * (2 * spec.dtype.itemsize + 32)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the skeletons."""
        return skeleton(labels_of(block), self.method, block.check)

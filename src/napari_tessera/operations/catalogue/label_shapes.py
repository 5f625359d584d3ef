"""Operations that change the shape of objects: grow, shrink, smooth and outline them."""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.lengths import pixel_lengths
from napari_tessera.operations.base import Block, Local, PlaneOrVolume
from napari_tessera.operations.labels.morphology import closed, dilate, erode, expand, opened, reach_of
from napari_tessera.operations.labels.on_labels import OnLabels, Unit, check_unit, labels_of, unit_parameter
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.registry import register


class Shaping(PlaneOrVolume, OnLabels, Local):
    """Base of operations that look at the surroundings of every pixel."""

    passes: ClassVar = 1

    radius: int = parameter(1, "How far to look around each pixel.", unit="pixels", ge=1, le=500)
    shape: Literal["ball", "box"] = parameter("ball", "Shape of the surroundings: a disk or ball, or a square or cube.")

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return the radius, for every pass over the pixels."""
        return (self.passes * self.radius,) * len(spec.spatial)


@register
class DilateLabels(Shaping):
    """Grow objects into the background by a number of pixels.

    Objects never run into each other: between two, a pixel goes to the nearer one, and to the lower label if both are
    equally near.
    """

    title: ClassVar = "Dilate objects"
    also: ClassVar = ("dilation", "grow", "thicken")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the labels dilated."""
        return dilate(labels_of(block), self.radius, self.shape)


@register
class ErodeLabels(Shaping):
    """Shrink objects by a number of pixels, wherever they meet background or another object.

    The border of the image takes nothing away.
    """

    title: ClassVar = "Erode objects"
    also: ClassVar = ("erosion", "shrink", "thin")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the labels eroded."""
        return erode(labels_of(block), self.radius, self.shape)


@register
class OpenLabels(Shaping):
    """Remove thin bridges and spikes of objects (erode, then dilate)."""

    title: ClassVar = "Open objects"
    also: ClassVar = ("opening", "morphology")
    passes: ClassVar = 2

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the labels opened."""
        return opened(labels_of(block), self.radius, self.shape)


@register
class CloseLabels(Shaping):
    """Close narrow gaps and small holes of objects (dilate, then erode).

    Gaps between two objects stay open.
    """

    title: ClassVar = "Close objects"
    also: ClassVar = ("closing", "morphology")
    passes: ClassVar = 2

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the labels closed."""
        return closed(labels_of(block), self.radius, self.shape)


@register
class Outlines(Shaping):
    """Keep only the outlines of objects, with their labels."""

    title: ClassVar = "Outlines of objects"
    also: ClassVar = ("contours", "boundaries", "edges")

    side: Literal["inner", "outer"] = parameter("inner", "Whether the outline lies inside the object or around it.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the outlines, as wide as the radius."""
        labels = labels_of(block)
        if self.side == "inner":
            return np.where(erode(labels, self.radius, self.shape) == 0, labels, labels.dtype.type(0))
        return np.where(labels == 0, dilate(labels, self.radius, self.shape), labels.dtype.type(0))


FARTHEST = 10_000
"""Pixels that objects may grow."""


@register
class ExpandLabels(PlaneOrVolume, OnLabels, Local):
    """Grow objects into the background by a distance, in pixels or in the units of the image.

    Objects never run into each other: between two, a pixel goes to the nearer one, and to the lower label if both are
    equally near.
    """

    title: ClassVar = "Expand objects"
    also: ClassVar = ("grow", "dilate")

    distance: float = parameter(1.0, "How far objects grow.", gt=0, allow_inf_nan=False)
    unit: Unit = unit_parameter("Distance")

    def _spacing(self, spec: ImageSpec) -> list[float]:
        return list(pixel_lengths(spec)) if self.unit == "calibrated" else [1.0] * len(spec.spatial)

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse a distance of too many pixels, or in a unit that only some axes have."""
        check_unit(self.unit, spec)
        step = min(self._spacing(spec))
        if self.distance / step > FARTHEST:
            raise InvalidInputError(
                f"A distance of {self.distance:g} is more than {FARTHEST:,} pixels: choose {FARTHEST * step:g} or less."
            )

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return how many pixels the distance is along each axis."""
        return tuple(reach_of(self.distance, self._spacing(spec)))

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the labels expanded."""
        return expand(labels_of(block), self.distance, self._spacing(block.spec))

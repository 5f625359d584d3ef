"""What geometric operations have in common: each stands twice in the catalogue, for images and for labels.

Labels are numbers that must not be mixed, so their variants take the nearest pixel; all else is the same code.
"""

from dataclasses import replace
from typing import ClassVar

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Input, Mapped
from napari_tessera.operations.geometry.warping import ORDERS, Interpolation
from napari_tessera.operations.parameters import parameter


class Transform(Mapped):
    """Base of geometric operations."""

    group: ClassVar = "Geometry"
    changes_grid: ClassVar = True
    menu: ClassVar = "transform"
    keeps_depth: ClassVar = True

    @property
    def blends(self) -> bool:
        """Whether pixels are mixed: by a spline between them, or by a statistic over blocks of them."""
        return self.order > 0 or getattr(self, "statistic", "") in ("mean", "sum")

    @property
    def order(self) -> int:
        """Order of the spline between pixels; 0 takes the nearest pixel."""
        return 0

    @property
    def outside(self) -> float:
        """What stands where nothing comes from the image."""
        return 0.0


class Interpolating(Transform):
    """An image, with a choice of what stands between pixels."""

    interpolation: Interpolation = parameter(
        "linear", "Between pixels: the nearest one, a linear mean of neighbours, or a smooth cubic spline."
    )

    @property
    def order(self) -> int:
        """Order of the spline between pixels."""
        return ORDERS[self.interpolation]


class Filling(Interpolating):
    """An image whose result may show what lies outside."""

    fill: float = parameter(
        0.0, "Intensity where nothing comes from the image.", unit="grey levels", allow_inf_nan=False
    )

    @property
    def outside(self) -> float:
        """What stands where nothing comes from the image."""
        return self.fill


class OfLabels(Transform):
    """The same for labels: ids stay as they are, and what lies outside is background (0)."""

    inputs: ClassVar[tuple[Input, ...]] = (Input("labels", "labels", "The labels to transform."),)
    output: ClassVar = "labels"


def rescaled(spec: ImageSpec, shape: tuple[int, ...], scale: tuple[float, ...]) -> ImageSpec:
    """Return the specification on another grid that begins at the same outer border, position and all."""
    translate = tuple(
        start + (new - old) / 2 for start, new, old in zip(spec.translate, scale, spec.scale, strict=True)
    )
    return replace(spec, shape=shape, scale=scale, translate=translate)


def per_axis(spec: ImageSpec, z: float, y: float, x: float) -> tuple[float, ...]:
    """Return one value per axis of a frame, in its order."""
    values = {"z": z, "y": y, "x": x}
    return tuple(values[axis] for axis in spec.axes)


def check_not_empty(shape: tuple[int, ...]) -> None:
    """Raise InvalidInputError if nothing would be left."""
    if min(shape) < 1:
        raise InvalidInputError("Nothing would be left of the image: cut off less, or keep more of it.")

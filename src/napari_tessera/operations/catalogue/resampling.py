"""Geometric operations on the grid of pixels: other sizes of pixels, flips, turns and crops."""

from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block
from napari_tessera.operations.geometry.bases import (
    Interpolating,
    OfLabels,
    Transform,
    check_not_empty,
    per_axis,
    rescaled,
)
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.registry import register


class _Resampled(Transform):
    """Puts the frame on another grid."""

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the frame on the grid of `output_spec`."""
        from napari_tessera.operations.geometry.warping import resample

        result = self.output_spec(block.spec)
        steps = [abs(new / old) for new, old in zip(result.scale, block.spec.scale, strict=True)]
        return resample(block.image, result.shape, steps, self.order)


class _Resize(_Resampled):
    """So many times as many pixels over the same extent."""

    factor: float = parameter(0.5, "How many times as many pixels along y and x; 0.5 halves them.", gt=0.001, le=100)
    factor_z: float = parameter(1.0, "How many times as many planes (volumes).", gt=0.001, le=100)

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return the grid: whole pixels over the same extent."""
        factors = per_axis(spec, self.factor_z, self.factor, self.factor)
        shape = tuple(max(1, round(length * factor)) for length, factor in zip(spec.shape, factors, strict=True))
        scale = tuple(step * old / new for step, old, new in zip(spec.scale, spec.shape, shape, strict=True))
        return rescaled(spec, shape, scale)


@register
class Resize(_Resize, Interpolating):
    """Give an image more or fewer pixels over the same extent; their size stays true.

    Where pixels become fewer, the image is blurred first so that nothing is skipped (not for the nearest pixel).
    """

    title: ClassVar = "Resize"


@register
class ResizeLabels(_Resize, OfLabels):
    """Give labels more or fewer pixels over the same extent; their size stays true."""

    title: ClassVar = "Resize labels"


class _ResampleIsotropic(_Resampled):
    """Pixels of the same length along all axes."""

    voxel: float | None = parameter(
        None, "Length of a pixel in the unit of the image; left empty: the shortest that it has.", gt=0
    )

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse axes in different units."""
        units = {spec.units[spec.axes.index(axis)] for axis in spec.spatial}
        if len(units) > 1:
            names = ", ".join(sorted(str(unit or "pixel") for unit in units))
            raise InvalidInputError(
                f"The axes of the image have different units ({names}): set the same for all first."
            )

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return the grid: the extent of the image to the nearest whole pixel."""
        voxel = self.voxel or min(abs(step) for step in spec.scale)
        shape = tuple(
            max(1, round(length * abs(step) / voxel)) for length, step in zip(spec.shape, spec.scale, strict=True)
        )
        return rescaled(spec, shape, tuple(float(np.copysign(voxel, step)) for step in spec.scale))


@register
class ResampleIsotropic(_ResampleIsotropic, Interpolating):
    """Make pixels equally long along all axes, by the physical scale of the image.

    The new scale is exact; the extent is kept to the nearest whole pixel.
    """

    title: ClassVar = "Make pixels isotropic"


@register
class ResampleIsotropicLabels(_ResampleIsotropic, OfLabels):
    """Make pixels of labels equally long along all axes, by the physical scale."""

    title: ClassVar = "Make labels isotropic"


@register
class Bin(Transform):
    """Join blocks of pixels into one: less noise, smaller images.

    Pixels at the end that do not fill a block are left out. Integers are rounded; sums have 32 bits (64 for images
    of 32 or more).
    """

    title: ClassVar = "Bin pixels"

    factor: int = parameter(2, "Length of a block along y and x.", unit="pixels", ge=1, le=1000)
    factor_z: int = parameter(1, "Length of a block along z (volumes).", unit="pixels", ge=1, le=1000)
    statistic: Literal["mean", "sum", "max", "min"] = parameter("mean", "What is kept of a block.")

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return a type that holds the sums."""
        from napari_tessera.operations.intensity.arithmetic import sum_dtype

        return sum_dtype(dtype) if self.statistic == "sum" else dtype

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse blocks larger than the image."""
        check_not_empty(self.output_spec(spec).shape)

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return the grid of blocks."""
        factors = self._factors(spec)
        shape = tuple(length // factor for length, factor in zip(spec.shape, factors, strict=True))
        scale = tuple(step * factor for step, factor in zip(spec.scale, factors, strict=True))
        return rescaled(super().output_spec(spec), shape, scale)

    def _factors(self, spec: ImageSpec) -> tuple[int, ...]:
        return tuple(int(factor) for factor in per_axis(spec, self.factor_z, self.factor, self.factor))

    def compute(self, block: Block) -> NDArray[Any]:
        """Return one pixel per block."""
        from napari_tessera.operations.geometry.warping import bin_pixels

        dtype = self.output_dtype(block.image.dtype)
        return bin_pixels(block.image, self._factors(block.spec), self.statistic, dtype)


class _Flip(Transform):
    """Mirror along an axis."""

    axis: Literal["x", "y", "z"] = parameter("x", "Along which axis: x swaps left and right.")

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse an axis that the image does not have."""
        if self.axis not in spec.axes:
            raise InvalidInputError(f"The image has no axis {self.axis!r}, only {spec.axes}: choose one of these.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the mirrored frame."""
        return np.ascontiguousarray(np.flip(block.image, block.spec.axes.index(self.axis)))


@register
class Flip(_Flip):
    """Mirror an image along an axis."""

    title: ClassVar = "Flip"


@register
class FlipLabels(_Flip, OfLabels):
    """Mirror labels along an axis."""

    title: ClassVar = "Flip labels"


class _Rotate90(Transform):
    """Quarter turns in the plane, about its centre."""

    turns: Literal[1, 2, 3] = parameter(1, "How many quarter turns, counter-clockwise.")

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return the turned grid: with an odd number of turns, lengths and scales of y and x change places."""
        if self.turns == 2:
            return spec
        y, x = spec.axes.index("y"), spec.axes.index("x")
        shape, scale, translate = list(spec.shape), list(spec.scale), list(spec.translate)
        shape[y], shape[x] = spec.shape[x], spec.shape[y]
        scale[y], scale[x] = spec.scale[x], spec.scale[y]
        for axis in (y, x):
            centre = spec.translate[axis] + spec.scale[axis] * (spec.shape[axis] - 1) / 2
            translate[axis] = centre - scale[axis] * (shape[axis] - 1) / 2
        return replace(spec, shape=tuple(shape), scale=tuple(scale), translate=tuple(translate))

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the turned frame."""
        axes = (block.spec.axes.index("y"), block.spec.axes.index("x"))
        return np.ascontiguousarray(np.rot90(block.image, self.turns, axes))


@register
class Rotate90(_Rotate90):
    """Turn an image by quarter turns, without mixing pixels."""

    title: ClassVar = "Rotate by quarter turns"


@register
class Rotate90Labels(_Rotate90, OfLabels):
    """Turn labels by quarter turns."""

    title: ClassVar = "Rotate labels by quarter turns"


class _Crop(Transform):
    """Cut away margins."""

    left: int = parameter(0, "How much to cut away at the left.", unit="pixels", ge=0)
    right: int = parameter(0, "How much to cut away at the right.", unit="pixels", ge=0)
    top: int = parameter(0, "How much to cut away at the top.", unit="pixels", ge=0)
    bottom: int = parameter(0, "How much to cut away at the bottom.", unit="pixels", ge=0)
    first_planes: int = parameter(0, "How many planes to cut away at the beginning (volumes).", unit="planes", ge=0)
    last_planes: int = parameter(0, "How many planes to cut away at the end (volumes).", unit="planes", ge=0)

    def _margins(self, spec: ImageSpec) -> list[tuple[int, int]]:
        margins = {
            "z": (self.first_planes, self.last_planes),
            "y": (self.top, self.bottom),
            "x": (self.left, self.right),
        }
        return [margins[axis] for axis in spec.axes]

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse margins that leave nothing."""
        margins = zip(spec.shape, self._margins(spec), strict=True)
        check_not_empty(tuple(length - before - after for length, (before, after) in margins))

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return what is left, at its true position."""
        margins = self._margins(spec)
        shape = tuple(n - before - after for n, (before, after) in zip(spec.shape, margins, strict=True))
        starts = zip(spec.translate, spec.scale, margins, strict=True)
        return replace(spec, shape=shape, translate=tuple(start + step * before for start, step, (before, _) in starts))

    def compute(self, block: Block) -> NDArray[Any]:
        """Return what is left."""
        margins = zip(block.spec.shape, self._margins(block.spec), strict=True)
        return np.ascontiguousarray(block.image[tuple(slice(before, n - after) for n, (before, after) in margins)])


@register
class Crop(_Crop):
    """Cut margins away from an image; what is left keeps its place."""

    title: ClassVar = "Crop"


@register
class CropLabels(_Crop, OfLabels):
    """Cut margins away from labels; what is left keeps its place."""

    title: ClassVar = "Crop labels"

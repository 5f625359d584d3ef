"""Geometric operations on the grid of pixels: other sizes of pixels, flips, turns and crops."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.lengths import require_one_unit
from napari_tessera.core.regions import Region
from napari_tessera.operations.base import Block
from napari_tessera.operations.geometry.bases import (
    Interpolating,
    OfLabels,
    Transform,
    check_not_empty,
    per_axis,
    rescaled,
)
from napari_tessera.operations.geometry.warping import bin_pixels, resample, resampled_region
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.registry import register
from napari_tessera.operations.summing import sum_dtype


class _Resampled(Transform):
    """Puts the frame on another grid."""

    def source_region(self, part: Region, spec: ImageSpec, others: Mapping[str, NDArray[Any]]) -> Region:  # noqa: ARG002
        """Return what the part comes from, with what the blur and the spline look at."""
        return resampled_region(part, spec.shape, self._steps(spec), self.order)

    def compute_part(self, block: Block, part: Region) -> NDArray[Any]:
        """Return a part of the frame on the grid of `output_spec`."""
        return resample(block.image, block.region, block.spec.shape, self._steps(block.spec), self.order, part)

    def _steps(self, spec: ImageSpec) -> list[float]:
        """Return how many pixels of the frame one of the result is long."""
        pairs = zip(self.output_spec(spec).scale, self.measured(spec).scale, strict=True)
        return [abs(new / old) for new, old in pairs]

    def measured(self, spec: ImageSpec) -> ImageSpec:
        """Return the frame with the scale that counts; for subclasses that are told another one."""
        return spec


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
    also: ClassVar = ("rescale", "scale", "zoom", "downsample", "upsample")


@register
class ResizeLabels(_Resize, OfLabels):
    """Give labels more or fewer pixels over the same extent; their size stays true."""

    title: ClassVar = "Resize labels"


class _ResampleIsotropic(_Resampled):
    """Pixels of the same length along all axes."""

    voxel: float | None = parameter(
        None, "Length of a pixel in the unit of the image; left empty: the shortest that it has.", gt=0
    )
    step_z: float | None = parameter(
        None, "Distance of planes, where the image does not say or is wrong; left empty: that of the image.", gt=0
    )
    step_xy: float | None = parameter(
        None, "Length of a pixel in the plane, likewise; left empty: that of the image.", gt=0
    )

    def measured(self, spec: ImageSpec) -> ImageSpec:
        """Return the frame with the lengths of pixels that are given in place of its own."""
        given = per_axis(spec, self.step_z or 0.0, self.step_xy or 0.0, self.step_xy or 0.0)
        scale = (
            float(np.copysign(length, step)) if length else step for length, step in zip(given, spec.scale, strict=True)
        )
        return replace(spec, scale=tuple(scale))

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse axes in different units, and pixels of which nothing says how long they are."""
        require_one_unit(spec)
        unknown = set(spec.units) == {None} and set(spec.scale) <= {1.0}
        if unknown and self.voxel is None and self.step_z is None and self.step_xy is None:
            raise InvalidInputError(
                "The image does not say how long its pixels are, so nothing would change: set its scale (--pixel-size "
                "on the command line), or give the distance of planes ('step_z') and the length of a pixel ('step_xy')."
            )

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return the grid: the extent of the image to the nearest whole pixel."""
        spec = self.measured(spec)
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
    also: ClassVar = ("resample", "voxel")


@register
class ResampleIsotropicLabels(_ResampleIsotropic, OfLabels):
    """Make pixels of labels equally long along all axes, by the physical scale."""

    title: ClassVar = "Make labels isotropic"


@register
class Bin(Transform):
    """Join blocks of pixels into one: less noise, smaller images.

    Pixels at the end that do not fill a block are left out. Integers are rounded; sums have 32 bits, 64 where more
    may be needed.
    """

    title: ClassVar = "Bin pixels"
    also: ClassVar = ("binning", "downsample")
    keeps_wide: ClassVar = True

    factor: int = parameter(2, "Length of a block along y and x.", unit="pixels", ge=1, le=1000)
    factor_z: int = parameter(1, "Length of a block along z (volumes).", unit="pixels", ge=1, le=1000)
    statistic: Literal["mean", "sum", "max", "min"] = parameter("mean", "What is kept of a block.")

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse blocks larger than the image."""
        check_not_empty(self.output_spec(spec).shape)

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return the grid of blocks."""
        factors = self._factors(spec)
        shape = tuple(length // factor for length, factor in zip(spec.shape, factors, strict=True))
        scale = tuple(step * factor for step, factor in zip(spec.scale, factors, strict=True))
        return rescaled(spec.with_dtype(self._dtype(spec)), shape, scale)

    def _dtype(self, spec: ImageSpec) -> np.dtype[Any]:
        return sum_dtype(spec.dtype, math.prod(self._factors(spec))) if self.statistic == "sum" else spec.dtype

    def _factors(self, spec: ImageSpec) -> tuple[int, ...]:
        return tuple(int(factor) for factor in per_axis(spec, self.factor_z, self.factor, self.factor))

    def source_region(self, part: Region, spec: ImageSpec, others: Mapping[str, NDArray[Any]]) -> Region:  # noqa: ARG002
        """Return the blocks of the part."""
        return tuple(slice(p.start * f, p.stop * f) for p, f in zip(part, self._factors(spec), strict=True))

    def compute_part(self, block: Block, part: Region) -> NDArray[Any]:
        """Return one pixel per block."""
        here = self.source_region(part, block.spec, block.others)
        pixels = block.image[regions.relative(here, block.region)]
        return bin_pixels(pixels, self._factors(block.spec), self.statistic, self._dtype(block.spec))


class _Rearranged(Transform):
    """Moves pixels as they are, whatever they hold."""

    needs_finite: ClassVar = False
    keeps_wide: ClassVar = True


class _Flip(_Rearranged):
    """Mirror along an axis."""

    axis: Literal["x", "y", "z"] = parameter("x", "Along which axis: x swaps left and right.")

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse an axis that the image does not have."""
        if self.axis not in spec.axes:
            raise InvalidInputError(f"The image has no axis {self.axis!r}, only {spec.axes}: choose one of these.")

    def source_region(self, part: Region, spec: ImageSpec, others: Mapping[str, NDArray[Any]]) -> Region:  # noqa: ARG002
        """Return the part's mirror image."""
        return _from_the_end(part, spec.shape, self.axis, spec.axes)

    def compute_part(self, block: Block, part: Region) -> NDArray[Any]:
        """Return a part of the mirrored frame."""
        here = self.source_region(part, block.spec, block.others)
        pixels = block.image[regions.relative(here, block.region)]
        return np.ascontiguousarray(np.flip(pixels, block.spec.axes.index(self.axis)))


def _from_the_end(part: Region, shape: tuple[int, ...], which: str, axes: str) -> Region:
    """Return a region counted from the end along the axes that `which` names."""
    return tuple(
        slice(length - p.stop, length - p.start) if axis in which else p
        for p, length, axis in zip(part, shape, axes, strict=True)
    )


@register
class Flip(_Flip):
    """Mirror an image along an axis."""

    title: ClassVar = "Flip"
    also: ClassVar = ("mirror",)


@register
class FlipLabels(_Flip, OfLabels):
    """Mirror labels along an axis."""

    title: ClassVar = "Flip labels"


class _Rotate90(_Rearranged):
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

    def source_region(self, part: Region, spec: ImageSpec, others: Mapping[str, NDArray[Any]]) -> Region:  # noqa: ARG002
        """Return the part turned back."""
        turned = list(
            _from_the_end(part, self.output_spec(spec).shape, {1: "y", 2: "yx", 3: "x"}[self.turns], spec.axes)
        )
        if self.turns != 2:
            y, x = spec.axes.index("y"), spec.axes.index("x")
            turned[y], turned[x] = turned[x], turned[y]
        return tuple(turned)

    def compute_part(self, block: Block, part: Region) -> NDArray[Any]:
        """Return a part of the turned frame."""
        axes = (block.spec.axes.index("y"), block.spec.axes.index("x"))
        here = self.source_region(part, block.spec, block.others)
        return np.ascontiguousarray(np.rot90(block.image[regions.relative(here, block.region)], self.turns, axes))


@register
class Rotate90(_Rotate90):
    """Turn an image by quarter turns, without mixing pixels."""

    title: ClassVar = "Rotate by quarter turns"
    also: ClassVar = ("turn", "90 degrees")


@register
class Rotate90Labels(_Rotate90, OfLabels):
    """Turn labels by quarter turns."""

    title: ClassVar = "Rotate labels by quarter turns"


class _Crop(_Rearranged):
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
        kept = zip(margins, spec.shape, strict=True)
        return spec.cropped(tuple(slice(before, length - after) for (before, after), length in kept))

    def source_region(self, part: Region, spec: ImageSpec, others: Mapping[str, NDArray[Any]]) -> Region:  # noqa: ARG002
        """Return the part where it lies in the frame."""
        margins = self._margins(spec)
        return regions.moved(part, [before for before, _ in margins])

    def compute_part(self, block: Block, part: Region) -> NDArray[Any]:
        """Return a part of what is left."""
        here = self.source_region(part, block.spec, block.others)
        return np.ascontiguousarray(block.image[regions.relative(here, block.region)])


@register
class Crop(_Crop):
    """Cut margins away from an image; what is left keeps its place."""

    title: ClassVar = "Crop"
    also: ClassVar = ("cut", "region of interest", "roi")


@register
class CropLabels(_Crop, OfLabels):
    """Cut margins away from labels; what is left keeps its place."""

    title: ClassVar = "Crop labels"

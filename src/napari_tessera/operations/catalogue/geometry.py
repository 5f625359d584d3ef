"""Geometric operations that mix pixels: affine and projective transforms, lens distortion."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from math import ceil, cos, radians, sin, tan
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.lengths import pixel_lengths
from napari_tessera.core.regions import Region
from napari_tessera.operations.base import Block, Input
from napari_tessera.operations.geometry.bases import Filling, OfLabels, Transform, per_axis
from napari_tessera.operations.geometry.mapping import (
    affine_source,
    homography,
    parse_rows,
    projective_reach,
    projective_source,
    radial_reach,
    radial_source,
)
from napari_tessera.operations.geometry.warping import Places, Source, bounding_region, corners_of, warp
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.registry import register

_POINTS = Input(
    "corners",
    "points",
    "Four corners in the image that become the corners of the result: top left, top right, bottom right, bottom left.",
    optional=True,
)


class _Warped(Transform):
    """Takes every pixel of the result from a place in the frame."""

    @abstractmethod
    def source(self, spec: ImageSpec, others: Mapping[str, NDArray[Any]]) -> Source:
        """Return where pixels of the result come from."""

    @abstractmethod
    def reach(self, part: Region, spec: ImageSpec, others: Mapping[str, NDArray[Any]]) -> Places:
        """Return positions in the frame around all that a part of the result comes from."""

    def source_region(self, part: Region, spec: ImageSpec, others: Mapping[str, NDArray[Any]]) -> Region:
        """Return the box around where the part comes from, with what the spline looks at."""
        return bounding_region(self.reach(part, spec, others), spec.shape, self.order)

    def compute_part(self, block: Block, part: Region) -> NDArray[Any]:
        """Return the part of the transformed frame."""
        source = self.source(block.spec, block.others)
        return warp(
            block.image, block.region, block.spec.shape, source, part, self.order, self.outside, check=block.check
        )


class _Affine(_Warped):
    """Scale, shear, rotate and move, in this order and about the centre of the frame."""

    rotate: float = parameter(0.0, "Turn counter-clockwise, in the plane.", unit="degrees", ge=-360, le=360)
    scale_x: float = parameter(1.0, "Enlarge along x so many times.", gt=0.001, le=1000)
    scale_y: float = parameter(1.0, "Enlarge along y so many times.", gt=0.001, le=1000)
    scale_z: float = parameter(1.0, "Enlarge along z so many times (volumes).", gt=0.001, le=1000)
    shear: float = parameter(0.0, "Slant upright lines to the right.", unit="degrees", ge=-80, le=80)
    move_x: float = parameter(0.0, "Move to the right.", unit="pixels", allow_inf_nan=False)
    move_y: float = parameter(0.0, "Move down.", unit="pixels", allow_inf_nan=False)
    move_z: float = parameter(0.0, "Move to deeper planes (volumes).", unit="pixels", allow_inf_nan=False)
    canvas: Literal["keep", "grow"] = parameter(
        "keep", "Keep the size of the image, or make it as large as what comes out."
    )

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse angles in a plane of which nobody knows how lengths along y and x compare."""
        if self.rotate or self.shear:
            pixel_lengths(spec, "yx")

    def forward(self, spec: ImageSpec) -> NDArray[np.float64]:
        """Return the matrix from positions in the image to positions in the result, both from the centre, in pixels.

        Angles hold in physical space, also where pixels are not square.
        """
        angle, slant = radians(self.rotate), tan(radians(self.shear))
        # Planes as (y, x) with y downwards: counter-clockwise to the eye.
        rotation = np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
        plane = rotation @ np.array([[1.0, 0.0], [-slant, 1.0]]) @ np.diag([self.scale_y, self.scale_x])
        matrix = np.diag(per_axis(spec, self.scale_z, self.scale_y, self.scale_x))
        at = [spec.axes.index("y"), spec.axes.index("x")]
        matrix[np.ix_(at, at)] = plane
        steps = np.abs(spec.scale)
        if self.rotate or self.shear:
            steps[at] = pixel_lengths(spec, "yx")  # the only axes that are mixed
        return np.asarray(matrix * steps / steps[:, np.newaxis])

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return the frame, or a larger or smaller one around what comes out, with its true position."""
        if self.canvas == "keep":
            return spec
        lengths = np.abs(self.forward(spec)) @ np.array(spec.shape)
        shape = tuple(max(1, ceil(length - 1e-6)) for length in lengths)
        moves = per_axis(spec, self.move_z, self.move_y, self.move_x)
        translate = tuple(
            start + step * ((old - new) / 2 + move)
            for start, step, old, new, move in zip(spec.translate, spec.scale, spec.shape, shape, moves, strict=True)
        )
        return replace(spec, shape=shape, translate=translate)

    def source(self, spec: ImageSpec, others: Mapping[str, NDArray[Any]]) -> Source:  # noqa: ARG002
        """Return the inverse of the matrix as a map about the centre."""
        shape = self.output_spec(spec).shape
        inverse = np.asarray(np.linalg.inv(self.forward(spec)), np.float64)
        moves = np.array(per_axis(spec, self.move_z, self.move_y, self.move_x))
        centre = (np.array(shape) - 1) / 2 + (moves if self.canvas == "keep" else 0)
        return affine_source(inverse, (np.array(spec.shape) - 1) / 2 - inverse @ centre)

    def reach(self, part: Region, spec: ImageSpec, others: Mapping[str, NDArray[Any]]) -> Places:
        """Return where the corners come from."""
        return self.source(spec, others)(corners_of(part))


@register
class Affine(_Affine, Filling):
    """Scale, shear, rotate and move an image about its centre.

    Angles are true where pixels are not square. The size of a pixel stays; a grown canvas keeps its true position.
    """

    title: ClassVar = "Affine transform"
    also: ClassVar = ("rotate", "scale", "shear", "translate", "shift")


@register
class AffineLabels(_Affine, OfLabels):
    """Scale, shear, rotate and move labels about their centre.

    Like the affine transform of images, with the nearest label.
    """

    title: ClassVar = "Affine transform of labels"
    also: ClassVar = ("rotate", "scale", "shear", "translate", "shift")


class Plane(_Warped):
    """Works on planes."""

    def frame_axes(self, axes: str) -> str:  # noqa: ARG002
        """Return ``yx``."""
        return "yx"


class _Projective(Plane):
    """A change of perspective, by a matrix or by four corners."""

    matrix: str = parameter(
        "1 0 0; 0 1 0; 0 0 1",
        "3 × 3 matrix from positions (x, y, 1) in the image to the result's, in pixels; semicolons between rows.",
    )
    corners: str = parameter(
        "",
        "In place of the matrix: four corners y x; y x; y x; y x in the image, in pixels, that become those of the "
        "result: top left, top right, bottom right, bottom left.",
    )

    @field_validator("matrix")
    @classmethod
    def _is_matrix(cls, matrix: str) -> str:
        if abs(np.linalg.det(parse_rows(matrix, 3, 3, "The matrix"))) < 1e-12:
            raise InvalidInputError("The matrix cannot be inverted: give one whose determinant is not 0.")
        return matrix

    @field_validator("corners")
    @classmethod
    def _is_corners(cls, corners: str) -> str:
        if corners.strip():
            parse_rows(corners, 4, 2, "Corners")
        return corners

    def source(self, spec: ImageSpec, others: Mapping[str, NDArray[Any]]) -> Source:
        """Return the plane in the other perspective as a map."""
        return projective_source(self._inverse(spec, others))

    def reach(self, part: Region, spec: ImageSpec, others: Mapping[str, NDArray[Any]]) -> Places:
        """Return where the corners come from, or the whole plane if the horizon lies between them."""
        return projective_reach(self._inverse(spec, others), part, spec.shape)

    def _inverse(self, spec: ImageSpec, others: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return the matrix from the result to the image."""
        corners = others.get("corners")
        if corners is None and self.corners.strip():
            corners = parse_rows(self.corners, 4, 2, "Corners")
        if corners is None:
            inverse = np.linalg.inv(parse_rows(self.matrix, 3, 3, "The matrix"))
            return np.asarray(inverse / (inverse[2, 2] or 1.0))
        if corners.shape != (4, 2):
            raise InvalidInputError(
                f"A perspective needs four corners in the plane, not {len(corners)}: place four points."
            )
        bottom, right = (length - 1 for length in spec.shape)
        targets = np.array([[0.0, 0.0], [right, 0.0], [right, bottom], [0.0, bottom]])
        return homography(targets, corners[:, ::-1].astype(np.float64))


@register
class Projective(_Projective, Filling):
    """Change the perspective of an image: straighten a slanted view, or map by a 3 × 3 matrix.

    Plane by plane; the size of the image stays.
    """

    title: ClassVar = "Projective transform"
    also: ClassVar = ("perspective", "homography")
    inputs: ClassVar = (Input("image", "image", "The image to transform."), _POINTS)


@register
class ProjectiveLabels(_Projective, OfLabels):
    """Change the perspective of labels: like that of images, with the nearest label."""

    title: ClassVar = "Projective transform of labels"
    inputs: ClassVar = (*OfLabels.inputs, _POINTS)


class _LensDistortion(Plane):
    """Straighten what a lens has bent."""

    k1: float = parameter(
        0.0,
        "First coefficient of the lens: negative for barrel, positive for pincushion distortion.",
        title="Distortion (k1)",
        ge=-2,
        le=2,
    )
    k2: float = parameter(
        0.0, "Second coefficient of the lens, for the outer parts.", title="Distortion outside (k2)", ge=-2, le=2
    )
    centre_x: float = parameter(50.0, "Where the axis of the lens lies along x.", unit="% of the width", ge=0, le=100)
    centre_y: float = parameter(50.0, "Where the axis of the lens lies along y.", unit="% of the height", ge=0, le=100)

    def source(self, spec: ImageSpec, others: Mapping[str, NDArray[Any]]) -> Source:  # noqa: ARG002
        """Return where the lens shows what belongs at a pixel."""
        return radial_source(spec.shape, self._centre(spec), self.k1, self.k2)

    def reach(self, part: Region, spec: ImageSpec, others: Mapping[str, NDArray[Any]]) -> Places:  # noqa: ARG002
        """Return a box around it."""
        return radial_reach(spec.shape, self._centre(spec), self.k1, self.k2, part)

    def _centre(self, spec: ImageSpec) -> tuple[float, float]:
        height, width = spec.shape
        return self.centre_y / 100 * height - 0.5, self.centre_x / 100 * width - 0.5


@register
class LensDistortion(_LensDistortion, Filling):
    """Correct the radial distortion of a lens.

    A lens shows what belongs at radius r at r · (1 + k1 r² + k2 r⁴), r in half diagonals of the image (Brown 1966,
    "Decentering distortion of lenses"); this takes it back. Plane by plane; the size of the image stays.
    """

    title: ClassVar = "Lens distortion"
    also: ClassVar = ("barrel", "pincushion", "undistort")


@register
class LensDistortionLabels(_LensDistortion, OfLabels):
    """Correct the radial distortion of a lens in labels: like that of images, with the nearest label."""

    title: ClassVar = "Lens distortion of labels"

"""Geometric operations that follow pairs of points: polynomial warps."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.image import ImageSpec
from napari_tessera.core.regions import Region
from napari_tessera.operations.base import Input
from napari_tessera.operations.catalogue.geometry import Plane
from napari_tessera.operations.geometry.bases import Filling, OfLabels
from napari_tessera.operations.geometry.polynomials import PolynomialMap, fit_polynomial
from napari_tessera.operations.geometry.warping import Places, Source
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.registry import register

_PAIRS = (
    Input("points", "points", "Places in the image that can be recognised: landmarks."),
    Input("targets", "points", "Where each of them belongs in the result, in the same order."),
)


class _Polynomial(Plane):
    """A smooth warp that brings points to their targets."""

    degree: int = parameter(
        2,
        "Highest power: 1 moves, turns, scales and shears, 2 and more bend; needs 3, 6, 10, 15 or 21 pairs of points.",
        ge=1,
        le=5,
    )

    def source(self, spec: ImageSpec, others: Mapping[str, NDArray[Any]]) -> Source:  # noqa: ARG002
        """Return where pixels come from."""
        return self._map(others)

    def reach(self, part: Region, spec: ImageSpec, others: Mapping[str, NDArray[Any]]) -> Places:  # noqa: ARG002
        """Return the ends of where the part comes from."""
        return self._map(others).reach(part)

    def check_given(self, spec: ImageSpec, given: Mapping[str, NDArray[Any]]) -> None:  # noqa: ARG002
        """Refuse too few pairs of points, and such as do not determine the map."""
        if {"points", "targets"} <= given.keys():
            self._map(given)

    def _map(self, others: Mapping[str, NDArray[Any]]) -> PolynomialMap:
        points, targets = (others[name].astype(np.float64).reshape(-1, 2) for name in ("points", "targets"))
        return fit_polynomial(points, targets, self.degree)


@register
class PolynomialWarp(_Polynomial, Filling):
    """Bend an image so that points come to their targets: a polynomial fitted to pairs of points.

    The polynomial leads from the result to the image, with the least squared error over the pairs, as in scikit-image.
    Plane by plane; the size of the image stays. Far from the points a high degree bends wildly.
    """

    title: ClassVar = "Polynomial warp"
    also: ClassVar = (
        *("registration", "register", "landmarks", "align", "alignment", "unwarp", "higher-order", "higher order"),
        *("bend", "control points", "nonlinear"),
    )
    inputs: ClassVar = (Input("image", "image", "The image to transform."), *_PAIRS)


@register
class PolynomialWarpLabels(_Polynomial, OfLabels):
    """Bend labels so that points come to their targets: like that of images, with the nearest label."""

    title: ClassVar = "Polynomial warp of labels"
    also: ClassVar = ("registration", "landmarks", "align", "unwarp")
    inputs: ClassVar = (*OfLabels.inputs, *_PAIRS)

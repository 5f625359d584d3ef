"""Operations that find edges, and convolution with any kernel."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import ConfigDict, field_validator, model_validator

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block, Fitted, Input, Local, PlaneOrVolume, Survey
from napari_tessera.operations.casting import fit_into, real_dtype
from napari_tessera.operations.filtering.convolution import (
    convolve,
    difference_of_gaussians,
    gaussian_gradient,
    gradient,
    kernel_for,
    laplacian,
    parse_kernel,
    unsharp_mask,
)
from napari_tessera.operations.filtering.smoothing import gaussian_radius
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.registry import register

GROUP = "Edges and convolution"
_SIGMA = "Standard deviation of the Gaussian: about the size of the details that count."


class _Real(PlaneOrVolume, Local):
    """Gives floats, for results have both signs or fractions."""

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return the float type that holds the result."""
        return real_dtype(dtype)


@register
class Convolve(PlaneOrVolume, Fitted):
    """Convolve with any kernel, typed or taken from an image.

    A two-dimensional kernel is applied to each plane of a volume. Sums are direct and in float64, borders are mirrored,
    and the centre of a kernel of even length is at length // 2, as in scipy.
    """

    title: ClassVar = "Convolve with a kernel"
    also: ClassVar = ("convolution", "correlate", "custom filter")
    group: ClassVar = GROUP
    inputs: ClassVar = (
        Input("image", "image", "The image to work on."),
        Input("kernel", "kernel", "A small image of weights, in place of the typed ones.", optional=True),
    )

    weights: str = parameter(
        "0 -1 0; -1 4 -1; 0 -1 0",
        "The kernel, row by row: numbers with spaces between, rows with semicolons between.",
        needs={"kernel": [None]},
    )
    normalise: bool = parameter(False, "Divide the kernel by its sum, so that the brightness stays.")
    keep_type: bool = parameter(False, "Round and clip to the type of the image; otherwise the result has floats.")

    @field_validator("weights")
    @classmethod
    def _readable(cls, weights: str) -> str:
        parse_kernel(weights)
        return weights

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return the type of the image or floats."""
        return dtype if self.keep_type else real_dtype(dtype)

    def check_given(self, spec: ImageSpec, given: Mapping[str, NDArray[Any]]) -> None:
        """Refuse a kernel that is larger than the frame, or that cannot be used."""
        self._kernel(spec, given)

    def fit(self, survey: Survey) -> Local:
        """Take the kernel from where it is given."""
        return ConvolveBy(weights=self._kernel(survey.spec, survey.others), keep_type=self.keep_type)

    def _kernel(self, spec: ImageSpec, given: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        kernel = given["kernel"] if "kernel" in given else parse_kernel(self.weights)
        return kernel_for(kernel, spec.shape, normalise=self.normalise)


class ConvolveBy(Local):
    """Convolution with a given kernel."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    weights: Any = parameter(..., "The kernel, float64, as many dimensions as the frame.")
    keep_type: bool = parameter(..., "Whether to keep the type of the image.")

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return the type of the image or floats."""
        return dtype if self.keep_type else real_dtype(dtype)

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:  # noqa: ARG002
        """Return half the kernel's lengths."""
        return tuple(length // 2 for length in self.weights.shape)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the convolution, reflected at the frame's borders."""
        return fit_into(convolve(block.image, self.weights), self.output_dtype(block.image.dtype))


class _Gradient(_Real):
    """How steeply intensities change, by normalised kernels three pixels long; borders are mirrored."""

    kind: ClassVar[Literal["sobel", "prewitt", "scharr"]]

    direction: Literal["magnitude", "z", "y", "x"] = parameter(
        "magnitude", "Length of the gradient, or its component along one axis."
    )

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse a direction that the frame does not have."""
        if self.direction != "magnitude" and self.direction not in spec.axes:
            raise InvalidInputError(
                f"There is no direction {self.direction!r} in frames of axes {spec.axes}: choose another one."
            )

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return 1."""
        return (1,) * len(spec.spatial)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the gradient."""
        axis = None if self.direction == "magnitude" else block.spec.axes.index(self.direction)
        return gradient(block.image, self.kind, axis)


@register
class Sobel(_Gradient):
    """Show edges: how steeply intensities change, by the Sobel operator.

    Results are grey levels per pixel (scipy's divided by 8 in planes, by 32 in volumes).
    """

    title: ClassVar = "Sobel edges"
    also: ClassVar = ("edges", "gradient", "edge detection")
    group: ClassVar = GROUP
    kind: ClassVar = "sobel"


@register
class Prewitt(_Gradient):
    """Show edges: how steeply intensities change, by the Prewitt operator.

    Results are grey levels per pixel (scipy's divided by 6 in planes, by 18 in volumes).
    """

    title: ClassVar = "Prewitt edges"
    also: ClassVar = ("gradient", "edge detection")
    group: ClassVar = GROUP
    kind: ClassVar = "prewitt"


@register
class Scharr(_Gradient):
    """Show edges: how steeply intensities change, by the Scharr operator, which treats all directions most alike.

    Results are grey levels per pixel.
    """

    title: ClassVar = "Scharr edges"
    also: ClassVar = ("gradient", "edge detection")
    group: ClassVar = GROUP
    kind: ClassVar = "scharr"


@register
class GaussianGradientMagnitude(_Real):
    """Show edges of a given size: the length of the gradient of the blurred image, in grey levels per pixel."""

    title: ClassVar = "Gaussian gradient"
    also: ClassVar = ("edges", "edge detection")
    group: ClassVar = GROUP

    sigma: float = parameter(1.0, _SIGMA, unit="pixels", gt=0, le=200)

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return where the Gaussian is cut off."""
        return (gaussian_radius(self.sigma),) * len(spec.spatial)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the length of the gradient."""
        return gaussian_gradient(block.image, self.sigma)


@register
class Laplacian(_Real):
    """Show edges and fine detail by the sum of second derivatives; noise too."""

    title: ClassVar = "Laplacian"
    also: ClassVar = ("laplace", "edges", "edge detection", "second derivative")
    group: ClassVar = GROUP

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return 1: the kernel is three pixels long."""
        return (1,) * len(spec.spatial)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the Laplacian."""
        return laplacian(block.image, None)


@register
class LaplacianOfGaussian(_Real):
    """Find spots and edges of a given size: the Laplacian of the blurred image.

    Bright spots come out negative and edges as zero crossings; `bright_spots` turns the sign. As in scipy the kernel is
    cut off at four standard deviations, so that a constant image gives not quite 0 (0.02 % of it at sigma 1.5).
    """

    title: ClassVar = "Laplacian of Gaussian"
    also: ClassVar = ("log", "blob", "spots", "laplace of gaussian", "nuclei", "edges", "edge detection")
    group: ClassVar = GROUP

    sigma: float = parameter(
        2.0, f"{_SIGMA} A round spot of radius r answers most to r / √2.", unit="pixels", gt=0, le=200
    )
    bright_spots: bool = parameter(False, "Turn the sign, so that bright spots come out bright.")

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return where the Gaussian is cut off."""
        return (gaussian_radius(self.sigma),) * len(spec.spatial)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the Laplacian of the blurred block."""
        result = laplacian(block.image, self.sigma)
        return np.asarray(-result) if self.bright_spots else result


@register
class DifferenceOfGaussians(_Real):
    """Bring out spots and detail of a given size: a blurred image minus one that is blurred more (DoG).

    Bright spots come out positive, dark ones negative, and even background 0. In grey levels; mirrored at the borders.
    """

    title: ClassVar = "Difference of Gaussians"
    also: ClassVar = ("dog", "band-pass", "blob", "spots", "subtract background", "nuclei", "edges")
    group: ClassVar = GROUP

    sigma: float = parameter(
        1.0, "Standard deviation of the weaker blur: what is smaller vanishes.", unit="pixels", gt=0, le=200
    )
    larger: float | None = parameter(
        None,
        "Standard deviation of the stronger blur: what is larger vanishes; left empty: 1.6 times the other.",
        unit="pixels",
        gt=0,
        le=200,
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.larger is not None and self.larger <= self.sigma:
            raise ValueError(f"larger = {self.larger:g} must be more than sigma = {self.sigma:g}: exchange them.")
        return self

    @property
    def _stronger(self) -> float:
        return 1.6 * self.sigma if self.larger is None else self.larger

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return where the wider Gaussian is cut off."""
        return (gaussian_radius(self._stronger),) * len(spec.spatial)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the difference."""
        return difference_of_gaussians(block.image, self.sigma, self._stronger)


@register
class UnsharpMask(PlaneOrVolume, Local):
    """Sharpen: add what blurring takes away.

    image + amount · (image − blurred); integers are rounded and clipped to their type.
    """

    title: ClassVar = "Unsharp mask"
    also: ClassVar = ("sharpen", "sharpening")
    group: ClassVar = GROUP

    sigma: float = parameter(2.0, _SIGMA, unit="pixels", gt=0, le=200)
    amount: float = parameter(1.0, "How much of the detail is added.", gt=0, le=100)

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return where the Gaussian is cut off."""
        return (gaussian_radius(self.sigma),) * len(spec.spatial)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the sharpened block."""
        return unsharp_mask(block.image, self.sigma, self.amount)

"""Operations that find ridges: vessels, fibres, neurites, membranes seen from the side."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import model_validator

from napari_tessera.core.image import ImageSpec
from napari_tessera.core.regions import Region
from napari_tessera.operations.base import Block, Fitted, Local, Operation, PlaneOrVolume, Survey
from napari_tessera.operations.casting import fit_into, real_dtype
from napari_tessera.operations.filtering.ridge_filters import (
    Ridges,
    curvatures,
    frangi,
    meijering,
    ridge_reach,
    sato,
    scales_between,
    strongest,
    structure,
)
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.registry import register

GROUP = "Edges and convolution"
_WORDS = ("ridge", "ridge filter", "vessel", "vesselness", "tubeness", "fibre", "fiber", "filament", "neurite", "line")


class _Ridge(PlaneOrVolume, Operation):
    """What ridge filters have in common: several scales, of which the one that answers most counts."""

    group: ClassVar = GROUP
    foremost: ClassVar = ("sigma", "largest", "scales", "ridges")

    sigma: float = parameter(
        1.0,
        "Smallest scale: standard deviation of the Gaussian, about the half width of the thinnest ridge.",
        unit="pixels",
        ge=0.5,
        le=50,
    )
    largest: float = parameter(
        3.0, "Largest scale, about the half width of the widest ridge.", unit="pixels", ge=0.5, le=50
    )
    scales: int = parameter(3, "Number of scales, in equal steps from the smallest to the largest.", ge=1, le=20)
    ridges: Ridges = parameter("bright", "Whether ridges are brighter or darker than what lies beside them.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.largest < self.sigma:
            raise ValueError(f"largest = {self.largest:g} is less than sigma = {self.sigma:g}: exchange them.")
        return self

    @property
    def sigmas(self) -> tuple[float, ...]:
        """The scales, ascending."""
        return scales_between(self.sigma, self.largest, self.scales)

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return the float type that holds the result."""
        return real_dtype(dtype)

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return how far the largest scale looks."""
        return (ridge_reach(self.sigmas[-1]),) * len(spec.spatial)

    def _shared(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("per_plane", "sigma", "largest", "scales", "ridges")}


@register
class Sato(_Ridge, Local):
    """Bring out ridges such as vessels and fibres (Sato's tubeness), in grey levels.

    Sato et al. 1998, "Three-dimensional multi-scale line filter": σ² times the curvature across the ridge, the greatest
    of all scales; as in scikit-image.
    """

    title: ClassVar = "Sato ridges (tubeness)"
    also: ClassVar = ("sato", *_WORDS)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the tubeness."""
        return fit_into(strongest(block.image, self.sigmas, self.ridges, sato), real_dtype(block.image.dtype))


@register
class Frangi(_Ridge, Fitted):
    """Bring out vessels and fibres and leave out blobs and, in volumes, sheets (Frangi's vesselness), 0 to 1.

    Frangi et al. 1998, "Multiscale vessel enhancement filtering"; as in scikit-image. Half of the strongest curvature
    of the whole image is measured before it is cut into tiles, unless `gamma` says how much counts.
    """

    title: ClassVar = "Frangi ridges (vesselness)"
    also: ClassVar = ("frangi", *_WORDS)

    alpha: float = parameter(
        0.5,
        "How much sheets are left out (volumes); smaller is less strict.",
        title="Plate sensitivity (alpha)",
        gt=0,
        le=100,
        allow_inf_nan=False,
    )
    beta: float = parameter(
        0.5,
        "How much blobs are kept; smaller leaves out more.",
        title="Blob sensitivity (beta)",
        gt=0,
        le=100,
        allow_inf_nan=False,
    )
    gamma: float | None = parameter(
        None,
        "Curvature that counts as a clear ridge; left empty: half of the strongest at the smallest scale.",
        title="Curvature of a ridge (gamma)",
        unit="levels/pixel²",
        gt=0,
        allow_inf_nan=False,
    )

    def fit(self, survey: Survey) -> Local:
        """Measure the strongest curvature at the smallest scale."""

        def measure(block: Block, inner: Region) -> float:
            return float(structure(curvatures(block.image, self.sigma, self.ridges))[inner].max())

        gamma = self.gamma
        if gamma is None:
            gamma = survey.reduce_around(measure, max, (ridge_reach(self.sigma),) * len(survey.spec.shape)) / 2 or 1.0
        return FrangiOf(**self._shared(), alpha=self.alpha, beta=self.beta, gamma=gamma)


class FrangiOf(_Ridge, Local):
    """Frangi's vesselness with everything known."""

    alpha: float = parameter(..., "Strictness on sheets.")
    beta: float = parameter(..., "Strictness on blobs.")
    gamma: float = parameter(..., "Curvature of a clear ridge.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the vesselness."""

        def answer(across: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:  # noqa: ARG001
            return frangi(across, self.alpha, self.beta, self.gamma)

        return fit_into(strongest(block.image, self.sigmas, self.ridges, answer), real_dtype(block.image.dtype))


@register
class Meijering(_Ridge, Fitted):
    """Bring out long thin ridges such as neurites (Meijering's neuriteness), 0 to 1.

    Meijering et al. 2004, "Design and validation of a tool for neurite tracing"; as in scikit-image. Each scale is
    divided by its greatest value in the whole image, which is measured before it is cut into tiles.
    """

    title: ClassVar = "Meijering ridges (neuriteness)"
    also: ClassVar = ("meijering", "neuriteness", *_WORDS)

    alpha: float | None = parameter(
        None,
        "How much curvature in other directions counts; left empty: 1/3 in planes, 1/4 in volumes, which favours long "
        "ridges most.",
        title="Curvature along ridges (alpha)",
        ge=-1,
        le=1,
    )

    def fit(self, survey: Survey) -> Local:
        """Measure the greatest answer at each scale."""
        alpha = 1 / (len(survey.spec.shape) + 1) if self.alpha is None else self.alpha

        def measure(block: Block, inner: Region) -> NDArray[np.float64]:
            answers = (meijering(curvatures(block.image, sigma, self.ridges), alpha) for sigma in self.sigmas)
            return np.array([answer[inner].max() for answer in answers])

        greatest = survey.reduce_around(measure, np.maximum, self.halo(survey.spec))
        return MeijeringOf(**self._shared(), alpha=alpha, greatest=tuple(greatest.tolist()))


class MeijeringOf(_Ridge, Local):
    """Meijering's neuriteness with everything known."""

    alpha: float = parameter(..., "How much curvature in other directions counts.")
    greatest: tuple[float, ...] = parameter(..., "What each scale is divided by.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the neuriteness."""
        greatest = dict(zip(self.sigmas, self.greatest, strict=True))

        def answer(across: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
            return meijering(across, self.alpha) / (greatest[sigma] or 1.0)

        return fit_into(strongest(block.image, self.sigmas, self.ridges, answer), real_dtype(block.image.dtype))

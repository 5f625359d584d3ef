"""The operation that tells stains apart."""

from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import model_validator

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block, Fitted, Local, Operation, Survey
from napari_tessera.operations.intensity.stains import KNOWN, NAMES, Stains, parse_stains, separate
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.reductions.statistics import value_range
from napari_tessera.operations.registry import register

Stain = Literal["first", "second", "third", "all"]
_ORDER: tuple[Stain, ...] = ("first", "second", "third")


class _Separating(Operation):
    """Takes in red, green and blue and gives one stain, or all as channels."""

    group: ClassVar = "Intensity"
    foremost: ClassVar = ("stains", "stain")

    stains: Stains = parameter(
        "H&E", "Which stains the tissue has: hematoxylin and eosin, hematoxylin and DAB, all three, or your own."
    )
    stain: Stain = parameter(
        "first",
        "Which of them to give, in the order of their names; the third of two is what fits neither; 'all' gives "
        "channels.",
    )

    def frame_axes(self, axes: str) -> str:
        """Return the channel axis and the spatial ones."""
        return "c" * ("c" in axes) + super().frame_axes(axes)

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse what is no image in red, green and blue."""
        if spec.channels not in (3, 4):
            raise InvalidInputError(
                f"Stains are told apart in red, green and blue, and the image has {spec.channels} channel(s): choose "
                "an image in colour."
            )

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:  # noqa: ARG002
        """Return float32, whatever the image."""
        return np.float32

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return the frame without its channels, or with one for each stain."""
        result = super().output_spec(spec).without("c")
        return result.with_leading("c", 3, NAMES[self.stains]) if self.stain == "all" else result


@register
class SeparateStains(_Separating, Fitted):
    """Tell the stains of a tissue section apart by their colours (colour deconvolution).

    Ruifrok & Johnston 2001, "Quantification of histochemical staining by color deconvolution". The result is the
    amount of a stain, bright where there is much: the optical density that it alone would have (1 lets a tenth of the
    light through). Full light is 255 in 8-bit images, and otherwise the highest intensity of the image, or 1 for floats
    that are not higher.
    """

    title: ClassVar = "Separate stains"
    also: ClassVar = (
        *("stain separation", "colour deconvolution", "color deconvolution", "h&e", "hematoxylin"),
        *("haematoxylin", "eosin", "dab", "ihc", "histology", "unmix", "unmixing", "nuclei"),
    )

    first: str = parameter(
        "0.65 0.70 0.29", "Optical density of the first stain in red, green and blue.", needs={"stains": ["own"]}
    )
    second: str = parameter(
        "0.07 0.99 0.11", "Optical density of the second stain in red, green and blue.", needs={"stains": ["own"]}
    )
    third: str = parameter("", "The same of a third stain; left empty: there are two.", needs={"stains": ["own"]})
    white: float | None = parameter(
        None,
        "Intensity where there is no tissue; left empty: 255 in 8-bit images, else the highest of the image.",
        unit="grey levels",
        gt=0,
        allow_inf_nan=False,
    )

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.stains == "own":
            parse_stains((self.first, self.second, self.third))
        return self

    def fit(self, survey: Survey) -> Local:
        """Find how bright full light is."""
        dtype = survey.spec.dtype
        white = self.white
        if white is None and dtype == np.uint8:
            white = 255.0
        if white is None:
            highest = float(value_range(survey)[1])
            white = max(highest, 1.0) if dtype.kind == "f" else highest
        if white <= 0:
            raise InvalidInputError("The image has no light in it: choose one of tissue on a bright ground.")
        own = self.stains == "own"
        vectors = parse_stains((self.first, self.second, self.third)) if own else KNOWN[self.stains]
        return SeparateInto(stains=self.stains, stain=self.stain, vectors=vectors, white=white)


class SeparateInto(_Separating, Local):
    """The separation with everything known."""

    vectors: tuple[tuple[float, ...], ...] = parameter(..., "Optical densities of the stains.")
    white: float = parameter(..., "Intensity of full light.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the amounts."""
        chosen = range(3) if self.stain == "all" else [_ORDER.index(self.stain)]
        amounts = separate(block.image, self.vectors, self.white, chosen).astype(np.float32)
        return amounts if self.stain == "all" else amounts[0]

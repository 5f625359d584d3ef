"""What operations on labels have in common."""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.lengths import pixel_lengths, require_one_unit
from napari_tessera.operations.base import Block, Components, Input, Kind, Operation
from napari_tessera.operations.parameters import parameter

GROUP = "Labels"

Objects = Literal["parts", "labels"]
"""What one object is: a connected part of equal labels, or everything that has the same label."""

Unit = Literal["pixels", "calibrated"]
"""Whether lengths and sizes count pixels, or are in the units of the image (µm, µm², µm³)."""


class OnLabels(Operation):
    """Mixed into operations that take labels, which are integers; stands before the family among the bases."""

    group: ClassVar = GROUP
    menu: ClassVar = "segment"
    inputs: ClassVar = (Input("labels", "labels", "The labels or the mask to work on; 0 is background."),)
    output: ClassVar[Kind] = "labels"


def labels_of(block: Block) -> NDArray[Any]:
    """Return the labels of a block.

    Raises
    ------
    InvalidInputError
        If some are negative.
    """
    labels = block.image
    if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
        raise InvalidInputError(
            f"The labels hold {labels.min()}, and negative numbers name no object: "
            "make a mask first with 'manual_threshold', then label its parts with 'connected_components'."
        )
    return labels


def check_unit(unit: Unit, spec: ImageSpec) -> None:
    """Raise InvalidInputError if lengths are to be in the unit of an image whose axes have several."""
    if unit == "calibrated":
        require_one_unit(spec)


def sizes_of(components: Components, objects: Objects, unit: Unit) -> NDArray[np.float64]:
    """Return the size of the object that each component belongs to; pixels are whole numbers."""
    sizes = components.sizes.astype(np.float64)
    if objects == "labels":
        _, where = np.unique(components.values, return_inverse=True)
        sizes = np.asarray(np.bincount(where, weights=sizes, minlength=1)[where], np.float64)
    return sizes if unit == "pixels" else sizes * float(np.prod(pixel_lengths(components.spec)))


def spread_to_objects(chosen: NDArray[np.bool_], components: Components, objects: Objects) -> NDArray[np.bool_]:
    """Return, of components chosen, the objects that they belong to, as one value per component."""
    if objects == "parts":
        return chosen
    return np.isin(components.values, components.values[chosen])


def objects_parameter() -> Any:
    """Return the field that says what one object is."""
    return parameter(
        "parts", "Whether each connected part is an object of its own, or all pixels with the same label are one."
    )


def unit_parameter(what: str) -> Any:
    """Return the field that says in what `what` ("Sizes") is given."""
    return parameter("pixels", f"{what} in pixels, or in the units of the image (µm) if it is calibrated.")

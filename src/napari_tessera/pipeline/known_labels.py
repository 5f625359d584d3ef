"""Images that are known to be labels, and operations that would make false ids of them."""

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSource
from napari_tessera.io.arrays import ArraySource, RespecifiedSource
from napari_tessera.io.ome_zarr import is_zarr
from napari_tessera.operations.base import Operation
from napari_tessera.operations.registry import all_operations


def are_labels(image: ImageSource) -> bool:
    """Whether `image` is known to be labels: it lies in the folder of labels of an OME-Zarr.

    An array, and a file that says nothing of what its integers mean, may be either and count as an image.
    """
    while isinstance(image, RespecifiedSource):
        image = image.source
    path = image.path if isinstance(image, ArraySource) else None
    if path is None:
        return False
    places = (path.absolute(), path.absolute().parent)
    return any(place.parent.name == "labels" and is_zarr(place.parent.parent) for place in places)


def check_not_labels(operation: Operation, image: ImageSource) -> None:
    """Raise InvalidInputError, naming the variant for labels, if `operation` mixes pixels and `image` is labels."""
    if not operation.blends or operation.inputs[0].kind != "image" or not are_labels(image):
        return
    variant = f"{operation.name()}_labels"
    variant = variant if variant in all_operations() else "resize_labels"
    raise InvalidInputError(
        f"{operation.title} mixes neighbouring pixels, and {image.name} holds labels, whose ids must stay as they are: "
        f"use the operation {variant!r}."
    )

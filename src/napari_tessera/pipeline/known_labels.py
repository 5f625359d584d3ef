"""Images that are known to be labels, and operations that would make false ids of them."""

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSource, ImageSpec
from napari_tessera.io.arrays import ArraySource, unwrapped
from napari_tessera.io.zarr_folders import is_zarr
from napari_tessera.operations.base import Operation
from napari_tessera.operations.registry import all_operations

COLORED_LABELS = (
    "The labels {name!r} hold colours, and labels are numbers: save them as numbers, in a TIFF, or in a PNG of grey "
    "levels or with a palette."
)


def holds_colors(labels: ImageSpec) -> bool:
    """Whether labels are a picture of themselves: the last axis is that of 3 or 4 colours of 8 or 16 bits."""
    return labels.axes.endswith("yxc") and labels.channels in (3, 4) and str(labels.dtype) in ("uint8", "uint16")


def are_labels(image: ImageSource) -> bool:
    """Whether `image` is known to be labels: it lies in the folder of labels of an OME-Zarr.

    An array, and a file that says nothing of what its integers mean, may be either and count as an image.
    """
    image = unwrapped(image)
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

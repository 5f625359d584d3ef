"""Which labels objects of an image are made in, where nobody has said so: never those of another image."""

from collections.abc import Sequence

from napari.layers import Labels, Layer

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.napari_plugin.belonging import image_of, made_of
from napari_tessera.napari_plugin.clicking.click_grid import labels_shape, match_grids
from napari_tessera.napari_plugin.layers import possible_axes


def belongs(labels: Layer, image: Layer | None, images: Sequence[Layer]) -> bool:
    """Return whether objects of `image` may be made in `labels` without the person's saying so.

    Parameters
    ----------
    images
        All images that there are.
    """
    if image is None or not isinstance(labels, Labels):
        return True
    owner = image_of(labels, images)
    if owner is not None:
        return owner is image or (made_of(image, owner) and _fits(labels, image))
    if _has_pixels_of(labels, image):
        return True
    return _fits(labels, image) and not any(_has_pixels_of(labels, other) for other in images)


def _fits(labels: Labels, image: Layer) -> bool:
    try:
        match_grids(image, possible_axes(image)[0], labels)
    except InvalidInputError:
        return False
    return True


def _has_pixels_of(labels: Labels, image: Layer) -> bool:
    try:
        return _fits(labels, image) and tuple(labels.data.shape) == labels_shape(image, possible_axes(image)[0])
    except InvalidInputError:
        return False

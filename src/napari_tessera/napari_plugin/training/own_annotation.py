"""Which layer annotates an image, where nobody has said so: by its name, and by how it lies on it."""

from collections.abc import Sequence

from napari.layers import Labels, Layer

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.napari_plugin.layers.belonging import image_of, made_of
from napari_tessera.napari_plugin.layers.images import possible_axes
from napari_tessera.napari_plugin.layers.notes import is_annotation
from napari_tessera.napari_plugin.training.fitting import can_lie_on, fit


def own_annotation(
    image: Layer, axes: str, annotations: Sequence[Layer], images: Sequence[Layer], current: Layer | None = None
) -> Layer | None:
    """Return the layer that annotates `image`; None if all of them belong to other images.

    Parameters
    ----------
    axes
        What the dimensions of `image` are.
    annotations
        To choose from, the likeliest of those that suit alike first.
    images
        All images that there are.
    current
        Is kept where none suits better.
    """
    ordered = sorted(annotations, key=lambda layer: layer is not current)
    ranks = [_rank(layer, image, axes, images) for layer in ordered]
    suited = [(rank, at) for at, rank in enumerate(ranks) if rank is not None]
    return ordered[min(suited)[1]] if suited else None


def _rank(layer: Layer, image: Layer, axes: str, images: Sequence[Layer]) -> int | None:
    """Return how well `layer` suits `image`, the less the better; None if it belongs to another one."""
    owner = image_of(layer, images)
    if owner is image:
        return 0 if is_annotation(layer) else 1  # before labels of objects, which have its name, too
    if owner is not None and not made_of(image, owner):
        return None
    found = fit(layer, image, axes) if isinstance(layer, Labels) else None
    if found is None:
        return 3  # points and shapes lie on whatever is below them
    if not isinstance(found, str) and found.exact:
        return 2
    others = [other for other in images if other is not image]
    if owner is not None or any(_same_pixels(layer, other) for other in others):
        return None  # plainly another image's
    # what does not fit is shown with what to do about it
    return 3 if not isinstance(found, str) else 4 if can_lie_on(layer, image, axes) else 5


def _same_pixels(layer: Layer, image: Layer) -> bool:
    try:
        return can_lie_on(layer, image, possible_axes(image)[0])
    except InvalidInputError:
        return False

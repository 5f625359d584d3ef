"""Which labels objects of an image are made in, where nobody has said so.

Never those of another image, nor what an operation or a model has made: one object of everything perhaps.
"""

from collections.abc import Callable, Sequence

from napari.layers import Labels, Layer

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.napari_plugin.clicking.click_grid import labels_shape, match_grids
from napari_tessera.napari_plugin.clicking.new_labels import begun_by_clicking
from napari_tessera.napari_plugin.forms.layer_picker import LayerPicker
from napari_tessera.napari_plugin.layers.belonging import image_of, made_of
from napari_tessera.napari_plugin.layers.images import possible_axes
from napari_tessera.napari_plugin.layers.notes import holds_classes, is_made


def is_for_objects(labels: Layer, picker: LayerPicker | None, active: Layer | None) -> bool:
    """Return whether objects may be made in `labels`: begun for them, or a person's own.

    Of labels that were opened those are that are in use in `picker` or `active`; results must be selected by hand.
    """
    if begun_by_clicking(labels) or (picker is not None and labels in picker.by_hand):
        return True
    return not is_made(labels) and (labels is active or (picker is not None and labels is picker.layer))


def suits(labels: Layer, images: LayerPicker, picker: LayerPicker | None) -> bool:
    """Return whether objects of the image chosen in `images` may be made in `labels` unasked: no classes."""
    own = not holds_classes(labels) and belongs(labels, images.layer, images.layers)
    return own and is_for_objects(labels, picker, images.selected)


def left_alone(layers: Sequence[Layer], images: LayerPicker, begun: Layer | None) -> str:
    """Return a sentence on results of the chosen image among `layers` that were left alone for the labels `begun`."""
    for layer in layers:
        if begun is not None and layer is not begun and is_made(layer) and belongs(layer, images.layer, images.layers):
            return f"Objects go into {begun.name!r}. To correct {layer.name!r}, choose it under Labels."
    return ""


def why_changed(chosen: Layer | None, taken: Layer, image: Layer | None) -> str:
    """Return a sentence on why objects go into `taken`, where `chosen` was selected; empty if nothing was."""
    if chosen is None or chosen is taken or image is None:
        return ""
    why = "holds classes" if holds_classes(chosen) else f"does not lie on {image.name!r}, or is another image's"
    return f"Objects go into {taken.name!r}, for {chosen.name!r} {why}."


def usual_labels(layers: Sequence[Layer], active: Layer | None, suited: Callable[[Layer], bool]) -> Layer | None:
    """Return the one of `layers` to make objects in: the selected one, or one that was begun for it."""
    ordered = sorted(layers, key=lambda one: (one is not active, not begun_by_clicking(one)))
    return next((layer for layer in ordered if suited(layer)), None)


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

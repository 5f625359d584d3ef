"""An empty Labels layer for objects, that fits an image."""

import re

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Layer

from napari_tessera.napari_plugin.clicking.click_grid import labels_shape
from napari_tessera.napari_plugin.layers.belonging import PART
from napari_tessera.napari_plugin.layers.images import full_resolution, placement
from napari_tessera.napari_plugin.layers.notes import is_made, noted, notes_of

DTYPE = np.uint32
_NAMED = re.compile(rf"{PART}objects( \[\d+\])?$")
"""How they are called, those too that were begun before that was noted."""


def begun_by_clicking(layer: Layer) -> bool:
    """Return whether `layer` was begun by `new_labels`."""
    return notes_of(layer).begun_by_clicking or (not is_made(layer) and _NAMED.search(layer.name) is not None)


def new_labels(viewer: ViewerModel, image: Layer, axes: str) -> Labels:
    """Add an empty layer that lies on `image`, has its units, and a number for any object.

    Where channels stand between other dimensions, the layer has one channel as wide as all of them: napari aligns
    dimensions from the last one, and would show the labels in wrong places otherwise.
    """
    shape = labels_shape(image, axes)
    own = axes[: image.ndim]
    if len(shape) == len(own):
        placed = placement(image, own.replace("c", "?"))
        at = own.find("c")
        if at > 0:
            count = full_resolution(image).shape[at]
            placed["translate"][at] += placed["scale"][at] * (count - 1) / 2
            placed["scale"][at] *= count
    else:
        placed = placement(image, axes)
    metadata = noted({"clicked": True})
    layer = Labels(np.zeros(shape, DTYPE), name=f"{image.name}{PART}objects", metadata=metadata, **placed)
    viewer.add_layer(layer)
    return layer

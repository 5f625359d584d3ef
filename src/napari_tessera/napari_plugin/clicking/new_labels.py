"""An empty Labels layer for objects, that fits an image."""

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Layer

from napari_tessera.napari_plugin.clicking.click_grid import labels_shape
from napari_tessera.napari_plugin.layers import full_resolution, placement

DTYPE = np.uint32


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
    layer = Labels(np.zeros(shape, DTYPE), name=f"{image.name} · objects", **placed)
    viewer.add_layer(layer)
    return layer

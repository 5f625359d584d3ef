"""Layers to paint in: new ones, and predictions turned into ones for correcting."""

import math
from collections.abc import Mapping

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from numpy.typing import NDArray

from napari_tessera.config.training import Annotation
from napari_tessera.napari_plugin.layers import METADATA_KEY, class_colormap, layer_image, placement
from napari_tessera.pipeline.annotation import SCRIBBLED_BACKGROUND

Classes = Mapping[int, tuple[str, str]]
"""Name and colour (#rrggbb) by class number."""


def new_annotation(viewer: ViewerModel, image: Layer, axes: str, annotation: Annotation, classes: Classes) -> Labels:
    """Add an empty layer that fits `image`, ready to paint in."""
    shape = layer_image(image, axes).spec.without("c").shape
    dtype = np.int32 if annotation is Annotation.OBJECTS else np.uint8
    layer = Labels(np.zeros(shape, dtype), name=f"{image.name} · annotation", **placement(image, axes))
    if annotation is not Annotation.OBJECTS:  # objects keep napari's own colours, one for each
        show_classes(layer, classes)
    viewer.add_layer(layer)
    start_painting(viewer, layer, 2 if annotation is Annotation.SCRIBBLES else 1)
    return layer


def show_classes(layer: Labels, classes: Classes) -> None:
    """Give `layer` the colours of `classes` and note their names in it."""
    layer.colormap = class_colormap({number: color for number, (_, color) in classes.items()})
    known = dict(layer.metadata.get(METADATA_KEY, {}))
    known["classes"] = {number: {"name": name, "color": color} for number, (name, color) in classes.items()}
    layer.metadata[METADATA_KEY] = known


def start_painting(viewer: ViewerModel, layer: Labels, number: int) -> None:
    """Select `layer` and its brush, in a size that suits the image."""
    viewer.layers.selection.active = layer
    layer.selected_label = number
    layer.n_edit_dimensions = 2
    layer.brush_size = max(2, min(20, round(math.sqrt(min(layer.data.shape[-2:])) / 4)))
    layer.mode = "paint"


def scribbles_from(labels: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return class labels as scribbles: background, 0 in predictions, becomes 1; the other numbers stay."""
    numbers = np.asarray(labels)
    if numbers.dtype == np.bool_:
        return np.where(numbers, 2, SCRIBBLED_BACKGROUND).astype(np.uint8)
    return np.where(numbers == 0, numbers.dtype.type(SCRIBBLED_BACKGROUND), numbers)


def add_scribbles(viewer: ViewerModel, prediction: Labels, array: NDArray[np.generic], classes: Classes) -> Labels:
    """Add `array`, the scribbles made from `prediction`, as a layer to correct."""
    layer = Labels(array, name=f"{prediction.name} · annotation", **placement(prediction, "yx"))
    show_classes(layer, classes)
    viewer.add_layer(layer)
    prediction.visible = False  # the same shapes twice would hide what is corrected
    start_painting(viewer, layer, SCRIBBLED_BACKGROUND)
    return layer

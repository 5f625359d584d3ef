"""Layers to paint in: new ones, and predictions turned into ones for correcting."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from numpy.typing import NDArray

from napari_tessera.config.training import SCRIBBLED_BACKGROUND, Annotation
from napari_tessera.napari_plugin.journal.api import protect_layer
from napari_tessera.napari_plugin.layers.images import class_colormap, layer_image, placement
from napari_tessera.napari_plugin.layers.notes import change_notes, class_entries, layer_classes
from napari_tessera.pipeline.learning.annotation import BACKGROUND_COLOR

OUTLINE = 2
"""Width of the lines in which labels are shown that fill the image, in pixels."""

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
    protect_layer(layer, image, empty=True)
    start_painting(
        viewer, layer, 1
    )  # background in strokes, which is what is forgotten otherwise; else the first class
    return layer


def show_classes(layer: Labels, classes: Classes) -> None:
    """Give `layer` the colours of `classes` and note their names in it."""
    layer.colormap = class_colormap({number: color for number, (_, color) in classes.items()})
    change_notes(layer, {"classes": class_entries(classes)})


def start_painting(viewer: ViewerModel, layer: Labels, number: int) -> None:
    """Select `layer` and its brush, in a size that suits the image."""
    layer.n_edit_dimensions = 2
    layer.brush_size = max(2, min(20, round(math.sqrt(min(layer.data.shape[-2:])) / 4)))
    choose_class(viewer, layer, number)


def choose_class(viewer: ViewerModel, layer: Labels, number: int) -> None:
    """Select `layer`, a class and the brush; the brush stays as large as it is."""
    viewer.layers.selection.active = layer
    layer.selected_label = number
    if layer.editable:
        layer.mode = "paint"


@dataclass(frozen=True)
class Scribbles:
    """Scribbles made from class labels.

    Attributes
    ----------
    array
        Integers; background is 1.
    shift
        What was added to the numbers of the classes: 1 if there was a class 1, which is background in scribbles,
        otherwise 0.
    """

    array: NDArray[np.generic]
    shift: int


def scribbles_from(labels: NDArray[np.generic], numbers: Collection[int] = ()) -> Scribbles:
    """Return class labels as scribbles: background, 0 in predictions, becomes 1, and no class may be called so.

    Parameters
    ----------
    labels
        Integers of 0 and above, or bool; any shape.
    numbers
        Numbers of classes that are known to exist even if `labels` holds none of them.

    Returns
    -------
    Scribbles
        In the dtype of `labels`, or the next wider one if the numbers do not fit any more.
    """
    pixels = np.asarray(labels)
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8)
    if 1 not in numbers and not (pixels == 1).any():
        return Scribbles(np.where(pixels == 0, pixels.dtype.type(SCRIBBLED_BACKGROUND), pixels), 0)
    highest = max(int(pixels.max(initial=0)), *numbers, 0) + 1
    wide_enough = np.result_type(pixels.dtype, np.min_scalar_type(highest))
    return Scribbles(pixels.astype(wide_enough) + wide_enough.type(1), 1)


def scribbled_classes(classes: Classes, shift: int) -> dict[int, tuple[str, str]]:
    """Return name and colour by number in scribbles of what are `classes` in a prediction."""
    found = {number + shift: entry for number, entry in classes.items() if number}
    name, color = classes.get(0, ("background", BACKGROUND_COLOR))
    grey = len({color[at : at + 2] for at in (1, 3, 5)}) == 1  # of earlier models; it is not seen on a grey image
    return {SCRIBBLED_BACKGROUND: (name, BACKGROUND_COLOR if grey else color), **found}


def add_scribbles(viewer: ViewerModel, prediction: Labels, scribbles: Scribbles) -> Labels:
    """Add the scribbles made from `prediction` as a layer to correct."""
    layer = Labels(scribbles.array, name=f"{prediction.name} · annotation", **placement(prediction, "yx"))
    show_classes(layer, scribbled_classes(layer_classes(prediction), scribbles.shift))
    layer.contour = OUTLINE  # filled, it would cover all of the image that is to be looked at
    viewer.add_layer(layer)
    protect_layer(layer)
    prediction.visible = False  # the same shapes twice would hide what is corrected
    start_painting(viewer, layer, SCRIBBLED_BACKGROUND)
    return layer

"""Layers ▸ Metadata: scale, units and axis names of the file that napari has read a layer from without them."""

from pathlib import Path

import napari
from napari.layers import Image, Labels, Layer
from napari.utils.notifications import show_info, show_warning

from napari_tessera.core.errors import InvalidInputError, TesseraError
from napari_tessera.io.opening import notes_about, open_image
from napari_tessera.napari_plugin.layers.images import full_resolution, known_unit


def take_calibration() -> None:
    """Give the selected layers what their files say about their pixels, and say what that was."""
    viewer = napari.current_viewer()
    layers = list(viewer.layers.selection) if viewer is not None else []
    if not layers:
        show_warning("No layer is selected: select those that shall have the pixel size of their file.")
    for layer in layers:
        try:
            show_info(calibrate(layer))
        except TesseraError as error:
            show_warning(str(error))


def calibrate(layer: Layer) -> str:
    """Set scale, position, units and axis names of `layer` to those of its file; return a sentence that says them.

    Raises
    ------
    TesseraError
        If the layer was read from no file, the file cannot be read, or it holds another image than the layer.
    """
    path = layer.source.path
    if path is None or not isinstance(layer, Image | Labels):
        raise InvalidInputError(f"The layer {layer.name!r} was not opened from an image file: type its scale in.")
    source = open_image(Path(path))
    spec = source.spec
    shape = tuple(full_resolution(layer).shape)
    if spec.shape != shape:
        raise InvalidInputError(
            f"{path} holds an image of shape {spec.shape}, and the layer {layer.name!r} has {shape}: open the file "
            "with Tessera, or type the scale in."
        )
    shown = range(layer.ndim)
    layer.axis_labels = tuple(spec.axes[i] for i in shown)
    layer.units = tuple(known_unit(spec.units[i]) for i in shown)
    layer.scale = [spec.scale[i] for i in shown]
    layer.translate = [spec.translate[i] for i in shown]
    steps = ", ".join(f"{spec.axes[i]} {spec.scale[i]:g} {spec.units[i] or 'pixel'}" for i in shown)
    return " ".join([f"{layer.name}: {steps}, as its file says.", *notes_about(source)])

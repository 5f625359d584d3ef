"""From one object to the next: the camera and the sliders go there."""

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels
from numpy.typing import NDArray

from napari_tessera.napari_plugin.layers.view_tracker import camera_of
from napari_tessera.napari_plugin.painting.canvas import canvas_size

MARGIN = 1.6
"""How many times the object fits into the view."""


def show_box(viewer: ViewerModel, layer: Labels, box: tuple[slice, ...], within: NDArray[Any] | None = None) -> None:
    """Bring a box of `layer` into view: its slice, its middle, and zoom out if it does not fit.

    Parameters
    ----------
    within
        Mask in the shape of the box: the slices are those through its largest cut.
    """
    middle = [(part.start + part.stop - 1) / 2 for part in box]
    offset = viewer.dims.ndim - layer.ndim
    shown = [dim - offset for dim in viewer.dims.displayed if dim >= offset]
    for dim in range(layer.ndim):
        if dim not in shown and within is not None and within.any():
            cut = within.sum(axis=tuple(other for other in range(layer.ndim) if other != dim))
            middle[dim] = box[dim].start + int(cut.argmax())
    world = np.asarray(layer.data_to_world(np.asarray(middle)), float)
    for dim in range(layer.ndim):
        if dim not in shown:
            viewer.dims.set_point(dim + offset, float(world[dim]))
    camera = camera_of(viewer)
    camera.center = tuple(world[dim] for dim in shown)
    corners = [
        np.asarray(layer.data_to_world([getattr(part, end) for part in box]), float) for end in ("start", "stop")
    ]
    extent = max(abs(corners[1][dim] - corners[0][dim]) for dim in shown)
    size = min(canvas_size(viewer) or (400,))
    most = size / (MARGIN * extent) if extent else camera.zoom
    camera.zoom = min(camera.zoom, most)

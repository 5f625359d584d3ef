"""Which part of which image is on screen."""

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_tessera.napari_plugin.layers.images import full_resolution

Spans = tuple[tuple[int, int], ...]
"""A region as it goes to the worker in JSON: start and stop per dimension."""

DEBOUNCE_MS = 150


class ViewTracker(QObject):
    """Follows camera and sliders and tells, a moment after they have come to rest, what is in view.

    Signals
    -------
    view_changed(int, object)
        Index of an image among `watch`'s, and ``(start, stop)`` per dimension of its labels, or None.
    """

    view_changed = Signal(int, object)

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._images: list[tuple[Layer, str]] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DEBOUNCE_MS)
        self._timer.timeout.connect(self.report)
        for event in self._events():
            event.connect(self._moved)

    def watch(self, images: list[tuple[Layer, str]]) -> None:
        """Look at these layers with their axes; the first that is in view is reported."""
        self._images = images
        self._timer.start()

    def disconnect_viewer(self) -> None:
        """Stop following; may be called when Qt has deleted the tracker already."""
        self._images = []
        for event in self._events():
            event.disconnect(self._moved)

    def report(self) -> None:
        """Tell what is in view now."""
        for index, (layer, axes) in enumerate(self._images):
            region = visible_region(self._viewer, layer, axes)
            if region is not None:
                self.view_changed.emit(index, region)
                return
        if self._images:
            self.view_changed.emit(0, None)

    def _events(self) -> tuple[Any, ...]:
        camera, dims = camera_of(self._viewer).events, self._viewer.dims.events
        return camera.center, camera.zoom, dims.point, dims.order, dims.ndisplay

    def _moved(self, _event: object = None) -> None:
        if self._images:
            self._timer.start()


def camera_of(viewer: ViewerModel) -> Any:
    """Return the camera of `viewer`, which napari 0.9 has moved into ``viewer.scene``."""
    return getattr(viewer, "scene", viewer).camera


def visible_region(viewer: ViewerModel, layer: Layer, axes: str) -> Spans | None:
    """Return the part of `layer`, an image with `axes`, that is on screen, in pixels of its labels.

    None if the layer is hidden, out of view, gone, or shown in 3D or from the side.
    """
    if layer not in viewer.layers or not layer.visible or viewer.dims.ndisplay != 2:
        return None
    own = axes[: layer.ndim]  # without the colours of an RGB layer
    offset = viewer.dims.ndim - layer.ndim
    displayed = {index - offset for index in viewer.dims.displayed}
    if displayed != {own.index("y"), own.index("x")}:
        return None
    shape = full_resolution(layer).shape
    corners = np.asarray(layer.corner_pixels, float)
    if getattr(layer, "multiscale", False):
        corners = corners * layer.downsample_factors[layer.data_level]
    here = layer.world_to_data(viewer.dims.point)
    region = []
    for index, axis in enumerate(own):
        if axis == "c":
            continue
        if index in displayed:
            start, stop = int(np.floor(corners[0, index])), int(np.ceil(corners[1, index])) + 1
        else:
            start = round(float(here[index]))
            stop = start + 1
        start, stop = max(start, 0), min(stop, shape[index])
        if start >= stop:
            return None
        region.append((start, stop))
    return tuple(region)

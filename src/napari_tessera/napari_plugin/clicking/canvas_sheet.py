"""A transparent widget on the canvas that Qt paints in, and how a layer lies under it.

Qt does not paint it again when OpenGL has drawn the canvas anew: whoever paints in it follows what moves the layer.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QPainter, QPaintEvent
from qtpy.QtWidgets import QWidget

from napari_tessera.napari_plugin.layers.view_tracker import camera_of
from napari_tessera.napari_plugin.painting.napari_private import texture_scale


class Sheet(QWidget):
    """A transparent widget as large as the canvas, which the mouse does not notice.

    Signals
    -------
    painted()
        All is painted as it is to be seen now.
    """

    painted = Signal()

    def __init__(self, canvas: QWidget, paint: Callable[[QPainter], None]) -> None:
        super().__init__(canvas)
        self._paint = paint
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setGeometry(canvas.rect())
        canvas.installEventFilter(self)
        self.show()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: D102, N802  Qt's name
        if event is not None and event.type() == QEvent.Type.Resize and isinstance(watched, QWidget):
            self.setGeometry(watched.rect())
        return False

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: D102, N802  Qt's name
        painter = QPainter(self)
        self._paint(painter)
        painter.end()
        self.painted.emit()


def moving_events(viewer: ViewerModel, layer: Labels) -> tuple[Any, ...]:
    """Return the events that tell that a layer has moved on the screen, or is not seen any more."""
    camera, dims, events = camera_of(viewer).events, viewer.dims.events, layer.events
    place = events.scale, events.translate, events.rotate, events.shear, events.affine, events.units, events.visible
    removed = viewer.layers.events.removed
    return *place, removed, camera.center, camera.zoom, camera.angles, dims.point, dims.order, dims.ndisplay


def displayed_dims(viewer: ViewerModel, layer: Labels) -> list[int]:
    """Return the dimensions of the layer that are on screen, the vertical one first."""
    offset = viewer.dims.ndim - layer.ndim
    return [axis - offset for axis in viewer.dims.displayed if axis >= offset]


def slice_shown(viewer: ViewerModel, layer: Labels) -> dict[int, int]:
    """Return the index that is shown of each dimension of the layer that is not on screen."""
    displayed = displayed_dims(viewer, layer)
    here = layer.world_to_data(viewer.dims.point[-layer.ndim :])
    return {axis: round(float(here[axis])) for axis in range(layer.ndim) if axis not in displayed}


def flat_matrix(canvas: Any, layer: Labels, displayed: list[int]) -> NDArray[np.float64]:
    """Return a matrix (2, 3) from (x, y, 1), in pixels of ``layer.data`` with corners at whole numbers, to the screen.

    Parameters
    ----------
    displayed
        The two dimensions on screen, the vertical one first; `layer` is drawn in the canvas.
    """
    transform = canvas.layer_to_visual[layer].node.get_transform(map_from="visual", map_to="canvas")
    far = 1024.0
    mapped = np.asarray(transform.map(np.array([[0, 0, 0, 1], [far, 0, 0, 1], [0, far, 0, 1]], float)), float)
    points = mapped[:, :2] / mapped[:, 3:]  # vispy's transform is affine in 2D
    matrix = np.column_stack([(points[1] - points[0]) / far, (points[2] - points[0]) / far, points[0]])
    thinned = texture_scale(layer)  # of huge labels the texture is thinned
    y, x = displayed
    return np.asarray(matrix @ np.diag([1 / thinned[x], 1 / thinned[y], 1.0]))

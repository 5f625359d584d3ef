"""Padlocks on the canvas, where objects were locked: painted over it, and nothing in the labels."""

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPainterPath, QPen

from napari_tessera.napari_plugin.clicking.canvas_sheet import (
    Sheet,
    displayed_dims,
    flat_matrix,
    moving_events,
    slice_shown,
)
from napari_tessera.napari_plugin.clicking.outline_image import INNER, OUTER
from napari_tessera.napari_plugin.layers.locking import locked_places
from napari_tessera.napari_plugin.layers.notes import notes_of
from napari_tessera.napari_plugin.painting.canvas import canvas_of

MOST_DRAWN = 500
"""More padlocks than that would hide the image."""
SIZE = 13.0
"""Screen pixels from side to side."""

_CHANGES = ("data", "set_data", "paint", "labels_update")
"""Events of a layer that tell that its pixels may have changed."""


class LockMarks:
    """Marks the locked objects of one layer at a time, in the slice on screen; follows camera, sliders and layer.

    A mark is seen as long as the pixel at which the object was locked is still of that object. In the 3D view there is
    none, nor where napari's canvas is not to be had.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._canvas = canvas_of(viewer)
        self._layer: Labels | None = None
        self._known: tuple[Any, NDArray[np.object_], NDArray[np.int64]] | None = None
        self.widget: Sheet | None = None
        """What they are painted in; None as long as there are none."""

    def show(self, layer: Labels | None) -> None:
        """Mark what is locked in `layer`, now that it is chosen or its locks have changed."""
        if layer is not None and (self._canvas is None or layer not in self._viewer.layers or not locked_places(layer)):
            layer = None
        if layer is not self._layer:
            self._leave()
            self._layer = layer
            for event in self._events():
                event.connect(self._moved)
        if layer is None:
            self._drop_sheet()
        elif self.widget is None:
            self.widget = Sheet(self._canvas.native, self._paint)
        else:
            self.widget.update()

    def close(self) -> None:
        """Take all marks away and let go of the layer."""
        self._leave()
        self._drop_sheet()

    def places(self) -> NDArray[np.float64]:
        """Return where padlocks are now, as pixels of the canvas, shape (n, 2) with x first."""
        layer, nothing = self._layer, np.zeros((0, 2))
        if layer is None or layer not in self._canvas.layer_to_visual or self._viewer.dims.ndisplay != 2:
            return nothing
        displayed = displayed_dims(self._viewer, layer)
        if not layer.visible or len(displayed) != 2:
            return nothing
        labels, places = self._locked(layer)
        seen = ((places >= 0) & (places < layer.data.shape)).all(axis=1)
        for axis, at in slice_shown(self._viewer, layer).items():
            seen &= places[:, axis] == at
        y, x = displayed
        labels, places = labels[seen], places[seen]
        corners = np.column_stack([places[:, x] + 0.5, places[:, y] + 0.5, np.ones(len(places))])
        points = corners @ flat_matrix(self._canvas, layer, displayed).T
        width, height = self._canvas.native.width(), self._canvas.native.height()
        near = ((points > -SIZE) & (points < np.array([width, height]) + SIZE)).all(axis=1)
        labels, places, points = labels[near][:MOST_DRAWN], places[near][:MOST_DRAWN], points[near][:MOST_DRAWN]
        now = [int(np.asarray(layer.data[tuple(place)])) for place in places]  # few, whatever the size of the labels
        still = [one == label for one, label in zip(now, labels, strict=True)]
        return np.asarray(points[np.array(still, bool)])

    def _locked(self, layer: Labels) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
        """Return the labels and their places; taken anew from the layer once that notes others."""
        fields = notes_of(layer).fields
        if self._known is None or self._known[0] is not fields:
            places = locked_places(layer)
            labels = np.array(list(places), object)  # of unsigned 64 bits, too
            self._known = fields, labels, np.array(list(places.values()), np.int64).reshape(-1, layer.ndim)
        return self._known[1:]

    def _events(self) -> list[Any]:
        layer = self._layer
        if layer is None:
            return []
        return [*moving_events(self._viewer, layer), *(getattr(layer.events, name) for name in _CHANGES)]

    def _moved(self, _event: object = None) -> None:
        if self._layer is not None and self._layer not in self._viewer.layers:
            self.close()
        elif self.widget is not None:
            self.widget.update()

    def _leave(self) -> None:
        for event in self._events():
            event.disconnect(self._moved)
        self._layer = self._known = None

    def _drop_sheet(self) -> None:
        if self.widget is not None:
            self.widget.close()
            self.widget.deleteLater()
            self.widget = None

    def _paint(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for x, y in self.places():
            _draw_padlock(painter, QPointF(float(x), float(y)))


def _draw_padlock(painter: QPainter, middle: QPointF) -> None:
    body = QRectF(middle.x() - 0.4 * SIZE, middle.y() - 0.05 * SIZE, 0.8 * SIZE, 0.55 * SIZE)
    bow = QPainterPath()
    round_top = QRectF(middle.x() - 0.25 * SIZE, middle.y() - 0.5 * SIZE, 0.5 * SIZE, 0.5 * SIZE)
    bow.moveTo(round_top.left(), body.top())
    bow.lineTo(round_top.left(), round_top.center().y())
    bow.arcTo(round_top, 180, -180)
    bow.lineTo(round_top.right(), body.top())
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for color, thickness in ((OUTER, 4.0), (INNER, 2.0)):
        painter.setPen(QPen(QColor(color), thickness))
        painter.drawPath(bow)
    painter.setPen(QPen(QColor(OUTER), 1.0))
    painter.setBrush(QColor(INNER))
    painter.drawRoundedRect(body, 1.5, 1.5)

"""The outline of a region drawn over the canvas while a person decides about it.

It is painted by Qt into a transparent widget on the canvas rather than by OpenGL into the scene: an outline that
follows the mouse then costs no drawing of the images below, which takes most of a frame where OpenGL runs in software.
napari's canvas is private; where it is not to be had, as in a viewer without a window, an ordinary layer shows the
outline.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray
from qtpy.QtCore import QPointF
from qtpy.QtGui import QColor, QImage, QPainter, QPen

from napari_tessera.napari_plugin.clicking.canvas_sheet import (
    Sheet,
    displayed_dims,
    flat_matrix,
    moving_events,
    slice_shown,
)
from napari_tessera.napari_plugin.clicking.outline_image import INNER, OUTER, Picture, outline_picture
from napari_tessera.napari_plugin.layers.images import displaced
from napari_tessera.napari_plugin.layers.notes import noted
from napari_tessera.napari_plugin.painting.canvas import canvas_of

NAME = "outline"


class Outline:
    """Shows one region of a layer at a time; follows the camera, the sliders and the place of the layer."""

    def __init__(self, viewer: ViewerModel, layer: Labels) -> None:
        self._shown: _OnCanvas | _AsLayer = _AsLayer(viewer, layer)
        canvas = canvas_of(viewer)
        if canvas is not None and layer in canvas.layer_to_visual:
            self._shown = _OnCanvas(canvas, viewer, layer)

    def show(self, origin: Sequence[int], mask: NDArray[np.bool_]) -> None:
        """Show the outline of a mask whose first pixel is at `origin` of ``layer.data``; both have its dimensions.

        In a slice the outline of what is in that slice is seen; in 3D the edges of the mask's box. The mask must not be
        changed afterwards.
        """
        self._shown.show(tuple(int(start) for start in origin), mask)

    def hide(self) -> None:
        """Show nothing."""
        self._shown.hide()

    def close(self) -> None:
        """Take away what has been added to the viewer; the outline cannot be shown again."""
        self._shown.close()

    @property
    def widget(self) -> Sheet | None:
        """The widget that the outline is painted in, on the canvas; None where a layer shows it.

        Its signal ``painted`` tells when it has been painted.
        """
        return self._shown.widget if isinstance(self._shown, _OnCanvas) else None


class _OnCanvas:
    """The outline in a transparent widget that lies on the canvas.

    Qt does not paint it again when OpenGL has drawn the canvas anew: it follows what moves the layer on the screen.
    """

    def __init__(self, canvas: Any, viewer: ViewerModel, layer: Labels) -> None:
        self._canvas, self._viewer, self._layer = canvas, viewer, layer
        self._origin: tuple[int, ...] = ()
        self._mask: NDArray[np.bool_] | None = None
        self._plane: tuple[Any, NDArray[np.bool_]] = (None, np.zeros((0, 0), bool))
        self._picture: tuple[Any, Picture | None] = (None, None)
        self._turn = 0
        self.widget = Sheet(canvas.native, self.paint)
        for event in moving_events(self._viewer, self._layer):
            event.connect(self._moved)

    def show(self, origin: tuple[int, ...], mask: NDArray[np.bool_]) -> None:
        self._origin, self._mask = origin, mask
        self._turn += 1
        self.widget.update()

    def hide(self) -> None:
        if self._mask is not None:
            self._mask = None
            self._turn += 1
            self.widget.update()

    def close(self) -> None:
        for event in moving_events(self._viewer, self._layer):
            event.disconnect(self._moved)
        self._mask = None
        self.widget.close()
        self.widget.deleteLater()

    def _moved(self, _event: object = None) -> None:
        if self._mask is not None:
            self.widget.update()

    def paint(self, painter: QPainter) -> None:
        """Draw what is to be seen now."""
        layer = self._layer
        visual = self._canvas.layer_to_visual.get(layer)
        if self._mask is None or visual is None or not layer.visible:
            return
        displayed, elsewhere = displayed_dims(self._viewer, layer), slice_shown(self._viewer, layer)
        if any(not 0 <= at - self._origin[axis] < self._mask.shape[axis] for axis, at in elsewhere.items()):
            return
        if self._viewer.dims.ndisplay == 3:
            to_canvas = visual.node.get_transform(map_from="visual", map_to="canvas")
            self._paint_box(painter, to_canvas, displayed)
        elif len(displayed) == 2:
            self._paint_plane(painter, displayed, elsewhere)

    def _paint_plane(self, painter: QPainter, displayed: list[int], elsewhere: dict[int, int]) -> None:
        y, x = displayed
        shown = (self._turn, y, x, *elsewhere.items())
        if self._plane[0] != shown:
            assert self._mask is not None
            parts = (
                (elsewhere[axis] - start if axis in elsewhere else slice(None))
                for axis, start in enumerate(self._origin)
            )
            plane = self._mask[tuple(parts)]
            self._plane = shown, plane if y < x else plane.T
        move = np.eye(3)
        move[:2, 2] = self._origin[x], self._origin[y]
        matrix = np.asarray(flat_matrix(self._canvas, self._layer, displayed) @ move)
        size = self.widget.height(), self.widget.width()
        key = (shown, matrix.tobytes(), size)
        if self._picture[0] != key:
            self._picture = key, outline_picture(self._plane[1], matrix, size)
        picture = self._picture[1]
        if picture is not None:
            height, width = picture.pixels.shape
            pixels: Any = picture.pixels.data
            image = QImage(pixels, width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied)
            painter.drawImage(picture.left, picture.top, image)

    def _paint_box(self, painter: QPainter, to_canvas: Any, displayed: list[int]) -> None:
        """Draw the edges of the box that holds the mask."""
        assert self._mask is not None
        ends = [(self._origin[axis] - 0.5, self._origin[axis] + self._mask.shape[axis] - 0.5) for axis in displayed]
        ends = [(0.0, 0.0)] * (3 - len(ends)) + ends
        corners = np.array([[x, y, z, 1] for z in ends[0] for y in ends[1] for x in ends[2]], float)
        mapped = np.asarray(to_canvas.map(corners))
        points = [QPointF(*(corner[:2] / corner[3])) for corner in mapped]
        edges = [(at, at | bit) for at in range(8) for bit in (1, 2, 4) if not at & bit]
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for color, thickness in ((OUTER, 3.0), (INNER, 1.5)):
            painter.setPen(QPen(QColor(color), thickness))
            for start, stop in edges:
                painter.drawLine(points[start], points[stop])


class _AsLayer:
    """The outline as an ordinary layer, for viewers without a canvas that is known."""

    def __init__(self, viewer: ViewerModel, layer: Labels) -> None:
        self._viewer, self._layer = viewer, layer
        self._shown: Labels | None = None

    def show(self, origin: tuple[int, ...], mask: NDArray[np.bool_]) -> None:
        source = self._layer
        named = ("scale", "translate", "rotate", "shear")
        place = displaced({name: getattr(source, name) for name in named}, origin)
        if self._shown is None or self._shown not in self._viewer.layers:
            self._add(mask, place)
            return
        self._shown.data = mask.view(np.uint8)
        self._shown.translate = place["translate"]
        self._shown.visible = True

    def hide(self) -> None:
        if self._shown is not None:
            self._shown.visible = False

    def close(self) -> None:
        if self._shown is not None and self._shown in self._viewer.layers:
            self._viewer.layers.remove(self._shown)
        self._shown = None

    def _add(self, mask: NDArray[np.bool_], place: dict[str, Any]) -> None:
        colors = DirectLabelColormap(color_dict={0: "transparent", 1: "#ffe000", None: "#ffe000"})
        self._shown = Labels(
            mask.view(np.uint8),
            name=NAME,
            colormap=colors,
            opacity=1,
            affine=self._layer.affine,
            units=self._layer.units,
            metadata=noted({"role": "outline"}),
            **place,
        )
        self._shown.contour = 1
        layers = self._viewer.layers
        selected, active = set(layers.selection), layers.selection.active
        layers.append(self._shown)
        self._shown.editable = False
        layers.selection = selected  # the person goes on in the layer they were in
        layers.selection.active = active

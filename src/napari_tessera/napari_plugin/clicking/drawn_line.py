"""The line that a person draws over objects, while they draw it."""

from typing import Any

from napari.components import ViewerModel
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QWidget

from napari_tessera.napari_plugin.painting.canvas import canvas_of

OUTER, INNER = "#000000", "#ffe000"


class DrawnLine:
    """Shows a line on the canvas of a viewer; without a window it does nothing."""

    def __init__(self, viewer: ViewerModel) -> None:
        canvas = canvas_of(viewer)
        self._sheet = None if canvas is None else _LineSheet(canvas.native)

    def show(self, points: list[tuple[float, float]]) -> None:
        """Show a line through points of the canvas, x first."""
        if self._sheet is not None:
            self._sheet.points = points
            self._sheet.update()

    def hide(self) -> None:
        """Show nothing."""
        self.show([])

    def close(self) -> None:
        """Take it from the canvas."""
        if self._sheet is not None:
            self._sheet.close()
            self._sheet.deleteLater()
            self._sheet = None


class _LineSheet(QWidget):
    """Transparent, as large as the canvas, and nothing to the mouse."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self.points: list[tuple[float, float]] = []
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setGeometry(canvas.rect())
        canvas.installEventFilter(self)
        self.show()

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802  Qt's name
        if event.type() == QEvent.Type.Resize and watched is self.parent():
            self.setGeometry(self._canvas.rect())
        return False

    def paintEvent(self, event: Any) -> None:  # noqa: ARG002, N802  Qt's name
        if len(self.points) < 2:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = QPolygonF([QPointF(*point) for point in self.points])
        for color, thickness in ((OUTER, 4.0), (INNER, 2.0)):
            painter.setPen(QPen(QColor(color), thickness))
            painter.drawPolyline(line)
        painter.end()

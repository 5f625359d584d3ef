"""A histogram with thresholds in it, which can be dragged where they are parameters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPainterPath, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_tessera.napari_plugin.filtering.histogram_data import HistogramData

HEIGHT = 132
LINE_COLOR = "#ffb000"
WAITING = "Histogram of the plane or volume"
"""Stands where the histogram will be."""
_MARGIN = 10
_BELOW = 18
"""Room for the numbers below the axis."""
_ABOVE = 18
"""Room for the numbers of the lines."""
_REACH = 7
"""How near to a line the mouse must be, in pixels."""


@dataclass(frozen=True)
class Line:
    """A threshold: its grey level, and the parameter that dragging it sets (empty for one that was found)."""

    value: float
    parameter: str = ""


class HistogramView(QWidget):
    """Shows counts on a square-root scale, so that few bright pixels are seen beside many dark ones.

    Signals
    -------
    dragged(str, float)
        The person has moved the line of a parameter to a grey level.
    """

    dragged = Signal(str, float)

    def __init__(self) -> None:
        super().__init__()
        self._data: HistogramData | None = None
        self._lines: tuple[Line, ...] = ()
        self._held: int | None = None
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("")

    def sizeHint(self) -> QSize:  # noqa: N802  Qt calls these by their names
        """Return a height that leaves room for the form."""
        return QSize(240, HEIGHT)

    minimumSizeHint = sizeHint  # noqa: N815

    @property
    def lines(self) -> tuple[Line, ...]:
        """The thresholds that are drawn."""
        return self._lines

    @property
    def data(self) -> HistogramData | None:
        """What is drawn."""
        return self._data

    def show_data(self, data: HistogramData | None) -> None:
        """Draw `data`; None for nothing."""
        self._data = data
        self.update()

    def show_lines(self, lines: Sequence[Line]) -> None:
        """Draw `lines`."""
        if tuple(lines) != self._lines:
            self._lines = tuple(lines)
            if self._held is not None and self._held >= len(self._lines):
                self._held = None
            self.update()

    def position(self, value: float) -> float:
        """Return where a grey level lies, in pixels from the left of the widget; levels out of range at the ends."""
        low, high = self._range()
        share = (value - low) / (high - low)
        return _MARGIN + min(max(share, 0.0), 1.0) * (self.width() - 2 * _MARGIN)

    def value_at(self, x: float) -> float:
        """Return the grey level at a position, rounded to what can be told apart."""
        low, high = self._range()
        span = max(1, self.width() - 2 * _MARGIN)
        value = low + min(max((x - _MARGIN) / span, 0.0), 1.0) * (high - low)
        if self._data is not None and self._data.integer:
            return float(round(min(max(value, math.ceil(low)), math.floor(high))))
        return round(value, self._digits)

    @property
    def gap(self) -> float:
        """The least distance of two grey levels that can be told apart."""
        if self._data is None or self._data.integer:
            return 1.0
        return float(10.0**-self._digits)

    @property
    def _digits(self) -> int:
        low, high = self._range()
        return max(0, 3 - math.floor(math.log10(high - low)))

    def _range(self) -> tuple[float, float]:
        if self._data is None:
            return 0.0, 1.0
        return self._data.low, self._data.high

    def paintEvent(self, _event: Any) -> None:  # noqa: N802
        """Draw bars, axis and lines."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().windowText().color()
        area = QRectF(_MARGIN, _ABOVE, self.width() - 2 * _MARGIN, self.height() - _ABOVE - _BELOW)
        faint = QColor(text)
        faint.setAlpha(40)
        painter.fillRect(area, QColor(text.red(), text.green(), text.blue(), 12))
        if self._data is None:
            painter.setPen(QColor(text.red(), text.green(), text.blue(), 150))
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, WAITING)
            painter.end()
            return
        bars = QColor(text)
        bars.setAlpha(130)
        painter.fillPath(self._outline(area), bars)
        painter.setPen(QPen(faint, 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        self._write_ends(painter, area, text)
        self._draw_lines(painter, area)
        painter.end()

    def _outline(self, area: QRectF) -> QPainterPath:
        assert self._data is not None
        heights = np.sqrt(self._data.counts.astype(float))
        heights /= max(float(heights.max()), 1.0)
        width = area.width() * self._data.width / (self._data.high - self._data.low)
        path = QPainterPath(area.bottomLeft())
        for index, height in enumerate(heights):
            y = area.bottom() - float(height) * area.height()
            path.lineTo(QPointF(area.left() + index * width, y))
            path.lineTo(QPointF(min(area.left() + (index + 1) * width, area.right()), y))
        path.lineTo(area.bottomRight())
        path.closeSubpath()
        return path

    def _write_ends(self, painter: QPainter, area: QRectF, color: QColor) -> None:
        assert self._data is not None
        faded = QColor(color)
        faded.setAlpha(170)
        painter.setPen(faded)
        row = QRectF(area.left(), area.bottom() + 2, area.width(), _BELOW - 2)
        low, high = (math.ceil(self._data.low), math.floor(self._data.high)) if self._data.integer else self._range()
        painter.drawText(row, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop, number_text(low))
        painter.drawText(row, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop, number_text(high))
        if self._data.step > 1:
            painter.drawText(
                row,
                Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop,
                f"1 pixel in {self._data.step} along each axis",
            )

    def _draw_lines(self, painter: QPainter, area: QRectF) -> None:
        color = QColor(LINE_COLOR)
        end = -math.inf
        for index, line in enumerate(sorted(self._lines, key=lambda line: line.value)):
            x = self.position(line.value)
            painter.setPen(QPen(color, 2 if line.parameter else 1.5))
            painter.drawLine(QPointF(x, area.top() - 2), QPointF(x, area.bottom()))
            if line.parameter:
                painter.setBrush(color)
                painter.drawEllipse(QPointF(x, area.bottom()), 4, 4)
            text = number_text(line.value)
            width = painter.fontMetrics().horizontalAdvance(text)
            left = min(max(x - width / 2, 0), self.width() - width)
            if left > end + 4 or index == 0:  # numbers that would cover each other are left out
                painter.drawText(QPointF(left, area.top() - 5), text)
                end = left + width

    def _line_at(self, x: float) -> int | None:
        """Return which line can be taken hold of at `x`; of lines on one spot, the one that can go to that side."""
        away = {index: abs(self.position(line.value) - x) for index, line in enumerate(self._lines) if line.parameter}
        nearest = min(away.values(), default=math.inf)
        if nearest > _REACH:
            return None
        near = [index for index, distance in away.items() if distance < nearest + 1]
        return near[-1] if x >= self.position(self._lines[near[0]].value) else near[0]

    def mousePressEvent(self, event: Any) -> None:  # noqa: N802
        """Take hold of a line; of the only one from anywhere."""
        if self._data is None or event.button() != Qt.MouseButton.LeftButton:
            return
        x = event.position().x()
        movable = [index for index, line in enumerate(self._lines) if line.parameter]
        self._held = self._line_at(x)
        if self._held is None and movable:
            self._held = min(movable, key=lambda index: abs(self.position(self._lines[index].value) - x))
            self._drag(x)

    def mouseMoveEvent(self, event: Any) -> None:  # noqa: N802
        """Move the line that is held, and show what can be held."""
        x = event.position().x()
        if self._held is not None:
            self._drag(x)
            return
        over = self._line_at(x) is not None
        self.setCursor(Qt.CursorShape.SplitHCursor if over else Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, _event: Any) -> None:  # noqa: N802
        """Let go."""
        self._held = None

    def event(self, event: Any) -> bool:
        """Say what lies under the mouse."""
        if event.type() == QEvent.Type.ToolTip and self._data is not None:
            movable = any(line.parameter for line in self._lines)
            text = f"Grey level {number_text(self.value_at(event.pos().x()))}."
            text += " Drag a line to change the threshold." if movable else " The lines are the thresholds found."
            QToolTip.showText(event.globalPos(), f"{text} Heights are on a square-root scale.", self)
            return True
        return bool(super().event(event))

    def _drag(self, x: float) -> None:
        if self._held is None:
            return
        line, value = self._lines[self._held], self.value_at(x)
        if value == line.value:
            return
        lines = list(self._lines)
        lines[self._held] = Line(value, line.parameter)
        self.show_lines(lines)
        self.dragged.emit(line.parameter, value)


def number_text(value: float) -> str:
    """Return a grey level with as many digits as a person reads: ``128``, ``0.4375``, ``1.2e+06``."""
    if value == round(value) and abs(value) < 1e6:
        return str(round(value))
    return f"{value:.4g}"

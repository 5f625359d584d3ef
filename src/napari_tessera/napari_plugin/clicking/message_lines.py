"""Two short texts that change with the mouse: what the next click does, and what the last one has done."""

import time

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QGraphicsOpacityEffect, QLabel, QVBoxLayout, QWidget

from napari_tessera.napari_plugin.forms.plain_text import PlainLabel
from napari_tessera.napari_plugin.jobs.job_panel import ERROR_COLOR

DELAY_MS = 40
"""Texts wait so long for newer ones: first comes the outline, and laying out text takes as long as drawing one."""
LONGEST_SECONDS = 0.25
"""While newer ones keep coming, as in a drag, there is a new text after this time at the latest."""
_LINES = (4, 3)
"""Height of the two, in lines of text: they keep it, so that nothing below them jumps."""


def faint(label: QLabel) -> QGraphicsOpacityEffect:
    """Return what makes a label stand back behind others, and leaves it readable, in any theme."""
    effect = QGraphicsOpacityEffect(label)
    effect.setOpacity(0.7)
    return effect


class MessageLines(QWidget):
    """Shows the latest texts, a moment after they were set.

    Signals
    -------
    shown(str)
        What the next click does, now that it is shown.
    """

    shown = Signal(str)

    def __init__(self, line: str) -> None:
        super().__init__()
        self.line, self.news = PlainLabel(line), PlainLabel()
        self._wrong = self._shown_wrong = False
        self._texts = [line, ""]
        self._since = 0.0
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for label, lines in zip((self.line, self.news), _LINES, strict=True):
            label.setWordWrap(True)
            label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
            label.setFixedHeight(lines * label.fontMetrics().lineSpacing() + 2)
            layout.addWidget(label)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self._timer.timeout.connect(self._show)

    def say(self, text: str) -> None:
        """Show what the next click does."""
        self._texts[0] = text
        self._soon()

    def tell(self, text: str, *, wrong: bool = False) -> None:
        """Show what the last click has done, or why it did nothing."""
        self._texts[1], self._wrong = text, wrong
        self._soon()

    def _soon(self) -> None:
        now = time.monotonic()
        if not self._timer.isActive():
            self._since = now
        if not self._timer.isActive() or now - self._since < LONGEST_SECONDS:
            self._timer.start()

    def _show(self) -> None:
        line, news = self._texts
        line = "" if line == news else line  # a refusal, which the next click would meet as well: once is enough
        if line != self.line.text():
            self.line.setText(line)
            self.line.setToolTip(line)
            self.shown.emit(line)
        if news != self.news.text():
            self.news.setText(news)
            self.news.setToolTip(news)
        if self._wrong != self._shown_wrong:
            self._shown_wrong = self._wrong
            self.news.setStyleSheet(f"color: {ERROR_COLOR};" if self._wrong else "")

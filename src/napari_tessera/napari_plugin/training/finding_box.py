"""What is painted, in a line, and what may be done about it where that looks like something else than was meant."""

from collections.abc import Mapping

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_tessera.config.training import Annotation
from napari_tessera.napari_plugin.forms.plain_text import PlainLabel
from napari_tessera.pipeline.learning.painted import Doubt, Remedy, describe_counts

_TOOLTIPS = {
    Remedy.OBJECTS: "Every number but 0 is one object: learn what objects look like.",
    Remedy.MASKS: "Every pixel counts: 0 is background, every other number a class.",
    Remedy.STROKES: "1 is background, 2 and up are classes, and what is 0 is not learnt from.",
    Remedy.PAINT: "Take 1, background, and the brush.",
    Remedy.CLASS: "Take 2, what you look for, and the brush.",
}


class FindingBox(QWidget):
    """Shows what was found, a doubt, and buttons for its remedy and for training all the same.

    Signals
    -------
    remedy_wanted(object)
        The person takes this `Remedy`.
    sure()
        The person wants to train on what there is.
    doubt_gone(str)
        The sentence of a doubt that is none any more.
    """

    remedy_wanted = Signal(object)
    doubt_gone = Signal(str)
    sure = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.line = PlainLabel()
        self.line.setWordWrap(True)
        self.doubt_line = PlainLabel()
        self.doubt_line.setWordWrap(True)
        self.doubt_line.setStyleSheet("font-weight: bold;")
        self.remedy_button = QPushButton("Remedy")
        self.remedy_button.setToolTip("What is proposed.")
        self.remedy_button.clicked.connect(self._take_remedy)
        self.sure_button = QPushButton("Train all the same")
        self.sure_button.setToolTip("What is painted is meant so: learn from all of it.")
        self.sure_button.clicked.connect(self.sure)
        buttons = QHBoxLayout()
        buttons.addWidget(self.remedy_button)
        buttons.addWidget(self.sure_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.line)
        layout.addWidget(self.doubt_line)
        layout.addLayout(buttons)
        self._doubt: Doubt | None = None
        self._found = self._remark = ""
        self.show_doubt(None)

    @property
    def doubt(self) -> Doubt | None:
        """What is doubted."""
        return self._doubt

    def show_found(self, counts: Mapping[int, int] | None, annotation: Annotation, remark: str = "") -> None:
        """Show what is painted; None for what is not known yet."""
        found = "" if counts is None else describe_counts(counts, annotation)
        self._found, self._remark = found, remark
        self._show_line()

    def show_doubt(self, doubt: Doubt | None) -> None:
        """Show a doubt and its remedy; None takes them away."""
        before, self._doubt = self._doubt, doubt
        if before is not None and before != doubt:
            self.doubt_gone.emit(before.sentence)
        self.doubt_line.setText(doubt.sentence if doubt is not None else "")
        self.doubt_line.setVisible(doubt is not None)
        self._show_line()
        remedy = doubt.remedy if doubt is not None else None
        self.remedy_button.setVisible(remedy is not None)
        if remedy is not None:
            self.remedy_button.setText(remedy.value)
            self.remedy_button.setToolTip(_TOOLTIPS[remedy])
        alone = remedy in {Remedy.MASKS, Remedy.CLASS}  # one class teaches nothing
        self.sure_button.setVisible(doubt is not None and not alone)

    def _show_line(self) -> None:
        found = self._found if self._doubt is None else ""  # a doubt says itself what was found
        self.line.setText("\n".join(filter(None, (found, self._remark))))
        self.line.setVisible(bool(self.line.text()))

    def _take_remedy(self) -> None:
        if self._doubt is not None and self._doubt.remedy is not None:
            self.remedy_wanted.emit(self._doubt.remedy)

"""The classes of an annotation: number, colour, name, and how much of each is painted."""

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog, QGridLayout, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_tessera.config.training import Annotation
from napari_tessera.napari_plugin.forms.plain_text import PlainLabel, set_tooltip
from napari_tessera.napari_plugin.shown_text import LONGEST_NAME, shown_name
from napari_tessera.napari_plugin.training.usual_classes import default_classes
from napari_tessera.pipeline.learning.annotation import CLASS_COLORS

MOST_CLASSES = 8
_KEYS = "in the annotation, the keys - and = take the class before and the next"


class ClassTable(QWidget):
    """One row per class, in which its colour and name can be changed; a click on a row chooses its class.

    Numbers that are painted without being classes have rows of their own, so that nothing is learnt that is not shown.

    Signals
    -------
    changed()
        The person has changed a name or colour, or added or removed a class; or has painted the next class.
    chosen(int)
        The person wants to paint this class.
    """

    changed = Signal()
    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._annotation = Annotation.SCRIBBLES
        self._classes: dict[int, tuple[str, str]] = {}
        self._counts: dict[int, int] | None = None
        self._selected: int | None = None
        self._row_of: dict[QObject, int] = {}
        self._count_labels: dict[int, PlainLabel] = {}
        self._number_labels: dict[int, PlainLabel] = {}
        self._rows = QGridLayout()
        self._rows.setColumnStretch(2, 1)
        self._rows.setVerticalSpacing(3)
        self.add_button = QPushButton("Add class")
        self.add_button.setToolTip("One more class to tell apart.")
        self.add_button.clicked.connect(self._add)
        self.remove_button = QPushButton("Remove last")
        self.remove_button.clicked.connect(self._remove)
        buttons = QHBoxLayout()
        buttons.addWidget(self.add_button)
        buttons.addWidget(self.remove_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._rows)
        layout.addLayout(buttons)
        self.set_classes(self._annotation, default_classes(self._annotation))

    @property
    def classes(self) -> dict[int, tuple[str, str]]:
        """Name and colour (#rrggbb) by class number; of what is merely painted, nothing."""
        return dict(self._classes)

    @property
    def unknown(self) -> list[int]:
        """Numbers that are painted but no classes."""
        numbers = sorted(number for number, count in (self._counts or {}).items() if count and number > 0)
        return [number for number in numbers if number not in self._classes]

    def set_classes(self, annotation: Annotation, classes: Mapping[int, tuple[str, str]]) -> None:
        """Show other classes; emits nothing."""
        self._annotation = annotation
        self._classes = dict(sorted(classes.items()))
        self._build()

    def show_counts(self, counts: Mapping[int, int] | None) -> None:
        """Show how many pixels of each number are painted; None while that is not known.

        What comes next after the classes is one of them as soon as it is painted.
        """
        before = self.unknown
        self._counts = None if counts is None else dict(counts)
        grown = False
        if self._annotation is not Annotation.OBJECTS and len(self.unknown) <= MOST_CLASSES:
            for number in self.unknown:
                if number == max(self._classes) + 1 and len(self._classes) < MOST_CLASSES:
                    self._put(number)
                    grown = True
        if grown or before != self.unknown:
            self._build()
        else:
            self._write_counts()
        if grown:
            self.changed.emit()

    def select(self, number: int | None) -> None:
        """Mark the class that is painted with."""
        self._selected = number
        for own, label in self._number_labels.items():
            label.setStyleSheet("font-weight: bold;" if own == number else "")
            label.setText(f"▸ {own}" if own == number else f"   {own}")

    def _build(self) -> None:
        while self._rows.count():
            item = self._rows.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        self._row_of, self._count_labels, self._number_labels = {}, {}, {}
        unknown = self.unknown
        shown = unknown[: max(1, MOST_CLASSES - len(self._classes))]
        for row, number in enumerate([*self._classes, *shown]):
            self._add_row(row, number)
        if len(unknown) > len(shown):
            more = PlainLabel(f"… and {len(unknown) - len(shown):,} more numbers.")
            self._rows.addWidget(more, self._rows.rowCount(), 2, 1, 2)
        self.select(self._selected)
        self._write_counts()

    def _add_row(self, row: int, number: int) -> None:
        name, color = self._classes.get(number, ("", "#808080"))
        label, count = PlainLabel(), PlainLabel()
        self._number_labels[number], self._count_labels[number] = label, count
        count.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        widgets = (label, self._swatch(number, color), self._name_field(number, name), count)
        for column, widget in enumerate(widgets):
            self._rows.addWidget(widget, row, column)
            self._row_of[widget] = number
            widget.installEventFilter(self)
        for widget in (label, count):
            widget.setToolTip(f"Click to paint with {number}; {_KEYS}.")

    def _write_counts(self) -> None:
        for number, label in self._count_labels.items():
            count = None if self._counts is None else self._counts.get(number, 0)
            label.setText("" if count is None else f"{count:,} px")
        full, few = len(self._classes) >= MOST_CLASSES, len(self._classes) <= 2
        last = max(self._classes)
        painted = (self._counts or {}).get(last, 0)
        self.add_button.setEnabled(not full)
        self.remove_button.setEnabled(not few and not painted)
        if few:
            why_not = "Background and one class are the least there can be."
        else:
            why_not = f"Class {last} is painted: erase it first, or paint over it." if painted else ""
        set_tooltip(self.remove_button, why_not or "Take the last class off the list.")

    def _swatch(self, number: int, color: str) -> QPushButton:
        swatch = QPushButton()
        swatch.setFixedSize(24, 20)
        swatch.setStyleSheet(f"background-color: {color}; border: 1px solid palette(mid);")
        swatch.setToolTip(f"Click to paint with {number}; {_KEYS}. Double-click to change its colour.")
        swatch.clicked.connect(lambda: self.chosen.emit(number))
        return swatch

    def _name_field(self, number: int, name: str) -> QLineEdit:
        field = QLineEdit(shown_name(name))
        field.setMaxLength(LONGEST_NAME)
        field.setCursorPosition(0)
        field.setPlaceholderText("no class yet")
        known = number in self._classes
        field.setToolTip(
            f"Name of what is painted with the number {number}."
            if known
            else f"{number} is painted, but no class yet: name it if it is one, otherwise erase it."
        )
        field.textChanged.connect(lambda text: self._rename(number, text))
        return field

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802  Qt calls it by this name
        """Choose the class of a row that is clicked, and its colour where a swatch is clicked twice."""
        number = self._row_of.get(watched)
        if number is not None and event.type() == QEvent.Type.MouseButtonPress and not isinstance(watched, QPushButton):
            self.chosen.emit(number)
        if number is not None and event.type() == QEvent.Type.MouseButtonDblClick and isinstance(watched, QPushButton):
            self._pick_color(number)
            return True
        return bool(super().eventFilter(watched, event))

    def _rename(self, number: int, name: str) -> None:
        new = number not in self._classes
        if new:
            self._put(number)
        self._classes[number] = (name.strip() or f"class {number}", self._classes[number][1])
        if new:
            self._write_counts()
        self.changed.emit()

    def _pick_color(self, number: int) -> None:
        known = self._classes.get(number, ("", "#808080"))
        color = QColorDialog.getColor(QColor(known[1]), self, "Colour of the class")
        if color.isValid():
            self.set_color(number, color.name())

    def set_color(self, number: int, color: str) -> None:
        """Give class `number` another colour (#rrggbb)."""
        if number not in self._classes:
            self._put(number)
        self._classes[number] = (self._classes[number][0], color)
        self._build()
        self.changed.emit()

    def add(self, numbers: list[int]) -> None:
        """Make classes of painted numbers."""
        for number in numbers:
            self._put(number)
        self._build()
        self.changed.emit()

    def _put(self, number: int) -> None:
        index = (number - min(self._classes) - 1) % len(CLASS_COLORS)
        self._classes[number] = (f"class {number}", CLASS_COLORS[index])
        self._classes = dict(sorted(self._classes.items()))

    def _add(self) -> None:
        self._put(max(self._classes) + 1)
        self._build()
        self.changed.emit()

    def _remove(self) -> None:
        del self._classes[max(self._classes)]
        self._build()
        self.changed.emit()

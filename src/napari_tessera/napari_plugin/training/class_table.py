"""The classes of an annotation: number, colour and name of each."""

from collections.abc import Mapping

from qtpy.QtCore import Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_tessera.config.training import Annotation
from napari_tessera.pipeline.annotation import BACKGROUND_COLOR, CLASS_COLORS

MOST_CLASSES = 8


def default_classes(annotation: Annotation, count: int = 2) -> dict[int, tuple[str, str]]:
    """Return name and colour of `count` classes by their number, background first."""
    first = 1 if annotation is Annotation.SCRIBBLES else 0
    classes = {first: ("background", BACKGROUND_COLOR)}
    for index in range(count - 1):
        name = "object" if annotation is Annotation.OBJECTS or index == 0 else f"class {first + 1 + index}"
        classes[first + 1 + index] = (name, CLASS_COLORS[index % len(CLASS_COLORS)])
    return classes


class ClassTable(QWidget):
    """One row per class, in which its colour and name can be changed.

    Signals
    -------
    changed()
        The person has changed a name or colour, or added or removed a class.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._annotation = Annotation.SCRIBBLES
        self._classes: dict[int, tuple[str, str]] = {}
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
        """Name and colour (#rrggbb) by class number."""
        return dict(self._classes)

    def set_classes(self, annotation: Annotation, classes: Mapping[int, tuple[str, str]]) -> None:
        """Show other classes; emits nothing."""
        self._annotation = annotation
        self._classes = dict(sorted(classes.items()))
        self._build()

    def _build(self) -> None:
        while self._rows.count():
            item = self._rows.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for row, (number, (name, color)) in enumerate(self._classes.items()):
            self._rows.addWidget(QLabel(str(number)), row, 0)
            self._rows.addWidget(self._swatch(number, color), row, 1)
            self._rows.addWidget(self._name_field(number, name), row, 2)
        full, few = len(self._classes) >= MOST_CLASSES, len(self._classes) <= 2
        self.add_button.setEnabled(not full)
        self.remove_button.setEnabled(not few)
        self.remove_button.setToolTip(
            "Background and one class are the least there can be." if few else "Take the last class off the list."
        )

    def _swatch(self, number: int, color: str) -> QPushButton:
        swatch = QPushButton()
        swatch.setFixedSize(24, 20)
        swatch.setStyleSheet(f"background-color: {color}; border: 1px solid palette(mid);")
        swatch.setToolTip(f"Colour of class {number}. Click to change it.")
        swatch.clicked.connect(lambda: self._pick_color(number))
        return swatch

    def _name_field(self, number: int, name: str) -> QLineEdit:
        field = QLineEdit(name)
        field.setToolTip(f"Name of what is painted with the number {number}.")
        field.textChanged.connect(lambda text: self._rename(number, text))
        return field

    def _rename(self, number: int, name: str) -> None:
        self._classes[number] = (name.strip() or f"class {number}", self._classes[number][1])
        self.changed.emit()

    def _pick_color(self, number: int) -> None:
        color = QColorDialog.getColor(QColor(self._classes[number][1]), self, "Colour of the class")
        if color.isValid():
            self.set_color(number, color.name())

    def set_color(self, number: int, color: str) -> None:
        """Give class `number` another colour (#rrggbb)."""
        self._classes[number] = (self._classes[number][0], color)
        self._build()
        self.changed.emit()

    def _add(self) -> None:
        number = max(self._classes) + 1
        index = len(self._classes) - 1
        self._classes[number] = (f"class {number}", CLASS_COLORS[index % len(CLASS_COLORS)])
        self._build()
        self.changed.emit()

    def _remove(self) -> None:
        del self._classes[max(self._classes)]
        self._build()
        self.changed.emit()

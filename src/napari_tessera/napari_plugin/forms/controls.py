"""One control per type of parameter: each shows a value, takes a new one, and tells when the person changes it."""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QHBoxLayout, QLineEdit, QSpinBox, QWidget

from napari_tessera.config.yaml_text import YamlError, parse_yaml
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.describe import Bounds, ParameterDescription, value_text

_DECIMALS = 17
"""As many as a float can have: the box must not round what it is given."""
_SMALLEST = 1e-6
"""How far from a bound the first value on offer lies where the bound itself is excluded."""
_ABBREVIATIONS = ("psf",)
_WIDEST: dict[type, float] = {int: 2**31 - 1, float: 1e12}


class Control(QWidget):
    """Base of all controls.

    Signals
    -------
    changed()
        The person, or `set_value`, has set another value.
    """

    changed = Signal()

    @abstractmethod
    def value(self) -> Any:
        """Return what is set.

        Raises
        ------
        InvalidInputError
            If what was typed is no value.
        """

    @abstractmethod
    def set_value(self, value: Any) -> None:
        """Show `value`."""

    def _hold(self, *widgets: QWidget) -> None:
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in widgets:
            layout.addWidget(widget, 1 if widget is widgets[-1] else 0)
        self.setFocusProxy(widgets[-1])


class BoolControl(Control):
    """A checkbox."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.box = QCheckBox(text)
        self._hold(self.box)
        self.box.toggled.connect(self.changed)

    def value(self) -> bool:
        """Return whether it is ticked."""
        return self.box.isChecked()

    def set_value(self, value: Any) -> None:
        """Tick it or not."""
        self.box.setChecked(bool(value))


class ChoiceControl(Control):
    """A list of the values that there are: `options`."""

    def __init__(self, options: Sequence[Any]) -> None:
        super().__init__()
        self.options = list(options)
        self.box = QComboBox()
        self.box.addItems([str(option).replace("_", " ") for option in options])
        self._hold(self.box)
        self.box.currentIndexChanged.connect(self.changed)

    def value(self) -> Any:
        """Return the chosen one."""
        return self.options[self.box.currentIndex()]

    def set_value(self, value: Any) -> None:
        """Choose `value`."""
        self.box.setCurrentIndex(self.options.index(value))


class FloatBox(QDoubleSpinBox):
    """A spin box that shows as many digits as a value has, and steps by a tenth of its magnitude."""

    def __init__(self) -> None:
        super().__init__()
        self.setDecimals(_DECIMALS)
        self.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)

    def textFromValue(self, value: float) -> str:  # noqa: N802  Qt calls it by this name
        """Return the shortest text for `value`; plain digits where that is readable."""
        text = f"{value:.10g}"
        return text.replace(".", self.locale().decimalPoint()) if "e" not in text else text

    def valueFromText(self, text: str | None) -> float:  # noqa: N802
        """Return the number that was typed."""
        digits = (text or "").removeprefix(self.prefix()).removesuffix(self.suffix()).strip()
        try:
            return float(digits.replace(self.locale().decimalPoint(), "."))
        except ValueError:
            return float(super().valueFromText(text))

    def stepBy(self, steps: int) -> None:  # noqa: N802
        """Step, and leave no rounding dust behind."""
        super().stepBy(steps)
        self.setValue(float(f"{self.value():.10g}"))


class NumberControl(Control):
    """A spin box with the bounds of its parameter, and its unit."""

    def __init__(self, kind: type, bounds: Bounds, unit: str = "") -> None:
        super().__init__()
        self._kind = kind
        self._bounds = bounds
        self.box: Any = QSpinBox() if kind is int else FloatBox()
        low, high = number_range(kind, bounds)
        self.box.setRange(kind(low), kind(high))
        if bounds.odd:
            self.box.setSingleStep(2)
        elif kind is int and high > 10**4:
            self.box.setStepType(QSpinBox.StepType.AdaptiveDecimalStepType)
        if unit:
            self.box.setSuffix(unit if unit.startswith("%") or unit == "°" else f" {unit}")
        self.box.setValue(kind(min(max(1, low), high)))
        self.box.setKeyboardTracking(False)  # "12" is not first 1 and then 12
        self.box.setMinimumWidth(60)
        self._hold(self.box)
        self.box.valueChanged.connect(self.changed)

    def value(self) -> int | float:
        """Return the number."""
        return self._kind(self.box.value())

    def set_value(self, value: Any) -> None:
        """Show the number `value`; one that is nearer to an excluded bound than what is on offer is let in."""
        number, bounds = self._kind(value), self._bounds
        if bounds.above and bounds.low is not None and bounds.low < number < self.box.minimum():
            self.box.setMinimum(number)
        if bounds.below and bounds.high is not None and self.box.maximum() < number < bounds.high:
            self.box.setMaximum(number)
        self.box.setValue(number)


class OptionalControl(Control):
    """A checkbox that says whether there is a value at all, and the control for it."""

    def __init__(self, inner: Control) -> None:
        super().__init__()
        self.inner = inner
        self.box = QCheckBox()
        self._hold(self.box, inner)
        inner.setEnabled(False)
        self.box.toggled.connect(inner.setEnabled)
        self.box.toggled.connect(self.changed)
        inner.changed.connect(self.changed)

    def value(self) -> Any:
        """Return the value, or None."""
        return self.inner.value() if self.box.isChecked() else None

    def offer(self, value: Any) -> None:
        """Begin with `value` where the person sets one."""
        with QSignalBlocker(self):
            self.inner.set_value(value)

    def set_value(self, value: Any) -> None:
        """Show `value`, or that there is none."""
        with QSignalBlocker(self):
            self.box.setChecked(value is not None)
            if value is not None:
                self.inner.set_value(value)
        self.changed.emit()


class TextControl(Control):
    """A line for values that have no control of their own: numbers in a row, rows of numbers, words."""

    def __init__(self, read: Callable[[str], Any], write: Callable[[Any], str], hint: str) -> None:
        super().__init__()
        self._read, self._write = read, write
        self.line = QLineEdit()
        self.line.setPlaceholderText(hint)
        self._hold(self.line)
        self.line.textEdited.connect(self.changed)

    def value(self) -> Any:
        """Return what the text means."""
        return self._read(self.line.text())

    def set_value(self, value: Any) -> None:
        """Show `value` as text."""
        self.line.setText(self._write(value))
        self.changed.emit()


def make_control(parameter: ParameterDescription, default: Any = None) -> Control:
    """Return the control for a parameter, showing `default`; one that is required shows a value within its bounds."""
    control = _bare_control(parameter)
    if parameter.optional:
        control = OptionalControl(control)
    if not parameter.required:
        control.set_value(default)
    return control


def number_range(kind: type, bounds: Bounds) -> tuple[float, float]:
    """Return the lowest and highest value that `bounds` allow."""
    step = 1 if kind is int else _SMALLEST
    widest = _WIDEST[kind]
    low = -widest if bounds.low is None else bounds.low + step * bounds.above
    high = widest if bounds.high is None else bounds.high - step * bounds.below
    return low, min(high, widest)


def _bare_control(parameter: ParameterDescription) -> Control:
    match parameter.kind:
        case "boolean":
            return BoolControl(titled(parameter))
        case "choice":
            return ChoiceControl(parameter.choices)
        case "integer" | "number":
            kind = int if parameter.kind == "integer" else float
            return NumberControl(kind, parameter.bounds, parameter.unit)
    return _text_control(parameter)


def _text_control(parameter: ParameterDescription) -> TextControl:
    if parameter.kind == "text":
        return TextControl(str, str, "")
    if parameter.kind == "list" and parameter.items == "list":
        return TextControl(_read_rows, _write_rows, "1 2 1; 2 4 2; 1 2 1")
    if parameter.kind == "list":
        return TextControl(_read_row, _write_row, "numbers with commas between them")
    return TextControl(_read_any, value_text, "")


def words(name: str) -> str:
    """Return the name of a parameter as a person reads it: ``per_plane`` is ``Per plane``."""
    if name in _ABBREVIATIONS:
        return name.upper()
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def titled(parameter: ParameterDescription) -> str:
    """Return what a parameter is called in front of a person."""
    return parameter.title or words(parameter.name)


def _read_row(text: str) -> tuple[Any, ...]:
    return tuple(_read_one(part) for part in text.replace(",", " ").split())


def _read_rows(text: str) -> tuple[tuple[Any, ...], ...]:
    return tuple(_read_row(row) for row in text.split(";") if row.strip())


def _read_any(text: str) -> Any:
    try:
        return parse_yaml(text)
    except YamlError as error:
        raise InvalidInputError(f"{text!r} cannot be read: type it as on the command line.") from error


def _read_one(text: str) -> Any:
    try:
        number = float(text)
    except ValueError:
        return text  # a word; the parameter itself knows which it takes
    if not math.isfinite(number):
        raise InvalidInputError(f"{text!r} is not a number that can be used: type digits.")
    return int(text) if text.lstrip("+-").isdigit() else number


def _write_one(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _write_row(values: Sequence[Any] | None) -> str:
    return ", ".join(_write_one(value) for value in values or ())


def _write_rows(rows: Sequence[Sequence[Any]] | None) -> str:
    return "; ".join(" ".join(_write_one(value) for value in row) for row in rows or ())

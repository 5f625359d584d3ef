"""The form of an operation: one control per parameter; left untouched, it gives exactly the defaults."""

from collections.abc import Collection, Mapping
from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QWidget

from napari_tessera.napari_plugin.forms.controls import BoolControl, Control, make_control, titled, words
from napari_tessera.napari_plugin.forms.plain_text import set_tooltip
from napari_tessera.operations.base import Operation
from napari_tessera.operations.describe import describe_operation


class OperationForm(QWidget):
    """Shows the parameters of `operation`.

    Signals
    -------
    changed()
        A parameter has another value.

    Attributes
    ----------
    parameters, controls
        By the parameter's name, in the order in which the class declares them, those of its bases last.
    """

    changed = Signal()

    def __init__(self, operation: type[Operation]) -> None:
        super().__init__()
        self.operation = operation
        self.controls: dict[str, Control] = {}
        self._labels: dict[str, QLabel] = {}
        self._why_not: dict[str, str] = {}
        self._not_here: dict[str, str] = {}
        self._given: frozenset[str] = frozenset()
        self._needs = {name: found for name in operation.model_fields if (found := needs_of(operation, name))}
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.parameters = {entry.name: entry for entry in describe_operation(operation).parameters}
        defaults = defaults_of(operation)
        for name, parameter in self.parameters.items():
            control = make_control(parameter, defaults.get(name))
            self.controls[name] = control
            if isinstance(control, BoolControl):
                layout.addRow(control)
            else:
                self._labels[name] = QLabel(titled(parameter))
                layout.addRow(self._labels[name], control)
            self._show_why_not(name, "")
            control.changed.connect(self._change)
        self._show_needs()

    def values(self) -> dict[str, Any]:
        """Return the value of every parameter.

        Raises
        ------
        InvalidInputError
            If what was typed is no value.
        """
        return {name: control.value() for name, control in self.controls.items()}

    def build(self) -> Operation:
        """Return the operation with the parameters that are set.

        Raises
        ------
        InvalidInputError
            If a value, or the values together, are not allowed.
        """
        return self.operation.parse(self.values())

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show `values`; parameters that are not among them stay as they are, unknown ones are passed over."""
        with QSignalBlocker(self):
            for name, value in values.items():
                if name in self.controls:
                    self.controls[name].set_value(value)
        self._change()

    def reset(self) -> None:
        """Show the defaults."""
        self.set_values(defaults_of(self.operation))

    def show_inputs(self, given: Collection[str]) -> None:
        """Disable what the inputs that are `given`, by name, leave without effect."""
        self._given = frozenset(given)
        self._show_needs()

    def _change(self) -> None:
        self._show_needs()
        self.changed.emit()

    def _show_needs(self) -> None:
        """Disable what the other parameters and the inputs leave without effect."""
        for name in self._needs:
            self._show_why_not(name, self._not_here.get(name, "") or self._unmet(self._needs[name]))

    def _unmet(self, needs: Mapping[str, tuple[Any, ...]]) -> str:
        """Return why a parameter with such needs does not matter as things are; empty if it does."""
        for other, wanted in needs.items():
            if other not in self.controls and other in self._given and None in wanted:
                return f"Not used, because {words(other)} is given."
        lacking = [other for other, wanted in needs.items() if not self._has(other, wanted)]
        said = {titled(self.parameters[other]): " or ".join(map(str, needs[other])) for other in lacking}
        text = " and ".join(f"{title} is {values}" for title, values in said.items())
        return f"Only used if {text}." if lacking else ""

    def _has(self, other: str, wanted: tuple[Any, ...]) -> bool:
        return other not in self.controls or self.controls[other].value() in wanted

    def set_why_not(self, name: str, why_not: str) -> None:
        """Disable a parameter and say why; with an empty text, enable it, unless another one leaves it unused."""
        if name not in self.controls:
            return
        self._not_here[name] = why_not
        self._show_why_not(name, why_not or self._unmet(self._needs.get(name, {})))

    def _show_why_not(self, name: str, why_not: str) -> None:
        parameter = self.parameters[name]
        allowed = f" ({parameter.allowed})" if parameter.allowed and parameter.kind != "choice" else ""
        self._why_not[name] = why_not
        self.controls[name].setEnabled(not why_not)
        for widget in (self.controls[name], *self.controls[name].findChildren(QWidget), self._labels.get(name)):
            if widget is not None:
                set_tooltip(widget, f"{parameter.help}{allowed} {why_not}".strip())

    def why_not(self, name: str) -> str:
        """Return why a parameter is disabled; empty if it is not."""
        return self._why_not[name]


def defaults_of(operation: type[Operation]) -> dict[str, Any]:
    """Return the value that each parameter has if nothing is said, of those that have one."""
    fields = operation.model_fields.items()
    return {name: field.get_default(call_default_factory=True) for name, field in fields if not field.is_required()}


def needs_of(operation: type[Operation], name: str) -> Mapping[str, tuple[Any, ...]]:
    """Return which values other parameters must have for the parameter `name` to have an effect.

    A class says so in the ``json_schema_extra`` of the field: ``{"needs": {"blur": ["motion"]}}``. The name of an input
    with None means that it must be left out.
    """
    extra = operation.model_fields[name].json_schema_extra
    needs = extra.get("needs") if isinstance(extra, dict) else None
    if not isinstance(needs, dict):
        return {}
    return {other: tuple(values) for other, values in needs.items() if isinstance(values, list | tuple)}

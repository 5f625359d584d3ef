"""A form made from the fields of a settings class: one control per field; left untouched, it gives the defaults.

Operations are such classes, and so are the settings of trainings and predictions: bounds, units, help and what a field
needs of others come from the field.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic.fields import FieldInfo
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QWidget

from napari_tessera.config.base import Config
from napari_tessera.napari_plugin.forms.controls import (
    BoolControl,
    Control,
    OptionalControl,
    make_control,
    titled,
    words,
)
from napari_tessera.napari_plugin.forms.plain_text import set_tooltip
from napari_tessera.napari_plugin.preferences import preferred
from napari_tessera.operations.describe import ParameterDescription, describe_parameter

DEVICES = ("auto", "cuda", "mps", "cpu")
INDENT = 12
"""Of settings below a heading, in pixels."""


class ConfigForm(QWidget):
    """One control per field.

    Signals
    -------
    changed()
        A field has another value.

    Attributes
    ----------
    parameters, controls
        By the field's name, in the order in which they are given.

    Parameters
    ----------
    fields
        By name, which may be dotted where settings stand in groups.
    titles
        What fields are called, where their names do not say it well.
    """

    changed = Signal()

    def __init__(self, fields: Mapping[str, FieldInfo], titles: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.controls: dict[str, Control] = {}
        self._labels: dict[str, QLabel] = {}
        self._why_not: dict[str, str] = {}
        self._not_here: dict[str, str] = {}
        self._given: frozenset[str] = frozenset()
        self._needs = {name: found for name, field in fields.items() if (found := needs_of(field))}
        self._defaults = defaults_in(fields)
        self._layout = QFormLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.parameters = {name: _described(name, field, titles or {}) for name, field in fields.items()}
        for name, parameter in self.parameters.items():
            control = make_control(parameter, self._defaults.get(name))
            self.controls[name] = control
            if isinstance(control, BoolControl):
                self._layout.addRow(control)
            else:
                self._labels[name] = QLabel(titled(parameter))
                self._layout.addRow(self._labels[name], control)
            self._show_why_not(name, "")
            control.changed.connect(self._change)
        self._show_needs()

    def values(self) -> dict[str, Any]:
        """Return the value of every field.

        Raises
        ------
        InvalidInputError
            If what was typed is no value.
        """
        return {name: control.value() for name, control in self.controls.items()}

    def changes(self) -> dict[str, Any]:
        """Return the values that differ from the defaults; raises as `values` does."""
        return {
            name: value
            for name, value in self.values().items()
            if name not in self._defaults or value != self._defaults[name]
        }

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show `values`; fields that are not among them stay as they are, unknown ones are passed over."""
        with QSignalBlocker(self):
            for name, value in values.items():
                if name in self.controls:
                    self.controls[name].set_value(value)
        self._change()

    def reset(self) -> None:
        """Show the defaults."""
        self.set_values(self._defaults)

    def show_inputs(self, given: Collection[str]) -> None:
        """Disable what the inputs that are `given`, by name, leave without effect."""
        self._given = frozenset(given)
        self._show_needs()

    def _change(self) -> None:
        self._show_needs()
        self.changed.emit()

    def _show_needs(self) -> None:
        """Disable what the other fields and the inputs leave without effect."""
        for name in self._needs:
            self._show_why_not(name, self._not_here.get(name, "") or self._unmet(self._needs[name]))

    def _unmet(self, needs: Mapping[str, tuple[Any, ...]]) -> str:
        """Return why a field with such needs does not matter as things are; empty if it does."""
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
        """Disable a field and say why; with an empty text, enable it, unless another one leaves it unused."""
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
        """Return why a field is disabled; empty if it is not."""
        return self._why_not[name]


def settings_form(
    settings: type[Config], names: Iterable[tuple[str, str]], offered: Mapping[str, Any] | None = None
) -> ConfigForm:
    """Return a form of some settings, a little to the right; the device is that of napari's preferences, if any.

    Parameters
    ----------
    settings
        The class whose fields are shown.
    names
        Dotted names (``"network.depth"``) and what to call each.
    offered
        What settings that may be left out begin with where a person sets them.
    """
    titles = dict(names)
    form = ConfigForm({dotted: _find(settings, dotted) for dotted in titles}, titles)
    form.setContentsMargins(INDENT, 0, 0, 0)
    for name, value in (offered or {}).items():
        control = form.controls[name]
        if isinstance(control, OptionalControl):
            control.offer(value)
    device = preferred("computing", "device")
    if device in DEVICES:
        form.set_values({"device": device})
    return form


def defaults_in(fields: Mapping[str, FieldInfo]) -> dict[str, Any]:
    """Return the value that each field has if nothing is said, of those that have one."""
    return {
        name: field.get_default(call_default_factory=True) for name, field in fields.items() if not field.is_required()
    }


def needs_of(field: FieldInfo) -> Mapping[str, tuple[Any, ...]]:
    """Return which values other fields must have for this one to have an effect.

    It says so in its ``json_schema_extra``: ``{"needs": {"blur": ["motion"]}}``. The name of an input with None means
    that it must be left out.
    """
    extra = field.json_schema_extra
    needs = extra.get("needs") if isinstance(extra, dict) else None
    if not isinstance(needs, dict):
        return {}
    return {other: tuple(values) for other, values in needs.items() if isinstance(values, list | tuple)}


def _find(settings: type[Config], dotted: str) -> FieldInfo:
    head, _, rest = dotted.partition(".")
    field = settings.model_fields[head]
    return _find(type(field.get_default(call_default_factory=True)), rest) if rest else field


def _described(name: str, field: FieldInfo, titles: Mapping[str, str]) -> ParameterDescription:
    told = describe_parameter(name, field)
    if name == "device":  # any name of a device is understood; here those are offered that a person may have
        told = replace(
            told, kind="choice", choices=DEVICES, help="Where the network runs; auto takes the fastest there is."
        )
    return replace(told, title=titles[name]) if name in titles else told

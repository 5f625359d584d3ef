"""A form made from the fields of a settings class; left untouched, it gives exactly the defaults."""

from collections.abc import Callable, Iterable
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QFormLayout, QSpinBox, QWidget

from napari_tessera.config.base import Config
from napari_tessera.napari_plugin.preferences import preferred

DEVICES = ("auto", "cuda", "mps", "cpu")


class SettingsForm(QWidget):
    """One control per field; the device is the one of napari's preferences, if there is any.

    Parameters
    ----------
    settings
        The class whose fields are shown.
    fields
        Dotted names (``"network.depth"``) and what to call each.
    """

    def __init__(self, settings: type[Config], fields: Iterable[tuple[str, str]]) -> None:
        super().__init__()
        self._read: dict[str, Callable[[], Any]] = {}
        self._defaults: dict[str, Any] = {}
        self.controls: dict[str, QWidget] = {}
        layout = QFormLayout(self)
        layout.setContentsMargins(12, 0, 0, 0)
        for dotted, label in fields:
            field, default = _find(settings, dotted)
            control, read = _control(dotted, field, default)
            control.setToolTip(field.description or "Where the network runs; auto takes the fastest there is.")
            self._read[dotted], self._defaults[dotted], self.controls[dotted] = read, default, control
            layout.addRow(label, control)
            if dotted == "device" and isinstance(control, QComboBox):
                control.setCurrentIndex(max(0, control.findText(preferred("computing", "device"))))

    def changes(self) -> dict[str, Any]:
        """Return the values that differ from the defaults, by dotted name."""
        values = {dotted: read() for dotted, read in self._read.items()}
        return {dotted: value for dotted, value in values.items() if value != self._defaults[dotted]}


def _find(settings: type[Config], dotted: str) -> tuple[FieldInfo, Any]:
    head, _, rest = dotted.partition(".")
    field = settings.model_fields[head]
    default = field.get_default(call_default_factory=True)
    if not rest:
        return field, default
    return _find(type(default), rest)


def _control(dotted: str, field: FieldInfo, default: Any) -> tuple[QWidget, Callable[[], Any]]:
    kind, optional = _kind(field.annotation)
    if dotted.rpartition(".")[2] == "device":
        return _choice(DEVICES, default)
    if get_origin(kind) is Literal:
        return _choice(get_args(kind), default)
    if kind is bool:
        box = QCheckBox()
        box.setChecked(bool(default))
        return box, box.isChecked
    if kind in (int, float):
        return _number(kind, field, default, optional)
    raise TypeError(f"no control for {dotted} of type {field.annotation}")


def _kind(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0], True
    return annotation, False


def _choice(options: Iterable[str | int], default: Any) -> tuple[QWidget, Callable[[], Any]]:
    options = list(options)
    box = QComboBox()
    box.addItems([str(option) for option in options])
    box.setCurrentIndex(options.index(default))
    return box, lambda: options[box.currentIndex()]


def _number(kind: type, field: FieldInfo, default: Any, optional: bool) -> tuple[QWidget, Callable[[], Any]]:
    low, high = _bounds(field)
    box = QSpinBox() if kind is int else QDoubleSpinBox()
    if isinstance(box, QDoubleSpinBox):
        box.setDecimals(5 if default is not None and abs(default) < 0.1 else 2)
        box.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
    low = 0 if optional else low
    box.setRange(kind(low), kind(min(high, 10**9)))
    if optional:
        box.setSpecialValueText("not set")
    box.setValue(kind(default) if default is not None else kind(low))
    return box, lambda: None if optional and box.value() == low else box.value()


def _bounds(field: FieldInfo) -> tuple[float, float]:
    low, high = 0.0, 1e9
    step = 1 if _kind(field.annotation)[0] is int else 1e-5
    for bound in field.metadata:
        match bound:
            case Ge():
                low = float(bound.ge)  # type: ignore[arg-type]
            case Gt():
                low = float(bound.gt) + step  # type: ignore[arg-type]
            case Le():
                high = float(bound.le)  # type: ignore[arg-type]
            case Lt():
                high = float(bound.lt) - step  # type: ignore[arg-type]
    return low, high

"""The middle of the Filter widget: what the chosen operation is, its inputs, its parameters, and its histogram."""

import math
from collections.abc import Mapping
from contextlib import suppress
from html import escape

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer
from numpy.typing import NDArray
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_tessera.core.errors import TesseraError
from napari_tessera.napari_plugin.filtering.histogram_data import HistogramData
from napari_tessera.napari_plugin.filtering.histogram_view import HistogramView, Line
from napari_tessera.napari_plugin.filtering.operation_form import OperationForm
from napari_tessera.napari_plugin.filtering.operation_inputs import OperationInputs
from napari_tessera.napari_plugin.filtering.remembering import GREY_LEVELS, RememberedSettings, of_an_image
from napari_tessera.napari_plugin.forms.config_form import defaults_in
from napari_tessera.napari_plugin.forms.controls import ChoiceControl
from napari_tessera.napari_plugin.forms.plain_text import set_tooltip
from napari_tessera.operations.base import Operation

_USUAL = (0.005, 0.8)
"""What share of the pixels may lie above a threshold that nobody has set yet."""
_NOT_USED = "Not used with the other settings as they are."


class OperationPanel(QWidget):
    """Shows one operation at a time, and remembers what was set for each.

    Signals
    -------
    changed()
        A parameter has another value, or another input is chosen.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._remembered = RememberedSettings()
        self._image: Layer | None = None
        self._axes = "yx"
        self.operation: type[Operation] | None = None
        self.form: OperationForm | None = None
        self.inputs: OperationInputs | None = None
        self.title = QLabel()
        self.title.setTextFormat(Qt.TextFormat.RichText)
        self.title.setWordWrap(True)
        self.histogram = HistogramView()
        self.histogram.dragged.connect(self._drag)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 4, 0, 0)
        self._layout.setSpacing(6)
        self._layout.addWidget(self.title)
        self._layout.addWidget(self.histogram)

    def show_operation(self, operation: type[Operation] | None, first: Layer | None) -> None:
        """Show `operation`; `first` is the layer that it is to work on."""
        self._take_away()
        self.operation = operation
        self.setVisible(operation is not None)
        if operation is None:
            return
        self.title.setText(f"<b>{escape(operation.title)}</b><br>{escape(operation.summary())}.")
        set_tooltip(self.title, (operation.__doc__ or "").strip().partition("\n\n")[2].replace("    ", ""))
        self.inputs = OperationInputs(self._viewer, operation, first)
        self.form = OperationForm(operation)
        self._image = first
        self.form.set_values(self._remembered.of(operation, first))
        self.inputs.changed.connect(self._inputs_changed)
        self.form.changed.connect(self._form_changed)
        self._layout.insertWidget(1, self.inputs)
        self._layout.insertWidget(2, self.form)
        self.form.setVisible(bool(self.form.controls))
        self.histogram.setVisible(_draws_histogram(operation))
        self.histogram.show_data(None)
        self._show_parameter_lines()
        self.show_axes(self._axes)
        self.form.show_inputs(self.inputs.layers())

    def show_image(self, layer: Layer | None) -> None:
        """Start anew what belongs to an image, or go on with what was set for `layer` before: thresholds, positions."""
        if layer is self._image:
            return
        self._image = layer
        self.histogram.show_data(None)
        if self.form is not None and self.operation is not None:
            defaults = defaults_in(self.operation.model_fields)
            anew = {name: defaults[name] for name in of_an_image(self.operation) if name in defaults}
            self.form.set_values({**anew, **self._remembered.of(self.operation, layer)})

    def show_axes(self, axes: str) -> None:
        """Disable what does not apply to an image with `axes`, and say why."""
        self._axes = axes
        if self.form is None:
            return
        for name in self.form.controls:
            if name.endswith(("per_plane", "_planes", "_z")):
                self.form.set_why_not(name, "" if "z" in axes else "This image has no planes (z).")
        self._choose_axis(axes)

    def _choose_axis(self, axes: str) -> None:
        """Where what an operation goes along is none of the image's `axes`, choose the first that is."""
        control = self.form.controls.get("axis") if self.form is not None else None
        if self.form is None or not isinstance(control, ChoiceControl) or control.value() in axes:
            return
        there = next((axis for axis in control.options if axis in axes), None)
        if there is not None:
            self.form.set_values({"axis": there})

    @property
    def why_not_value(self) -> str:
        """What is wrong with the parameters; empty if nothing is."""
        if self.form is None:
            return ""
        try:
            self.form.build()
        except TesseraError as error:
            return str(error)
        return ""

    @property
    def why_not(self) -> str:
        """What is wrong or lacking; empty if nothing is."""
        lacking = self.inputs.why_not if self.inputs is not None else ""
        return self.why_not_value or lacking

    @property
    def differs(self) -> bool:
        """Whether a parameter has another value than its default."""
        if self.form is None or self.operation is None:
            return False
        defaults = {**defaults_in(self.operation.model_fields), **self._levels_here()}
        try:
            return any(defaults.get(name) != value for name, value in self.form.values().items())
        except TesseraError:
            return True

    def build(self) -> Operation:
        """Return the operation as it is set.

        Raises
        ------
        InvalidInputError
            If a value is not allowed.
        """
        assert self.form is not None
        return self.form.build()

    def layers(self) -> Mapping[str, Layer]:
        """Return the further inputs."""
        return self.inputs.layers() if self.inputs is not None else {}

    def reset(self) -> None:
        """Show the defaults; thresholds that divide next to nothing of this image are brought into its grey levels."""
        if self.form is not None and self.operation is not None:
            self.form.set_values({**defaults_in(self.operation.model_fields), **self._levels_here()})

    def focus_first(self) -> None:
        """Let the person type into the first parameter."""
        if self.form is None:
            return
        for control in self.form.controls.values():
            if control.isEnabled():
                control.setFocus(Qt.FocusReason.TabFocusReason)
                return

    def disconnect_viewer(self) -> None:
        """Stop listening to the viewer; to be called before the widget goes."""
        if self.inputs is not None:
            self.inputs.disconnect_viewer()

    def wants_histogram(self, layer: Layer, axes: str) -> bool:
        """Return whether the histogram of `layer` helps with the operation."""
        if self.operation is None or not _draws_histogram(self.operation):
            return False
        several = "c" in axes and not ("c" not in axes[: layer.ndim] and not getattr(layer, "rgb", False))
        return not (several and "c" in self.build().frame_axes(axes))

    def show_histogram(self, data: HistogramData) -> None:
        """Draw a histogram; thresholds that are still the defaults and divide next to nothing are brought into it."""
        if self.operation is None or not isinstance(data.task.operation, self.operation):
            return
        self.histogram.show_data(data)
        self._bring_into_range()

    def show_levels(self, levels: tuple[float, ...]) -> None:
        """Draw the thresholds that a preview has found."""
        if not self._level_parameters():
            self.histogram.show_lines([Line(level) for level in levels])

    def _inputs_changed(self) -> None:
        if self.form is not None and self.inputs is not None:
            self.form.show_inputs(self.inputs.layers())
        self.changed.emit()

    def _form_changed(self) -> None:
        assert self.form is not None
        assert self.operation is not None
        with suppress(TesseraError):  # half a value; what was there before stays remembered
            self._remembered.keep(self.operation, self._image, self.form.values())
        self._show_parameter_lines()
        self.changed.emit()

    def _level_parameters(self) -> list[str]:
        """Return the parameters that are thresholds."""
        if self.form is None or self.operation is None or not hasattr(self.operation, "levels"):
            return []
        return [name for name, parameter in self.form.parameters.items() if parameter.unit == GREY_LEVELS]

    def _show_parameter_lines(self) -> None:
        names = self._level_parameters()
        if not names or self.form is None:
            self.histogram.show_lines([])
            return
        values = {name: float(self.form.controls[name].value()) for name in names}
        try:
            used = list(getattr(self.form.build(), "levels", ()))
        except TesseraError:
            used = list(values.values())
        lines = []
        for name, value in values.items():
            self.form.set_why_not(name, "" if value in used else _NOT_USED)
            if value in used:
                used.remove(value)  # two may be equal of which one is used
                lines.append(Line(value, name))
        self.histogram.show_lines(lines)

    def _drag(self, name: str, value: float) -> None:
        """Set a threshold; its line pushes the other rather than pass it, and stops with that at the end."""
        if self.form is None:
            return
        names = [line.parameter for line in self.histogram.lines]
        if len(names) == 2:
            gap = 0.0 if self._allowed(dict.fromkeys(names, value)) else self.histogram.gap
            self.form.set_values(pushed(self.histogram, name, value, gap))
        else:
            self.form.set_values({name: value})

    def _allowed(self, changes: Mapping[str, float]) -> bool:
        """Whether parameters may have these values, the others being as they are."""
        assert self.form is not None
        try:
            self.form.operation.parse({**self.form.values(), **changes})
        except TesseraError:
            return False
        return True

    def _bring_into_range(self) -> None:
        if self.form is None or self.operation is None or not (levels := self._levels_here()):
            return
        defaults = defaults_in(self.operation.model_fields)
        if all(self.form.controls[name].value() == defaults[name] for name in levels):
            self.form.set_values(levels)

    def _levels_here(self) -> dict[str, float]:
        """Return the thresholds to start from where the defaults divide next to nothing of this image."""
        names, data = self._level_parameters(), self.histogram.data
        if not names or data is None or self.operation is None:
            return {}
        defaults = defaults_in(self.operation.model_fields)
        if _USUAL[0] <= share_above(data, min(defaults[name] for name in names)) <= _USUAL[1]:
            return {}
        return dict(zip(names, suggested_levels(data, len(names)), strict=True))

    def _take_away(self) -> None:
        if self.inputs is not None:
            self.inputs.disconnect_viewer()
        for widget in (self.inputs, self.form):
            if widget is not None:
                self._layout.removeWidget(widget)
                widget.hide()
                widget.deleteLater()
        self.inputs = self.form = None


def pushed(histogram: HistogramView, name: str, value: float, gap: float) -> dict[str, float]:
    """Return the values of two thresholds once one has been dragged to `value`: never nearer than `gap`, in order.

    The other is pushed on as far as there are grey levels.
    """
    first, second = histogram.lines
    lowest, highest = histogram.value_at(-math.inf), histogram.value_at(math.inf)
    if name == first.parameter:
        other = max(second.value, min(value + gap, highest))
        return {first.parameter: min(value, other - gap), second.parameter: other}
    other = min(first.value, max(value - gap, lowest))
    return {first.parameter: other, second.parameter: max(value, other + gap)}


def _draws_histogram(operation: type[Operation]) -> bool:
    return operation.is_threshold and "window" not in operation.model_fields


def share_above(data: HistogramData, level: float) -> float:
    """Return which share of the counted pixels lies in bins above a grey level."""
    first = np.ceil((level - data.low) / data.width)
    return float(data.counts[int(np.clip(first, 0, len(data.counts))) :].sum() / data.counts.sum())


def suggested_levels(data: HistogramData, count: int) -> list[float]:
    """Return grey levels to start from: the best division in two, and levels evenly spaced above it."""
    centres = data.low + (np.arange(len(data.counts), dtype=np.float64) + 0.5) * np.float64(data.width)
    split = _best_split(data.counts.astype(float), centres)
    levels = [split + (data.high - split) * index / count for index in range(count)]
    return [float(round(level)) if data.integer else float(f"{level:.4g}") for level in levels]


def _best_split(counts: NDArray[np.float64], centres: NDArray[np.float64]) -> float:
    """Return where the variance between the two classes is greatest (Otsu, on the few bins that are drawn)."""
    below, total = np.cumsum(counts), counts.sum()
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (sums[-1] * below / total - sums) ** 2 / (below * (total - below))
    return float(centres[int(np.nanargmax(np.where(np.isfinite(between), between, -1)))])

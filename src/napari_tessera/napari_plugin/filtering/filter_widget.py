"""The widget Filter & threshold: choose an operation, see what it does while setting it, apply it."""

from collections.abc import Callable
from pathlib import Path

from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from napari.utils import notifications
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QFrame,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_tessera.core.errors import TesseraError
from napari_tessera.core.jobs import CancelToken, Job, JobEvent, Progress, Warning
from napari_tessera.napari_plugin.filtering.applying import Application, ThreadJob
from napari_tessera.napari_plugin.filtering.filter_preview import FilterPreview, Target
from napari_tessera.napari_plugin.filtering.operation_inputs import is_no_preview
from napari_tessera.napari_plugin.filtering.operation_panel import OperationPanel
from napari_tessera.napari_plugin.filtering.operation_picker import OperationPicker
from napari_tessera.napari_plugin.filtering.result_layers import bring_into_view
from napari_tessera.napari_plugin.forms.layer_picker import AxesPicker, LayerPicker
from napari_tessera.napari_plugin.jobs.job_panel import ERROR_COLOR
from napari_tessera.napari_plugin.jobs.job_widget import JobWidget
from napari_tessera.napari_plugin.jobs.runner import JobRunner, RunState
from napari_tessera.napari_plugin.recipes.recipe_bar import RecipeBar, side_by_side
from napari_tessera.napari_plugin.recipes.replaying import Replay
from napari_tessera.napari_plugin.session import current_session
from napari_tessera.operations.base import Operation

DISPLAY_NAME = "Filter & threshold"


class FilterWidget(JobWidget):
    """Applies an operation to a layer, with a live preview of what is on screen."""

    def __init__(self, viewer: ViewerModel, runner: JobRunner | None = None) -> None:
        super().__init__(DISPLAY_NAME, runner)
        self.viewer = viewer
        self.session = current_session()
        self._work: Application | Replay | None = None
        self._thread: ThreadJob | None = None
        self._paused = False
        self._make_choosers()
        self._make_preview()
        self._make_buttons()
        self.set_content(self._arrange())
        self.panel_of_operation.show_operation(None, None)
        self._show_layer()

    def _make_choosers(self) -> None:
        self.images = LayerPicker(self.viewer, (Image,), "Open an image first", accepts=is_no_preview)
        self.images.setToolTip("The image layer to work on.")
        self.labels = LayerPicker(self.viewer, (Labels,), "Make labels first: apply a threshold", accepts=is_no_preview)
        self.labels.setToolTip("The Labels layer to work on.")
        self.images.layer_changed.connect(lambda: None if self.on_labels else self._show_layer())
        self.labels.layer_changed.connect(lambda: self._show_layer() if self.on_labels else None)
        self.axes = AxesPicker()
        self.axes.currentIndexChanged.connect(self._update)
        self.picker = OperationPicker()
        self.picker.operation_changed.connect(self._show_operation)
        self.picker.accepted.connect(self._go_to_form)
        self.panel_of_operation = OperationPanel(self.viewer)
        self.panel_of_operation.changed.connect(self._update)

    def _make_preview(self) -> None:
        self.preview = FilterPreview(self.viewer, self)
        self.preview.said.connect(self._say)
        self.preview.levels_found.connect(self.panel_of_operation.show_levels)
        self.preview.counted.connect(self.panel_of_operation.show_histogram)
        self.preview_box = QCheckBox("Preview")
        self.preview_box.setToolTip("Show at once what the operation makes of what is on screen.")
        self.preview_box.setChecked(True)
        self.preview_box.toggled.connect(self._update)
        self.preview.removed.connect(lambda: self.preview_box.setChecked(False))
        self.before_button = QPushButton("Show before")
        self.before_button.setCheckable(True)
        self.before_button.setToolTip("Switch between the image as it is and the preview.")
        self.before_button.toggled.connect(self._show_before)
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.note.hide()

    def _make_buttons(self) -> None:
        self.reset_button = QPushButton("Defaults")
        self.reset_button.setToolTip("Set every parameter of this operation back to its default.")
        self.reset_button.clicked.connect(self.panel_of_operation.reset)
        self.apply_button = QPushButton("Apply")
        self.apply_button.clicked.connect(self._apply)
        self.cancel_button.setToolTip("Stop; no layer is made.")
        self.recipes = RecipeBar(self.viewer, self.session)
        self.recipes.said.connect(lambda text, wrong: (self.panel.say_error if wrong else self.panel.say)(text))
        self.recipes.replay_wanted.connect(self.replay)

    def _arrange(self) -> QWidget:
        content = QWidget()
        layout = QVBoxLayout(content)
        self._form = form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Image", self.images)
        form.addRow("Labels", self.labels)
        form.addRow("Dimensions", self.axes)
        layout.addLayout(form)
        layout.addWidget(self.picker)
        layout.addWidget(self.panel_of_operation)
        self._preview_row = side_by_side(self.preview_box, self.before_button, self.reset_button)
        layout.addWidget(self._preview_row)
        layout.addWidget(self.note)
        layout.addWidget(side_by_side(self.apply_button, self.cancel_button))
        layout.addWidget(self.panel)
        line = QFrame()
        line.setFrameShape(QFrame.Shape.HLine)
        layout.addWidget(line)
        layout.addWidget(self.recipes)
        layout.addStretch(1)
        return content

    @property
    def operation(self) -> type[Operation] | None:
        """The chosen operation."""
        return self.picker.operation

    @property
    def on_labels(self) -> bool:
        """Whether the chosen operation works on labels."""
        return self.operation is not None and self.operation.inputs[0].kind == "labels"

    @property
    def layer(self) -> Layer | None:
        """The layer to work on."""
        return (self.labels if self.on_labels else self.images).layer

    def choose(self, name: str, layer: Layer | None = None) -> None:
        """Choose the operation called `name`, on `layer` if it can work on that."""
        self.picker.choose(name)
        (self.labels if self.on_labels else self.images).layer = layer

    @property
    def why_busy(self) -> str:
        """Why nothing can be applied now; empty if something can."""
        return f"{self.title} is running." if self._running or self._thread is not None else ""

    @property
    def why_not(self) -> str:
        """Why nothing can be applied; empty if something can."""
        if self.why_busy:
            return self.why_busy
        if self.operation is None:
            return "Choose an operation: click one, or type a part of its name."
        return self._why_not_layer or self.panel_of_operation.why_not

    @property
    def _why_not_layer(self) -> str:
        if self.layer is None:
            if self.on_labels:
                return "This operation works on labels: make some with a threshold, or open some."
            return "Open an image: drop a file into napari."
        return "" if self.axes.axes else f"{self.layer.name!r} cannot be used: choose one with 2 to 5 dimensions."

    def refresh(self) -> None:
        """Enable what applies and say why the rest does not."""
        super().refresh()
        if self._thread is not None:
            self.cancel_button.setEnabled(not self._thread.cancel_token.cancelled)
        why_not = self.why_not
        self.apply_button.setEnabled(not why_not)
        self.apply_button.setToolTip(why_not or "Make a new layer, computed on all of the image.")
        self.recipes.set_why_not_replay(self.why_busy or self._why_not_layer)
        self.reset_button.setEnabled(self.panel_of_operation.differs)
        self.before_button.setEnabled(self.preview_box.isChecked() and self.operation is not None)
        if not self.why_busy:
            self.panel.say_hint("" if self.operation is None and self.layer is not None else self._why_not_layer)
        self.recipes.refresh()

    def _show_layer(self) -> None:
        self.axes.show_layer(self.layer)
        self._update()

    def _show_operation(self) -> None:
        self._paused = False
        self.panel_of_operation.show_operation(self.operation, self.layer)
        self.preview.forget_histogram()
        self._preview_row.setVisible(self.operation is not None)
        self.axes.show_layer(self.layer)
        self._update()

    def _update(self) -> None:
        """Take over a change of layer, operation or parameter."""
        self._paused = False
        self._form.setRowVisible(self.images, not self.on_labels)
        self._form.setRowVisible(self.labels, self.on_labels)
        self._form.setRowVisible(self.axes, self.axes.in_doubt)
        self._preview_row.setVisible(self.operation is not None)
        self.panel_of_operation.show_axes(self.axes.axes or "yx")
        self._say("", False)
        if not self.why_busy:
            self.panel.say("")  # about what was set before
        self._aim()
        self.refresh()

    def _aim(self) -> None:
        layer, axes = self.layer, self.axes.axes
        wanted = self.preview_box.isChecked() and not self._paused
        if not wanted or layer is None or axes is None or self.operation is None:
            self.preview.aim(None)
            return
        if self.panel_of_operation.why_not:
            self._say(self.panel_of_operation.why_not, self.panel_of_operation.why_not_value != "")
            if not self.panel_of_operation.why_not_value:  # an input is lacking
                self.preview.aim(None)
            return
        target = Target(layer, axes, self.panel_of_operation.build(), self.panel_of_operation.layers())
        self.preview.aim(target, histogram=self.panel_of_operation.wants_histogram(layer, axes))

    def _say(self, text: str, wrong: bool) -> None:
        self.note.setText(text)
        self.note.setStyleSheet(f"color: {ERROR_COLOR};" if wrong else "")
        self.note.setVisible(bool(text))

    def _show_before(self, before: bool) -> None:
        self.preview.set_visible(not before)
        self.before_button.setText("Show after" if before else "Show before")

    def _go_to_form(self) -> None:
        self.panel_of_operation.focus_first()

    def _apply(self) -> None:
        layer, axes = self.layer, self.axes.axes
        if layer is None or axes is None or self.why_not:
            return
        self.panel.say("")
        try:
            operation = self.panel_of_operation.build()
            work = Application(operation, layer, axes, self.panel_of_operation.layers(), self.session)
        except TesseraError as error:
            self.panel.say_error(str(error))
            return
        if work.in_memory:
            self._start_thread(work)
        elif self.runner.state.busy:
            self.panel.say_error(f"{self.runner.owner} is still running: wait for it or cancel it.")
        else:
            self._work = work
            self.run(work, "Getting ready …")

    def _start_thread(self, work: Application | Replay) -> None:
        self._begin_thread(work, work.run, "Computing …")

    def _begin_thread(self, work: Application | Replay, job: Callable[[CancelToken], Job], text: str) -> None:
        self._work = work
        self._thread = ThreadJob(job, self)
        self._thread.event_received.connect(self._on_thread_event)
        self._thread.ended.connect(self._on_thread_end)
        self.panel.begin(text)
        self._thread.start()
        self.refresh()

    def cancel(self) -> None:
        """Stop what this widget has begun, in a thread or in the worker."""
        if self._thread is None:
            super().cancel()
            return
        self._thread.cancel()
        self.panel.say("Stopping …")
        self.refresh()

    def _on_thread_event(self, event: JobEvent) -> None:
        if isinstance(event, Warning):
            notifications.show_warning(event.text)
        elif isinstance(event, Progress) and self._thread is not None and not self._thread.cancel_token.cancelled:
            self.panel.show_progress(event)

    def _on_thread_end(self, state: str, message: str) -> None:
        self._thread = None
        if not self._open:
            return
        self.panel.end()
        self.panel.say("")
        work, self._work = self._work, None
        if state == "done" and work is not None:
            self._add_layers(work)
        elif state == "failed":
            self.panel.say_error(message)
        else:
            self.panel.say(message)
        self.refresh()

    def on_end(self, state: RunState) -> None:
        """Fetch what the worker has made, and remove scratch files."""
        work, self._work = self._work, None
        if isinstance(work, Application):
            work.clean()
            if state is RunState.DONE and self._open:
                self._begin_thread(work, work.collect, "Reading the result …")

    def _add_layers(self, work: Application | Replay) -> None:
        """Add results; the preview steps back so that they are seen, until something is changed."""
        try:
            layers = work.results()
        except TesseraError as error:
            self.panel.say_error(str(error))
            return
        self._paused = True
        self._aim()
        for layer in layers:
            self.viewer.add_layer(layer)
        if layers and self.operation is not None and self.operation.group == "Fourier":
            bring_into_view(self.viewer, layers[-1])
        self._say("", False)
        names = " and ".join(repr(layer.name) for layer in layers)
        self.panel.say(f"Done: {names}. Change a setting to see a preview again.")

    def replay(self, path: Path) -> None:
        """Apply the recipe in `path` to the chosen layer; an error is said in the widget."""
        layer, axes = self.layer, self.axes.axes
        if layer is None or axes is None or self.why_busy:
            return
        try:
            work = Replay(path, layer, axes, list(self.viewer.layers), self.session)
        except TesseraError as error:
            self.panel.say_error(str(error))
            return
        self._start_thread(work)

    def on_close(self) -> None:
        """Let go of the viewer, and end what runs."""
        if self._thread is not None:
            self._thread.cancel()
        self.recipes.disconnect_viewer()
        self.preview.close()
        self.panel_of_operation.disconnect_viewer()
        for picker in (self.images, self.labels):
            picker.disconnect_viewer()

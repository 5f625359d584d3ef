"""The widget Filter & threshold: choose an operation, see what it does while setting it, apply it."""

from pathlib import Path

from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QFrame,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_tessera.core.errors import TesseraError
from napari_tessera.napari_plugin.filtering.applying import Application
from napari_tessera.napari_plugin.filtering.filter_preview import FilterPreview, Target
from napari_tessera.napari_plugin.filtering.operation_panel import OperationPanel
from napari_tessera.napari_plugin.filtering.operation_picker import OperationPicker
from napari_tessera.napari_plugin.filtering.operations_ahead import OperationsAhead
from napari_tessera.napari_plugin.filtering.refusing import Refusals
from napari_tessera.napari_plugin.filtering.writing_into import can_take, what_can_be_done
from napari_tessera.napari_plugin.forms.layer_picker import AxesPicker, LayerPicker
from napari_tessera.napari_plugin.forms.panel_shell import in_a_row
from napari_tessera.napari_plugin.forms.plain_text import PlainLabel, set_tooltip
from napari_tessera.napari_plugin.forms.wording import in_words
from napari_tessera.napari_plugin.home import current_home
from napari_tessera.napari_plugin.jobs.ahead import Ahead, shared_ahead
from napari_tessera.napari_plugin.jobs.job_kind import JobKind
from napari_tessera.napari_plugin.jobs.job_panel import ERROR_COLOR
from napari_tessera.napari_plugin.jobs.runner import JobRunner
from napari_tessera.napari_plugin.jobs.work_widget import Work, WorkWidget
from napari_tessera.napari_plugin.journal.api import offer_found
from napari_tessera.napari_plugin.layers.images import real_viewer
from napari_tessera.napari_plugin.layers.result_layers import bring_into_view
from napari_tessera.napari_plugin.recipes.recipe_bar import RecipeBar, replay_layer
from napari_tessera.napari_plugin.recipes.replaying import replay_on
from napari_tessera.operations.base import Operation

DISPLAY_NAME = "Filter & threshold"
_NO_LABELS = "This operation works on labels: make some with a threshold, or open some."
_NO_IMAGE = "Open an image: drop a file into napari."


def _what_apply_does(into: Layer | None) -> str:
    if into is not None:
        return f"Compute it on all of the image, in place of what is in {into.name!r} now."
    return "Make a new layer, computed on all of the image."


def _form(*rows: tuple[str, QWidget]) -> QFormLayout:
    form = QFormLayout()
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for name, field in rows:
        form.addRow(name, field)
    return form


def _what_was_done(layers: list[Layer], work: Work) -> str:
    if layers:
        return f"Done: {' and '.join(repr(layer.name) for layer in layers)}. Change a setting to see a preview again."
    title = work.operation.title if isinstance(work, Application) else "The recipe"
    return f"{title} has found nothing: change a setting, or place points by hand."


class FilterWidget(WorkWidget):
    """Applies an operation to a layer, with a live preview of what is on screen."""

    def __init__(self, viewer: ViewerModel, runner: JobRunner | None = None, ahead: Ahead | None = None) -> None:
        super().__init__(JobKind(DISPLAY_NAME), runner, tab="Filter")
        self.viewer = viewer = real_viewer(viewer)
        self._newest: Layer | None = None
        self.home = current_home()
        self.getting_ready = OperationsAhead(ahead or shared_ahead(), self.home.compiled)
        self._paused = False
        self._make_choosers()
        self._make_preview()
        self._make_buttons()
        self.set_content(self._arrange(), self.apply_button, self.cancel_button)
        self.panel_of_operation.show_operation(None, None)
        self._show_layer()
        self.place_changed.connect(self._aim)
        offer_found(viewer)

    def _make_choosers(self) -> None:
        self.images = LayerPicker(self.viewer, (Image,), "Open an image first", follow=True)
        self.images.setToolTip("The image layer to work on.")
        self.labels = LayerPicker(self.viewer, (Labels,), "Make labels first: apply a threshold", follow=True)
        self.labels.setToolTip("The Labels layer to work on.")
        self.images.layer_changed.connect(lambda: None if self.on_labels else self._show_layer())
        self.labels.layer_changed.connect(lambda: self._show_layer() if self.on_labels else None)
        self.axes = AxesPicker()
        self.axes.currentIndexChanged.connect(self._update)
        self.picker = OperationPicker()
        self.picker.operation_changed.connect(self._show_operation)
        self.panel_of_operation = OperationPanel(self.viewer)
        self.picker.accepted.connect(self.panel_of_operation.focus_first)
        self.panel_of_operation.changed.connect(self._update)
        self.refusals = Refusals(self)
        self.refusals.changed.connect(self._look_again)
        self.into = LayerPicker(self.viewer, (Labels,), "", accepts=self._can_take, none="New layer", prefix="Into ")
        self.into.setToolTip(
            "Where the labels go: into a layer of their own, or into one that is there. Ctrl+Z takes that back."
        )
        self.into.layer_changed.connect(self.refresh)

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
        self.note = PlainLabel()
        self.note.setWordWrap(True)
        self.note.hide()

    def _make_buttons(self) -> None:
        self.reset_button = QPushButton("Defaults")
        self.reset_button.setToolTip("Set every parameter of this operation back to its default.")
        self.reset_button.clicked.connect(self.panel_of_operation.reset)
        self.apply_button = QPushButton("Apply")
        self.apply_button.clicked.connect(self._apply)
        self.cancel_button.setToolTip("Stop; no layer is made.")
        self.recipes = RecipeBar(self.viewer, self.home, lambda: self.layer)
        self.recipes.said.connect(lambda text, wrong: (self.say_error if wrong else self.panel.say)(text))
        self.recipes.replay_wanted.connect(self.replay)

    def _arrange(self) -> QWidget:
        content = QWidget()
        layout = QVBoxLayout(content)
        self._form = _form(("Image", self.images), ("Labels", self.labels), ("Dimensions", self.axes))
        layout.addLayout(self._form)
        layout.addWidget(self.picker)
        layout.addWidget(self.panel_of_operation)
        self._preview_row = in_a_row(self.preview_box, self.before_button, self.reset_button)
        layout.addWidget(self._preview_row)
        layout.addWidget(self.note)
        layout.addWidget(self.getting_ready)
        self._result_row = _form(("Result", self.into))
        self.into.listed.connect(lambda: self._result_row.setRowVisible(self.into, bool(self.into.layers)))
        layout.addLayout(self._result_row)
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
    def why_not(self) -> str:
        """Why nothing can be applied; empty if something can."""
        if self.why_busy:
            return self.why_busy
        if self.operation is None:
            return "Choose an operation: click one, or type a part of its name."
        return self._why_not_layer or self.panel_of_operation.why_not or in_words(self._refused)

    @property
    def _refused(self) -> str:
        """Why the operation does not take what is chosen, as far as that is known without its pixels."""
        return self.refusals.ask(self.panel_of_operation, self.layer, self.axes.axes)

    @property
    def _why_not_layer(self) -> str:
        if self.layer is None:
            return _NO_LABELS if self.on_labels else _NO_IMAGE
        return "" if self.axes.axes else f"{self.layer.name!r} cannot be used: choose one with 2 to 5 dimensions."

    def _can_take(self, layer: Layer) -> bool:
        """Whether a result of the chosen operation can be written into `layer`."""
        if self.operation is None or self.layer is None or self.axes.axes is None or not isinstance(layer, Labels):
            return False
        return can_take(layer, self.operation, self.layer, self.axes.axes)

    def refresh(self) -> None:
        """Enable what applies and say why the rest does not."""
        super().refresh()
        why_not = self.why_not
        self.apply_button.setEnabled(not why_not)
        set_tooltip(self.apply_button, why_not or _what_apply_does(self.into.layer))
        self.recipes.set_why_not_replay(self.why_busy or ("" if self.layer is not None else self._why_not_layer))
        self.reset_button.setEnabled(self.panel_of_operation.differs)
        self.before_button.setEnabled(self.preview_box.isChecked() and self.operation is not None)
        if not self.why_busy and self.panel.idle:
            self.panel.say_hint("" if self.operation is None and self.layer is not None else self._why_not_layer)
        self.recipes.refresh()

    def _show_layer(self) -> None:
        self.axes.show_layer(self.layer)
        self.before_button.setChecked(False)
        self.panel_of_operation.show_image(self.layer)
        self._update()

    def _show_operation(self) -> None:
        self._paused = False
        newest, self._newest = self._newest, None
        if newest is not None and newest is self.viewer.layers.selection.active:  # nothing else was selected since
            (self.labels if self.on_labels else self.images).layer = newest
        if self.into.layer is not self.layer:  # what was written into is overwritten only where it is worked on
            self.into.setCurrentIndex(0)
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
        self.getting_ready.want(self.layer, self.axes.axes, self.operation)
        self.into.update_layers()
        self._say("", False)
        if not self.why_busy:
            self.panel.say("")  # about what was set before
        self._aim()
        self.refresh()

    def _aim(self) -> None:
        layer, axes, panel = self.layer, self.axes.axes, self.panel_of_operation
        wanted = self.preview_box.isChecked() and not (self._paused or self.behind)  # there it would be in the way
        why_not = self._refused or (panel.why_not if wanted and layer is not None and axes is not None else "")
        if why_not:
            self._say(why_not, why_not == self._refused or panel.why_not_value != "")
        if why_not or not wanted or layer is None or axes is None or self.operation is None:
            self.preview.aim(None)  # the last one would be of other settings
            return
        target = Target(layer, axes, panel.build(), panel.layers())
        self.preview.aim(target, histogram=panel.wants_histogram(layer, axes))

    def _look_again(self) -> None:
        """Points were put, or a layer was moved: what was refused may be taken now."""
        self._say("", False)
        self._aim()
        self.refresh()

    def _say(self, text: str, wrong: bool) -> None:
        text = in_words(text)
        self.note.setText("" if text == self.panel.status.text() else text)
        self.note.setStyleSheet(f"color: {ERROR_COLOR};" if wrong else "")
        self.note.setVisible(bool(self.note.text()))

    def _show_before(self, before: bool) -> None:
        self.preview.set_visible(not before)
        self.before_button.setText("Show after" if before else "Show before")

    def _apply(self) -> None:
        layer, axes = self.layer, self.axes.axes
        if layer is None or axes is None or self.why_not:
            return
        self.panel.say("")
        try:
            operation, layers = self.panel_of_operation.build(), self.panel_of_operation.layers()
            into = self.into.layer
            assert into is None or isinstance(into, Labels)
            work = Application(operation, layer, axes, layers, self.home, into)
        except TesseraError as error:
            self.say_error(str(error))
            return
        self.start(work)

    def say_error(self, text: str) -> None:
        """Say what went wrong, once: a note about the preview that says the same goes."""
        super().say_error(text)
        if self.note.text() == self.panel.status.text():
            self._say("", False)

    def on_done(self, work: Work) -> None:
        """Add results; the preview steps back so that they are seen, until something is changed."""
        try:
            if isinstance(work, Application) and work.into in self.viewer.layers:
                self._write(work)
            else:
                self._add_layers(work.results(), work)
        except TesseraError as error:
            self.say_error(str(error))

    def _write(self, work: Application) -> None:
        """Write a result into the layer that was chosen for it; the preview steps back."""
        changed = work.write()
        assert work.into is not None
        self._step_back()
        self._show(work.into)
        self.recipes.follow(work.into)
        did = what_can_be_done(work.into) if changed else "Nothing has changed by that."
        self.panel.say(f"Done: {work.operation.title}, into {work.into.name!r}. {did}")

    def _show(self, *layers: Layer) -> None:
        """Add results that are new, and select the last; a setting that is changed now is tried on the same image."""
        with self.images.held(), self.labels.held():
            for layer in layers:
                if layer not in self.viewer.layers:
                    self.viewer.add_layer(layer)
            self.viewer.layers.selection.active = self._newest = layers[-1]

    def _step_back(self) -> None:
        self._paused = True
        self._aim()
        self._say("", False)

    def _add_layers(self, layers: list[Layer], work: Work) -> None:
        self._step_back()
        if layers:
            self._show(*layers)
            if self.operation is not None and self.operation.in_spectrum:
                bring_into_view(self.viewer, layers[-1])
        self.panel.say(_what_was_done(layers, work))

    def replay(self, path: Path) -> None:
        """Apply the recipe in `path` to the selected layer, or else to a chosen one; an error is said in the widget."""
        if self.why_busy:
            return
        chosen = [replay_layer(self.viewer, self.layer), self.layer, self.images.layer, self.labels.layer]
        layers = [(layer, self.axes.axes if layer is self.layer else None) for layer in chosen if layer is not None]
        try:
            work = replay_on(path, layers, list(self.viewer.layers), self.home)
        except TesseraError as error:
            self.say_error(str(error))
            return
        self.start(work)
        self.panel.say(f"Replaying {path.name} on {work.layer.name!r} …")

    def on_close(self) -> None:
        """Let go of the viewer, and end what runs."""
        self.getting_ready.let_go()
        super().on_close()
        self.recipes.disconnect_viewer()
        self.panel_of_operation.disconnect_viewer()
        self.refusals.forget()
        for picker in (self.images, self.labels, self.into):
            picker.disconnect_viewer()
        self.preview.close()

"""The widget Train: choose images and annotation, train, watch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.layers import Labels
from qtpy.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_tessera.config.model import CHECKPOINT_FILE
from napari_tessera.config.training import Annotation, TrainingConfig
from napari_tessera.core.errors import TesseraError
from napari_tessera.core.jobs import JobEvent, Preview, Result
from napari_tessera.napari_plugin.forms.folded_section import FoldedSection
from napari_tessera.napari_plugin.forms.settings_form import SettingsForm
from napari_tessera.napari_plugin.jobs.job_widget import JobWidget
from napari_tessera.napari_plugin.jobs.leaving import LeaveGuard
from napari_tessera.napari_plugin.jobs.runner import JobRunner, RunState
from napari_tessera.napari_plugin.journal.api import offer_found
from napari_tessera.napari_plugin.layers import layer_classes, placement
from napari_tessera.napari_plugin.models.listing import read_entry
from napari_tessera.napari_plugin.models.model_panel import ModelPanel
from napari_tessera.napari_plugin.session import current_session, file_name
from napari_tessera.napari_plugin.training.annotating import new_annotation, show_classes
from napari_tessera.napari_plugin.training.class_table import ClassTable, default_classes
from napari_tessera.napari_plugin.training.pair_list import PairList
from napari_tessera.napari_plugin.training.preview_layer import PreviewLayer
from napari_tessera.napari_plugin.training.training_inputs import TrainingInputs
from napari_tessera.napari_plugin.view_tracker import ViewTracker, visible_region

KINDS: Sequence[tuple[Annotation, str, str]] = (
    (
        Annotation.SCRIBBLES,
        "A few strokes",
        "Paint 1 = background and 2, 3, … = what you look for; a few strokes of each do. 0 is left out.",
    ),
    (Annotation.DENSE, "Every pixel", "Every pixel counts: 0 = background, 1, 2, … = what you look for."),
    (Annotation.OBJECTS, "Objects", "Every pixel counts: 0 = background, every other number is one object."),
)

SETTINGS = (
    ("max_steps", "Steps"),
    ("max_seconds", "Time limit (s)"),
    ("patience", "Patience"),
    ("device", "Device"),
    ("network.depth", "Network depth"),
    ("network.base_width", "Network width"),
    ("patch_size", "Patch size"),
    ("batch_size", "Batch size"),
    ("learning_rate", "Learning rate"),
    ("precision", "Precision"),
    ("seed", "Seed"),
)


class TrainWidget(JobWidget):
    """Trains a network on annotated layers and shows what it has learnt while it learns."""

    def __init__(self, viewer: ViewerModel, runner: JobRunner | None = None) -> None:
        super().__init__("Train", runner)
        self.viewer = viewer
        self.session = current_session()
        self._inputs: TrainingInputs | None = None
        self._preview: PreviewLayer | None = None
        self._tracker = ViewTracker(viewer, self)
        self._tracker.view_changed.connect(self.runner.look_at)
        self._make_controls()
        self.set_content(self._arrange())
        self._choose_kind()
        self.runner.warm_up()
        offer_found(viewer)

    def _make_controls(self) -> None:
        self.pairs = PairList(self.viewer)
        self.pairs.changed.connect(self._on_pairs)
        self.new_button = QPushButton("New annotation layer")
        self.new_button.clicked.connect(self._new_annotation)
        self.add_pair_button = QPushButton("Add a pair")
        self.add_pair_button.setToolTip("Learn from one more image, or add one more layer of annotation to an image.")
        self.add_pair_button.clicked.connect(self._add_pair)
        self.kind = QComboBox()
        self.kind.addItems([title for _, title, _ in KINDS])
        self.kind.setToolTip("What the numbers in the annotation mean.")
        self.kind.currentIndexChanged.connect(self._choose_kind)
        self.explanation = QLabel()
        self.explanation.setWordWrap(True)
        self.classes = ClassTable()
        self.classes.changed.connect(self._recolor)
        self.name = QLineEdit(self.session.free_model_name("model"))
        self.name.setToolTip(f"Under this name the model is kept in {self.session.models} and offered in Predict.")
        self.name.textChanged.connect(self.refresh)
        self.train_button = QPushButton("Train")
        self.train_button.clicked.connect(lambda: self._start(resume=False))
        self.continue_button = QPushButton("Continue")
        self.continue_button.clicked.connect(lambda: self._start(resume=True))
        self.settings = SettingsForm(TrainingConfig, SETTINGS)
        self.models = ModelPanel(self.session.models)
        self.models.chosen.connect(lambda entry: self.name.setText(entry.name))
        self.models.listed.connect(self.refresh)
        self._guard = LeaveGuard(self, self._question_on_leaving)

    def _question_on_leaving(self) -> str:
        if not self._running:
            return ""
        name = self._folder().name
        return f"{name!r} is being trained. Stop it? What it has learnt is kept: Continue goes on with it later."

    def _arrange(self) -> QWidget:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.addWidget(self.pairs)
        layout.addLayout(_row(self.new_button, self.add_pair_button))
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Painted", self.kind)
        layout.addLayout(form)
        layout.addWidget(self.explanation)
        layout.addWidget(self.classes)
        naming = QFormLayout()
        naming.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        naming.addRow("Model name", self.name)
        layout.addLayout(naming)
        layout.addWidget(FoldedSection("Models", self.models, "Go on with another model; name, copy or delete it."))
        layout.addLayout(_row(self.train_button, self.continue_button, self.cancel_button))
        layout.addWidget(self.panel)
        layout.addWidget(FoldedSection("Advanced", self.settings, "Settings that are rarely needed."))
        layout.addStretch(1)
        return content

    @property
    def annotation(self) -> Annotation:
        """The chosen meaning of the annotation."""
        return KINDS[self.kind.currentIndex()][0]

    @property
    def why_not(self) -> str:
        """Why a training cannot be started; empty if it can."""
        if self.why_busy:
            return self.why_busy
        if not self.name.text().strip():
            return "Give the model a name."
        return self.pairs.problem

    def refresh(self) -> None:
        """Enable what applies and say why the rest does not."""
        super().refresh()
        why_not = self.why_not
        self.models.choose(self._folder())
        trained = (self._folder() / CHECKPOINT_FILE).is_file()
        self.train_button.setEnabled(not why_not)
        self.train_button.setToolTip(
            why_not or "Train a new network on the annotation. If the name is taken, the next free one is used."
        )
        self.continue_button.setEnabled(trained and not why_not)
        self.continue_button.setToolTip(
            (why_not or "Go on training this model from where it stopped, on the annotation as it is now.")
            if trained
            else "There is no training of this name to go on with."
        )
        row = self.pairs.rows[-1]
        image = row.image.layer
        self.new_button.setEnabled(image is not None and row.axes.axes is not None)
        self.new_button.setToolTip(
            "Add an empty Labels layer that fits the image, ready to paint in." if image is not None else why_not
        )
        if not self._running:
            self.panel.say_hint("" if self.runner.state.busy else why_not)

    def _folder(self) -> Path:
        return self.session.models / file_name(self.name.text())

    def _choose_kind(self) -> None:
        annotation, _, explanation = KINDS[self.kind.currentIndex()]
        self.explanation.setText(explanation)
        self.classes.setVisible(annotation is not Annotation.OBJECTS)
        self.classes.set_classes(annotation, default_classes(annotation, max(2, len(self.classes.classes))))
        self._show_layer_classes()
        self.refresh()

    def _on_pairs(self) -> None:
        self._show_layer_classes()
        self.refresh()

    def _show_layer_classes(self) -> None:
        """Show the classes of an annotation layer that brings its own."""
        layer = self.pairs.rows[0].annotation.layer
        known = layer_classes(layer) if isinstance(layer, Labels) else {}
        first = 1 if self.annotation is Annotation.SCRIBBLES else 0
        if len(known) > 1 and min(known) == first:
            self.classes.set_classes(self.annotation, known)

    def _recolor(self) -> None:
        if self.annotation is Annotation.OBJECTS:
            return
        for row in self.pairs.rows:
            layer = row.annotation.layer
            if isinstance(layer, Labels) and layer_classes(layer):  # colours of layers made elsewhere are not ours
                show_classes(layer, self.classes.classes)

    def _add_pair(self) -> None:
        self.pairs.add_row()

    def _new_annotation(self) -> None:
        row = self.pairs.rows[-1]
        if row.image.layer is None or row.axes.axes is None:
            return
        row.annotation.layer = new_annotation(
            self.viewer, row.image.layer, row.axes.axes, self.annotation, self.classes.classes
        )

    def _start(self, *, resume: bool) -> None:
        if not resume:
            self.name.setText(self.session.free_model_name(file_name(self.name.text())))
        pairs = self.pairs.pairs
        classes = self.classes.classes
        try:
            self._inputs = TrainingInputs(
                pairs,
                self.annotation,
                classes,
                {**self.settings.changes(), **(_kept(self._folder()) if resume else {})},
                self._folder(),
                self.session,
                resume=resume,
            )
        except TesseraError as error:
            self.panel.say_error(str(error))
            return
        self._drop_preview()
        images = list({pair.image: pair.axes for pair in pairs}.items())
        colors = {number: color for number, (_, color) in classes.items() if number != min(classes)}
        self._preview = PreviewLayer(self.viewer, [placement(*image) for image in images], colors)
        views = [visible_region(self.viewer, *image) for image in images]
        shown = next(((index, region) for index, region in enumerate(views) if region is not None), None)
        if shown is not None:
            self._preview.open(*shown)
        self.run(self._inputs, "Getting ready …")
        self._guard.watch()
        self._tracker.watch(images)

    def on_event(self, event: JobEvent) -> None:
        """Show previews and say how a training ended."""
        if isinstance(event, Preview) and self._preview is not None:
            self._preview.show(event)
        elif isinstance(event, Result):
            self.panel.say(f"Trained: choose {self.name.text()!r} in Predict, or paint more and press Continue.")

    def on_end(self, state: RunState) -> None:  # noqa: ARG002  one way to end is as good as another
        """Remove scratch files and stop following the view."""
        self._guard.release()
        if self._open:
            self._tracker.watch([])
            self.models.update_models(self._folder())
        if self._inputs is not None:
            self._inputs.clean()
            self._inputs = None

    def on_close(self) -> None:
        """Let go of the viewer."""
        self._guard.release()
        self._tracker.disconnect_viewer()
        self.pairs.disconnect_viewer()

    def _drop_preview(self) -> None:
        if self._preview is not None:
            self._preview.remove()


def _kept(folder: Path) -> dict[str, Any]:
    """Return the settings that cannot change when the training in `folder` goes on, whatever the form says."""
    entry = read_entry(folder)
    if entry is None or entry.spec is None:
        return {}
    training = entry.spec.training
    return {name: getattr(training, name).model_dump(mode="json") for name in ("network", "intensity")}


def _row(*widgets: QWidget) -> QHBoxLayout:
    layout = QHBoxLayout()
    for widget in widgets:
        layout.addWidget(widget)
    return layout

"""The widget Train: choose images and annotation, train, watch."""

from collections.abc import Mapping
from pathlib import Path

from napari.components import ViewerModel
from napari.layers import Labels, Layer
from qtpy.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_tessera.config.model import CHECKPOINT_FILE
from napari_tessera.config.networks import UNetConfig
from napari_tessera.config.training import Annotation, TrainingConfig
from napari_tessera.core.errors import TesseraError
from napari_tessera.core.jobs import JobEvent, Preview
from napari_tessera.napari_plugin.annotation.annotating import new_annotation, show_classes
from napari_tessera.napari_plugin.annotation.correcting import CorrectionBox, predicted_image
from napari_tessera.napari_plugin.forms.config_form import settings_form
from napari_tessera.napari_plugin.forms.folded_section import FoldedSection
from napari_tessera.napari_plugin.forms.plain_text import PlainLabel, set_tooltip
from napari_tessera.napari_plugin.home import current_home, file_name
from napari_tessera.napari_plugin.jobs.job_widget import JobWidget
from napari_tessera.napari_plugin.jobs.leaving import LeaveGuard
from napari_tessera.napari_plugin.jobs.runner import JobRunner, RunState
from napari_tessera.napari_plugin.journal.api import offer_found
from napari_tessera.napari_plugin.layers.notes import is_annotation, layer_classes
from napari_tessera.napari_plugin.layers.view_tracker import Spans, ViewTracker
from napari_tessera.napari_plugin.models.listing import fixed_settings
from napari_tessera.napari_plugin.models.model_panel import ModelPanel
from napari_tessera.napari_plugin.training.class_table import ClassTable
from napari_tessera.napari_plugin.training.finding_box import FindingBox
from napari_tessera.napari_plugin.training.learnt_parts import Learnt, part_of, preview_of
from napari_tessera.napari_plugin.training.paint_counter import PaintCounter, why_unpainted
from napari_tessera.napari_plugin.training.painted_class import PaintedClass
from napari_tessera.napari_plugin.training.pair_list import PairList
from napari_tessera.napari_plugin.training.preview_layer import PreviewLayer
from napari_tessera.napari_plugin.training.train_controller import (
    KINDS,
    Classes,
    Facts,
    Offer,
    Painted,
    TrainController,
)
from napari_tessera.napari_plugin.training.training_inputs import TrainingInputs
from napari_tessera.napari_plugin.training.training_job import TRAINING
from napari_tessera.pipeline.learning.painted import Doubt, Remedy
from napari_tessera.pipeline.results import TrainResult

SETTINGS = (
    ("stop.max_steps", "Steps"),
    ("stop.max_seconds", "Time limit (s)"),
    ("stop.patience", "Patience"),
    ("device", "Device"),
    *((f"network.{name}", label) for name, label in UNetConfig.asked.items()),
    ("data.patch_size", "Patch size"),
    ("data.batch_size", "Batch size"),
    ("optimiser.learning_rate", "Learning rate"),
    ("precision", "Precision"),
    ("seed", "Seed"),
)


OFFERED = {"stop.max_seconds": 600, "stop.patience": 10}


class TrainWidget(JobWidget):
    """Trains a network on annotated layers and shows what it has learnt while it learns."""

    def __init__(self, viewer: ViewerModel, runner: JobRunner | None = None) -> None:
        super().__init__(TRAINING, runner)
        self.viewer = viewer
        self.home = current_home()
        self._inputs: TrainingInputs | None = None
        self._preview: PreviewLayer | None = None
        self.controller = TrainController(self)
        self._learnt: list[Learnt] = []
        self._counter = PaintCounter(viewer, self)
        self._counter.counted.connect(self.controller.look)
        self._tracker = ViewTracker(viewer, self)
        self._tracker.view_changed.connect(self._look_at)
        self._make_controls()
        self.set_content(self._arrange(), self.train_button, self.continue_button, self.cancel_button)
        self.controller.choose(self.annotation)
        self._on_pairs()
        self.runner.warm_up()
        offer_found(viewer)

    def _make_controls(self) -> None:
        self.pairs = PairList(self.viewer)
        self.pairs.changed.connect(self._on_pairs)
        self.new_button = QPushButton("New annotation layer")
        self.new_button.clicked.connect(self._new_annotation)
        self.add_pair_button = QPushButton("Add a pair")
        self.add_pair_button.setToolTip("Learn from one more image, or add one more layer of annotation to an image.")
        self.add_pair_button.clicked.connect(lambda _: self.pairs.add_row())
        self.correcting = CorrectionBox(self.viewer)
        self.correcting.said.connect(lambda text: self.panel.say(text) if text else None)
        self.correcting.made.connect(self._correct)
        self.correcting.picker.listed.connect(self._offer_correcting)
        self._offer_correcting()
        self.kind = QComboBox()
        self.kind.addItems([title for _, title, _ in KINDS])
        self.kind.setToolTip("What the numbers in the annotation mean.")
        self.kind.currentIndexChanged.connect(lambda _: self.controller.choose(self.annotation))
        self.explanation = PlainLabel()
        self.explanation.setWordWrap(True)
        self.classes = ClassTable()
        self.classes.changed.connect(self.recolor)
        self._painted = PaintedClass(self.viewer, self.classes)
        self.finding = FindingBox()
        self.finding.remedy_wanted.connect(self.controller.take_remedy)
        self.finding.sure.connect(self.controller.train_all_the_same)
        self.finding.doubt_gone.connect(self.panel.take_back)  # it was refused for that
        self.name = QLineEdit(self.home.free_model_name("model"))
        set_tooltip(self.name, f"Under this name the model is kept in {self.home.models} and offered in Predict.")
        self.name.textChanged.connect(self.refresh)
        self.train_button = QPushButton("Train")
        self.train_button.clicked.connect(lambda: self.controller.start(resume=False))
        self.continue_button = QPushButton("Continue")
        self.continue_button.clicked.connect(lambda: self.controller.start(resume=True))
        self.settings = settings_form(TrainingConfig, SETTINGS, OFFERED)
        self.models = ModelPanel(self.home.models, self.runner)
        self.models.chosen.connect(lambda entry: self.name.setText(entry.name))
        self.models.listed.connect(self.refresh)
        self._leaving = LeaveGuard(self, self._question_on_leaving)

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
        layout.addWidget(self.correcting)
        layout.addLayout(_field("My labels are", self.kind))
        layout.addWidget(self.explanation)
        layout.addWidget(self.classes)
        layout.addWidget(self.finding)
        layout.addLayout(_field("Model name", self.name))
        layout.addWidget(FoldedSection("Models", self.models, "Go on with another model; name, copy or delete it."))
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
        return self.facts().why_not

    def refresh(self) -> None:
        """Enable what applies and say why the rest does not."""
        super().refresh()
        self.models.choose(self._folder())
        self.controller.offer()

    # what the controller asks and tells: see `TrainView`

    @property
    def shown_classes(self) -> dict[int, tuple[str, str]]:
        """The classes in the table."""
        return self.classes.classes

    @property
    def unknown_numbers(self) -> list[int]:
        """Numbers that are painted but no classes."""
        return self.classes.unknown

    def facts(self) -> Facts:
        """Return what matters for whether a training can begin."""
        row = self.pairs.rows[-1]
        return Facts(
            name=self.name.text(),
            why_busy=self.why_busy,
            running=self._running,
            elsewhere=self.runner.state.busy,
            trained=(self._folder() / CHECKPOINT_FILE).is_file(),
            problem=self.pairs.problem,
            unpainted=why_unpainted(self.pairs.annotations, self._counter.counts),
            image=row.image.layer is not None,
            axes=row.axes.axes is not None,
        )

    def painted(self) -> Painted:
        """Return what is painted; points and shapes are drawn when the training begins."""
        annotations = self.pairs.annotations
        layers = [layer for layer in annotations if isinstance(layer, Labels)]
        counts = self._counter.counts if layers else None
        return Painted(counts, len(layers) == len(annotations), all(map(is_annotation, layers)))

    def show_offer(self, offer: Offer) -> None:
        """Enable what applies and say why the rest does not."""
        for button, offered in (
            (self.train_button, offer.train),
            (self.continue_button, offer.go_on),
            (self.new_button, offer.new_annotation),
        ):
            button.setEnabled(offered.enabled)
            set_tooltip(button, offered.help)
        if offer.hint is not None:
            self.panel.say_hint(offer.hint)

    def show_kind(self, annotation: Annotation, explanation: str, classes: Classes) -> None:
        """Show what the numbers mean now, and the classes that go with it, or that a layer brings."""
        self.explanation.setText(explanation)
        self.classes.setVisible(annotation is not Annotation.OBJECTS)
        self.classes.set_classes(annotation, classes)
        self._show_layer_classes()

    def show_painted(self, counts: Mapping[int, int] | None) -> None:
        """Show how much is painted."""
        self.classes.show_counts(counts if self.annotation is not Annotation.OBJECTS else None)
        self.finding.show_found(counts, self.annotation, self.pairs.remark)

    def show_doubt(self, doubt: Doubt | None) -> None:
        """Show what speaks against learning from what is painted."""
        self.finding.show_doubt(doubt)

    def choose_kind(self, annotation: Annotation) -> None:
        """Choose what the numbers mean."""
        self.kind.setCurrentIndex([kind for kind, _, _ in KINDS].index(annotation))

    def choose_number(self, number: int) -> None:
        """Choose what is painted with."""
        self._painted.choose(number)

    def add_classes(self, numbers: list[int]) -> None:
        """Make classes of painted numbers."""
        self.classes.add(numbers)

    def _folder(self) -> Path:
        return self.home.models / file_name(self.name.text())

    def _on_pairs(self) -> None:
        self._show_layer_classes()
        annotations = self.pairs.annotations
        self._counter.watch([layer for layer in annotations if isinstance(layer, Labels)])
        self._painted.follow(next((layer for layer in annotations if isinstance(layer, Labels)), None))
        self.controller.look()

    def _show_layer_classes(self) -> None:
        """Show the classes of an annotation layer that brings its own."""
        layer = self.pairs.rows[0].annotation.layer
        known = layer_classes(layer) if isinstance(layer, Labels) else {}
        first = 1 if self.annotation is Annotation.SCRIBBLES else 0
        if len(known) > 1 and min(known) == first:
            self.classes.set_classes(self.annotation, known)

    def recolor(self) -> None:
        """Give the annotation the colours of the classes."""
        if self.annotation is Annotation.OBJECTS:
            return
        for row in self.pairs.rows:
            layer = row.annotation.layer
            if isinstance(layer, Labels) and layer_classes(layer):  # colours of layers made elsewhere are not ours
                show_classes(layer, self.classes.classes)

    def _new_annotation(self) -> None:
        row = self.pairs.rows[-1]
        if row.image.layer is None or row.axes.axes is None:
            return
        row.annotation.layer = new_annotation(
            self.viewer, row.image.layer, row.axes.axes, self.annotation, self.classes.classes
        )

    def _offer_correcting(self) -> None:
        self.correcting.setVisible(self.correcting.picker.layer is not None)

    def _correct(self, prediction: Labels, made: Labels) -> None:
        """Learn from what was made of a prediction, once it is corrected."""
        row = self.pairs.rows[-1]
        name = predicted_image(prediction)
        row.image.layer = next((layer for layer in row.image.layers if layer.name == name), row.image.layer)
        row.annotation.layer = made
        self.controller.take_remedy(Remedy.STROKES)

    def start(self, *, resume: bool) -> None:
        """Begin a training, or go on with one."""
        if not resume:
            self.name.setText(self.home.free_model_name(file_name(self.name.text())))
        pairs = self.pairs.pairs
        classes = self.classes.classes
        try:
            self._inputs = inputs = TrainingInputs(
                pairs,
                self.annotation,
                classes,
                {**self.settings.changes(), **(fixed_settings(self._folder()) if resume else {})},
                self._folder(),
                self.home,
                resume=resume,
                sure=self.controller.sure,
            )
        except TesseraError as error:
            self.panel.say_error(str(error))
            return
        images = list({pair.image: pair.axes for pair in pairs}.items())
        self._open_preview(images, inputs, keep_away=resume)
        self.pairs.hold(True)
        self.run(inputs, "Getting ready …")
        self._leaving.watch()
        self._tracker.watch(images)

    def _open_preview(self, images: list[tuple[Layer, str]], inputs: TrainingInputs, *, keep_away: bool) -> None:
        """Make the layer of the previews, over what is in view; `keep_away` if the person had deleted it before."""
        dismissed = keep_away and self._preview is not None and self._preview.dismissed
        self._drop_preview()
        self._learnt = list(zip(inputs.starts, inputs.shapes, strict=True))
        self._preview = preview_of(
            self.viewer, images, self._learnt, self.classes.classes, self.pairs.annotations, dismissed=dismissed
        )

    def _look_at(self, image: int, region: Spans | None) -> None:
        self.runner.look_at(image, part_of(region, self._learnt[image]))

    def on_event(self, event: JobEvent) -> None:
        """Show previews and say how a training ended."""
        if isinstance(event, Preview) and self._preview is not None:
            self._preview.show(event)
        elif isinstance(event, TrainResult):
            self.panel.say(f"Trained: choose {self.name.text()!r} in Predict, or paint more and press Continue.")

    def on_end(self, state: RunState) -> None:
        """Remove scratch files and stop following the view; show what was doubted."""
        self._leaving.release()
        self.pairs.hold(False)
        if self._open:
            self._tracker.watch([])
            self.models.update_models(self._folder())
            if self._preview is not None and not self._preview.shown:
                self._drop_preview()  # it has shown nothing
        inputs, self._inputs = self._inputs, None
        if inputs is not None:
            inputs.clean()
            if self._open and state is RunState.FAILED and inputs.doubt is not None:
                self.finding.show_doubt(inputs.doubt)

    def on_close(self) -> None:
        """Let go of the viewer."""
        self._leaving.release()
        self._counter.stop()
        self.correcting.let_go()
        self._tracker.disconnect_viewer()
        self.pairs.disconnect_viewer()
        self._drop_preview()
        self._painted.follow(None)

    def _drop_preview(self) -> None:
        if self._preview is not None:
            self._preview.remove()


def _field(title: str, widget: QWidget) -> QFormLayout:
    form = QFormLayout()
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.addRow(title, widget)
    return form


def _row(*widgets: QWidget) -> QHBoxLayout:
    layout = QHBoxLayout()
    for widget in widgets:
        layout.addWidget(widget)
    return layout

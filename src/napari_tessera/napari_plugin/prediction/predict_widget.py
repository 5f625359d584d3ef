"""The widget Predict: apply a model to an image layer."""

from pathlib import Path

from napari.components import ViewerModel
from napari.layers import Image, Labels
from qtpy.QtWidgets import QCheckBox, QFormLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_tessera.config.prediction import PredictionConfig
from napari_tessera.core.errors import TesseraError
from napari_tessera.core.jobs import JobEvent
from napari_tessera.napari_plugin.annotation.correcting import CorrectionBox
from napari_tessera.napari_plugin.forms.config_form import settings_form
from napari_tessera.napari_plugin.forms.folded_section import FoldedSection
from napari_tessera.napari_plugin.forms.layer_picker import AxesPicker, LayerPicker
from napari_tessera.napari_plugin.forms.plain_text import PlainLabel, set_tooltip
from napari_tessera.napari_plugin.home import current_home
from napari_tessera.napari_plugin.jobs.job_kind import JobKind
from napari_tessera.napari_plugin.jobs.job_widget import JobWidget
from napari_tessera.napari_plugin.jobs.runner import JobRunner, RunState
from napari_tessera.napari_plugin.journal.api import offer_found
from napari_tessera.napari_plugin.layers.images import layer_image, real_viewer
from napari_tessera.napari_plugin.prediction.model_picker import ModelPicker
from napari_tessera.napari_plugin.prediction.prediction_inputs import Output, PredictionInputs
from napari_tessera.napari_plugin.shown_text import shown_name
from napari_tessera.pipeline.results import PredictResult, TrainResult

SETTINGS = (
    ("device", "Device"),
    ("tile", "Tile size"),
    ("precision", "Precision"),
    ("probability_dtype", "Probabilities as"),
)


PREDICTION = JobKind(
    "Predict", remedy="press Predict to do it again, with a smaller tile size if it was for lack of memory."
)


class PredictWidget(JobWidget):
    """Applies a model to an image layer and adds the result as layers."""

    def __init__(self, viewer: ViewerModel, runner: JobRunner | None = None) -> None:
        super().__init__(PREDICTION, runner)
        self.viewer = viewer = real_viewer(viewer)
        self.home = current_home()
        self._inputs: PredictionInputs | None = None
        self._waiting: list[PredictionInputs] = []
        self._trained: Path | None = None
        self._make_controls()
        self.set_content(self._arrange(), self.predict_button, self.cancel_button)
        self._show_image()
        self.runner.warm_up()
        offer_found(viewer)

    def _make_controls(self) -> None:
        self.models = ModelPicker(self.home)
        self.models.model_changed.connect(self.refresh)
        self.facts = PlainLabel()
        self.facts.setWordWrap(True)
        self.image = LayerPicker(self.viewer, (Image,), "Open an image first", follow=True)
        self.image.setToolTip("The image layer to segment.")
        self.image.layer_changed.connect(self._show_image)
        self.axes = AxesPicker()
        self.axes.currentIndexChanged.connect(self.refresh)
        self.labels_box = QCheckBox("Class labels")
        self.labels_box.setToolTip(
            "A Labels layer with the number of the likeliest class at every pixel; 0 is background."
        )
        self.labels_box.setChecked(True)
        self.probabilities_box = QCheckBox("Probabilities")
        self.probabilities_box.setToolTip("One Image layer per class that says how sure the model is, from 0 to 1.")
        for box in (self.labels_box, self.probabilities_box):
            box.toggled.connect(self.refresh)
        self.predict_button = QPushButton("Predict")
        self.predict_button.clicked.connect(self._start)
        self.correcting = CorrectionBox(self.viewer)
        self.correcting.said.connect(lambda text: self.panel.say(text) if text else None)
        self.prediction, self.scribbles_button = self.correcting.picker, self.correcting.button
        self.settings = settings_form(PredictionConfig, SETTINGS, {"tile": 512})

    def _arrange(self) -> QWidget:
        content = QWidget()
        layout = QVBoxLayout(content)
        self._form = form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Model", self.models)
        form.addRow("", self.facts)
        form.addRow("Image", self.image)
        self._axes_label = QLabel("Dimensions")
        form.addRow(self._axes_label, self.axes)
        outputs = QHBoxLayout()
        outputs.addWidget(self.labels_box)
        outputs.addWidget(self.probabilities_box)
        form.addRow("Outputs", outputs)
        layout.addLayout(form)
        layout.addWidget(self.correcting)
        layout.addWidget(FoldedSection("Advanced", self.settings, "Settings that are rarely needed."))
        layout.addStretch(1)
        return content

    @property
    def why_not(self) -> str:
        """Why nothing can be predicted; empty if it can."""
        if self.why_busy:
            return self.why_busy
        if self.models.problem:
            return self.models.problem
        return self._why_not_image or ("" if self._outputs() else "Tick at least one of the outputs.")

    @property
    def _why_not_image(self) -> str:
        layer, axes, spec = self.image.layer, self.axes.axes, self.models.spec
        if layer is None:
            return "Open an image to segment: drop a file into napari."
        if axes is None:
            return f"{layer.name!r} cannot be used: choose a layer with 2 to 5 dimensions."
        channels = layer_image(layer, axes).spec.channels
        if spec is None or channels == spec.channels:
            return ""
        return (
            f"The model was trained on images with {spec.channels} "
            f"channel{'s' if spec.channels > 1 else ''}, this one has {channels}: choose another image or model."
        )

    def refresh(self) -> None:
        """Enable what applies and say why the rest does not."""
        super().refresh()
        why_not = self.why_not
        self.predict_button.setEnabled(not why_not)
        set_tooltip(self.predict_button, why_not or "Apply the model to the whole image layer.")
        spec = self.models.spec
        self.facts.setVisible(spec is not None)
        if spec is not None:
            self.facts.setText("Finds " + ", ".join(shown_name(entry.name) for entry in spec.classes if entry.id != 0))
        if not self._running:
            self.panel.say_hint("" if self.runner.state.busy else why_not)

    def _outputs(self) -> list[Output]:
        outputs: list[Output] = []
        if self.labels_box.isChecked():
            outputs.append("labels")
        if self.probabilities_box.isChecked():
            outputs.append("probabilities")
        return outputs

    def _show_image(self) -> None:
        self.axes.show_layer(self.image.layer)
        self._form.setRowVisible(self.axes, self.axes.in_doubt)
        self.refresh()

    def _start(self) -> None:
        layer, axes, folder, spec = self.image.layer, self.axes.axes, self.models.folder, self.models.spec
        if layer is None or axes is None or folder is None or spec is None:
            return
        self.panel.say("")
        try:
            settings = self.settings.changes()
            self._waiting = [
                PredictionInputs(
                    layer,
                    axes,
                    folder,
                    spec,
                    PredictionConfig().with_overrides({**settings, "output": out}),
                    self.home,
                )
                for out in self._outputs()
            ]
        except TesseraError as error:
            self.panel.say_error(str(error))
            return
        self._next()

    def _next(self) -> None:
        self._inputs = self._waiting.pop(0)
        self.run(self._inputs, "Getting ready …")

    def on_event(self, event: JobEvent) -> None:
        """Add the result to the viewer."""
        if isinstance(event, PredictResult) and self._inputs is not None:
            for layer in self._inputs.result_layers():
                self.viewer.add_layer(layer)
                if isinstance(layer, Labels):
                    self.prediction.layer = layer
            self.panel.say(f"Done in {event.seconds:.1f} s.")

    def on_end(self, state: RunState) -> None:
        """Remove scratch files, and show what is finished or go on with the next output."""
        inputs, self._inputs = self._inputs, None
        if inputs is not None:
            inputs.clean()
            if self._open and state is not RunState.DONE:
                self._show_finished_part(inputs, state)
        if self._waiting and state is RunState.DONE:
            self._next()
        else:
            self._waiting = []

    def _show_finished_part(self, inputs: PredictionInputs, state: RunState) -> None:
        layers = inputs.finished_part("cancelled" if state is RunState.CANCELLED else "unfinished")
        for layer in layers:
            self.viewer.add_layer(layer)
        if layers and state is RunState.CANCELLED:
            how_far = self.runner.message.partition(";")[0].rstrip(".")  # where the file lies is the layer's concern
            self.panel.say(f"{how_far}; what was finished is in the layer {layers[0].name!r}.")

    def on_close(self) -> None:
        """Let go of the viewer."""
        self.image.disconnect_viewer()
        self.correcting.let_go()

    def _on_event(self, event: JobEvent) -> None:
        super()._on_event(event)
        if isinstance(event, TrainResult):
            self._trained = event.model

    def _on_state(self, state: RunState) -> None:
        super()._on_state(state)
        if self.runner.kind.saves and not state.busy:
            # a training that failed or was cancelled may have left a model: it is offered, but not chosen unasked
            self.models.update_models(self._trained if state is RunState.DONE else None)
            self._trained = None

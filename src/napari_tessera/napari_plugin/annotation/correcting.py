"""Making annotation out of a prediction, to correct it: offered where one predicts and where one paints."""

from typing import Any

from napari.components import ViewerModel
from napari.layers import Labels, Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QPushButton, QWidget
from superqt.utils import create_worker

from napari_tessera.napari_plugin.annotation.annotating import Scribbles, add_scribbles, scribbles_from
from napari_tessera.napari_plugin.forms.layer_picker import LayerPicker
from napari_tessera.napari_plugin.forms.plain_text import show_error
from napari_tessera.napari_plugin.layers.images import full_resolution
from napari_tessera.napari_plugin.layers.notes import layer_classes, notes_of


class CorrectionBox(QWidget):
    """Chooses a prediction and turns it into scribbles, shown as outlines over the image.

    Signals
    -------
    made(object, object)
        The prediction and the annotation that was made of it.
    said(str)
        What has to be known of it; empty if nothing has.
    """

    made = Signal(object, object)
    said = Signal(str)

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._converting: Any = None
        self._open = True
        self.picker = LayerPicker(viewer, (Labels,), "No prediction yet", accepts=is_prediction, follow=True)
        self.picker.setToolTip("The prediction to correct.")
        self.picker.layer_changed.connect(self.refresh)
        self.button = QPushButton("Turn into scribbles")
        self.button.clicked.connect(self._make)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Correct", self.picker)
        form.addRow("", self.button)
        self.refresh()

    def refresh(self) -> None:
        """Enable the button, or say why it cannot be pressed."""
        correctable = self.picker.layer is not None and not self.picker.layer.multiscale
        self.button.setEnabled(correctable and self._converting is None)
        self.button.setToolTip(
            "Make an annotation layer out of this prediction, shown as outlines: background becomes 1, and classes "
            "move up by one if one of them is 1. Paint where it is wrong, then train on it."
            if correctable
            else "Choose a prediction that is not a pyramid; napari cannot paint in those."
        )

    def let_go(self) -> None:
        """Stop listening to the viewer; what is being made is dropped."""
        self._open = False
        self.picker.disconnect_viewer()

    def show_scribbles(self, layer: Labels, scribbles: Scribbles) -> None:
        """Add what was made of `layer`; nothing once the box is closed, for nobody waits for it then."""
        self._converting = None
        if not self._open:
            return
        made = add_scribbles(self._viewer, layer, scribbles)
        self.refresh()
        self.said.emit(
            "In scribbles 1 is background, so each class has the number after its own: 1 is now 2."
            if scribbles.shift
            else ""
        )
        self.made.emit(layer, made)

    def _make(self) -> None:
        layer = self.picker.layer
        if layer is None:
            return
        numbers = set(layer_classes(layer))
        self._converting = create_worker(scribbles_from, full_resolution(layer), numbers, _start_thread=False)
        self._converting.returned.connect(lambda scribbles: self.show_scribbles(layer, scribbles))
        self._converting.errored.connect(self._failed)
        self._converting.start()
        self.refresh()

    def _failed(self, error: Exception) -> None:
        self._converting = None
        if self._open:
            show_error(f"The prediction could not be turned into scribbles: {error}")
            self.refresh()


def is_prediction(layer: Layer) -> bool:
    """Return whether `layer` may be a prediction, of ours or of another program: all but annotation made here."""
    notes = notes_of(layer)
    return not notes.fields or notes.role == "prediction"


def predicted_image(prediction: Layer) -> str:
    """Return the name of the image layer that `prediction` was made of; empty if that is not known."""
    return notes_of(prediction).image

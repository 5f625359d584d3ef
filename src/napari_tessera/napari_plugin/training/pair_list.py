"""Which layer annotates which image: one row per pair."""

from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QFrame, QLabel, QPushButton, QSpinBox, QVBoxLayout, QWidget

from napari_tessera.napari_plugin.forms.layer_picker import AxesPicker, LayerPicker
from napari_tessera.napari_plugin.layers.belonging import image_of
from napari_tessera.napari_plugin.layers.notes import is_annotation, is_made
from napari_tessera.napari_plugin.training.fitting import can_lie_on, lay_on
from napari_tessera.napari_plugin.training.own_annotation import own_annotation
from napari_tessera.napari_plugin.training.training_inputs import Pair

_PLACE = ("data", "scale", "translate", "rotate", "shear", "affine", "units")
"""Events of a layer that lies elsewhere now, or has another size."""


class PairRow(QFrame):
    """One image layer and one layer that annotates it.

    The first row follows the image that is selected, with what annotates it, and the annotation that is selected, until
    the person has chosen in it.

    Signals
    -------
    changed()
        Something else is chosen.
    removed()
        The person takes the row away.
    """

    changed = Signal()
    removed = Signal()

    def __init__(self, viewer: ViewerModel, *, removable: bool) -> None:
        super().__init__()
        first = not removable
        self._follows = first
        self.image = LayerPicker(viewer, (Image,), "Open an image first", follow=first)
        self.image.setToolTip("The image layer to learn from.")
        self.image.activated.connect(self.stay)
        self.axes = AxesPicker()
        self.axes.show_layer(self.image.layer)
        self.annotation = LayerPicker(
            viewer,
            (Labels, Points, Shapes),
            "None yet",
            accepts=_is_annotation,
            follow=first,
            unasked=is_annotation,
            usual=self._own_annotation if first else None,
        )
        self.annotation.activated.connect(self.stay)
        self.annotation.setToolTip(
            "The layer with your annotation: a Labels layer to paint in. Points and Shapes work too: points count as "
            "discs of their size, closed shapes are filled."
        )
        self.number = QSpinBox()
        self.number.setRange(1, 255)
        self.number.setValue(2)
        self.number.setToolTip(
            "The class of all points or shapes in this layer, unless its features have a column named class with one "
            "number each. Use one layer per class, each in a row of its own with the same image."
        )
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.addRow("Image", self.image)
        self._axes_label = QLabel("Dimensions")
        self._form.addRow(self._axes_label, self.axes)
        self._form.addRow("Annotation", self.annotation)
        self.lay_button = QPushButton("Lay it on the image")
        self.lay_button.setToolTip(
            "The annotation has the pixels of the image but lies elsewhere: give it the image's place, pixel size and "
            "units."
        )
        self.lay_button.clicked.connect(self._lay)
        self._form.addRow("", self.lay_button)
        self._number_label = QLabel("Class")
        self._form.addRow(self._number_label, self.number)
        if removable:
            button = QPushButton("Remove this pair")
            button.setToolTip("Do not learn from this pair. The layers stay.")
            button.clicked.connect(self.removed)
            self._form.addRow("", button)
        self.image.layer_changed.connect(self._show_image)
        self.annotation.layer_changed.connect(self._show_annotation)
        self.axes.currentIndexChanged.connect(self.changed)
        self.number.valueChanged.connect(self.changed)
        self._watched: list[Layer] = []
        self.changed.connect(self._offer_to_lay)
        self._show_image()
        self._show_annotation()

    @property
    def pair(self) -> Pair | None:
        """What is chosen, if it is complete."""
        image, annotation, axes = self.image.layer, self.annotation.layer, self.axes.axes
        if image is None or annotation is None or axes is None:
            return None
        return Pair(image, axes, annotation, self.number.value())

    @property
    def problem(self) -> str:
        """What is missing or does not fit, in a sentence; empty if nothing is."""
        if self.image.layer is None:
            return "Open an image to learn from: drop a file into napari, or take one of File ▸ Open Sample."
        if self.axes.axes is None:
            return f"{self.image.layer.name!r} cannot be used: choose a layer with 2 to 5 dimensions."
        if self.annotation.layer is None:
            return "Press New annotation layer and paint a few strokes of each class."
        return self.pair.problem if self.pair is not None else ""

    def stay(self) -> None:
        """Follow no more what is selected: the person has chosen."""
        self._follows = False
        self.image.stop_following()
        self.annotation.stop_following()

    def hold(self, on: bool) -> None:
        """Keep what is chosen for a while, as long as it is learnt from."""
        self.image.hold(on)
        self.annotation.hold(on)

    def disconnect_viewer(self) -> None:
        """Stop listening to the viewer."""
        self._watch([])
        self.image.disconnect_viewer()
        self.annotation.disconnect_viewer()

    def _own_annotation(self, annotations: tuple[Layer, ...], current: Layer | None = None) -> Layer | None:
        image, axes = self.image.layer, self.axes.axes
        if image is None or axes is None:
            return current or (annotations[0] if annotations else None)
        return own_annotation(image, axes, annotations, self.image.layers, current)

    def _watch(self, layers: list[Layer]) -> None:
        """Notice where `layers` are moved to: that decides what is learnt."""
        for layer in self._watched:
            for name in _PLACE:
                layer.events[name].disconnect(self._moved)
        self._watched = layers
        for layer in layers:
            for name in _PLACE:
                layer.events[name].connect(self._moved)

    def _lay(self) -> None:
        pair = self.pair
        if pair is not None and isinstance(pair.annotation, Labels):
            lay_on(pair.annotation, pair.image, pair.axes)

    def _offer_to_lay(self) -> None:
        pair = self.pair
        offered = pair is not None and bool(pair.problem) and can_lie_on(pair.annotation, pair.image, pair.axes)
        self._form.setRowVisible(self.lay_button, offered)

    def _moved(self, _event: object = None) -> None:
        self.changed.emit()

    def _watch_chosen(self) -> None:
        chosen = (self.image.layer, self.annotation.layer)
        self._watch(list(dict.fromkeys(layer for layer in chosen if layer is not None)))

    def _show_image(self) -> None:
        self._watch_chosen()
        self.axes.show_layer(self.image.layer)
        for widget in (self.axes, self._axes_label):
            widget.setVisible(self.axes.in_doubt)
        if self._follows:
            self.annotation.choose(self._own_annotation(self.annotation.layers, self.annotation.layer))
        self.changed.emit()

    def _show_annotation(self) -> None:
        self._watch_chosen()
        annotation = self.annotation.layer
        if self._follows and annotation is not None:
            self.image.layer = image_of(annotation, self.image.layers) or self.image.layer
        marks = isinstance(annotation, Points | Shapes)
        for widget in (self.number, self._number_label):
            widget.setVisible(marks)
        self.changed.emit()


class PairList(QWidget):
    """All pairs of a training; the first row is always there.

    Signals
    -------
    changed()
        Something else is chosen.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self.rows: list[PairRow] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self.add_row(removable=False)

    @property
    def pairs(self) -> list[Pair]:
        """The complete pairs."""
        return [row.pair for row in self.rows if row.pair is not None]

    @property
    def annotations(self) -> list[Layer]:
        """The layers that annotate, whether they fit or not."""
        return [row.annotation.layer for row in self.rows if row.annotation.layer is not None]

    @property
    def remark(self) -> str:
        """What is done so that annotation and image fit, in a sentence; empty if nothing is."""
        return next((pair.remark for pair in self.pairs if pair.remark), "")

    @property
    def problem(self) -> str:
        """The first thing that is missing or does not fit."""
        return next((row.problem for row in self.rows if row.problem), "")

    def add_row(self, *, removable: bool = True) -> PairRow:
        """Add a row."""
        for other in self.rows:
            other.stay()  # the new row is chosen beside it
        row = PairRow(self._viewer, removable=removable)
        row.changed.connect(self.changed)
        row.removed.connect(lambda: self._remove(row))
        self.rows.append(row)
        self._layout.addWidget(row)
        self.changed.emit()
        return row

    def hold(self, on: bool) -> None:
        """Keep what is chosen for a while, as long as it is learnt from."""
        for row in self.rows:
            row.hold(on)

    def disconnect_viewer(self) -> None:
        """Stop listening to the viewer."""
        for row in self.rows:
            row.disconnect_viewer()

    def _remove(self, row: PairRow) -> None:
        self.rows.remove(row)
        row.disconnect_viewer()
        self._layout.removeWidget(row)
        row.hide()
        row.deleteLater()
        self.changed.emit()


def _is_annotation(layer: Layer) -> bool:
    """Return whether a person may have made `layer`: previews and predictions are offered for correcting instead."""
    return not is_made(layer)

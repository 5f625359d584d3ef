"""The class that an annotation layer is painted with, marked in the table of classes and chosen there."""

from napari.components import ViewerModel
from napari.layers import Labels

from napari_tessera.napari_plugin.annotation.annotating import choose_class
from napari_tessera.napari_plugin.training.class_table import ClassTable


class PaintedClass:
    """Keeps a table and one layer at a time at the same class, whoever chooses it."""

    def __init__(self, viewer: ViewerModel, table: ClassTable) -> None:
        self._viewer, self._table = viewer, table
        self._layer: Labels | None = None
        table.chosen.connect(self.choose)

    def follow(self, layer: Labels | None) -> None:
        """Mark the class of `layer` from now on."""
        if self._layer is not None:
            self._layer.events.selected_label.disconnect(self._mark)
        self._layer = layer
        if layer is not None:
            layer.events.selected_label.connect(self._mark)
        self._mark()

    def choose(self, number: int) -> None:
        """Take the brush and paint the class `number` in the layer."""
        if self._layer is not None and self._layer in self._viewer.layers:
            choose_class(self._viewer, self._layer, number)

    def _mark(self, _event: object = None) -> None:
        self._table.select(self._layer.selected_label if self._layer is not None else None)

"""What is refused before anything is computed: known from the layers and settings alone, without looking at a pixel."""

from collections.abc import Hashable, Mapping
from typing import Any

from napari.layers import Layer
from qtpy.QtCore import QObject, Signal

from napari_tessera.core.errors import TesseraError
from napari_tessera.io.arrays import ArraySource
from napari_tessera.napari_plugin.filtering.operation_inputs import gather
from napari_tessera.napari_plugin.filtering.operation_panel import OperationPanel
from napari_tessera.napari_plugin.layers.images import layer_image
from napari_tessera.operations.base import Operation
from napari_tessera.pipeline.applying.frames import make_frames
from napari_tessera.pipeline.applying.inputs import gather_inputs


def why_refused(operation: Operation, layer: Layer, axes: str, layers: Mapping[str, Layer]) -> str:
    """Return why `operation` does not take `layer`, an image with `axes`, and the further inputs; empty if it does."""
    try:
        image = layer_image(layer, axes)
        given = gather(layers, operation, layer, axes, None)
        first = {operation.inputs[0].name: ArraySource(image.array, image.spec)}
        make_frames(operation, gather_inputs(operation, {**first, **given.sources, **given.arrays}))
    except TesseraError as error:
        return str(error)
    return ""


class Refusals(QObject):
    """Knows why what is chosen is refused, and notices when that may have changed.

    Signals
    -------
    changed()
        Points have come, or a layer that was asked about has another shape or place.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._watched: list[Layer] = []
        self._key: Hashable = None
        self._answer = ""

    def ask(self, panel: OperationPanel, layer: Layer | None, axes: str | None) -> str:
        """Return why the operation of `panel` is refused; empty if it is not, or cannot be told yet.

        Asked again, the answer costs nothing.
        """
        if layer is None or axes is None or panel.operation is None or panel.why_not:
            return ""
        operation, layers = panel.build(), panel.layers()
        settings = (type(operation), operation.model_dump_json())
        key = (settings, layer.unique_id, axes, tuple((name, one.unique_id) for name, one in layers.items()))
        if key != self._key:
            self._watch([layer, *layers.values()])
            self._key, self._answer = key, why_refused(operation, layer, axes, layers)
        return self._answer

    def forget(self) -> None:
        """Let go of all layers."""
        self._watch([])
        self._key = None

    def _watch(self, layers: list[Layer]) -> None:
        wanted = list(dict.fromkeys(layers))
        if wanted == self._watched:
            return
        for layer in self._watched:
            for event in _events(layer):
                event.disconnect(self._on_change)
        for layer in wanted:
            for event in _events(layer):
                event.connect(self._on_change)
        self._watched = wanted

    def _on_change(self, _event: object = None) -> None:
        self._key = None
        self.changed.emit()


def _events(layer: Layer) -> tuple[Any, ...]:
    events = layer.events
    return events.data, events.scale, events.translate, events.rotate, events.shear, events.affine

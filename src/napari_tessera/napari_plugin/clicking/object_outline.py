"""The outline of the object that has been gone to, until another one is selected or it is changed."""

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from numpy.typing import NDArray

from napari_tessera.napari_plugin.clicking.outline import Outline

MOST_COMPARED = 2**22
"""Pixels of an object's box: of a larger one any change in the layer is taken for one of the object."""


class ObjectOutline:
    """Shows the outline of one object, as long as it is selected and stays as it is."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._outline: Outline | None = None
        self._layer: Labels | None = None
        self._label = 0
        self._box: tuple[slice, ...] = ()
        self._mask: NDArray[np.bool_] = np.zeros(0, bool)
        self._slice: tuple[Any, ...] = ()

    @property
    def layer(self) -> Labels | None:
        """The layer whose object is outlined; None if none is."""
        return self._layer

    @property
    def outline(self) -> Outline | None:
        """What shows it."""
        return self._outline

    def show(self, layer: Labels, label: int, box: tuple[slice, ...], mask: NDArray[np.bool_]) -> None:
        """Outline an object of `layer`, which is the selected one; `mask` is it in a box of ``layer.data``."""
        if layer is not self._layer:
            self.hide()
            self._layer, self._outline = layer, Outline(self._viewer, layer)
            for event, take in self._events(layer):
                event.connect(take)
        assert self._outline is not None
        self._label, self._box, self._mask, self._slice = label, box, mask, self._here()
        self._outline.show([part.start for part in box], mask)

    def hide(self) -> None:
        """Take the outline away and let go of the layer."""
        layer, self._layer = self._layer, None
        if layer is None or self._outline is None:
            return
        for event, take in self._events(layer):
            event.disconnect(take)
        self._outline.close()
        self._outline = None
        self._mask = np.zeros(0, bool)

    def keep_to(self, layer: Layer | None) -> None:
        """Take the outline away unless it is that of an object of `layer`, which is chosen now."""
        if layer is not self._layer:
            self.hide()

    def _events(self, layer: Labels) -> list[tuple[Any, Any]]:
        events = layer.events
        changes = [(event, self._on_change) for event in (events.data, events.paint, events.labels_update)]
        return [
            *changes,
            (events.set_data, self._on_set_data),
            (events.selected_label, self._on_selected),
            (self._viewer.layers.events.removed, self._on_removed),
        ]

    def _here(self) -> tuple[Any, ...]:
        dims = self._viewer.dims
        return tuple(dims.point), tuple(dims.order), dims.ndisplay

    def _on_selected(self, _event: object = None) -> None:
        if self._layer is not None and int(self._layer.selected_label) != self._label:
            self.hide()

    def _on_removed(self, _event: object = None) -> None:
        if self._layer is not None and self._layer not in self._viewer.layers:
            self.hide()

    def _on_set_data(self, _event: object = None) -> None:
        """Look at the labels after an undo, which tells no more than this; so does another slice without one."""
        here = self._here()
        if here == self._slice:
            self._on_change()
        self._slice = here

    def _on_change(self, _event: object = None) -> None:
        """Hide the outline if the object is not what it was."""
        layer = self._layer
        if layer is None:
            return
        inside = len(self._box) == layer.data.ndim and all(
            part.stop <= n for part, n in zip(self._box, layer.data.shape, strict=True)
        )
        if (
            not inside
            or self._mask.size > MOST_COMPARED
            or not np.array_equal(np.asarray(layer.data[self._box] == self._label), self._mask)
        ):
            self.hide()

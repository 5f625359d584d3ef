"""Which layers a person has selected, and which napari has: what is added, and what is left where one is deleted."""

import weakref
from typing import Any

from napari.components import ViewerModel
from napari.layers import Layer
from qtpy.QtCore import QObject, QTimer


class HandSelection(QObject):
    """Remembers which layers of `viewer` were selected by hand."""

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layers: weakref.WeakSet[Layer] = weakref.WeakSet()
        self._added: weakref.ref[Layer] | None = None
        self._deleting = QTimer(self)  # napari selects another one before anything else happens
        self._deleting.setSingleShot(True)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)

    def __contains__(self, layer: object) -> bool:
        """Whether `layer` was once selected by hand."""
        return layer in self._layers

    def note(self, active: Layer) -> None:
        """Take notice that `active` is selected now."""
        added = self._added() if self._added is not None else None
        if active is not added and not self._deleting.isActive():
            self._layers.add(active)
        self._added = None
        self._deleting.stop()

    def disconnect_viewer(self) -> None:
        """Stop listening to the viewer."""
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._deleting.stop()

    def _on_inserted(self, event: Any) -> None:
        self._added = weakref.ref(event.value)

    def _on_removed(self, _event: Any = None) -> None:
        self._deleting.start(0)

"""Buttons that go from object to object, and what is locked: both are marked on the canvas."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_tessera.napari_plugin.clicking.lock_marks import LockMarks
from napari_tessera.napari_plugin.clicking.navigating import show_box
from napari_tessera.napari_plugin.clicking.object_outline import ObjectOutline
from napari_tessera.napari_plugin.forms.panel_shell import in_a_row
from napari_tessera.napari_plugin.forms.plain_text import PlainLabel, set_tooltip
from napari_tessera.napari_plugin.jobs.worker_thread import WorkerThread
from napari_tessera.napari_plugin.layers.locking import locked_labels, set_locked
from napari_tessera.pipeline.failures import describe_error

_MOST_NAMED = 12


class ObjectBar(QWidget):
    """Goes to the next and the previous object of a layer, and shows and clears its locks.

    Signals
    -------
    said(str)
        What was found.
    changed()
        Locks have changed.

    Parameters
    ----------
    layer
        Returns the layer, or None.
    """

    said = Signal(str)
    changed = Signal()

    def __init__(self, viewer: ViewerModel, layer: Callable[[], Layer | None]) -> None:
        super().__init__()
        self._viewer, self._layer = viewer, layer
        self._thread = WorkerThread("tessera-find", self._show)
        self._looking = False
        self.outline = ObjectOutline(viewer)
        self.marks = LockMarks(viewer)
        self.previous_button = QPushButton("Previous object")
        self.previous_button.clicked.connect(lambda: self.go(-1))
        self.next_button = QPushButton("Next object")
        self.next_button.clicked.connect(lambda: self.go(1))
        self.locks = PlainLabel()
        self.locks.setWordWrap(True)
        self.unlock_button = QPushButton("Unlock all")
        self.unlock_button.setToolTip("Let tools change all objects again.")
        self.unlock_button.clicked.connect(self._unlock)
        self._lock_row = in_a_row(self.locks, self.unlock_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(in_a_row(self.previous_button, self.next_button))
        layout.addWidget(self._lock_row)
        self.refresh()

    def refresh(self) -> None:
        """Show the locks of the layer, and enable what applies."""
        layer = self._layer()
        usable = isinstance(layer, Labels) and not layer.multiscale
        why_not = "" if usable else "Choose a Labels layer of one resolution first."
        for button, words in (
            (self.previous_button, "Select the object with the next lower number, and go there."),
            (self.next_button, "Select the object with the next higher number, and go there."),
        ):
            button.setEnabled(not why_not and not self._looking)
            set_tooltip(button, why_not or words)
        locked = sorted(locked_labels(layer)) if isinstance(layer, Labels) else []
        named = ", ".join(map(str, locked[:_MOST_NAMED])) + (" …" if len(locked) > _MOST_NAMED else "")
        self.locks.setText(f"Locked: {named}")
        self._lock_row.setVisible(bool(locked))
        self.marks.show(layer if isinstance(layer, Labels) and not layer.multiscale else None)
        self.outline.keep_to(layer)

    def go(self, step: int) -> None:
        """Go `step` objects on from the selected one; looked for in a thread, as the labels may be large."""
        layer = self._layer()
        if not isinstance(layer, Labels) or self._looking:
            return
        self._looking = True
        self.refresh()
        find = partial(_find, layer.data, int(layer.selected_label), step)
        self._thread.submit((layer, step), find)

    def close_bar(self) -> None:
        """Wait for nothing any more, and take away what is on the canvas."""
        self.outline.hide()
        self.marks.close()
        self._thread.close()

    def _show(self, sought: tuple[Labels, int], found: Any) -> None:
        layer, step = sought
        self._looking = False
        self.refresh()
        if isinstance(found, BaseException):
            self.said.emit(describe_error(found, report="which button you pressed"))
        elif layer not in self._viewer.layers:
            return
        elif found is None:
            self.said.emit(f"There is no {'next' if step > 0 else 'previous'} object in {layer.name!r}.")
        else:
            label, box = found
            layer.selected_label = label
            mask = np.asarray(layer.data[box] == label)
            show_box(self._viewer, layer, box, mask)
            self.outline.show(layer, label, box, mask)
            self.said.emit(f"Object {label} is selected.")

    def _unlock(self) -> None:
        layer = self._layer()
        if isinstance(layer, Labels):
            set_locked(layer, ())
            self.refresh()
            self.changed.emit()


def _find(labels: Any, selected: int, step: int) -> tuple[int, tuple[slice, ...]] | None:
    from napari_tessera.operations.labels.finding import next_object

    return next_object(labels, selected, 1 if step > 0 else -1)

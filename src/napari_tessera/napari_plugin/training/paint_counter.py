"""How many pixels of each number are painted, counted in a thread while the person paints on."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_tessera.core.jobs import CancelToken
from napari_tessera.napari_plugin.jobs.inputs import count_numbers
from napari_tessera.napari_plugin.jobs.worker_thread import WorkerThread
from napari_tessera.napari_plugin.layers.images import full_resolution

DEBOUNCE_MS = 250
"""So long after the last stroke they are counted anew."""
MOST_LAZY = 2**28
"""Pixels of a layer on the disk that are counted; a training looks through larger ones when it begins."""
_EVENTS = ("paint", "data", "set_data")


def is_empty(counts: Mapping[int, int] | None) -> bool:
    """Return whether nothing is known to be painted; None for what is not known yet."""
    return counts is not None and not any(number and count for number, count in counts.items())


def why_unpainted(annotations: Sequence[Layer], counts: Mapping[int, int] | None) -> str:
    """Return what is to be done because all of `annotations` are empty; empty if one is not, or may not be.

    Parameters
    ----------
    annotations
        Labels, Points and Shapes layers.
    counts
        Pixels per number in all Labels layers together; None until they are counted.
    """
    marks = [layer for layer in annotations if not isinstance(layer, Labels)]
    painted = len(marks) < len(annotations)
    if not annotations or any(len(layer.data) for layer in marks) or (painted and not is_empty(counts)):
        return ""
    name = annotations[0].name
    if isinstance(annotations[0], Labels):
        return f"Paint in {name!r} first: a few strokes of each class, or all of some objects."
    return f"Add points or shapes to {name!r} first."


class PaintCounter(QObject):
    """Counts the numbers in some Labels layers, over all their planes, and again after each change.

    Signals
    -------
    counted()
        There are new `counts`.

    Attributes
    ----------
    counts
        Pixels per number in all layers together, 0 included; None until they have been counted for the first time.
    """

    counted = Signal()

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layers: list[Labels] = []
        self._cancel = CancelToken()
        self._thread = WorkerThread("tessera-paint-counter", self._take)
        self._place: Any = None
        self.counts: dict[int, int] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DEBOUNCE_MS)
        self._timer.timeout.connect(self.count)

    def watch(self, layers: Sequence[Labels]) -> None:
        """Count what is painted in `layers` from now on; each once."""
        layers = list(dict.fromkeys(layers))
        if layers == self._layers:
            return
        self._connect(connected=False)
        self._layers, self.counts = layers, None
        self._connect(connected=True)
        self.count()

    def stop(self) -> None:
        """Let go of all layers; may be called when Qt has deleted the timer already."""
        self._cancel.cancel()
        self._thread.close()
        self._connect(connected=False)
        self._layers = []

    def count(self) -> None:
        """Begin to count anew."""
        self._cancel.cancel()
        self._cancel = cancel = CancelToken()
        self._place = self._shown_place()
        arrays = [full_resolution(layer) for layer in self._layers]
        if any(not isinstance(array, np.ndarray) and math.prod(array.shape) > MOST_LAZY for array in arrays):
            return  # it would be read from the disk for minutes, beside the work that the person waits for
        self._thread.submit(cancel, partial(_count, arrays, cancel))

    def _take(self, cancel: CancelToken, counts: dict[int, int] | BaseException) -> None:
        """Take new counts; of a file that has gone or is damaged there are none, and a training says so in words."""
        if cancel is self._cancel and not isinstance(counts, BaseException):
            self.counts = counts
            self.counted.emit()

    def _connect(self, *, connected: bool) -> None:
        for layer in self._layers:
            for name in _EVENTS:
                emitter = layer.events[name]
                (emitter.connect if connected else emitter.disconnect)(self._changed)

    def _changed(self, event: Any = None) -> None:
        """Count in a moment; not for a slice that is merely shown."""
        if event is not None and event.type == "set_data" and self._place != self._shown_place():
            self._place = self._shown_place()
            return
        if not (self._timer.isActive() and is_empty(self.counts)):  # the first stroke is not to wait for the second
            self._timer.start()

    def _shown_place(self) -> Any:
        dims = self._viewer.dims
        return tuple(dims.point), tuple(dims.order), dims.ndisplay


def _count(arrays: Sequence[Any], cancel: CancelToken) -> dict[int, int]:
    total: dict[int, int] = {}
    for array in arrays:
        for number, count in count_numbers(array, cancel).items():
            total[number] = total.get(number, 0) + count
    return total

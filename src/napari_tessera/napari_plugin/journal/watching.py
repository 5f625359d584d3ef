"""Watches a Labels layer from the GUI thread: which of its changes become which message to the writer.

=====================================  ==================================================================
stroke, fill, polygon, click           event ``paint``; a stroke that goes on is told piece by piece before
undo, redo                             ``set_data``, and the history's stacks have moved
``layer.data = other``                 another array
``layer.data[...] = x``                nothing is emitted: the writer compares checksums; ``refresh()`` makes it
                                       look at once
name, scale, colours, features, …      their events; class names, which have none, are looked at once a second
=====================================  ==================================================================
"""

import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_tessera.config.session import REMOVED
from napari_tessera.napari_plugin.journal.describing import PLACE, LayerFacts, facts_of
from napari_tessera.napari_plugin.journal.messages import (
    Changed,
    Described,
    Gone,
    Key,
    Message,
    Protect,
    Replaced,
    Suspected,
)
from napari_tessera.napari_plugin.journal.recording import bytes_of
from napari_tessera.napari_plugin.layers.notes import notes_of
from napari_tessera.napari_plugin.painting.history_reading import Edits, HistoryReader

_DESCRIBING = (
    "name", "scale", "translate", "rotate", "shear", "affine", "units", "axis_labels", "colormap", "features",
    "opacity", "blending", "visible", "contour", "metadata",
)  # fmt: skip

LOOK_SECONDS = 1.0
"""How often notes are looked at that a script has changed in place, of which no event tells."""
COPY_BYTES = 2**23
"""An array of up to this size is copied in the GUI thread, within two milliseconds; it need not wait for a barrier."""
HINT_SECONDS = 0.5
"""How often a refresh may make the writer look for changes that nobody told."""


def real(layer: Any) -> Any:
    """Return a layer or viewer itself: what napari gives to widgets are stand-ins, each other than the last."""
    return getattr(layer, "__wrapped__", layer)


def why_not_protected(layer: object) -> str:
    """Return why `layer` cannot be protected; empty if it can."""
    if not isinstance(layer, Labels):
        return "Select a Labels layer: only what is painted in those is protected."
    if layer.multiscale:
        return "This layer has several resolutions, which napari cannot paint in: there is nothing to protect."
    if not isinstance(layer.data, np.ndarray):
        return (
            f"The data of this layer ({type(layer.data).__name__}) do not lie in memory: duplicate it into a numpy "
            "array to protect what is painted."
        )
    if layer.data.ndim == 0 or layer.data.size == 0:
        return "This layer has no pixels."
    return ""


class LayerWatch:
    """Listens to one layer, without keeping it alive.

    Attributes
    ----------
    key
        Names the layer in messages.
    changed
        When it was last painted in, on the monotonic clock; None if it was not yet.
    why_stopped
        Why the layer is not watched any more; empty while it is.

    Parameters
    ----------
    layer
        One that `why_not_protected` has nothing against.
    send
        Takes messages; called in the GUI thread.
    """

    def __init__(self, layer: Labels, key: Key, send: Callable[[Message], None], image: str, path: str | None) -> None:
        self.key = key
        self.changed: float | None = None
        self.why_stopped = ""
        self.image_name, self.image_path = image, path
        self._layer = weakref.ref(layer, self._died)
        self._send = send
        self._array = weakref.ref(layer.data)
        self._history = HistoryReader(layer)
        self._redescribe = self._suspects = False
        self._place: int | None = None
        self._removed = False
        self._looked = self._hinted = time.monotonic()
        self._classes = _class_entries(layer)
        layer.events.paint.connect(self._on_paint)
        layer.events.set_data.connect(self._on_shown)
        layer.events.data.connect(self._on_data)
        for name in _DESCRIBING:
            if name in layer.events.emitters:
                layer.events[name].connect(self._on_described)

    @property
    def layer(self) -> Labels | None:
        """The layer; None once it is gone."""
        return self._layer()

    def facts(self) -> LayerFacts:
        """Return what is kept of the layer beside its pixels."""
        layer = self._layer()
        assert layer is not None
        facts = facts_of(layer, self.image_name, self.image_path)
        known = {} if self._place is None else {PLACE: self._place}
        known |= {REMOVED: True} if self._removed else {}
        return replace(facts, plain={**facts.plain, **known}) if known else facts

    def put_at(self, place: int | None) -> None:
        """Note at which place of the viewer's list the layer is; None if it is not in it."""
        if place is not None and place != self._place:
            self._place, self._redescribe = place, True

    def put_out(self, *, removed: bool) -> None:
        """Note that a person has taken the layer out of the viewer, or put it back; what was painted is told first."""
        if removed == self._removed or self._layer() is None or self.why_stopped:
            return
        self.collect()
        self._removed = removed
        self._send(Described(self.key, self.facts()))

    def protect(self, **how: Any) -> Protect:
        """Return the message that begins it; `how` are fields of `Protect`."""
        layer = self._layer()
        assert layer is not None
        self._redescribe &= how.get("folder") is not None  # a new journal begins with what is said here
        copied = None if how.get("empty") or how.get("folder") else _copied(layer.data)
        return Protect(self.key, self.facts(), layer.data, copied=copied, **how)

    def collect(self, step: list[Any] | None = None, *, replacing: bool = False) -> None:
        """Send everything that has happened since the last time.

        Parameters
        ----------
        step
            What has just been put on the undo history.
        replacing
            Whether napari is at this moment giving the layer another array: the history tells of the old one then.
        """
        layer = self._layer()
        if layer is None or self.why_stopped:
            return
        same_array = layer.data is self._array()
        edits = self._history.take(layer) if step is None else self._history.take_stroke(layer, step)
        if edits and (same_array or replacing):
            self._tell(edits)
        if not same_array:
            self._array_replaced(layer)  # what was painted in it meanwhile is read from there
        if self._history.lost:
            self._history.lost = False
            self._send(Suspected(self.key, surely=True))

    def look(self) -> None:
        """Look at what sends no event; to be called every fraction of a second."""
        self.collect()
        layer = self._layer()
        if layer is None or self.why_stopped:
            return
        if self._suspects and time.monotonic() - self._hinted > HINT_SECONDS:
            self._hinted, self._suspects = time.monotonic(), False
            self._send(Suspected(self.key))
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            entries = _class_entries(layer)
            self._redescribe |= entries != self._classes
            self._classes = entries
        if self._redescribe:
            self._redescribe = False
            self._send(Described(self.key, self.facts()))

    def release(self) -> None:
        """Let go of the layer: it is protected no more."""
        self.stop()
        self._send(Gone(self.key))

    def stop(self) -> None:
        """Listen no more."""
        layer = self._layer()
        self.why_stopped = self.why_stopped or "It is not watched any more."
        if layer is None:
            return
        layer.events.paint.disconnect(self._on_paint)
        layer.events.set_data.disconnect(self._on_shown)
        layer.events.data.disconnect(self._on_data)
        for name in _DESCRIBING:
            if name in layer.events.emitters:
                layer.events[name].disconnect(self._on_described)

    def _tell(self, edits: list[Edits]) -> None:
        self.changed = time.monotonic()
        self._send(Changed(self.key, tuple(edits), bytes_of(edits), time.time()))

    def _array_replaced(self, layer: Labels) -> None:
        why_not = why_not_protected(layer)
        if why_not:
            self.why_stopped = why_not
            self._send(Gone(self.key, why_not))
            return
        self._array = weakref.ref(layer.data)
        self.changed = time.monotonic()
        self._send(Replaced(self.key, self.facts(), layer.data, _copied(layer.data), time.time()))

    def _on_paint(self, event: Any) -> None:
        self.collect(event.value)

    def _on_shown(self, _event: Any = None) -> None:
        before = self.changed
        self.collect(replacing=True)
        self._suspects |= self.changed == before

    def _on_data(self, _event: Any = None) -> None:
        layer = self._layer()
        if layer is not None and layer.data is self._array():
            self._suspects = True  # ``layer.data = layer.data`` after writing into it
        self.collect(replacing=True)

    def _on_described(self, _event: Any = None) -> None:
        self._redescribe = True

    def _died(self, _reference: Any) -> None:
        if not self.why_stopped:
            self.why_stopped = "The layer was deleted."
            self._send(Gone(self.key))


def _copied(array: NDArray[Any]) -> NDArray[Any] | None:
    return array.copy() if array.nbytes <= COPY_BYTES else None


def _class_entries(layer: Labels) -> Any:
    """Return what may be changed in place: names and colours of classes, locked objects."""
    known = notes_of(layer).fields
    entries, locked = known.get("classes", {}), known.get("locked", ())
    if isinstance(entries, dict):
        entries = {number: dict(entry) if isinstance(entry, dict) else entry for number, entry in entries.items()}
    return entries, tuple(locked) if isinstance(locked, list | tuple | set) else locked

"""What a Labels layer remembers of its making goes back and forth with Ctrl+Z, as its pixels do."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary, ref

from napari.layers import Labels

from napari_tessera.napari_plugin.layers.notes import MAKING, change_notes, notes_of


def making_of(layer: Labels) -> dict[str, Any]:
    """Return what `layer` remembers of how it was made."""
    return notes_of(layer).making


def set_making(layer: Labels, making: Mapping[str, Any]) -> None:
    """Let `layer` remember that it was made like this; its role stays: what is annotated in stays that."""
    change_notes(layer, {**dict.fromkeys(MAKING), **making})


class WrittenSteps:
    """The results that were written into a layer, as far as they can be undone; lives as long as the layer."""

    def __init__(self, layer: Labels) -> None:
        self._layer = ref(layer)
        self._steps: list[tuple[Any, dict[str, Any], dict[str, Any]]] = []
        layer.events.set_data.connect(self._follow, position="first")  # before who asks what it remembers

    def add(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Note that the newest step has made the layer what `after` says out of what `before` says."""
        from napari_tessera.napari_plugin.painting.history import bound_history

        layer = self._layer()
        assert layer is not None
        part = bound_history(layer).newest
        if part is not None:
            self._steps.append((part, before, after))

    def _follow(self, _event: object = None) -> None:
        from napari_tessera.napari_plugin.painting.history import bound_history

        layer = self._layer()
        if layer is None or not self._steps:
            return
        history = bound_history(layer)
        states = [(history.undone(part), before, after) for part, before, after in self._steps]
        self._steps = [step for step, (undone, *_) in zip(self._steps, states, strict=True) if undone is not None]
        known = [state for state in states if state[0] is not None]
        if not known:
            return
        done = [after for undone, _, after in known if not undone]
        set_making(layer, done[-1] if done else known[0][1])


_WATCHED: WeakKeyDictionary[Labels, WrittenSteps] = WeakKeyDictionary()


def written_steps(layer: Labels) -> WrittenSteps:
    """Return what watches over `layer`."""
    found = _WATCHED.get(layer)
    if found is None:
        found = _WATCHED[layer] = WrittenSteps(layer)
    return found

"""The highest label of a layer, without looking at all of a large one at every question."""

from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from napari.layers import Labels

SMALL = 2**22
"""Arrays up to so many pixels are simply looked through, in a few milliseconds."""


def highest_label(layer: Labels) -> int:
    """Return a label that no label of `layer` is above, at least 0.

    Of a small array it is the highest that there is. Of a large one it is the highest that there has been since it was
    last looked through: strokes and what is undone and redone are followed, a replaced array and a refresh from outside
    make it look again. What was written straight into the array without a refresh is not noticed.
    """
    if layer.data.size <= SMALL:
        return _look_through(layer)
    known = _KNOWN.get(layer)
    if known is None:
        known = _KNOWN[layer] = _Highest(layer)
    return known.ask()


class _Highest:
    """Follows the highest label of one large layer."""

    def __init__(self, layer: Labels) -> None:
        self._layer = ref(layer)
        self._value: int | None = None
        self._place = _shown_place(layer)
        layer.events.data.connect(self._forget)
        layer.events.set_data.connect(self._shown_anew)
        layer.events.paint.connect(self._painted)

    def ask(self) -> int:
        """Return the highest label."""
        layer = self._layer()
        assert layer is not None
        if self._value is None:
            self._value = _look_through(layer)
        return self._value

    def _forget(self) -> None:
        self._value = None

    def _shown_anew(self) -> None:
        """Look again after a refresh, but not because a slider was moved, which shows anew as well."""
        layer = self._layer()
        if layer is None:
            return
        place, self._place = self._place, _shown_place(layer)
        if place == self._place:
            self._value = None

    def _painted(self, event: Any) -> None:
        if self._value is not None:
            for atom in event.value:
                self._value = max(self._value, int(np.max(atom[-1])))


_KNOWN: WeakKeyDictionary[Labels, _Highest] = WeakKeyDictionary()


def _look_through(layer: Labels) -> int:
    return max(0, int(layer.data.max())) if layer.data.size else 0


def _shown_place(layer: Labels) -> Any:
    """Return which slice is shown; anything that differs between two slices will do."""
    sliced = getattr(layer, "_slice_input", None)
    return None if sliced is None else (tuple(sliced.world_slice.point), tuple(sliced.order), sliced.ndisplay)

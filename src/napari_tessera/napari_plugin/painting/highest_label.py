"""The highest label of a layer, without the GUI thread looking through a large one.

What is wanted of it is a number that no object has, nor gets back by an undo or redo. So for a large layer it never
falls while that keeps its array. All that the steps of the history hold counts, what they wrote and what was there
before: each new step when it is made, and those that there are already when the layer is first asked for. Everything
else is looked through in a thread, once, and again after a refresh that neither a stroke, nor the history, nor a slider
explains.
"""

import threading
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_tessera.napari_plugin.painting.history import bound_history
from napari_tessera.napari_plugin.painting.napari_private import redo_steps, shown_place, undo_steps

SMALL = 2**22
"""Arrays up to so many pixels are simply looked through, in a few milliseconds."""
_BLOCK = 2**22
"""Pixels between two looks at whether anybody still wants to know."""


def highest_label(layer: Labels) -> int:
    """Return a label that no label of `layer` is above, at least 0.

    Of a small array it is the highest that there is. Of a large one it is the highest that there was since this was
    first asked for or `look_ahead` called, or that a step of the history then held. What was written straight into the
    array without a refresh is not noticed. If a large array is still being looked through this waits for it, up to a
    fifth of a second per gigabyte: `look_ahead` begins it early.
    """
    if layer.data.size <= SMALL:
        return _look_through(layer.data, threading.Event())
    return _watch(layer).ask()


def look_ahead(layer: Labels) -> None:
    """Begin to look through a large layer, in a thread, so that `highest_label` need not wait later."""
    if isinstance(layer.data, np.ndarray) and layer.data.size > SMALL:
        _watch(layer)


class _Look:
    """Looks through an array in a thread."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.highest = 0
        self._array: NDArray[Any] | None = array
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="tessera-highest-label")
        self._thread.start()

    def wait(self) -> int:
        """Return the highest label, once it is known."""
        self._thread.join()
        return self.highest

    def stop(self) -> None:
        """Let it end; nobody asks any more."""
        self._stop.set()

    def _run(self) -> None:
        assert self._array is not None
        self.highest = _look_through(self._array, self._stop)
        self._array = None


class _Highest:
    """Follows the highest label of one large layer."""

    def __init__(self, layer: Labels) -> None:
        self._layer = ref(layer)
        self._place = shown_place(layer)
        self._steps = _steps(layer)
        bound_history(layer)  # forgets steps of other data: those that are left count, here and once data are replaced
        self._written = _highest_kept(layer)  # the highest label that a step has written or painted over
        self._look = _Look(layer.data)
        layer.events.data.connect(self._replaced)
        layer.events.set_data.connect(self._shown_anew)
        layer.events.paint.connect(self._painted)

    def ask(self) -> int:
        """Return the highest label."""
        self._written = max(self._written, self._look.wait())
        return self._written

    def _replaced(self) -> None:
        layer = self._layer()
        # Steps of a widened array are kept; those of another are forgotten by now.
        self._written = 0 if layer is None else _highest_kept(layer)
        self._look_again()

    def _look_again(self) -> None:
        layer = self._layer()
        self._look.stop()
        if layer is not None and isinstance(layer.data, np.ndarray):
            self._look = _Look(layer.data)

    def _shown_anew(self) -> None:
        """Look again after a refresh that is neither that of an undo or redo nor that of a slider."""
        layer = self._layer()
        if layer is None:
            return
        place, self._place = self._place, shown_place(layer)
        steps, self._steps = self._steps, _steps(layer)
        if place == self._place and steps == self._steps:
            self._look_again()

    def _painted(self, event: Any) -> None:
        self._written = max(self._written, _highest_in(event.value))
        layer = self._layer()
        if layer is not None:
            self._steps = _steps(layer)


_KNOWN: WeakKeyDictionary[Labels, _Highest] = WeakKeyDictionary()


def _watch(layer: Labels) -> _Highest:
    known = _KNOWN.get(layer)
    if known is None:
        known = _KNOWN[layer] = _Highest(layer)
    return known


def _look_through(array: NDArray[Any], stop: threading.Event) -> int:
    """Return the highest label of `array`, at least 0; what it returns once it was stopped is worth nothing."""
    if array.ndim > 1 and not array.flags.c_contiguous:
        array = _along_memory(array)
    if array.ndim > 1 and not array.flags.c_contiguous:
        return max((_look_through(part, stop) for part in array), default=0)
    flat, highest = array.reshape(-1), 0
    for begin in range(0, flat.size, _BLOCK):
        if stop.is_set():
            break
        highest = max(highest, int(flat[begin : begin + _BLOCK].max()))
    return highest


def _along_memory(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view with the same pixels in the order in which they lie in memory, as far as that is one."""
    forwards = array[tuple(slice(None, None, -1 if stride < 0 else 1) for stride in array.strides)]
    return forwards.transpose(np.argsort([-stride for stride in forwards.strides], kind="stable"))


def _highest_kept(layer: Labels) -> int:
    """Return the highest label that undo and redo may bring back, at least 0."""
    stacks = (undo_steps(layer), redo_steps(layer))
    return max((_highest_in(step) for stack in stacks for step in stack), default=0)


def _highest_in(step: Any) -> int:
    """Return the highest label that a step has written or painted over, at least 0."""
    return max((_highest_of(values) for atom in step for values in atom[-2:]), default=0)


def _highest_of(values: Any) -> int:
    values = np.asarray(values)
    stored = values[tuple(slice(None) if stride else slice(1) for stride in values.strides)]  # what is repeated: once
    return max(int(stored.max()), 0) if stored.size else 0


def _steps(layer: Labels) -> Any:
    """Return what is different once something was painted, undone or redone."""
    stacks = (undo_steps(layer), redo_steps(layer))
    return tuple((len(stack), id(stack[-1]) if stack else 0) for stack in stacks)

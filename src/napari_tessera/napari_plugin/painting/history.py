"""The steps that can be undone in a Labels layer: bounded in bytes, and forgotten when the layer gets other data.

napari keeps up to a hundred steps whatever their size, and keeps them when ``layer.data`` is replaced; undoing them
would then fail, or write what belongs to the old data into the new.

The last step stays, even if it alone is above the bound: a result written into a large layer must be one that can be
taken back. What is held is thus at most the bound or that step, whichever is more.
"""

from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_tessera.napari_plugin.painting.napari_private import forget_steps, keeps_steps, redo_steps, undo_steps

MOST_BYTES = 256 * 2**20
"""What all steps of a layer, to be undone and to be redone, may take up by default."""
_PER_LAYER = 3
"""A single step may take up so many times the memory of the layer: old values, new values and a mask do not more."""


def bound_history(layer: Labels, most_bytes: int | None = None) -> "LabelHistory":
    """Bound what can be undone in `layer`, from now on; to do it again only sets another bound.

    Parameters
    ----------
    layer
        Its strokes of the brush count as well.
    most_bytes
        What all steps may take up; the oldest go first. The last one stays if it is larger, unless it takes up more
        than three times the layer, as only strokes over strokes and long lists of pixels can. None leaves the bound as
        it is, `MOST_BYTES` at first.

    Returns
    -------
    What watches over the layer; it lives as long as that.
    """
    history = _WATCHED.get(layer)
    if history is None:
        history = _WATCHED[layer] = LabelHistory(layer)
    if most_bytes is not None:
        history.most_bytes = most_bytes
    history.trim()
    return history


class LabelHistory:
    """Watches over the steps that napari keeps for a layer.

    Attributes
    ----------
    most_bytes
        What all steps may take up, if they are more than one.
    """

    def __init__(self, layer: Labels) -> None:
        self.most_bytes = MOST_BYTES
        self._layer = ref(layer)
        self._array = layer.data
        self._sizes: dict[int, tuple[Any, int]] = {}
        if any(not _fits(step, layer.data.shape) for step in (*self._undo, *self._redo)):
            forget_steps(layer)
        layer.events.data.connect(self._data_replaced)
        layer.events.paint.connect(self._step_made)

    @property
    def bytes_held(self) -> int:
        """What all steps take up now."""
        return sum(self._size(step) for step in (*self._undo, *self._redo))

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo; without napari's private names it is taken for granted."""
        return not keeps_steps(self._layer()) or bool(self._undo)

    @property
    def newest(self) -> Any:
        """A part of the step that Ctrl+Z would undo, by which `undone` knows it again; None if there is none."""
        return self._undo[-1][0] if self._undo and len(self._undo[-1]) else None

    def undone(self, part: Any) -> bool | None:
        """Whether the step that `part` belongs to has been taken back; None if it is not kept any more."""
        for steps, answer in ((self._undo, False), (self._redo, True)):
            if any(own is part for step in steps for own in step):
                return answer
        return None

    def trim(self) -> None:
        """Let the oldest steps go until the rest is within the bound: those to undo first, then those to redo.

        One that is left alone has a bound of its own: see `bound_history`. In a layer without napari's private names
        nothing is done.
        """
        layer = self._layer()
        if layer is None:
            return
        held, left = self.bytes_held, len(self._undo) + len(self._redo)
        for steps in (self._undo, self._redo):
            while steps and held > self._bound(layer, left):
                held -= self._size(steps.popleft())
                left -= 1
        kept = {id(step) for step in (*self._undo, *self._redo)}
        self._sizes = {key: known for key, known in self._sizes.items() if key in kept}

    def replace(self, array: NDArray[Any]) -> None:
        """Give the layer an array with the same pixels in another dtype, and keep its steps."""
        layer = self._layer()
        assert layer is not None
        self._array = array
        layer.data = array

    @property
    def _undo(self) -> Any:
        return undo_steps(self._layer())

    @property
    def _redo(self) -> Any:
        return redo_steps(self._layer())

    def _bound(self, layer: Labels, steps: int) -> int:
        """Return what so many steps may take up."""
        return self.most_bytes if steps > 1 else max(self.most_bytes, _PER_LAYER * int(layer.data.nbytes))

    def _data_replaced(self) -> None:
        layer = self._layer()
        if layer is None or layer.data is self._array:
            return
        self._array = layer.data
        forget_steps(layer)
        self._sizes = {}

    def _step_made(self) -> None:
        layer = self._layer()
        if layer is None:
            return
        if layer.data is not self._array:  # replaced while its events were blocked: the new step alone belongs to it
            self._array = layer.data
            newest = list(self._undo)[-1:]
            forget_steps(layer)
            self._undo.extend(newest)
        self.trim()

    def _size(self, step: Any) -> int:
        known = self._sizes.get(id(step))
        if known is None:
            known = self._sizes[id(step)] = (step, sum(_bytes_of(atom) for atom in step))
        return known[1]


_WATCHED: WeakKeyDictionary[Labels, LabelHistory] = WeakKeyDictionary()


def _bytes_of(part: Any) -> int:
    """Return the memory of all arrays in a part of a step, at any depth."""
    if isinstance(part, np.ndarray):
        return _extent(part)
    if isinstance(part, tuple | list):
        return sum(_bytes_of(inner) for inner in part)
    return 0


def _extent(array: NDArray[Any]) -> int:
    """Return the memory that an array covers; a value that is repeated without being stored again counts once."""
    if array.size == 0:
        return 0
    return (
        int(sum(abs(stride) * (n - 1) for stride, n in zip(array.strides, array.shape, strict=True))) + array.itemsize
    )


def _fits(step: Any, shape: tuple[int, ...]) -> bool:
    """Return whether all that a step has changed lies inside an array of `shape`."""
    for atom in step:
        key = getattr(atom, "slice_key", None) or tuple(slice(0, int(np.max(axis)) + 1) for axis in atom[0])
        if len(key) != len(shape) or any(part.stop > size for part, size in zip(key, shape, strict=True)):
            return False
    return True

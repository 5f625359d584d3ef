"""Results that go into a Labels layer that is there already, as one step that Ctrl+Z takes back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from napari.layers import Labels, Layer
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.regions import Region
from napari_tessera.napari_plugin.filtering.written_steps import making_of, set_making, written_steps
from napari_tessera.napari_plugin.layers.notes import notes_in
from napari_tessera.operations.base import Operation


def can_take(target: Labels, operation: type[Operation], layer: Layer, axes: str) -> bool:
    """Return whether a result of `operation` on `layer`, which has `axes`, can be written into `target`.

    It must lie in memory, on the same pixels as the result.
    """
    if operation.output != "labels" or operation.changes_grid:
        return False
    if target.multiscale or not isinstance(target.data, np.ndarray) or not target.data.flags.writeable:
        return False
    kept = [index for index, axis in enumerate(axes[: layer.ndim]) if axis != "c" or target.ndim == layer.ndim]
    full = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    if target.data.shape != tuple(full.shape[index] for index in kept):
        return False
    return all(
        np.allclose(np.asarray(getattr(target, name)), np.asarray(getattr(layer, name))[kept], rtol=1e-6)
        for name in ("scale", "translate")
    )


def changed_box(before: NDArray[Any], after: NDArray[Any]) -> Region | None:
    """Return the smallest box that holds all differences; None if there are none."""
    return regions.bounds(before != after)


def write_result(target: Labels, after: NDArray[Any], box: Region | None, metadata: Mapping[str, Any]) -> bool:
    """Write the `box` of `after` into `target`, and let it remember how it was made; returns whether it changed.

    The layer gets a wider type if numbers do not fit its own. Locked objects stay as they are. What the layer remembers
    is left out where its type differs from that of the result, or locked objects do: a recipe would not give the same
    bytes.

    Raises
    ------
    InvalidInputError
        If the layer cannot be edited, or has another shape by now.
    """
    from napari_tessera.napari_plugin.painting.label_writing import widen_labels, write_box

    changed, exact = False, True
    if box is not None:
        new = _with_locked(target, box, after[box])
        exact = new is None
        new = after[box] if new is None else new
        widen_labels(target, int(new.max()))
        changed = write_box(target, box, new)
    before, made = making_of(target), notes_in(metadata).making
    same = exact and target.data.dtype == after.dtype
    set_making(target, made if same else {})
    if changed:
        written_steps(target).add(before, making_of(target))
    return changed


def what_can_be_done(target: Labels) -> str:
    """Return a sentence on whether what was just written into `target` can be taken back."""
    from napari_tessera.napari_plugin.painting.history import bound_history

    if bound_history(target).can_undo:
        return "Ctrl+Z takes it back."
    return "It is too large to be taken back."


def _with_locked(target: Labels, box: Region, after: NDArray[Any]) -> NDArray[Any] | None:
    """Return `after` with the locked objects that the box of `target` has; None if that is no other."""
    from napari_tessera.napari_plugin.layers.locking import locked_labels

    locked = np.array(sorted(locked_labels(target)), np.int64)
    before = target.data[box]
    if not locked.size or before.shape != after.shape:
        return None
    kept = (np.isin(before, locked) | np.isin(after, locked)) & (before != after)
    return np.where(kept, before, after) if kept.any() else None

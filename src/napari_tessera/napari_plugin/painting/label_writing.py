"""Labels of a layer changed so that Ctrl+Z undoes it, one step per action, mixed with strokes of the brush.

napari's public way, ``data_setitem``, stores an index per dimension for every pixel; the private one
(`napari_private.py`) stores a mask and is several times faster. Where the private names are missing, as in another
version of napari, the public way is taken.
"""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.regions import Region
from napari_tessera.napari_plugin.painting.highest_label import highest_label
from napari_tessera.napari_plugin.painting.history import bound_history
from napari_tessera.napari_plugin.painting.napari_private import in_stroke, knows_history, note_change, show_written


def check_writable(layer: Labels) -> None:
    """Raise InvalidInputError if `layer` cannot be changed, saying what to do instead."""
    name = layer.name
    if layer.multiscale:
        raise InvalidInputError(
            f"The labels {name!r} have several levels of resolution, which napari cannot edit: "
            "make a new Labels layer of the image's size and work in that."
        )
    if not isinstance(layer.data, np.ndarray):
        raise InvalidInputError(
            f"The labels {name!r} are read from disk piece by piece and cannot be edited: "
            "save them as a TIFF file and open that, or work in a new Labels layer."
        )
    if not layer.data.flags.writeable:
        raise InvalidInputError(
            f"The array of the labels {name!r} is read-only: duplicate the layer and work in the copy."
        )
    if not layer.editable:
        raise InvalidInputError(f"The layer {name!r} is not editable: choose another Labels layer, or duplicate it.")


def write_mask(
    layer: Labels, origin: Sequence[int], mask: NDArray[np.bool_], value: int, *, keep: Collection[int] = ()
) -> bool:
    """Give the pixels of a mask a label, as one step that can be undone.

    Parameters
    ----------
    layer
        What is changed. Where its "preserve labels" is on, only background is painted over, as by the brush; background
        itself may be written everywhere.
    origin
        Index of the mask's first pixel in ``layer.data``; what lies outside of the layer is left out.
    mask
        Bool, with the dimensions of ``layer.data``.
    value
        The label; it must fit the layer's dtype (see `widen_labels`).
    keep
        Labels that are not painted over.

    Returns
    -------
    Whether any pixel has changed.

    Raises
    ------
    InvalidInputError
        If the layer cannot be edited, the label does not fit its dtype, or the mask not its dimensions.
    """
    check_writable(layer)
    if not fits_dtype(layer, value):
        raise InvalidInputError(
            f"Label {value} does not fit the type {layer.data.dtype} of the labels {layer.name!r}: widen them first."
        )
    box, inner = _clip(layer, origin, mask)
    region = layer.data[box]
    changed = mask[inner] & (region != value)
    background = layer.colormap.background_value
    if layer.preserve_labels and value != background:
        changed &= region == background
    _leave_out(changed, region, keep)
    return _write(layer, box, changed, value)


def write_box(layer: Labels, box: Region, after: NDArray[Any]) -> bool:
    """Put `after` into a box of a layer, as one step that can be undone; "preserve labels" is not looked at.

    Parameters
    ----------
    layer
        What is changed.
    box
        Lies inside ``layer.data``.
    after
        Labels, of the shape of the box.

    Returns
    -------
    Whether any pixel has changed.

    Raises
    ------
    InvalidInputError
        If the layer cannot be edited, or the new labels do not fit its dtype or the box.
    """
    check_writable(layer)
    box, inner = _clip(layer, [part.start or 0 for part in box], after)
    if after[inner].shape != after.shape:
        raise InvalidInputError("The changed labels reach out of the layer: choose the layer that they belong to.")
    changed = after != layer.data[box]
    if after.size and not (fits_dtype(layer, int(after.min())) and fits_dtype(layer, int(after.max()))):
        raise InvalidInputError(
            f"The new labels do not fit the type {layer.data.dtype} of {layer.name!r}: widen them first."
        )
    return _write(layer, box, changed, after)


def fits_dtype(layer: Labels, value: int) -> bool:
    """Return whether `value` can be a label in `layer`."""
    limits = np.iinfo(layer.data.dtype)
    return bool(limits.min <= value <= limits.max)


def widen_labels(layer: Labels, value: int) -> bool:
    """Give `layer` a wider dtype if `value` does not fit its own; return whether it has one now.

    The dtype is the narrowest of its kind, signed or not, into which `value` fits. Steps that can be undone stay so.

    Raises
    ------
    InvalidInputError
        If the layer cannot be edited, or no dtype is wide enough.
    """
    check_writable(layer)
    if fits_dtype(layer, value):
        return False
    old = layer.data.dtype
    for size in (2, 4, 8):
        dtype = np.dtype(f"{old.kind}{size}")
        if size > old.itemsize and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
            bound_history(layer).replace(layer.data.astype(dtype))
            return True
    raise InvalidInputError(f"No label beside the {old} of {layer.name!r} can be {value}: number the objects anew.")


def next_label(layer: Labels) -> int:
    """Return a label that no pixel of `layer` has: one more than the highest, at least 1.

    It may not fit the layer's dtype; see `widen_labels`.
    """
    check_writable(layer)
    return highest_label(layer) + 1


def show_box(layer: Labels, box: Region) -> None:
    """Bring a box of a layer in which labels have changed to the screen; `knows_history` must hold."""
    region = layer.data[box]
    show_written(layer, box, region, np.ones(region.shape, bool), region)


def boxes_of_step(step: Sequence[Any]) -> list[Region]:
    """Return which boxes one step of napari's history has changed; `step` is the value of ``events.paint``."""
    boxes = []
    for atom in step:
        key = getattr(atom, "slice_key", None)
        if key is None:
            indices = [np.asarray(axis) for axis in atom[0]]
            key = regions.of_pixels(indices)
        boxes.append(key)
    return boxes


def _clip(layer: Labels, origin: Sequence[int], mask: NDArray[Any]) -> tuple[Region, Region]:
    """Return the box of a mask within the layer, and the same part of the mask."""
    shape = layer.data.shape
    if not len(origin) == mask.ndim == len(shape):
        raise InvalidInputError(
            f"What is to be written has {mask.ndim} dimensions and the labels {layer.name!r} have {len(shape)}: "
            "choose labels that belong to the image."
        )
    whole = regions.placed(origin, mask.shape)
    box = regions.clipped(whole, shape)
    return box, regions.relative(box, whole)


def _leave_out(changed: NDArray[np.bool_], region: NDArray[Any], keep: Collection[int]) -> None:
    limits = np.iinfo(region.dtype)
    possible = [value for value in keep if limits.min <= value <= limits.max]
    if len(possible) > 8:
        changed &= ~np.isin(region, np.array(possible, region.dtype))
        return
    for value in possible:
        changed &= region != value


def _write(layer: Labels, box: Region, changed: NDArray[np.bool_], after: NDArray[Any] | int) -> bool:
    bounds = regions.bounds(changed)
    if bounds is None:
        return False
    changed = np.ascontiguousarray(changed[bounds])
    box = regions.moved(bounds, regions.start(box))
    values = after
    if isinstance(after, np.ndarray):  # kept to be redone: in the layer's type, which they fit
        values = after[bounds][changed].astype(layer.data.dtype, copy=False)
    bound_history(layer)
    with _one_step(layer):
        if knows_history(layer):
            _write_quickly(layer, box, changed, values)
        else:
            where = np.nonzero(changed)
            layer.data_setitem(tuple(axis + part.start for axis, part in zip(where, box, strict=True)), values)
    return True


def _one_step(layer: Labels) -> AbstractContextManager[Any]:
    """Return a context that makes one step of what is done in it, and tells listeners once it is done.

    Within a stroke of the brush it belongs to that: napari would end the stroke at the end of an inner context.
    """
    return nullcontext() if in_stroke(layer) else layer.block_history()


def _write_quickly(layer: Labels, box: Region, changed: NDArray[np.bool_], values: NDArray[Any] | int) -> None:
    """Do what napari's brush does: note a mask and what was under it, write, and show the box anew."""
    region = layer.data[box]
    mask = None if changed.all() else changed
    before = _folded(region[changed])
    if mask is None:
        before = before.reshape(region.shape) if before.strides != (0,) else np.broadcast_to(before[0], region.shape)
        values = values.reshape(region.shape) if isinstance(values, np.ndarray) else values
    note_change(layer, box, mask, before, values)
    if mask is None:
        region[...] = values
    else:
        region[changed] = values
    show_written(layer, box, region, changed, values)


def _folded(values: NDArray[Any]) -> NDArray[Any]:
    """Return the same values, stored once if they are all equal, as what a click replaces mostly is."""
    if (values == values[0]).all():
        return np.broadcast_to(values[0].copy(), values.shape)
    return values

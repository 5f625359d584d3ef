"""A finished region becomes part of the labels: one step that Ctrl+Z undoes."""

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.regions import Region
from napari_tessera.napari_plugin.clicking.click_source import LabelsFrame
from napari_tessera.napari_plugin.clicking.edit_runner import UNDO
from napari_tessera.napari_plugin.clicking.intent import Intent
from napari_tessera.napari_plugin.forms.plain_text import show_info
from napari_tessera.napari_plugin.layers.locking import locked_labels
from napari_tessera.napari_plugin.painting.label_writing import next_label, widen_labels, write_mask


def write_region(
    layer: Labels, frame: LabelsFrame, intent: Intent, origin: tuple[int, ...], mask: NDArray[np.bool_]
) -> str:
    """Write a region as `intent` says, but for replacing, and select its object; return what was done, as a sentence.

    Raises
    ------
    InvalidInputError
        If the layer cannot be changed.
    """
    label = intent.label or new_label(layer)
    keep = locked_labels(layer) - {label}
    if intent.action == "subtract":
        box = regions.placed(origin, mask.shape)
        changed = write_mask(layer, *frame.in_layer(origin, mask & (frame.read(box) == label)), 0, keep=keep)
        layer.selected_label = label
        return f"Taken away from object {label}. {UNDO}" if changed else f"Nothing of object {label} was there."
    changed = write_mask(layer, *frame.in_layer(origin, mask), label, keep=keep)
    layer.selected_label = label
    if not changed:
        return f"Object {label} holds all of it already: drag to the right for more, or begin anew with New labels."
    if intent.action == "new":
        return f"Object {label}: {pixels_words(frame, int(np.count_nonzero(mask)))}. {UNDO}"
    return f"Object {label} has grown. {UNDO}"


def pixels_words(frame: LabelsFrame, count: int) -> str:
    """Return how many pixels of `frame` there are, in words: ``"1 pixel"``, ``"2,701 voxels"``."""
    return f"{count:,} {'voxel' if len(frame.shape) == 3 else 'pixel'}{'' if count == 1 else 's'}"


def new_label(layer: Labels, count: int = 1) -> int:
    """Return the first of `count` labels that are free in `layer`, which gets a wider type if need be, and says so."""
    label = next_label(layer)
    before = layer.data.dtype
    if widen_labels(layer, label + count - 1):
        show_info(f"The numbers of {before} are used up in {layer.name!r}: it holds {layer.data.dtype} from now on.")
    return label


def replacing(
    label: int, origin: tuple[int, ...], mask: NDArray[np.bool_], keep: frozenset[int]
) -> Callable[[NDArray[Any]], tuple[Region, NDArray[Any]] | None]:
    """Return what puts a mask in place of an object; see `Edit.work`."""

    def work(labels: NDArray[Any]) -> tuple[Region, NDArray[Any]] | None:
        from napari_tessera.operations.labels.finding import box_of

        new = regions.placed(origin, mask.shape)
        old = box_of(labels, label)
        box = new if old is None else regions.union(old, new)
        after = labels[box].copy()
        inner = regions.relative(new, box)
        free = np.isin(after[inner], list(keep), invert=True) if keep else True
        after[after == label] = 0
        after[inner][mask & free] = label
        return box, after

    return work

"""Undoing and redoing a step without showing the whole layer anew, which takes napari seconds for 20,000²."""

# ruff: noqa: SLF001  only for layers whose private names have been looked for

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from napari.layers import Labels

from napari_tessera.core import regions
from napari_tessera.core.regions import Region
from napari_tessera.napari_plugin.forms.keys import CONTROL
from napari_tessera.napari_plugin.painting.box_refresh import visuals_of
from napari_tessera.napari_plugin.painting.label_writing import boxes_of_step, knows_history, show_box

_TOGETHER = 32
"""So many dabs of a stroke, which lie beside each other, are shown as one box at most."""
_WASTE = 2
"""A box that holds several has at most so many times the pixels that they have together."""


def take_step(layer: Labels, *, back: bool) -> str:
    """Undo the last step in `layer`, or redo the last one undone; return what was done, as a sentence.

    Listeners hear of it as of napari's own undo and redo.
    """
    steps = getattr(layer, "_undo_history" if back else "_redo_history", None)
    if steps is not None and not steps:
        return "There is nothing to undo." if back else "There is nothing to redo."
    if steps is not None and knows_history(layer) and layer.visible and hasattr(layer, "_block_refresh"):
        _step_quickly(layer, boxes_of_step(steps[-1]), back=back)
    else:
        _step(layer, back=back)
    return f"Undone. {CONTROL}+Shift+Z redoes it." if back else f"Redone. {CONTROL}+Z undoes it."


def _step(layer: Labels, *, back: bool) -> None:
    if back:
        layer.undo()
    else:
        layer.redo()


def _step_quickly(layer: Labels, boxes: Sequence[Region], *, back: bool) -> None:
    with layer._block_refresh():
        _step(layer, back=back)
    for box in _merged(boxes):
        show_box(layer, box)
    with ExitStack() as stack:
        for visual in visuals_of(layer):
            stack.enter_context(layer.events.set_data.blocker(visual._on_data_change))
        layer.events.set_data()


def _merged(boxes: Sequence[Region]) -> Iterator[Region]:
    """Yield boxes that hold the given ones, those in a row united while that is not much more than they are.

    Dabs of a brush that is moved slowly are shown at once; those of a long stroke do not become all of the layer.
    """
    held: Region | None = None
    count = pixels = 0
    for box in boxes:
        together = box if held is None else regions.union(held, box)
        pixels += _size(box)
        count += 1
        if held is not None and (count > _TOGETHER or _size(together) > _WASTE * pixels):
            yield held
            together, count, pixels = box, 1, _size(box)
        held = together
    if held is not None:
        yield held


def _size(box: Region) -> int:
    return math.prod(regions.size(box))

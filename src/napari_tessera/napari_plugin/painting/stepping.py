"""Undoing and redoing a step without showing the whole layer anew, which takes napari seconds for 20,000²."""

import math
from collections.abc import Iterator, Sequence

from napari.layers import Labels

from napari_tessera.core import regions
from napari_tessera.core.regions import Region
from napari_tessera.napari_plugin.forms.keys import CONTROL
from napari_tessera.napari_plugin.painting.label_writing import boxes_of_step, show_box
from napari_tessera.napari_plugin.painting.napari_private import (
    can_step_quietly,
    keeps_steps,
    redo_steps,
    tell_of_data,
    undo_steps,
    unrefreshed,
)

_TOGETHER = 32
"""So many dabs of a stroke, which lie beside each other, are shown as one box at most."""
_WASTE = 2
"""A box that holds several has at most so many times the pixels that they have together."""


def take_step(layer: Labels, *, back: bool) -> str:
    """Undo the last step in `layer`, or redo the last one undone; return what was done, as a sentence.

    Listeners hear of it as of napari's own undo and redo.
    """
    steps = undo_steps(layer) if back else redo_steps(layer)
    if keeps_steps(layer) and not steps:
        return "There is nothing to undo." if back else "There is nothing to redo."
    if steps and layer.visible and can_step_quietly(layer):
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
    with unrefreshed(layer):
        _step(layer, back=back)
    for box in _merged(boxes):
        show_box(layer, box)
    tell_of_data(layer)


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

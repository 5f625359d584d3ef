"""Undoing and redoing a step without showing the whole layer anew, which takes napari seconds for 20,000²."""

# ruff: noqa: SLF001  only for layers whose private names have been looked for

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from napari.layers import Labels

from napari_tessera.napari_plugin.clicking.box_refresh import visuals_of
from napari_tessera.napari_plugin.clicking.intent import CONTROL
from napari_tessera.napari_plugin.clicking.label_writing import Box, boxes_of_step, knows_history, show_box

_TOGETHER = 32
"""So many dabs of a stroke, which lie beside each other, are shown as one box."""


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


def _step_quickly(layer: Labels, boxes: Sequence[Box], *, back: bool) -> None:
    with layer._block_refresh():
        _step(layer, back=back)
    for box in _merged(boxes):
        show_box(layer, box)
    with ExitStack() as stack:
        for visual in visuals_of(layer):
            stack.enter_context(layer.events.set_data.blocker(visual._on_data_change))
        layer.events.set_data()


def _merged(boxes: Sequence[Box]) -> Iterator[Box]:
    """Yield boxes that hold the given ones, several at a time."""
    for start in range(0, len(boxes), _TOGETHER):
        group: Any = zip(*boxes[start : start + _TOGETHER], strict=True)
        yield tuple(slice(min(p.start for p in parts), max(p.stop for p in parts)) for parts in group)

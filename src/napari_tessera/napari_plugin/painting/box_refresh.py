"""What a box of a Labels layer looks like brought to the screen, and nothing else of the layer.

napari does so too, but of labels longer than a texture of OpenGL may be (16,384 pixels mostly), which it shows thinned,
it converts and uploads all for every change, seconds for 20,000². Here the thinned box is uploaded alone.
"""

# ruff: noqa: SLF001  only for layers whose private names have been looked for

from contextlib import ExitStack
from typing import Any

from napari.layers import Labels

_NAMES = ("_updated_slice", "_slice_input", "_slice", "_transforms")


def refresh_box(layer: Labels) -> None:
    """Show the box of `layer` that waits for it; listeners of ``labels_update`` hear of it as of a stroke."""
    steps = _thinning(layer)
    visuals = [] if steps is None else visuals_of(layer)
    box = getattr(layer, "_updated_slice", None)
    if steps is None or box is None or not visuals:
        layer._partial_labels_refresh()
        return
    parts = [box[axis] for axis in layer._slice_input.displayed]
    with ExitStack() as stack:
        for visual in visuals:
            stack.enter_context(layer.events.labels_update.blocker(visual._on_partial_labels_update))
        layer._partial_labels_refresh()
    view = layer._slice.image.view
    offset = [-(-part.start // step) for part, step in zip(parts, steps, strict=True)]
    thinned = view[
        tuple(slice(at * step, part.stop, step) for at, part, step in zip(offset, parts, steps, strict=True))
    ]
    if thinned.size == 0:
        return
    for visual in visuals:
        if tuple(visual.node._texture.shape[: view.ndim]) != tuple(
            -(-n // s) for n, s in zip(view.shape, steps, strict=True)
        ):
            layer.refresh()
            return
        visual.node._texture.scale_and_set_data(thinned, copy=False, offset=offset)
        visual.node.update()


def _thinning(layer: Labels) -> list[int] | None:
    """Return of how many pixels each displayed dimension shows one; None if it shows all."""
    if layer.multiscale or not all(hasattr(layer, name) for name in _NAMES):
        return None
    scale = layer._transforms["tile2data"].scale
    steps = [round(float(scale[axis])) for axis in layer._slice_input.displayed]
    return steps if any(step > 1 for step in steps) else None


def visuals_of(layer: Labels) -> list[Any]:
    """Return what draws `layer` in canvases: they listen to its strokes."""
    found = []
    for callback in layer.events.labels_update.callbacks:
        visual = callback[0]() if isinstance(callback, tuple) else None
        texture = getattr(getattr(visual, "node", None), "_texture", None)
        if hasattr(visual, "_on_partial_labels_update") and hasattr(texture, "scale_and_set_data"):
            found.append(visual)
    return found

"""All private names of napari that the plugin uses for painting, undoing and showing labels: they stand here alone.

Each name is looked for before it is used. What a layer has none of is said to be missing, and whoever asks takes
napari's public way then, which is slower, or does without. `canvas.py` does the same for the canvas of a viewer.
"""

# ruff: noqa: SLF001  what is private in napari is reached for here

from contextlib import AbstractContextManager, ExitStack
from typing import Any

import numpy as np
from napari.layers import Labels
from napari.layers.labels import labels as napari_labels
from numpy.typing import NDArray

from napari_tessera.core.regions import Region

MASKED_ATOM = getattr(napari_labels, "_MaskedPaintAtom", None)
"""What napari notes of a change by a mask; None where it has no such: then nothing is written in the quick way."""
_FOR_WRITING = (
    "_save_history",
    "_block_history",
    "_accumulate_updated_slice",
    "_partial_labels_refresh",
    "_get_update_slices",
    "_align_data_to_view",
    "_slicing_state",
    "_slice",
)
_FOR_A_BOX = ("_updated_slice", "_slice_input", "_slice", "_transforms")


def keeps_steps(layer: Any) -> bool:
    """Return whether the steps that can be undone are to be had; otherwise there seem to be none."""
    return hasattr(layer, "_undo_history")


def undo_steps(layer: Any) -> Any:
    """Return the steps that can be undone, the newest last: napari's own deque, to be shortened in place."""
    return getattr(layer, "_undo_history", ())


def redo_steps(layer: Any) -> Any:
    """Return the steps that can be redone, the next one last: napari's own deque, to be shortened in place."""
    return getattr(layer, "_redo_history", ())


def open_stroke(layer: Any) -> Any:
    """Return the atoms of the stroke that is being painted, a list that grows; None if it is not to be had."""
    return getattr(layer, "_staged_history", None)


def in_stroke(layer: Labels) -> bool:
    """Return whether what is written now becomes part of a step that is not at its end."""
    return bool(getattr(layer, "_block_history", False))


def forget_steps(layer: Any) -> None:
    """Empty both directions; napari does the same when a layer becomes not editable."""
    reset = getattr(layer, "_reset_history", None)
    if reset is not None:
        reset()


def shown_place(layer: Labels) -> Any:
    """Return which slice is shown; anything that differs between two slices will do."""
    sliced = getattr(layer, "_slice_input", None)
    return None if sliced is None else (tuple(sliced.world_slice.point), tuple(sliced.order), sliced.ndisplay)


def texture_scale(layer: Labels) -> NDArray[np.float64]:
    """Return how many pixels one of the texture is, per dimension: of labels larger than a texture it is thinned."""
    known = getattr(layer, "_transforms", None)
    return np.ones(layer.ndim) if known is None else np.asarray(known["tile2data"].scale, float)


def knows_history(layer: Labels) -> bool:
    """Return whether `layer` has all the private names that the quick way of writing needs."""
    return MASKED_ATOM is not None and all(hasattr(layer, name) for name in _FOR_WRITING)


def note_change(
    layer: Labels,
    box: Region,
    mask: NDArray[np.bool_] | None,
    before: NDArray[Any],
    after: NDArray[Any] | int,
) -> None:
    """Add a change to the step that is being made; `knows_history` must hold.

    Parameters
    ----------
    box
        Where it lies in ``layer.data``.
    mask
        What of the box changes, bool; None for all of it.
    before, after
        The labels there, of the shape of the box or as many as the mask has pixels; `after` may be one for all.
    """
    assert MASKED_ATOM is not None
    layer._save_history(MASKED_ATOM(box, mask, before, after))


def show_written(
    layer: Labels, box: Region, region: NDArray[Any], changed: NDArray[np.bool_], values: NDArray[Any] | int
) -> None:
    """Bring a box in which labels were written to the screen; `knows_history` must hold.

    Parameters
    ----------
    box
        Where it lies in ``layer.data``.
    region
        The labels of the box as they are now.
    changed
        Which of them were written, bool, of the same shape.
    values
        What was written: an array, or one label for all.
    """
    _update_view(layer, box, region, changed, values)
    layer._accumulate_updated_slice(box)
    _refresh_box(layer)


def can_step_quietly(layer: Labels) -> bool:
    """Return whether a step can be taken without `layer` being shown anew: see `unrefreshed`, `tell_of_data`."""
    return knows_history(layer) and hasattr(layer, "_block_refresh")


def unrefreshed(layer: Labels) -> AbstractContextManager[Any]:
    """Return a context in which `layer` is not shown anew, whatever is done; `can_step_quietly` must hold."""
    return layer._block_refresh()


def tell_of_data(layer: Labels) -> None:
    """Tell all but what draws `layer` that its labels have changed."""
    with ExitStack() as stack:
        for visual in _visuals_of(layer):
            stack.enter_context(layer.events.set_data.blocker(visual._on_data_change))
        layer.events.set_data()


def _update_view(
    layer: Labels, box: Region, region: NDArray[Any], changed: NDArray[np.bool_], values: NDArray[Any] | int
) -> None:
    """Bring the pixels that napari keeps for showing up to date; where they are the layer's own, they are already."""
    if not layer.visible:  # sliced anew once it is shown; until then what is kept may be an array that it has no more
        return
    image = layer._slice.image
    if not layer._slicing_state.loaded or layer._slice.empty or np.shares_memory(layer.data, image.view):
        return
    parts = layer._get_update_slices(box)
    if parts is None:  # on another slice than that shown
        return
    visible, seen = layer._align_data_to_view(region[tuple(parts[0])], changed[tuple(parts[0])])
    place = tuple(parts[1])
    if not np.shares_memory(layer.data, image.raw):
        image.raw[place] = visible
    if layer.contour > 0:  # napari computes the lines when it refreshes
        return
    if isinstance(values, np.ndarray):
        image.view[place] = layer.colormap._data_to_texture(visible)
    else:
        image.view[place][seen] = layer.colormap._data_to_texture(np.array([values], region.dtype))[0]


def _refresh_box(layer: Labels) -> None:
    """Show the box of `layer` that waits for it; listeners of ``labels_update`` hear of it as of a stroke.

    napari does so too, but of labels longer than a texture of OpenGL may be (16,384 pixels mostly), which it shows
    thinned, it converts and uploads all for every change, seconds for 20,000². Here the thinned box is uploaded alone.
    """
    steps = _thinning(layer)
    visuals = [] if steps is None else _visuals_of(layer)
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
    if layer.multiscale or not all(hasattr(layer, name) for name in _FOR_A_BOX):
        return None
    scale = texture_scale(layer)
    steps = [round(float(scale[axis])) for axis in layer._slice_input.displayed]
    return steps if any(step > 1 for step in steps) else None


def _visuals_of(layer: Labels) -> list[Any]:
    """Return what draws `layer` in canvases: they listen to its strokes."""
    found = []
    for callback in layer.events.labels_update.callbacks:
        visual = callback[0]() if isinstance(callback, tuple) else None
        texture = getattr(getattr(visual, "node", None), "_texture", None)
        if hasattr(visual, "_on_partial_labels_update") and hasattr(texture, "scale_and_set_data"):
            found.append(visual)
    return found

"""Objects that are finished: no tool of the plugin changes them. Kept with the layer."""

from collections.abc import Iterable, Sequence

from napari.layers import Labels

from napari_tessera.napari_plugin.layers.notes import change_notes, notes_of


def locked_labels(layer: Labels) -> frozenset[int]:
    """Return the labels that are locked in `layer`."""
    return notes_of(layer).locked


def locked_places(layer: Labels) -> dict[int, tuple[int, ...]]:
    """Return the pixels at which labels were locked that still are, as indices of ``layer.data``, if they are known."""
    notes = notes_of(layer)
    locked, places = notes.locked, notes.locked_places
    return {label: place for label, place in places.items() if label in locked and len(place) == layer.ndim}


def set_locked(layer: Labels, labels: Iterable[int], places: dict[int, tuple[int, ...]] | None = None) -> None:
    """Lock exactly `labels` in `layer`.

    Parameters
    ----------
    places
        Where some of them are; None: where they were.
    """
    before = locked_places(layer) if places is None else places
    locked = sorted({int(label) for label in labels if label})
    kept = {str(label): list(before[label]) for label in locked if label in before}
    change_notes(layer, {"locked": locked, "locked_at": kept})


def toggle_locked(layer: Labels, label: int, place: Sequence[int] | None = None) -> bool:
    """Lock `label`, at a pixel of ``layer.data``, or unlock it; return whether it is locked now."""
    before, places = locked_labels(layer), locked_places(layer)
    if place is not None:
        places[label] = tuple(int(at) for at in place)
    set_locked(layer, before ^ {label}, places)
    return label not in before

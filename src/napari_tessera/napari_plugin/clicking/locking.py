"""Objects that are finished: no tool of the plugin changes them. Kept with the layer."""

from collections.abc import Iterable

from napari.layers import Labels

from napari_tessera.napari_plugin.layers import METADATA_KEY

_KEY = "locked"


def locked_labels(layer: Labels) -> frozenset[int]:
    """Return the labels that are locked in `layer`."""
    known = layer.metadata.get(METADATA_KEY, {}).get(_KEY, ())
    return frozenset(int(label) for label in known)


def set_locked(layer: Labels, labels: Iterable[int]) -> None:
    """Lock exactly `labels` in `layer`."""
    known = dict(layer.metadata.get(METADATA_KEY, {}))
    known[_KEY] = sorted({int(label) for label in labels if label})
    layer.metadata = {**layer.metadata, METADATA_KEY: known}


def toggle_locked(layer: Labels, label: int) -> bool:
    """Lock `label`, or unlock it; return whether it is locked now."""
    before = locked_labels(layer)
    set_locked(layer, before ^ {label})
    return label not in before

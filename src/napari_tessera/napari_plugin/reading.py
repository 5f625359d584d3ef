"""napari's reader: OME-Zarr, zarr and OME-TIFF as layers with scale, units, axis names, levels and labels."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from napari.utils.notifications import show_warning

from napari_tessera.core.errors import TesseraError
from napari_tessera.core.image import ImageSource, ImageSpec
from napari_tessera.io.channel_colors import COLORS, read_channel_colors
from napari_tessera.io.kept import read_kept
from napari_tessera.io.opening import notes_about, open_levels
from napari_tessera.io.zarr_folders import is_zarr
from napari_tessera.napari_plugin.layers.images import class_colormap, color_map, known_unit
from napari_tessera.napari_plugin.layers.lazy import lazy
from napari_tessera.napari_plugin.layers.notes import noted
from napari_tessera.operations.registry import all_operations

LayerTuple = tuple[Any, dict[str, Any], str]

SUFFIXES = (".ome.tif", ".ome.tiff", ".zarr")
LABELS = "labels"
WHITE = "#ffffff"
"""The colour of channels that have none of their own: such an image stays grey."""

PAINTABLE = 2**28
"""Labels of no more bytes are read whole: napari paints into arrays in memory only, and into no pyramid."""

_COLOR = re.compile("#[0-9a-fA-F]{6}")
_COLOR_TYPES = ("uint8", "uint16")


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerTuple]] | None:
    """Return what reads `path`; None if it is nothing of ours."""
    if not isinstance(path, str) or "://" in path:
        return None
    place = Path(path)
    ours = is_zarr(place) or any(place.name.lower().endswith(suffix) for suffix in SUFFIXES)
    return read_layers if ours else None


def read_layers(path: str) -> list[LayerTuple]:
    """Return the image of a file and the labels inside it as layers.

    Parameters
    ----------
    path
        An OME-Zarr, one of its labels or levels, a plain zarr array, or an OME-TIFF.

    Raises
    ------
    TesseraError
        With one sentence, if there is nothing that can be shown.
    """
    place = Path(path)
    levels = open_levels(place)
    _tell(levels)
    layers = [_layer(levels, place)]
    for inner in label_folders(place):
        try:
            labels = open_levels(inner)
            layers.append(_layer(labels, inner))
        except TesseraError as error:
            show_warning(str(error))
        else:
            _tell(labels)
    return layers


def label_folders(place: Path) -> list[Path]:
    """Return the label images inside the image at `place`: those that lie in its folder of labels."""
    for folder in (place / LABELS, place / "0" / LABELS):
        if place.is_dir() and is_zarr(folder):
            return sorted(inner for inner in folder.iterdir() if inner.is_dir() and is_zarr(inner))
    return []


def _tell(levels: Sequence[ImageSource]) -> None:
    for note in dict.fromkeys(note for level in levels for note in notes_about(level)):
        show_warning(note)


def _layer(levels: Sequence[ImageSource], place: Path) -> LayerTuple:
    spec = levels[0].spec
    kept = read_kept(place)
    classes = spec.dtype.kind in "bui" and spec.channels == 1 and _are_labels(place, kept)
    known: dict[str, Any] = {"file": str(place)}
    if spec.channel_names:
        known["channel_names"] = list(spec.channel_names)
    shown_in = read_channel_colors(place)
    if any(shown_in) and len(shown_in) == spec.channels:
        known[COLORS] = list(shown_in)
    colors = _classes(kept) if classes else {}
    if colors:
        known["classes"] = colors
        if "model" in kept:
            known["role"] = "prediction"
    rgb = not classes and spec.axes.endswith("c") and spec.channels in (3, 4) and spec.dtype.name in _COLOR_TYPES
    shown = _shown(spec, rgb=rgb)
    fields = {"name": spec.name, "metadata": noted(known), **_placed(spec, shown)}
    if colors:
        fields["colormap"] = class_colormap({number: entry["color"] for number, entry in colors.items()})
    if classes:
        return _labels_data(levels, shown), fields, "labels"
    data = [_arranged(lazy(level), spec, shown, rgb=rgb) for level in _falling(levels)]
    fields |= {"rgb": rgb, "multiscale": len(data) > 1}
    if COLORS in known and not rgb and len(known[COLORS]) == 1 and known[COLORS][0] != WHITE:
        fields["colormap"] = color_map(known[COLORS][0])
    return data if len(data) > 1 else data[0], fields, "image"


def _are_labels(place: Path, kept: dict[str, Any]) -> bool:
    """Whether integers are labels: by where they lie, or by what we wrote down when we wrote them."""
    places = (place.absolute(), place.absolute().parent)
    if any(folder.parent.name == LABELS and is_zarr(folder.parent.parent) for folder in places):
        return True
    if kept.get("layer") == "labels" or _classes(kept):
        return True
    if not isinstance(kept.get("operation"), str):
        return False
    operation = all_operations().get(kept["operation"])
    return operation is not None and operation.output == "labels"


def _classes(kept: dict[str, Any]) -> dict[int, dict[str, str]]:
    """Return name and colour per number, as predictions and exported annotation keep them."""
    entries = kept.get("classes")
    if not isinstance(entries, list):
        return {}
    return {
        entry["id"]: {"name": str(entry.get("name", "")), "color": entry["color"]}
        for entry in entries
        if isinstance(entry, dict)
        and isinstance(entry.get("id"), int)
        and isinstance(entry.get("color"), str)
        and _COLOR.fullmatch(entry["color"])
    }


def _shown(spec: ImageSpec, *, rgb: bool) -> str:
    """Return the axes of the layer: channels first, so that labels without them lie on all; a single one goes."""
    others = spec.axes.replace("c", "")
    return others if rgb or spec.channels == 1 else f"c{others}"


def _placed(spec: ImageSpec, axes: str) -> dict[str, Any]:
    at = [spec.axes.index(axis) for axis in axes]
    return {
        "scale": [spec.scale[i] for i in at],
        "translate": [spec.translate[i] for i in at],
        "units": [known_unit(spec.units[i]) for i in at],
        "axis_labels": list(axes),
    }


def _arranged(array: Any, spec: ImageSpec, shown: str, *, rgb: bool) -> Any:
    """Return an array with the axes `shown`, unchanged if it has them already: jobs read such a file themselves."""
    wanted = f"{shown}c" if rgb else shown
    if spec.axes == wanted:
        return array
    if "c" in spec.axes and "c" not in wanted:
        array = array[tuple(0 if axis == "c" else slice(None) for axis in spec.axes)]
    order = [axis for axis in spec.axes if axis in wanted]
    return array.transpose([order.index(axis) for axis in wanted])


def _labels_data(levels: Sequence[ImageSource], shown: str) -> Any:
    full = levels[0]
    size = math.prod(full.shape) * full.dtype.itemsize
    if size <= PAINTABLE:
        pixels = _arranged(full.read(full.spec.full_region), full.spec, shown, rgb=False)
        return np.ascontiguousarray(pixels.view(np.uint8) if pixels.dtype == bool else pixels)
    data = [_arranged(lazy(level), level.spec, shown, rgb=False) for level in _falling(levels)]
    data = [level.astype(np.uint8) if level.dtype == bool else level for level in data]
    return data if len(data) > 1 else data[0]


def _falling(levels: Sequence[ImageSource]) -> list[ImageSource]:
    """Return the levels that are smaller than the one before, as a pyramid has to be for napari."""
    kept = [levels[0]]
    for level in levels[1:]:
        above = kept[-1].shape
        if level.shape != above and all(short <= long for short, long in zip(level.shape, above, strict=True)):
            kept.append(level)
    return kept

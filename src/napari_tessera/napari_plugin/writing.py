"""napari's writers: image and labels layers as OME-Zarr and OME-TIFF, with scale, units and axis names."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image, Layer
from napari.utils import cancelable_progress
from napari.utils.notifications import show_warning
from qtpy.QtCore import QCoreApplication

from napari_tessera.core.errors import InvalidInputError, JobCancelledError, OutputExistsError
from napari_tessera.core.tiles import Tile, TileGrid
from napari_tessera.io.arrays import ArraySource
from napari_tessera.io.channel_colors import COLORS
from napari_tessera.io.creating import create_image
from napari_tessera.io.places import LABELS, check_apart
from napari_tessera.napari_plugin.layers.images import color_of_map, layer_image
from napari_tessera.napari_plugin.layers.notes import layer_classes, notes_of
from napari_tessera.napari_plugin.reading import WHITE
from napari_tessera.pipeline.running.sinks import finishing

FullLayer = tuple[Any, dict[str, Any], str]

_BLOCK = 2048
MANY = 8
"""Of so many blocks progress is shown."""


def write_image(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write one image layer; what napari calls for *Save as*."""
    return [_write(Path(path), _layer((data, attributes, "image")))]


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write one labels layer."""
    return [_write(Path(path), _layer((data, attributes, "labels")))]


def write_image_with_labels(path: str, layers: Sequence[FullLayer]) -> list[str]:
    """Write one image as an OME-Zarr, and labels layers into its folder of labels, where every program finds them.

    Raises
    ------
    InvalidInputError
        If two layers of labels have one name.
    """
    image = next(layer for layer in layers if layer[2] == "image")
    labels = [_layer(layer) for layer in layers if layer[2] == "labels"]
    names = [_folder_name(layer.name) for layer in labels]
    if len(set(names)) < len(names):
        raise InvalidInputError("Two of the labels layers have one name: rename one, because their folders bear it.")
    place = Path(path)
    written = [_write(place, _layer(image))]
    return written + [_write(place / LABELS / name, layer) for name, layer in zip(names, labels, strict=True)]


def _layer(full: FullLayer) -> Layer:
    return Layer.create(*full)


def _write(place: Path, layer: Layer) -> str:
    """Write a layer, block by block, under its final name only once it is complete.

    An OME-Zarr is never replaced: it is a folder, which no file dialog asks about.
    """
    image = layer_image(layer)
    check_apart(place, [image.array, *([image.path] if image.path is not None else [])])
    if not (_is_plain(layer.rotate) and _is_plain(layer.affine.affine_matrix) and not np.any(layer.shear)):
        show_warning(f"{place.name} keeps scale and position of {layer.name!r}, but not its rotation or shear.")
    source = ArraySource(image.array, image.spec)
    try:
        metadata = {**_metadata(layer), **_colors(layer, image.spec.channels)}
        sink = create_image(place, image.spec, overwrite=place.is_file(), metadata=metadata)
    except OutputExistsError as error:
        raise OutputExistsError(
            f"{place} exists, or is being written, and is not replaced: choose another name, or remove it first."
        ) from error
    chunks = sink.chunks or [
        _BLOCK if axis in "yx" else min(length, 1 if axis != "c" else length)
        for axis, length in image.spec.sizes.items()
    ]
    shape = image.spec.shape
    tiles = list(TileGrid(shape, [min(chunk, n) for chunk, n in zip(chunks, shape, strict=True)]))
    with finishing(sink):
        for tile in _shown(tiles, f"Saving {place.name}"):
            sink.write(tile.inner, source.read(tile.inner))
    return str(place)


def _shown(tiles: Sequence[Tile], what: str) -> Iterator[Tile]:
    """Yield `tiles` with a bar in napari's activity, which redraws the window, where they are many.

    napari calls writers in the thread of the window, which would stand still until all is written.

    Raises
    ------
    JobCancelledError
        Once the person has cancelled it there.
    """
    if len(tiles) < MANY or QCoreApplication.instance() is None:
        yield from tiles
        return
    with cancelable_progress(tiles, desc=what) as bar:
        yield from bar
        if bar.is_canceled:
            raise JobCancelledError("Cancelled: nothing was saved.")


def _metadata(layer: Layer) -> dict[str, Any]:
    kind = type(layer).__name__.lower()
    metadata: dict[str, Any] = {"layer": kind}
    if kind == "labels" and (classes := layer_classes(layer)):
        metadata["classes"] = [
            {"id": number, "name": name, "color": color} for number, (name, color) in classes.items()
        ]
    return metadata


def _colors(layer: Layer, channels: int) -> dict[str, Any]:
    """Return the colours of channels: that which one is shown in, or those that the file of several gave them."""
    if not isinstance(layer, Image) or layer.rgb:
        return {}
    colors = [color_of_map(layer.colormap)] if channels == 1 else notes_of(layer).channel_colors
    plain = len(colors) == channels and all(map(_is_color, colors))
    return {COLORS: colors} if plain and set(colors) != {WHITE} else {}


def _is_color(text: object) -> bool:
    return isinstance(text, str) and re.fullmatch("#[0-9a-f]{6}", text) is not None


def _is_plain(matrix: Any) -> bool:
    return bool(np.allclose(matrix, np.eye(len(matrix))))


def _folder_name(name: str) -> str:
    """Return the name of a layer as that of a folder."""
    plain = "".join(character if character.isalnum() or character in " ._-·" else "_" for character in name)
    return plain.strip(" .")[:100] or LABELS

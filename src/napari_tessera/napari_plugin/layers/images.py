"""What a napari layer is as an image, and what a result is as a layer: the only place where one becomes the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import Colormap, DirectLabelColormap
from numpy.typing import NDArray

from napari_tessera.config.model import ClassSpec
from napari_tessera.core.axes import CANONICAL, guess_axes
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.units import OME_SYMBOLS
from napari_tessera.napari_plugin.layers.notes import class_entries, noted, notes_of
from napari_tessera.napari_plugin.shown_text import shown_name

_OTHER_MEANINGS = {3: ("zyx", "tyx", "cyx"), 4: ("tzyx", "tcyx", "zcyx", "czyx", "ctyx"), 5: ("tczyx", "tzcyx")}
"""What the dimensions of an unnamed layer without RGB may mean, the likeliest first."""


@dataclass(frozen=True)
class LayerImage:
    """The pixels of a layer at full resolution with all that is known of them; safe to read in another thread.

    Attributes
    ----------
    array
        Numpy, dask or zarr array, dimensions named by ``spec.axes``.
    path
        The file that napari read the layer from; the layer may have been changed since.
    """

    array: Any
    spec: ImageSpec
    path: Path | None = None


def known_unit(unit: str | None) -> str:
    """Return the name of a unit as napari takes it: ``pixel`` where there is none, or none that is known."""
    return unit if unit is not None and unit in OME_SYMBOLS else "pixel"


def real_viewer(viewer: Any) -> Any:
    """Return a viewer itself: what napari gives to widgets is a stand-in, whose layers are stand-ins, new each time."""
    return getattr(viewer, "__wrapped__", viewer)


def possible_axes(layer: Layer) -> tuple[str, ...]:
    """Return what the dimensions of `layer` may be, the likeliest first; one entry if the layer leaves no doubt.

    Axis labels that are letters of ``tczyx`` decide. An RGB layer's colour dimension is ``c``. Otherwise leading
    dimensions are planes, or, if the person says so, time or channels.
    """
    labels = tuple(str(label).lower() for label in getattr(layer, "axis_labels", ()))
    if len(set(labels)) == len(labels) and {"y", "x"} <= set(labels) <= set(CANONICAL):
        named = "".join(labels)
        return (named + "c",) if _is_rgb(layer) and "c" not in named else (named,)
    shape = tuple(full_resolution(layer).shape)
    if _is_rgb(layer) or layer.ndim == 2:
        return (guess_axes(shape, rgb=_is_rgb(layer)),)
    if layer.ndim not in _OTHER_MEANINGS:
        raise InvalidInputError(f"The layer {layer.name!r} has {layer.ndim} dimensions: use one with 2 to 5.")
    return _OTHER_MEANINGS[layer.ndim]


def axes_like(layer: Layer, image: Layer, axes: str) -> str:
    """Return what the dimensions of `layer` mean beside those of `image`: the same where the number fits."""
    possible = possible_axes(layer)
    without = axes.replace("c", "")
    for wanted in (axes, without, axes[-layer.ndim :]):
        if wanted in possible:
            return wanted
    if layer.ndim == image.ndim and not getattr(layer, "rgb", False):
        return axes[: layer.ndim]
    return possible[0]


def full_resolution(layer: Layer) -> Any:
    """Return the array of `layer`, of a multiscale one the level of full resolution."""
    return layer.data[0] if getattr(layer, "multiscale", False) else layer.data


def layer_image(layer: Layer, axes: str | None = None) -> LayerImage:
    """Return `layer` as an image.

    Parameters
    ----------
    layer
        An Image or Labels layer.
    axes
        What its dimensions mean; None takes the likeliest.

    Raises
    ------
    InvalidInputError
        If the axes do not fit the layer.
    """
    axes = axes or possible_axes(layer)[0]
    array = full_resolution(layer)
    # A colour dimension is none of the layer's own: scale and units do not cover it.
    extra = array.ndim - layer.ndim
    if _is_rgb(layer) and array.shape[-1] == 4:
        array = array[..., :3]  # opacity is nothing to learn from
    spec = ImageSpec(
        axes=axes,
        shape=tuple(array.shape),
        dtype=np.dtype(array.dtype),
        scale=(*layer.scale, *(1.0,) * extra),
        translate=(*layer.translate, *(0.0,) * extra),
        units=(*(_unit_name(unit) for unit in layer.units), *(None,) * extra),
        name=layer.name,
        channel_names=_channel_names(layer, array.shape[axes.index("c")] if "c" in axes else 0),
    )
    path = layer.source.path
    return LayerImage(array, spec, Path(path) if path else None)


def _channel_names(layer: Layer, channels: int) -> tuple[str, ...]:
    """Return the names that the file of `layer` gave its channels, if they are as many."""
    names = notes_of(layer).channel_names
    return names if len(names) == channels else ()


def placement(layer: Layer, axes: str) -> dict[str, Any]:
    """Return the keyword arguments that put labels of `layer`, an image with `axes`, where it is.

    The labels have the image's dimensions without ``c``.
    """
    dropped = axes.index("c") if "c" in axes and not _is_rgb(layer) else None
    kept = [i for i in range(layer.ndim) if i != dropped]
    matrix = np.asarray(layer.affine.affine_matrix)
    rows = [*kept, layer.ndim]
    placed: dict[str, Any] = {
        "scale": [float(layer.scale[i]) for i in kept],
        "translate": [float(layer.translate[i]) for i in kept],
        "units": [str(layer.units[i]) for i in kept],
        "rotate": np.asarray(layer.rotate)[np.ix_(kept, kept)],
        "affine": matrix[np.ix_(rows, rows)],
        "shear": _shear_matrix({"shear": layer.shear}, layer.ndim)[np.ix_(kept, kept)],
    }
    if all(label in CANONICAL for label in layer.axis_labels):
        placed["axis_labels"] = [layer.axis_labels[i] for i in kept]
    return placed


def displaced(placed: Mapping[str, Any], start: Sequence[int]) -> dict[str, Any]:
    """Return `placed` for an array that begins at index `start` of the labels rather than at their origin."""
    linear = np.asarray(placed["rotate"]) @ _shear_matrix(placed, len(start)) @ np.diag(placed["scale"])
    return {**placed, "translate": list(np.asarray(placed["translate"]) + linear @ np.asarray(start, float))}


def _shear_matrix(placed: Mapping[str, Any], ndim: int) -> NDArray[np.float64]:
    shear = np.asarray(placed.get("shear", np.zeros(0)), float)
    if shear.ndim == 2:
        return shear
    matrix = np.eye(ndim)
    if shear.size:
        matrix[np.triu_indices(ndim, 1)] = shear
    return matrix


def class_colormap(colors: Mapping[int, str]) -> DirectLabelColormap:
    """Return a colormap with the given colour (#rrggbb) per number; 0 is clear, any other number grey."""
    painted: dict[int | None, str] = {number: color for number, color in colors.items() if number}
    return DirectLabelColormap(color_dict=painted | {None: "#80808080", 0: "transparent"})


def color_map(color: str) -> Colormap:
    """Return the colormap of an image from black to a colour (#rrggbb)."""
    return Colormap([[0, 0, 0, 1], [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)] + [1]], name=color)


def color_of_map(colormap: Colormap) -> str:
    """Return the colour (#rrggbb) that a colormap leads to from black; empty if it is any other."""
    colors = np.asarray(colormap.colors, float)
    if len(colors) != 2 or colors[0, :3].any():
        return ""
    return "#" + "".join(f"{round(part * 255):02x}" for part in colors[1, :3].tolist())


def labels_layer(
    array: NDArray[Any], placed: Mapping[str, Any], classes: Sequence[ClassSpec], name: str, metadata: Mapping[str, Any]
) -> Labels:
    """Return class labels as a layer with the colours and names of their classes."""
    entries = class_entries({entry.id: (entry.name, entry.color) for entry in classes})
    return Labels(
        array,
        name=name,
        colormap=class_colormap({entry.id: entry.color for entry in classes}),
        metadata=noted({"classes": entries, **metadata}),
        **placed,
    )


def probability_layers(
    array: NDArray[Any], placed: Mapping[str, Any], classes: Sequence[ClassSpec], name: str, metadata: Mapping[str, Any]
) -> list[Image]:
    """Return one layer per class but the background.

    Parameters
    ----------
    array
        Probabilities, the class axis first; uint8 with 255 for certainty, or a float dtype.
    """
    top = 255.0 if array.dtype == np.uint8 else 1.0
    return [
        Image(
            array[index],
            name=f"{name} · probability of {shown_name(entry.name)}",
            colormap=[[0, 0, 0, 0], entry.color],
            contrast_limits=(0.0, top),
            blending="additive",
            metadata=noted(metadata),
            **placed,
        )
        for index, entry in enumerate(classes)
        if entry.id != 0
    ]


def hex_color(layer: Labels, number: int) -> str:
    """Return the colour in which `layer` shows `number`, as #rrggbb."""
    color = layer.get_color(number)
    if color is None:  # napari's word for clear
        return "#808080"
    red, green, blue = (round(float(part) * 255) for part in np.asarray(color)[:3])
    return f"#{red:02x}{green:02x}{blue:02x}"


def _is_rgb(layer: Layer) -> bool:
    return bool(getattr(layer, "rgb", False))


def _unit_name(unit: Any) -> str | None:
    name = str(unit)
    return None if name in ("pixel", "") else name

"""What the journal keeps of a layer beside its pixels, and a layer made of it again."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap
from numpy.typing import NDArray

from napari_tessera.config.session import LabelClass, LayerHeader
from napari_tessera.core.axes import CANONICAL
from napari_tessera.napari_plugin.layers.notes import METADATA_KEY, noted, notes_in, notes_of

MOST_FEATURE_CELLS = 200_000
"""Tables of features with more cells are not kept: they would be written again with every change."""

PLACE = "place"
"""What a layer's place in the viewer's list is called among what is kept: layers come back in that order."""

_PLAIN = ("opacity", "blending", "visible", "contour", "selected_label", "n_edit_dimensions", "brush_size")
"""Attributes of a layer that are kept as they are."""


@dataclass(frozen=True)
class LayerFacts:
    """What was read off a layer in the GUI thread; `header` makes plain data of it in another.

    Attributes
    ----------
    image_name, image_path
        Of the image that is annotated; empty and None if it is not known.
    odd_classes
        Whether names of classes are noted in a form that is not the plugin's; these are not kept.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    image_name: str
    image_path: str | None
    axes: str
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    units: tuple[str, ...]
    classes: Mapping[int, tuple[str, str]]
    colormap: Any
    features: Any
    metadata: Mapping[str, Any]
    plain: Mapping[str, Any] = field(default_factory=dict)
    odd_classes: bool = False

    def header(self) -> LayerHeader:
        """Return the facts as they are written to disk."""
        known = {number: name for number, (name, _) in self.classes.items()}
        colors = {number: color for number, (_, color) in self.classes.items()}
        return LayerHeader(
            image_name=self.image_name,
            image_path=self.image_path,
            layer_name=self.name,
            shape=self.shape,
            dtype=self.dtype,
            axes=self.axes,
            scale=self.scale,
            translate=self.translate,
            units=tuple(None if unit in ("pixel", "") else unit for unit in self.units),
            classes=tuple(
                LabelClass(id=number, name=known[number], color=_hex(colors[number])) for number in sorted(self.classes)
            ),
            extra={
                **self.plain,
                "colormap": _plain_colormap(self.colormap),
                "features": _plain_features(self.features),
                "metadata": _plain_metadata(self.metadata),
            },
        )


def facts_of(layer: Labels, image_name: str = "", image_path: str | None = None) -> LayerFacts:
    """Read off `layer` what the journal keeps; costs well below a millisecond."""
    colormap = layer.colormap
    letters = "".join(str(label) for label in layer.axis_labels)
    named = all(len(str(label)) == 1 and str(label) in CANONICAL for label in layer.axis_labels)
    plain = {name: _plain(getattr(layer, name)) for name in _PLAIN if hasattr(layer, name)}
    plain["rotate"] = np.asarray(layer.rotate, float).tolist()
    plain["shear"] = np.asarray(layer.shear, float).tolist()
    plain["affine"] = np.asarray(layer.affine.affine_matrix, float).tolist()
    notes = notes_of(layer)
    return LayerFacts(
        name=str(layer.name),
        shape=tuple(int(length) for length in layer.data.shape),
        dtype=np.dtype(layer.data.dtype).name,
        image_name=image_name,
        image_path=image_path,
        axes=letters if named and len(set(letters)) == layer.ndim else "",
        scale=tuple(float(step) for step in layer.scale),
        translate=tuple(float(shift) for shift in layer.translate),
        units=tuple(str(unit) for unit in layer.units),
        classes=notes.classes,
        colormap=dict(colormap.color_dict) if isinstance(colormap, DirectLabelColormap) else colormap,
        features=layer.features,
        metadata=dict(layer.metadata),
        plain=plain,
        odd_classes=notes.has_odd_classes,
    )


def layer_from(header: LayerHeader, array: NDArray[Any]) -> Labels:
    """Return a layer as `header` describes it."""
    extra = dict(header.extra)
    placed: dict[str, Any] = {name: extra[name] for name in ("opacity", "blending", "visible") if name in extra}
    for name in ("rotate", "shear", "affine"):
        if extra.get(name):
            placed[name] = np.asarray(extra[name], float)
    if header.scale:
        placed["scale"] = header.scale
    if header.translate:
        placed["translate"] = header.translate
    if header.units:
        placed["units"] = [unit or "pixel" for unit in header.units]
    if header.axes:
        placed["axis_labels"] = list(header.axes)
    features = extra.get("features")
    if features:
        placed["features"] = features
    metadata = _metadata_from(header, extra.get("metadata") or {})
    colormap = _colormap_from(extra.get("colormap"))
    layer = Labels(array, name=header.layer_name, colormap=colormap, metadata=metadata, **placed)
    for name in ("contour", "n_edit_dimensions", "brush_size", "selected_label"):
        if isinstance(extra.get(name), int):
            setattr(layer, name, extra[name])
    return layer


def annotated_image(layer: Labels, others: list[Layer]) -> Image | None:
    """Return which of `others` is most likely what `layer` annotates: named in it, or of the same extent."""
    images = [other for other in others if isinstance(other, Image)]
    for image in images:
        if layer.name.startswith(f"{image.name} · "):
            return image
    fitting = [image for image in images if _extents_agree(layer, image)]
    return fitting[-1] if fitting else None


def _extents_agree(layer: Labels, image: Image) -> bool:
    own, its = np.asarray(layer.extent.world), np.asarray(image.extent.world)
    return bool(np.allclose(own[:, -2:], its[:, -2:]))


def _hex(color: str) -> str | None:
    """Return a colour as the journal keeps it; None for one of another form, such as a name."""
    return color if re.fullmatch("#([0-9a-fA-F]{2}){3,4}", color) else None


def _plain_colormap(colormap: Any) -> dict[str, Any] | None:
    if isinstance(colormap, dict):
        colors = {
            "other" if number is None else str(int(number)): np.asarray(color, float).tolist()
            for number, color in colormap.items()
        }
        return {"kind": "direct", "colors": colors}
    if isinstance(colormap, CyclicLabelColormap):
        return {
            "kind": "cyclic",
            "seed": float(colormap.seed),
            "background": int(colormap.background_value),
            "name": str(colormap.name),
            "colors": np.asarray(colormap.colors, float).tolist(),
        }
    return None


def _colormap_from(known: Any) -> Any:
    if not isinstance(known, dict):
        return None
    if known.get("kind") == "direct":
        colors: dict[int | None, Any] = {
            None if number == "other" else int(number): np.asarray(color, np.float32)
            for number, color in known["colors"].items()
        }
        return DirectLabelColormap(color_dict=colors)
    return CyclicLabelColormap(
        colors=np.asarray(known["colors"], np.float32),
        name=known["name"],
        seed=known["seed"],
        background_value=known["background"],
    )


def _plain_features(table: Any) -> dict[str, list[Any]]:
    if table is None or table.shape[1] == 0 or table.size > MOST_FEATURE_CELLS:
        return {}
    columns = {str(name): [_plain(value) for value in table[name].tolist()] for name in table.columns}
    return columns if _is_plain(columns) else {}


def _plain_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of `metadata` can be written as plain data; class names stand elsewhere."""
    own = notes_in(metadata).fields
    kept = {str(key): value for key, value in metadata.items() if key != METADATA_KEY and _is_plain(value)}
    if METADATA_KEY in metadata:
        kept |= noted({str(key): value for key, value in own.items() if key != "classes" and _is_plain(value)})
    return kept


def _metadata_from(header: LayerHeader, kept: Mapping[str, Any]) -> dict[str, Any]:
    own = dict(notes_in(kept).fields)
    classes = {entry.id: {"name": entry.name, "color": entry.color or "#808080"} for entry in header.classes}
    if classes:
        own["classes"] = classes
    rest = {key: value for key, value in kept.items() if key != METADATA_KEY}
    return rest | (noted(own) if own else {})


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=True)
    except (TypeError, ValueError):
        return False
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, bool | int | float | str | type(None)) else str(value)

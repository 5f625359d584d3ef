"""The metadata of OME-Zarr (NGFF 0.4 and 0.5): between its JSON and an `ImageSpec`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from napari_tessera.core.axes import CANONICAL
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.units import unit_name
from napari_tessera.io.calibration import Calibration

_TYPES = {"t": "time", "c": "channel"}
_BY_TYPE = {"time": "t", "channel": "c"}


def ngff_attributes(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of a group's attributes that NGFF defines: under ``"ome"`` since 0.5, at the top before."""
    inner = attributes.get("ome")
    return inner if isinstance(inner, Mapping) else attributes


def axis_letters(multiscale: Mapping[str, Any], ndim: int) -> str | None:
    """Return the axes of a multiscale image as letters; None if they cannot be named without asking."""
    entries = multiscale.get("axes")
    if entries is None:  # versions up to 0.2 had five dimensions and no names
        return CANONICAL[-ndim:] if ndim == 5 else None
    letters = [_letter(entry) for entry in entries]
    axes = "".join(letter or "?" for letter in letters)
    valid = len(axes) == ndim and set(axes) <= set(CANONICAL) and len(set(axes)) == ndim and {"y", "x"} <= set(axes)
    return axes if valid else None


def _letter(entry: Any) -> str | None:
    if isinstance(entry, str):  # version 0.3
        return entry.lower()
    letter = _BY_TYPE.get(str(entry.get("type"))) or str(entry.get("name", "")).lower()
    return letter if letter in CANONICAL else None


def level_calibration(multiscale: Mapping[str, Any], dataset: Mapping[str, Any], axes: str) -> Calibration:
    """Return the calibration of one dataset: its own transformation, then the one for all."""
    scale, translate = np.ones(len(axes)), np.zeros(len(axes))
    for transforms in (dataset.get("coordinateTransformations"), multiscale.get("coordinateTransformations")):
        for transform in transforms or ():
            if transform.get("type") == "scale" and "scale" in transform:
                factor = np.asarray(transform["scale"], float)
                scale, translate = scale * factor, translate * factor
            elif transform.get("type") == "translation" and "translation" in transform:
                translate = translate + np.asarray(transform["translation"], float)
    entries = multiscale.get("axes") or ()
    units = {
        axis: unit_name(entry.get("unit"))
        for axis, entry in zip(axes, entries, strict=False)
        if isinstance(entry, Mapping)
    }
    return Calibration(
        dict(zip(axes, scale.tolist(), strict=True)), dict(zip(axes, translate.tolist(), strict=True)), units
    )


def channel_labels(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the channels, if every one has a name."""
    channels = (attributes.get("omero") or {}).get("channels") or ()
    labels = [str(channel.get("label") or "") for channel in channels]
    return tuple(labels) if all(labels) else ()


def multiscale_attributes(specs: Sequence[ImageSpec], version: str) -> dict[str, Any]:
    """Return the NGFF attributes of an image whose levels are arrays called by their number.

    Parameters
    ----------
    specs
        One per level, axes in the order ``tczyx``.
    version
        ``"0.4"`` or ``"0.5"``.
    """
    full = specs[0]
    multiscale: dict[str, Any] = {
        "name": full.name,
        "axes": [_axis_entry(axis, unit) for axis, unit in zip(full.axes, full.units, strict=True)],
        "datasets": [
            {
                "path": str(index),
                "coordinateTransformations": [
                    {"type": "scale", "scale": list(spec.scale)},
                    {"type": "translation", "translation": list(spec.translate)},
                ],
            }
            for index, spec in enumerate(specs)
        ],
    }
    if version == "0.4":
        multiscale["version"] = version
    attributes: dict[str, Any] = {"multiscales": [multiscale]}
    if full.channel_names:
        attributes["omero"] = {"channels": [_channel_entry(name, full.dtype) for name in full.channel_names]}
    return attributes if version == "0.4" else {"ome": {"version": version, **attributes}}


def _axis_entry(axis: str, unit: str | None) -> dict[str, str]:
    entry = {"name": axis, "type": _TYPES.get(axis, "space")}
    return entry if unit is None else {**entry, "unit": unit}


def _channel_entry(name: str, dtype: np.dtype[Any]) -> dict[str, Any]:
    high = float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0
    window = {"min": 0.0, "start": 0.0, "end": high, "max": high}
    return {"label": name, "color": "FFFFFF", "active": True, "window": window}

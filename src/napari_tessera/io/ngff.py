"""The metadata of OME-Zarr (NGFF 0.4 and 0.5): what is written, and where it stands."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from napari_tessera.core.image import ImageSpec

_TYPES = {"t": "time", "c": "channel"}


def ngff_attributes(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of a group's attributes that NGFF defines: under ``"ome"`` since 0.5, at the top before."""
    inner = attributes.get("ome")
    return inner if isinstance(inner, Mapping) else attributes


def multiscale_attributes(specs: Sequence[ImageSpec], version: str, colors: Sequence[str] = ()) -> dict[str, Any]:
    """Return the NGFF attributes of an image whose levels are arrays called by their number.

    Parameters
    ----------
    specs
        One per level, axes in the order ``tczyx``.
    version
        ``"0.4"`` or ``"0.5"``.
    colors
        ``#rrggbb`` by channel, empty where it has none.
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
    if full.channel_names or len(colors) == full.channels:
        names = full.channel_names or ("",) * full.channels
        shown = colors if len(colors) == len(names) else ("",) * len(names)
        entries = [_channel_entry(*channel, full.dtype) for channel in zip(names, shown, strict=True)]
        attributes["omero"] = {"channels": entries}
    return attributes if version == "0.4" else {"ome": {"version": version, **attributes}}


def _axis_entry(axis: str, unit: str | None) -> dict[str, str]:
    entry = {"name": axis, "type": _TYPES.get(axis, "space")}
    return entry if unit is None else {**entry, "unit": unit}


def _channel_entry(name: str, color: str, dtype: np.dtype[Any]) -> dict[str, Any]:
    high = float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0
    window = {"min": 0.0, "start": 0.0, "end": high, "max": high}
    return {"label": name, "color": color.removeprefix("#").upper() or "FFFFFF", "active": True, "window": window}

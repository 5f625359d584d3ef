"""What TIFF files say about themselves: our own note, OME-XML, ImageJ, or the resolution tags."""

import json
import math
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

from tifffile import TiffFile, TiffPage

from napari_tessera.core.units import unit_name
from napari_tessera.io.calibration import Calibration
from napari_tessera.io.ngff_transforms import quoted
from napari_tessera.io.ome_xml import image_of, ome_root
from napari_tessera.io.tiff_series import Chosen

NOTE = "napari-tessera"
"""Key under which our own files keep the whole specification as JSON."""

_CENTIMETER = 3
_IMAGEJ_UNITS = {"z": "zunit", "y": "yunit", "x": "unit"}


def read_note(tif: TiffFile) -> Mapping[str, Any] | None:
    """Return the specification that `create_image` wrote into the file, or None in files of other programs."""
    text: Any = None
    if tif.is_ome:
        root = ome_root(tif)
        found = None if root is None else root.find(f".//{{*}}MapAnnotation[@Namespace='{NOTE}']//{{*}}M")
        text = None if found is None else found.text
    elif tif.shaped_metadata:
        text = tif.shaped_metadata[0].get(NOTE)
    try:
        note = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return note if isinstance(note, dict) else None


def read_calibration(chosen: Chosen) -> Calibration:
    """Return what OME-XML, ImageJ or the resolution tags say about the image that is read."""
    tif, series = chosen.tif, chosen.series
    if (root := ome_root(tif)) is not None:
        image = image_of(root, series, chosen.index, chosen.count)
        return Calibration() if image is None else _from_ome(image.element)
    if tif.is_imagej and tif.imagej_metadata is not None:
        return _from_imagej(tif.imagej_metadata, _resolution(series.keyframe))
    return _from_resolution(series.keyframe)


def _from_ome(pixels: Element) -> Calibration:
    scale, units, faults = {}, {}, []
    for axis, attribute in {
        "x": "PhysicalSizeX",
        "y": "PhysicalSizeY",
        "z": "PhysicalSizeZ",
        "t": "TimeIncrement",
    }.items():
        given = pixels.get(attribute)
        value = _number(given)
        if value is not None and math.isfinite(value) and value > 0:
            scale[axis] = value
            units[axis] = unit_name(pixels.get(f"{attribute}Unit", "s" if axis == "t" else "µm"))
        elif given is not None and (value != 0 or axis != "t"):  # some programs write 0 for "no series"
            faults.append(f"gives {attribute} as {quoted(given)}, which is no length and is left out")
    names = [channel.get("Name") for channel in pixels.findall("./{*}Channel")]
    named = tuple(name for name in names if name) if all(names) else ()
    return Calibration(scale, {}, units, named, tuple(faults))


def _from_imagej(metadata: Mapping[str, Any], steps: Mapping[str, float]) -> Calibration:
    # y and z have units of their own where they differ from that of x
    units = {axis: unit_name(str(metadata.get(key, metadata.get("unit", "")))) for axis, key in _IMAGEJ_UNITS.items()}
    scale = {axis: step for axis, step in steps.items() if units[axis] is not None}
    faults = []
    if (spacing := _number(metadata.get("spacing"))) is not None:
        scale["z"] = abs(spacing)  # the planes of some stacks were taken from above
        if spacing < 0:
            faults.append(f"gives the distance of its planes as {spacing:g}, of which {-spacing:g} is taken")
    if _number(metadata.get("finterval")):
        scale["t"], units["t"] = float(metadata["finterval"]), unit_name(str(metadata.get("tunit", "s")))
    translate = {
        axis: -origin * scale.get(axis, 1.0)
        for axis in "zyx"
        if (origin := _number(metadata.get(f"{axis}origin"))) is not None
    }
    return Calibration(scale, translate, units, faults=tuple(faults))


def _from_resolution(page: TiffPage) -> Calibration:
    """Use pixels per centimetre only: pixels per inch are nearly always the printing default of a graphics program."""
    tag = page.tags.get("ResolutionUnit")
    if tag is None or tag.value != _CENTIMETER:
        return Calibration()
    scale = {axis: 1e4 * step for axis, step in _resolution(page).items()}
    return Calibration(scale, {}, dict.fromkeys(scale, "micrometer"))


def _resolution(page: TiffPage) -> dict[str, float]:
    """Length of a pixel along x and y, in the file's unit of resolution."""
    steps = {}
    for axis in "xy":
        tag = page.tags.get(f"{axis.upper()}Resolution")
        if tag is not None and tag.value[0] and tag.value[1]:
            steps[axis] = tag.value[1] / tag.value[0]
    return steps


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None

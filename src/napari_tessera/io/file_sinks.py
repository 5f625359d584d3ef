"""Outputs that are one file: NPY, PNG and TIFF."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_tessera.core.axes import move_axes
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.regions import Region
from napari_tessera.core.units import MICROMETERS, OME_SYMBOLS
from napari_tessera.io.arrays import MemorySink
from napari_tessera.io.channel_colors import COLORS, to_ome
from napari_tessera.io.tiff import stored_axes
from napari_tessera.io.tiff_metadata import NOTE
from napari_tessera.io.writing import PathSink, RegionFile, publish_file, temporary_file, writing

_OME_DTYPES = ("bool", "int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64")


class FileSink(PathSink):
    """A file of raw pixels that has a temporary name until `finish`; parameters are those of `PathSink`."""

    def __init__(self, path: Path, spec: ImageSpec, *, overwrite: bool) -> None:
        super().__init__(path, spec, overwrite=overwrite)
        self._temporary = temporary_file(path)
        try:
            with writing(path):
                self._pixels = self._start(self._temporary.path)
        except BaseException:
            self._temporary.release()
            raise

    def _start(self, temporary: Path) -> RegionFile:
        """Write the header of the file and return where its pixels go."""
        with temporary.open("wb") as file:
            descr = np.lib.format.dtype_to_descr(self._spec.dtype)
            header = {"descr": descr, "fortran_order": False, "shape": self._spec.shape}
            np.lib.format.write_array_header_2_0(file, header)
            offset = file.tell()
        return RegionFile(temporary, offset, self._spec.shape, self._spec.dtype)

    def _store(self, region: Region, pixels: NDArray[Any]) -> None:
        self._pixels.write(region, pixels)

    def finish(self) -> None:
        """Give the file its final name."""
        try:
            with writing(self.path):
                self._pixels.close()
            publish_file(self._temporary.path, self.path, self._overwrite)
        finally:
            self._temporary.release()

    def abort(self) -> None:
        """Remove the temporary file."""
        self._pixels.close()
        self._temporary.release()


class TiffSink(FileSink):
    """An uncompressed TIFF with OME-XML; dtypes that OME does not know get a JSON description.

    Planes are stored in the order ``tczyx`` (colours last); a note in the file brings back the axes as they were, and
    bool, which is stored as 0 and 1 in uint8.
    """

    def __init__(
        self, path: Path, spec: ImageSpec, *, overwrite: bool, metadata: Mapping[str, Any] | None = None
    ) -> None:
        self._metadata = dict(metadata or {})
        self._stored = stored_axes(spec)
        super().__init__(path, spec, overwrite=overwrite)

    def _start(self, temporary: Path) -> RegionFile:
        spec = self._spec
        shape = tuple(spec.sizes[axis] for axis in self._stored)
        dtype = np.dtype(np.uint8) if spec.dtype == bool else spec.dtype
        ome = spec.dtype.name in _OME_DTYPES
        color = self._stored.endswith("c")
        options: dict[str, Any] = {"resolution": _resolution(spec), "resolutionunit": "CENTIMETER"}
        fourth: dict[str, Any] = (
            {"extrasamples": ["UNSPECIFIED"]} if color and spec.channels == 4 else {}
        )  # a channel, no opacity
        written = tifffile.imwrite(
            temporary,
            shape=shape,
            dtype=dtype,
            ome=ome,
            photometric="rgb" if color else "minisblack",
            planarconfig="contig" if color else None,
            metadata=_ome_metadata(spec, self._stored, self._metadata) if ome else _note(spec, self._metadata),
            returnoffset=True,
            **fourth,
            **(options if options["resolution"] else {}),
        )
        assert written is not None  # uncompressed pixels have one place in the file
        return RegionFile(temporary, written[0], shape, dtype)

    def _store(self, region: Region, pixels: NDArray[Any]) -> None:
        by_axis = self._spec.by_axis(region)
        stored = move_axes(pixels, self._spec.axes, self._stored)
        if stored.dtype == bool:
            stored = stored.view(np.uint8)
        self._pixels.write(tuple(by_axis[axis] for axis in self._stored), stored)


class PngSink(MemorySink):
    """A PNG; the pixels stay in memory until `finish` compresses them."""

    def __init__(self, path: Path, spec: ImageSpec, *, overwrite: bool) -> None:
        if spec.axes != "yx" or spec.dtype not in (np.dtype(np.uint8), np.dtype(np.uint16)):
            raise InvalidInputError(
                f"{path} cannot hold {spec.dtype} with axes {spec.axes!r}: PNG is for 2D uint8 or uint16; name it .tif."
            )
        super().__init__(spec)
        self.path = path
        self._overwrite = overwrite

    def finish(self) -> None:
        """Compress the pixels into a temporary file and give it its final name."""
        temporary = temporary_file(self.path)
        try:
            with writing(self.path):
                temporary.path.write_bytes(imagecodecs.png_encode(self.array))
            publish_file(temporary.path, self.path, self._overwrite)
        finally:
            temporary.release()


def _note(spec: ImageSpec, metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the specification as JSON under our key, for our own reader."""
    fields = {**asdict(spec), "dtype": spec.dtype.name, "metadata": dict(metadata)}
    return {NOTE: json.dumps(fields)}


def _ome_metadata(spec: ImageSpec, stored: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    note = _note(spec, metadata)
    fields: dict[str, Any] = {
        # Not by the clock and the network card, as is usual: a recipe done again gives the same bytes.
        "UUID": str(uuid5(NAMESPACE_OID, note[NOTE])),
        "axes": stored[:-1].upper() + "S" if stored.endswith("c") else stored.upper(),
        "Name": spec.name,
        "MapAnnotation": {"Namespace": NOTE, **note},
    }
    for axis, scale, unit in zip(spec.axes, spec.scale, spec.units, strict=True):
        attribute = "TimeIncrement" if axis == "t" else f"PhysicalSize{axis.upper()}"
        if axis != "c" and unit is not None and unit in OME_SYMBOLS and scale > 0:
            fields |= {attribute: scale, f"{attribute}Unit": OME_SYMBOLS[unit]}
    if spec.channel_names and not stored.endswith("c"):
        fields["Channel"] = {"Name": list(spec.channel_names)}
    colors = metadata.get(COLORS, ())
    if len(colors) == spec.channels and all(colors) and not stored.endswith("c"):
        fields["Channel"] = {**fields.get("Channel", {}), "Color": [to_ome(color) for color in colors]}
    return fields


def _resolution(spec: ImageSpec) -> tuple[float, float] | None:
    """Pixels per centimetre along x and y, if both are lengths that the tag can hold."""
    density = []
    for axis in "xy":
        at = spec.axes.index(axis)
        size = spec.scale[at] * MICROMETERS.get(spec.units[at] or "", 0.0)
        if not 1e-4 < size < 1e8:
            return None
        density.append(1e4 / size)
    return density[0], density[1]

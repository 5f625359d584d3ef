"""Outputs that are one file: NPY, PNG and TIFF."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_tessera.core.axes import move_axes
from napari_tessera.core.errors import InvalidInputError, OutputExistsError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.leftovers import Hidden
from napari_tessera.core.regions import Region
from napari_tessera.core.units import MICROMETERS, OME_SYMBOLS
from napari_tessera.io.arrays import MemorySink
from napari_tessera.io.channel_colors import COLORS, to_ome
from napari_tessera.io.ledger import Fingerprint, describe_spec
from napari_tessera.io.partial import PartialFolder
from napari_tessera.io.tiff import stored_axes
from napari_tessera.io.tiff_metadata import NOTE
from napari_tessera.io.write_units import WriteUnits, checked_chunks, count_units
from napari_tessera.io.writing import PathSink, RegionFile, publish_file, temporary_file, writing

_OME_DTYPES = ("bool", "int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64")


_PIXELS = "pixels"
"""The file in the folder of an unfinished output that becomes the output."""

_OFFSET = "offset"


class FileSink(PathSink):
    """A file of raw pixels that appears under its name when it is finished.

    Until then it is a hidden file that goes when it is given up; or, with a fingerprint, it lies in the folder
    ``<name>.partial``, which a run with the same fingerprint goes on with.

    Parameters
    ----------
    path, spec, overwrite
        As of `PathSink`.
    chunks
        What is recorded as complete at once.
    fingerprint
        What decides the pixels; None for an output that nobody can go on with.
    """

    def __init__(
        self,
        path: Path,
        spec: ImageSpec,
        *,
        overwrite: bool,
        chunks: Sequence[int] | None = None,
        fingerprint: Fingerprint | None = None,
    ) -> None:
        super().__init__(path, spec, overwrite=overwrite)
        self._folder: PartialFolder | None = None
        self._temporary: Hidden | None = None
        if fingerprint is None:
            self._temporary = temporary_file(path)
        else:
            self._open_folder(fingerprint, checked_chunks(chunks, spec))
        try:
            with writing(path):
                self._pixels = self._open()
        except BaseException:
            self.abort()
            raise

    def _open_folder(self, fingerprint: Fingerprint, chunks: tuple[int, ...]) -> None:
        """Begin a folder for the file, or take over that of an earlier run."""
        spec = self._spec
        described = {"format": self.path.suffix, "result": describe_spec(spec), "write unit": list(chunks)}
        with writing(self.path):
            units = math.prod(count_units(spec.shape, chunks))
            decides = fingerprint.with_fields(described)
            self._folder = PartialFolder(self.path, self._overwrite, fingerprint=decides, units=units)
        self._ledger = self._folder.ledger
        self._units = WriteUnits(
            spec.shape, chunks, spec.dtype, store=self._write, load=None, ledger=self._folder.ledger
        )

    @property
    def kept(self) -> Path | None:
        """Folder in which what was finished stays; None as long as that is no whole unit."""
        return None if self._folder is None or self._is_empty else self._folder.path

    @property
    def _is_empty(self) -> bool:
        return self._ledger is None or self._ledger.is_empty

    @property
    def _place(self) -> Path:
        if self._folder is not None:
            return self._folder.path / _PIXELS
        assert self._temporary is not None
        return self._temporary.path

    def _open(self) -> RegionFile:
        """Write the header of the file, unless an earlier run has, and return where the pixels go."""
        shape, dtype = self._layout()
        offset = self.recall(_OFFSET)
        if not isinstance(offset, int) or not self._place.is_file():
            if self._ledger is not None and self._ledger.complete:
                raise OutputExistsError(f"{self.kept} is damaged: begin anew with --overwrite, or move it elsewhere.")
            offset = self._start(self._place)
            self.remember(_OFFSET, offset)
        return RegionFile(self._place, offset, shape, dtype)

    def _layout(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return shape and dtype of the array in the file."""
        return self._spec.shape, self._spec.dtype

    def _start(self, temporary: Path) -> int:
        """Write the header of the file and return where its pixels begin."""
        with temporary.open("wb") as file:
            descr = np.lib.format.dtype_to_descr(self._spec.dtype)
            header = {"descr": descr, "fortran_order": False, "shape": self._spec.shape}
            np.lib.format.write_array_header_2_0(file, header)
            return file.tell()

    def _store(self, region: Region, pixels: NDArray[Any]) -> None:
        if self._units is None:
            self._write(region, pixels)
        else:
            self._units.write(region, pixels)

    def _write(self, region: Region, pixels: NDArray[Any]) -> None:
        self._pixels.write(region, pixels)

    def finish(self) -> None:
        """Give the file its final name."""
        finished = False
        try:
            with writing(self.path):
                self._pixels.close()
            publish_file(self._place, self.path, self._overwrite)
            finished = True
        finally:
            if self._temporary is not None:
                self._temporary.release()
            elif self._folder is not None:
                self._folder.discard() if finished else self._folder.release()

    def abort(self) -> None:
        """Remove the hidden file, or leave the folder behind if anything in it is complete."""
        if hasattr(self, "_pixels"):
            self._pixels.close()
        if self._temporary is not None:
            self._temporary.release()
        elif self._folder is not None:
            self._folder.discard() if self._is_empty else self._folder.release()


class TiffSink(FileSink):
    """An uncompressed TIFF with OME-XML; dtypes that OME does not know get a JSON description.

    Planes are stored in the order ``tczyx`` (colours last); a note in the file brings back the axes as they were, and
    bool, which is stored as 0 and 1 in uint8.
    """

    def __init__(
        self,
        path: Path,
        spec: ImageSpec,
        *,
        overwrite: bool,
        chunks: Sequence[int] | None = None,
        fingerprint: Fingerprint | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self._metadata = dict(metadata or {})
        self._stored = stored_axes(spec)
        super().__init__(path, spec, overwrite=overwrite, chunks=chunks, fingerprint=fingerprint)

    def _layout(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        shape = tuple(self._spec.sizes[axis] for axis in self._stored)
        return shape, np.dtype(np.uint8) if self._spec.dtype == bool else self._spec.dtype

    def _start(self, temporary: Path) -> int:
        spec = self._spec
        shape, dtype = self._layout()
        ome = spec.dtype.name in _OME_DTYPES
        color = self._stored.endswith("c")
        options: dict[str, Any] = {"resolution": _resolution(spec), "resolutionunit": "CENTIMETER"}
        fourth: dict[str, Any] = (
            {"extrasamples": ["UNSPECIFIED"]} if color and spec.channels == 4 else {}
        )  # a channel, no opacity
        written = tifffile.imwrite(
            str(temporary),
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
        return int(written[0])

    def _write(self, region: Region, pixels: NDArray[Any]) -> None:
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

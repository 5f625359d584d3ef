"""TIFF files: tiled, compressed, pyramidal, ImageJ and OME, read lazily."""

import math
import weakref
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from tifffile import TiffFile, TiffFileError, TiffPageSeries

from napari_tessera.core.axes import CANONICAL
from napari_tessera.core.errors import InvalidInputError, StorageError
from napari_tessera.core.image import ImageSpec
from napari_tessera.io.arrays import ArraySource, check_not_empty, checked_dtype, reading
from napari_tessera.io.calibration import level_spec
from napari_tessera.io.tiff_metadata import read_calibration, read_note


def open_tiff(path: Path, axes: str | None = None) -> tuple[ArraySource, ...]:
    """Open the first image of a TIFF file: one source per pyramid level, the full resolution first.

    Uncompressed images are memory-mapped; others are decoded strip by strip or tile by tile.

    Raises
    ------
    InvalidInputError
        If the file is not a TIFF, or its dimensions cannot be named and `axes` does not name them.
    StorageError
        If it is truncated or damaged.
    """
    with reading(path):
        try:
            tif = TiffFile(path)
        except TiffFileError as error:
            if path.stat().st_size == 0:
                raise StorageError(f"{path} is empty: copy or export it again.") from error
            raise InvalidInputError(
                f"{path} is not a TIFF file in spite of its name: give it its right suffix."
            ) from error
        try:
            sources = _open_levels(tif, path, axes)
        except BaseException:
            tif.close()
            raise
    if all(isinstance(source.array, np.ndarray) for source in sources):
        tif.close()
    else:
        _close_when_unused(tif)
    return sources


def _close_when_unused(tif: TiffFile) -> None:
    """Close the file, and others that the image goes on in, once the last array that reads from it is gone."""
    series = tif.series[0]
    elsewhere = series.is_multifile or series.keyframe.parent is not tif
    others = [page.parent for page in series.pages if page is not None] if elsewhere else []
    for file in {tif, *others}:
        weakref.finalize(file, file.filehandle.close)


def _open_levels(tif: TiffFile, path: Path, axes: str | None) -> tuple[ArraySource, ...]:
    series = tif.series[0]
    _check_complete(tif, series, path)
    check_not_empty(series.shape, str(path))
    full, order = _full_spec(tif, series, path, axes)
    guessed = axes is None and order is None and not set(series.axes) <= set("TZCYXS")
    sources = []
    for index, level in enumerate(series.levels):
        array = _open_array(tif, level, index, path)
        if order is not None:
            array = array.reshape(order[0]).transpose(order[1])
        spec = full if index == 0 else level_spec(full, tuple(array.shape), full.name)
        sources.append(ArraySource(array, spec, path=path, axes_guessed=guessed))
    return tuple(sources)


def _open_array(tif: TiffFile, level: TiffPageSeries, index: int, path: Path) -> Any:
    offset = _map_offset(tif, level)
    if offset is not None:
        return np.memmap(path, level.dtype.newbyteorder(tif.byteorder), "r", offset, level.shape)
    return zarr.open_array(tif.series[0].aszarr(level=index), mode="r")


def _map_offset(tif: TiffFile, series: TiffPageSeries) -> int | None:
    """Return where the pixels begin if they lie uncompressed, in one piece and in this file; otherwise None."""
    return series.dataoffset if series.keyframe.parent is tif else None


Order = tuple[tuple[int, ...], tuple[int, ...]]
"""Shape of the stored array with all its axes, and the transposition that brings them into the order of the image."""


def _full_spec(tif: TiffFile, series: TiffPageSeries, path: Path, axes: str | None) -> tuple[ImageSpec, Order | None]:
    note = read_note(tif)
    if note is not None and axes is None and _map_offset(tif, series) is not None and len(series.levels) == 1:
        noted = _noted_spec(note, series, path)
        if noted is not None:
            return noted
    if axes is None:
        axes = name_axes(series.axes)
        if axes is None:
            raise InvalidInputError(
                f"{path} has dimensions {series.axes} of lengths {series.shape}: "
                f"name its axes (letters of {CANONICAL!r})."
            )
    dtype = checked_dtype(series.dtype, str(path))
    return read_calibration(tif).spec(axes, series.shape, dtype, _name(path)), None


def _noted_spec(note: Any, series: TiffPageSeries, path: Path) -> tuple[ImageSpec, Order] | None:
    """Rebuild the specification of a file of ours, axes of length one included; None if another program changed it."""
    try:
        spec = ImageSpec(
            axes=note["axes"],
            shape=tuple(note["shape"]),
            dtype=np.dtype(note["dtype"]),
            scale=tuple(note["scale"]),
            translate=tuple(note["translate"]),
            units=tuple(note["units"]),
            channel_names=tuple(note["channel_names"]),
            name=_name(path),
        )
    except (KeyError, TypeError, ValueError):
        return None
    stored = stored_axes(spec)
    stored_shape = tuple(spec.sizes[axis] for axis in stored)
    fits = [n for n in stored_shape if n > 1] == [n for n in series.shape if n > 1]
    if not fits or spec.dtype not in (np.dtype(series.dtype), np.dtype(bool)):
        return None
    return spec, (stored_shape, tuple(stored.index(axis) for axis in spec.axes))


def stored_axes(spec: ImageSpec) -> str:
    """Return the order in which our TIFF files store the axes of `spec`: colours last, all else ``tczyx``."""
    color = spec.axes.endswith("yxc") and spec.channels in (3, 4)
    planes = "".join(axis for axis in CANONICAL if axis in spec.axes and axis not in ("yxc" if color else "yx"))
    return planes + ("yxc" if color else "yx")


def name_axes(letters: str) -> str | None:
    """Turn the dimension letters of tifffile into axes; None where that cannot be done without asking.

    Samples (``S``) become channels where there is no other channel axis. Dimensions of unknown meaning become ``z``,
    then ``t``, beginning with the last.
    """
    named = [letter.lower() if letter in "TZCYX" else None for letter in letters]
    if "S" in letters and "c" not in named:
        named[letters.index("S")] = "c"
    free = [axis for axis in "zt" if axis not in named]
    for index in reversed(range(len(named))):
        if named[index] is None:
            if not free or letters[index] == "S":
                return None
            named[index] = free.pop(0)
    axes = "".join(str(axis) for axis in named)
    return axes if {"y", "x"} <= set(axes) else None


def _check_complete(tif: TiffFile, series: TiffPageSeries, path: Path) -> None:
    """Refuse a file that ends before its pixels do: its missing part would read as another shape, or as zeros."""
    size = tif.filehandle.size
    offset = _map_offset(tif, series)
    if offset is not None:
        complete = offset + math.prod(series.shape) * series.dtype.itemsize <= size
    else:
        pages = [series.pages[0], series.pages[-1]]
        ends = [
            offset + count
            for page in pages
            if page is not None and page.parent is tif  # OME images may go on in other files
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]
        complete = max(ends, default=0) <= size
    if not complete or not _page_list_ends(tif):
        raise StorageError(f"{path} is truncated: copy or export it again.")


def _page_list_ends(tif: TiffFile) -> bool:
    """Whether no page lies beyond the end of the file; the header of each page gives the position of the next."""
    following = _next_page(tif, tif.pages[-1].offset)
    return following is not None and (following == 0 or _next_page(tif, following) is not None)


def _next_page(tif: TiffFile, offset: int) -> int | None:
    """Return the position that the page header at `offset` gives for the next page; None if the file ends before."""
    layout, file = tif.tiff, tif.filehandle
    order: Literal["little", "big"] = "little" if tif.byteorder == "<" else "big"
    if offset + layout.tagnosize > file.size:
        return None
    file.seek(offset)
    tags = int.from_bytes(file.read(layout.tagnosize), order)
    end = offset + layout.tagnosize + tags * layout.tagsize
    if end + layout.offsetsize > file.size:
        return None
    file.seek(end)
    return int.from_bytes(file.read(layout.offsetsize), order)


def _name(path: Path) -> str:
    return path.name.removesuffix(path.suffix).removesuffix(".ome")

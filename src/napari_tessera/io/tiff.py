"""TIFF files: tiled, compressed, pyramidal, ImageJ and OME, read lazily."""

import logging
import math
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from tifffile import TiffFile, TiffFileError, TiffPage, TiffPageSeries

from napari_tessera.core.axes import CANONICAL
from napari_tessera.core.errors import InvalidInputError, StorageError
from napari_tessera.core.image import ImageSpec
from napari_tessera.io.arrays import ArraySource, Samples, check_not_empty, checked_dtype, reading
from napari_tessera.io.calibration import level_spec
from napari_tessera.io.ifd import page_list_ends
from napari_tessera.io.tiff_metadata import read_calibration, read_note
from napari_tessera.io.tiff_series import Chosen, check_planes, choose_series

# What the library finds odd is told by this package, in sentences of its own, and not between lines of JSON.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_MIN_IS_WHITE = 0
_RGB = 2
_PALETTE = 3
_OPACITY = (1, 2)
"""Values of the tag ExtraSamples for opacity: colours are multiplied by it, or not."""


def open_tiff(path: Path, axes: str | None = None, part: str = "") -> tuple[ArraySource, ...]:
    """Open an image of a TIFF file: one source per pyramid level, the full resolution first.

    Uncompressed images are memory-mapped; others are decoded strip by strip or tile by tile. Opacity is no intensity
    and is left out; of an image with a palette the numbers are read.

    Parameters
    ----------
    path
        The file.
    axes
        Axes to use in place of those that the file names.
    part
        Which of its images is read, as `choose_series` takes it.

    Raises
    ------
    InvalidInputError
        If the file is not a TIFF, names files outside its folder, is of a kind that cannot be decoded, or its
        dimensions cannot be named and `axes` does not name them.
    MissingInputError
        If it holds no such image, or another file of a set is not there.
    StorageError
        If it is truncated or damaged, or planes are missing.
    """
    with reading(path):
        chosen = choose_series(path, part)
        tif = chosen.tif
        try:
            sources = _open_levels(chosen, path, axes, part)
        except BaseException:
            tif.close()
            raise
    if all(isinstance(source.array, np.ndarray) for source in sources):
        tif.close()
    else:
        _close_when_unused(tif, chosen.series)
    return sources


def _close_when_unused(tif: TiffFile, series: TiffPageSeries) -> None:
    """Close the file, and others that the image goes on in, once the last array that reads from it is gone."""
    elsewhere = series.is_multifile or series.keyframe.parent is not tif
    others = [page.parent for page in series.pages if page is not None] if elsewhere else []
    for file in {tif, *others}:
        weakref.finalize(file, file.filehandle.close)


def _open_levels(chosen: Chosen, path: Path, axes: str | None, part: str) -> tuple[ArraySource, ...]:
    tif, series = chosen.tif, chosen.series
    check_not_empty(series.shape, str(path))
    _check_decodable(series.keyframe, path)
    check_planes(chosen, path)
    _check_complete(tif, series, path)
    full, order, notes = _full_spec(chosen, path, axes, part)
    guessed = axes is None and order is None and not set(series.axes) <= set("TZCYXS")
    palette = _shows_colors(series.keyframe)
    sources = []
    for index in range(len(series.levels)):
        array = _open_array(tif, series, index, path)
        if order is not None:
            array = array.reshape(order[0]).transpose(order[1])
        elif (kept := _intensities(series)) is not None:
            array = Samples(array, series.axes.index("S"), kept)
        spec = full if index == 0 else level_spec(full, tuple(array.shape), full.name)
        sources.append(ArraySource(array, spec, path=path, axes_guessed=guessed, notes=notes, palette=palette))
    return tuple(sources)


def _check_decodable(page: TiffPage, path: Path) -> None:
    """Refuse pixels of a kind that nothing here understands, which is no damage."""
    if page.dtype is None:
        what = f"pixels of {page.bitspersample} bits in a form"
    else:
        try:
            page.decode(None, 0)  # nothing is decoded: of what it cannot do the library gives a function that raises
            return
        except TiffFileError:
            return
        except (ValueError, NotImplementedError):
            what = f"a compression ({getattr(page.compression, 'name', page.compression)}) or a form of pixels"
    raise InvalidInputError(
        f"{path} has {what} that cannot be read here: save it uncompressed, or with Deflate or LZW, and as integers or "
        "floats of 8, 16, 32 or 64 bits."
    )


def _intensities(series: TiffPageSeries) -> list[int] | None:
    """Return which samples of a pixel are intensities; None if all are, or the file does not tell samples apart."""
    page = series.keyframe
    if "S" not in series.axes:
        return None
    samples = series.shape[series.axes.index("S")]
    extra = tuple(int(kind) for kind in page.extrasamples)
    if page.photometric == _RGB and samples == 4 and not extra:  # what the tag leaves out has always been opacity
        extra = (2,)
    first = samples - len(extra)
    kept = [index for index in range(samples) if index < first or extra[index - first] not in _OPACITY]
    return kept if 0 < len(kept) < samples else None


def _shows_colors(page: TiffPage) -> bool:
    """Whether the numbers stand for colours that do not all get brighter with them, as those of intensities do."""
    table = page.colormap if page.photometric == _PALETTE else None
    return table is not None and bool((np.diff(table.astype(np.int64), axis=-1) < 0).any())


def _open_array(tif: TiffFile, series: TiffPageSeries, index: int, path: Path) -> Any:
    level = series.levels[index]
    offset = _map_offset(tif, level)
    if offset is not None:
        return np.memmap(path, level.dtype.newbyteorder(tif.byteorder), "r", offset, level.shape)
    return zarr.open_array(series.aszarr(level=index), mode="r")


def _map_offset(tif: TiffFile, series: TiffPageSeries) -> int | None:
    """Return where the pixels begin if they lie uncompressed, in one piece and in this file; otherwise None."""
    return series.dataoffset if series.keyframe.parent is tif else None


Order = tuple[tuple[int, ...], tuple[int, ...]]
"""Shape of the stored array with all its axes, and the transposition that brings them into the order of the image."""


def _full_spec(
    chosen: Chosen, path: Path, axes: str | None, part: str
) -> tuple[ImageSpec, Order | None, tuple[str, ...]]:
    """Return the specification, how the stored array is to be turned, and what a person should know."""
    tif, series = chosen.tif, chosen.series
    note = read_note(tif) if chosen.count == 1 and not part else None
    if note is not None and axes is None and _map_offset(tif, series) is not None and len(series.levels) == 1:
        noted = _noted_spec(note, series, path)
        if noted is not None:
            return *noted, chosen.notes
    letters, shape = series.axes, series.shape
    if (kept := _intensities(series)) is not None:
        at = letters.index("S")
        letters = letters if len(kept) > 1 else letters.replace("S", "")
        shape = (*shape[:at], *([len(kept)] if len(kept) > 1 else []), *shape[at + 1 :])
    if axes is None:
        axes = name_axes(letters)
        if axes is None:
            raise InvalidInputError(
                f"{path} has dimensions {letters} of lengths {shape}: name its axes (letters of {CANONICAL!r})."
            )
    dtype = checked_dtype(series.dtype, str(path))
    name = f"{_name(path)}_{part}" if part else _name(path)
    calibration = read_calibration(chosen)
    notes = [f"The description of {path.name} {fault}: give it with --pixel-size." for fault in calibration.faults]
    if series.keyframe.photometric == _MIN_IS_WHITE:
        notes.append(
            f"{path.name} stores white as its lowest number (min is white), and the numbers are read as they are: turn "
            "them round with the operation 'invert'."
        )
    return calibration.spec(axes, shape, dtype, name), None, (*chosen.notes, *notes)


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
        # pages of an OME image are known already, and may lie in other files
        pages = list(series) if series.kind == "ome" else [series[0], series[-1]]
        for page in pages:
            if page is not None and page.parent is not tif and _end(page) > page.parent.filehandle.size:
                raise StorageError(f"{path.parent / page.parent.filename} is truncated: copy or export it again.")
        complete = all(_end(page) <= size for page in pages if page is not None and page.parent is tif)
    if not complete or not page_list_ends(tif):
        raise StorageError(f"{path} is truncated: copy or export it again.")


def _end(page: Any) -> int:
    """Return where the pixels of a page end in its file."""
    return max((at + count for at, count in zip(page.dataoffsets, page.databytecounts, strict=True)), default=0)


def _name(path: Path) -> str:
    return path.name.removesuffix(path.suffix).removesuffix(".ome")

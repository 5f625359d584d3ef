"""OME-Zarr images of every version up to 0.5, and plain zarr arrays."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import zarr

from napari_tessera.core.axes import CANONICAL, guess_axes, validate_axes
from napari_tessera.core.errors import InvalidInputError, StorageError
from napari_tessera.io.arrays import DAMAGE, ArraySource, check_not_empty, checked_dtype, reading
from napari_tessera.io.calibration import Calibration
from napari_tessera.io.ngff import ngff_attributes
from napari_tessera.io.ngff_reading import Multiscale, calibration_of, read_multiscale
from napari_tessera.io.ngff_transforms import quoted
from napari_tessera.io.zarr_bounds import bounded
from napari_tessera.io.zarr_chunks import find_chunks
from napari_tessera.io.zarr_folders import NODE_FILES, is_zarr
from napari_tessera.io.zarr_understood import what_is_unknown

_MOST_IMAGES = 64
"""A group lists one image as a rule, and a few at most."""

_MOST_METADATA = 2**28
"""Bytes of a file of metadata; the largest that are known describe plates of many thousand images."""


def open_zarr(path: Path, axes: str | None = None) -> tuple[ArraySource, ...]:
    """Open a zarr folder: one source per level, the full resolution first.

    Parameters
    ----------
    path
        A multiscale image, one level of it (``store.ome.zarr/1``), one of its labels
        (``store.ome.zarr/labels/nuclei``), or a plain zarr array.
    axes
        Axes to use in place of those that the metadata name; the calibration stays that of each dimension.

    Raises
    ------
    InvalidInputError
        If the folder is no zarr, holds no image, or its axes cannot be named and `axes` does not name them.
    StorageError
        If it is damaged, or describes an image that is not there or lies outside it.
    """
    if not is_zarr(path):
        raise InvalidInputError(f"{path} is a folder but not a zarr: choose a file, or the .zarr folder itself.")
    with reading(path):
        node = _open_node(path)
        if isinstance(node, zarr.Array):
            return (_open_array(node, path, axes),)
        return _open_group(node, path, axes)


def _open_node(path: Path) -> zarr.Array[Any] | zarr.Group:
    for name in (*NODE_FILES, ".zattrs", ".zmetadata"):
        if (path / name).is_file() and (path / name).stat().st_size > _MOST_METADATA:
            raise StorageError(f"The file {path / name} is far too large for metadata: export the image again.")
    try:
        return zarr.open(str(path), mode="r")
    except DAMAGE as error:
        unknown = what_is_unknown(path)
        if unknown:
            raise InvalidInputError(
                f"{path} cannot be read here, as it has {unknown}, which this program does not know: export it as "
                "OME-Zarr 0.4 or 0.5 with integers or floats, compressed by blosc, zstd or gzip."
            ) from error
        raise


def _open_group(group: zarr.Group, path: Path, axes: str | None) -> tuple[ArraySource, ...]:
    attributes = group.attrs.asdict()
    multiscale = read_multiscale(attributes, path)
    if multiscale is None:
        if "bioformats2raw.layout" in ngff_attributes(attributes) and is_zarr(path / "0"):
            return _first_of_several(path, axes)
        raise InvalidInputError(f"{path} is a zarr group without an image: {_suggest(path)}.")
    arrays = [_level_array(multiscale, name) for name in multiscale.paths]
    _check_levels(arrays, path)
    return tuple(_open_level(multiscale, level, arrays, axes) for level in range(len(arrays)))


def _first_of_several(path: Path, axes: str | None) -> tuple[ArraySource, ...]:
    """Open the first of the images that a converter put into groups called by their number."""
    sources = open_zarr(path / "0", axes)
    images = sorted(int(folder.name) for folder in path.iterdir() if _is_number(folder.name) and is_zarr(folder))
    if len(images) > 1:
        told = (
            f"{path} holds {len(images)} images, of which the first is read: open another one as "
            f"{path.name}/{images[1]}."
        )
        for source in sources:
            source.noted(told)
    return sources


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) <= 9


def _level_array(multiscale: Multiscale, name: str) -> zarr.Array[Any]:
    path = multiscale.root / name
    if not is_zarr(path):
        raise StorageError(f"{multiscale.root} lacks its level {name}: copy or export it again.")
    node = _open_node(path)
    if not isinstance(node, zarr.Array):
        raise StorageError(f"{multiscale.root} has a group in place of its level {name}: export it again.")
    return node


def _check_levels(arrays: Sequence[zarr.Array[Any]], path: Path) -> None:
    counts = {array.ndim for array in arrays}
    if len(counts) > 1:
        raise StorageError(
            f"The levels of {path} have {' and '.join(map(str, sorted(counts)))} dimensions, so they are not one "
            "image: open the array of one of them, or export the image again."
        )


def _open_level(multiscale: Multiscale, level: int, arrays: Sequence[zarr.Array[Any]], axes: str | None) -> ArraySource:
    root, array = multiscale.root, arrays[level]
    path = root / multiscale.paths[level]
    check_not_empty(array.shape, str(path))
    named = multiscale.named(array.ndim)
    if named.letters is None and axes is None:
        _check_guessable(named.faults, array, root)
    letters = validate_axes(axes, array.ndim) if axes else named.letters or guess_axes(array.shape)
    calibration, faults = calibration_of(multiscale, level, letters, [one.shape for one in arrays])
    if axes is None:
        faults = [*named.faults, *faults]
    if level > 0 and any(long < short for long, short in zip(arrays[level - 1].shape, array.shape, strict=True)):
        faults.append(f"call {quoted(path.name)} a smaller copy of an image that is smaller")
    guessed = axes is None and named.letters is None
    remedy = "name the axes if that is wrong" if guessed else "check axes and pixel size"
    notes = [f"The metadata of {root} {fault}: {remedy}." for fault in (*multiscale.faults, *faults)]
    return _source(array, path, letters, calibration, _name(root), guessed=guessed, notes=notes)


def _check_guessable(faults: Sequence[str], array: zarr.Array[Any], root: Path) -> None:
    """Refuse an image whose metadata name axes that cannot be right, and one of too many dimensions."""
    fault = faults[0]
    if fault.startswith("name the axes") or not 2 <= array.ndim <= 4:
        raise InvalidInputError(
            f"The metadata of {root} {fault}: name the {array.ndim} axes yourself (letters of {CANONICAL!r})."
            if 2 <= array.ndim <= len(CANONICAL)
            else f"{root} has {array.ndim} dimensions: use an image with 2 to {len(CANONICAL)}."
        )


def _open_array(array: zarr.Array[Any], path: Path, axes: str | None) -> ArraySource:
    """Open one array; if it is a level of an image in a folder above it, with the metadata of that level."""
    for root in path.absolute().parents:
        if not is_zarr(root):
            break
        try:
            attributes = _open_node(root).attrs.asdict()
            for index in range(_MOST_IMAGES):
                multiscale = read_multiscale(attributes, root, index)
                if multiscale is None:
                    break
                names = [root / name for name in multiscale.paths]
                if path.absolute() in names:
                    level = names.index(path.absolute())
                    above = [_level_array(multiscale, name) for name in multiscale.paths[:level]]
                    return _open_level(multiscale, level, [*above, array], axes)
        except (StorageError, ValueError, KeyError, TypeError):  # the array is whole, whatever stands around it
            break
    named = _dimension_names(array)
    check_not_empty(array.shape, str(path))
    letters = validate_axes(axes, array.ndim) if axes else named or guess_axes(array.shape)
    return _source(array, path, letters, Calibration(), _name(path), guessed=not (named or axes))


def _source(
    array: zarr.Array[Any],
    path: Path,
    letters: str,
    calibration: Calibration,
    name: str,
    *,
    guessed: bool,
    notes: Sequence[str] = (),
) -> ArraySource:
    dtype = checked_dtype(array.dtype, str(path))
    array, said = find_chunks(array, path)
    spec = calibration.spec(letters, array.shape, dtype, name)
    return ArraySource(
        bounded(array), spec, path=path, axes_guessed=guessed, notes=tuple(dict.fromkeys((*notes, *said)))
    )


def _dimension_names(array: zarr.Array[Any]) -> str | None:
    """Return the axes that the array itself names (zarr v3, or xarray's convention for v2), if they are ours."""
    names: Any = getattr(array.metadata, "dimension_names", None) or array.attrs.asdict().get("_ARRAY_DIMENSIONS") or ()
    names = names if isinstance(names, list | tuple) else ()
    axes = "".join(str(name).lower() if name and len(str(name)) == 1 else "?" for name in names)
    valid = len(axes) == array.ndim and set(axes) <= set(CANONICAL) and len(set(axes)) == array.ndim
    return axes if valid and {"y", "x"} <= set(axes) else None


def _suggest(path: Path) -> str:
    """Name folders inside that can be opened instead."""
    inside = sorted(folder.name for folder in path.iterdir() if folder.is_dir() and is_zarr(folder))
    if not inside:
        return "choose another"
    return "choose one of " + ", ".join(f"{path.name}/{name}" for name in inside[:5])


def _name(path: Path) -> str:
    return path.name.removesuffix(".zarr").removesuffix(".ome") or path.name

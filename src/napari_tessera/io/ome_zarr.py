"""OME-Zarr 0.4 and 0.5 images, and plain zarr arrays."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zarr

from napari_tessera.core.axes import CANONICAL, guess_axes
from napari_tessera.core.errors import InvalidInputError, StorageError
from napari_tessera.io.arrays import ArraySource, check_not_empty, checked_dtype, reading
from napari_tessera.io.calibration import Calibration
from napari_tessera.io.ngff import axis_letters, channel_labels, level_calibration, ngff_attributes

NODE_FILES = ("zarr.json", ".zarray", ".zgroup")
"""One of these lies in every folder that is a zarr array or group."""


def is_zarr(path: Path) -> bool:
    """Whether `path` is a zarr array or group."""
    return any((path / name).is_file() for name in NODE_FILES)


def open_zarr(path: Path, axes: str | None = None) -> tuple[ArraySource, ...]:
    """Open a zarr folder: one source per level, the full resolution first.

    Parameters
    ----------
    path
        A multiscale image, one level of it (``store.ome.zarr/1``), one of its labels
        (``store.ome.zarr/labels/nuclei``), or a plain zarr array.
    axes
        Axes to use in place of those that the metadata name.

    Raises
    ------
    InvalidInputError
        If the folder is no zarr, holds no image, or its axes cannot be named and `axes` does not name them.
    StorageError
        If it is damaged.
    """
    if not is_zarr(path):
        raise InvalidInputError(f"{path} is a folder but not a zarr: choose a file, or the .zarr folder itself.")
    with reading(path):
        node = zarr.open(str(path), mode="r")
        if isinstance(node, zarr.Array):
            return (_open_array(node, path, axes),)
        return _open_group(node, path, axes)


def _open_group(group: zarr.Group, path: Path, axes: str | None) -> tuple[ArraySource, ...]:
    attributes = ngff_attributes(group.attrs.asdict())
    multiscales = attributes.get("multiscales")
    if not multiscales:
        if "bioformats2raw.layout" in attributes and is_zarr(path / "0"):
            return open_zarr(path / "0", axes)
        raise InvalidInputError(f"{path} is a zarr group without an image: {_suggest(path)}.")
    multiscale = multiscales[0]
    return tuple(
        _open_level(path, path / dataset["path"], attributes, multiscale, dataset, axes)
        for dataset in multiscale["datasets"]
    )


def _open_level(
    root: Path,
    path: Path,
    attributes: Mapping[str, Any],
    multiscale: Mapping[str, Any],
    dataset: Mapping[str, Any],
    axes: str | None,
) -> ArraySource:
    if not is_zarr(path):
        raise StorageError(f"{root} lacks its level {dataset['path']}: copy or export it again.")
    array = zarr.open_array(str(path), mode="r")
    named = axis_letters(multiscale, array.ndim)
    calibration = Calibration()
    if named is not None:
        calibration = level_calibration(multiscale, dataset, named)
    calibration = Calibration(calibration.scale, calibration.translate, calibration.units, channel_labels(attributes))
    return _source(array, path, named, calibration, axes, _name(root))


def _open_array(array: zarr.Array[Any], path: Path, axes: str | None) -> ArraySource:
    """Open one array; if it is a level of an image in a folder above it, with the metadata of that level."""
    for root in path.absolute().parents:
        if not is_zarr(root):
            break
        node = zarr.open(str(root), mode="r")
        attributes = ngff_attributes(node.attrs.asdict())
        for multiscale in attributes.get("multiscales") or ():
            for dataset in multiscale["datasets"]:
                if root / dataset["path"] == path.absolute():
                    return _open_level(root, path, attributes, multiscale, dataset, axes)
    return _source(array, path, _dimension_names(array), Calibration(), axes, _name(path))


def _source(
    array: zarr.Array[Any], path: Path, named: str | None, calibration: Calibration, axes: str | None, name: str
) -> ArraySource:
    check_not_empty(array.shape, str(path))
    dtype = checked_dtype(array.dtype, str(path))
    letters = named or axes or guess_axes(array.shape)
    spec = calibration.spec(letters, array.shape, dtype, name)
    return ArraySource(array, spec, path=path, axes_guessed=not (named or axes))


def _dimension_names(array: zarr.Array[Any]) -> str | None:
    """Return the axes that the array itself names (zarr v3, or xarray's convention for v2), if they are ours."""
    names: Any = getattr(array.metadata, "dimension_names", None) or array.attrs.asdict().get("_ARRAY_DIMENSIONS") or ()
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

"""Create an output file; its suffix chooses the format."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSink, ImageSpec
from napari_tessera.core.paths import expand_home
from napari_tessera.io.levels import plan_levels
from napari_tessera.io.room import check_room
from napari_tessera.io.writing import check_free
from napari_tessera.io.zarr_folders import is_zarr

if TYPE_CHECKING:
    from napari_tessera.io.ledger import Fingerprint
    from napari_tessera.io.zarr_sink import NgffVersion

_SUFFIXES_OF_FILES = (".tif", ".tiff", ".npy", ".png")
_SUFFIXES = (*_SUFFIXES_OF_FILES, ".zarr")


def check_output(path: str | Path, overwrite: bool = False, *, resumable: bool = False) -> None:
    """Refuse an output of a type that cannot be written, or one that exists, before any work is done for it.

    What an earlier run has left unfinished is let pass if this one is `resumable`; `create_image` looks closer.

    Raises
    ------
    InvalidInputError
        If the suffix is unknown, or `path` is a folder that is no zarr: it is never replaced.
    OutputExistsError
        If `path` or its unfinished folder exists and `overwrite` is false.
    """
    path = expand_home(path)
    inside_zarr = any(is_zarr(folder) for folder in path.absolute().parents)
    check_free(path, overwrite, resumable=resumable)
    if path.suffix.lower() not in _SUFFIXES and not inside_zarr:
        raise InvalidInputError(f"{path} is not of a type that can be written: use .tif, .npy, .png or .ome.zarr.")


def check_fits(path: Path, spec: ImageSpec, *, levels: bool = True) -> None:
    """Refuse an output that the disk has no room for, before any work is done for it.

    Raises
    ------
    StorageError
        Saying how much it takes and how much is free.
    """
    suffix = path.suffix.lower()
    compressed = suffix not in (".tif", ".tiff", ".npy")
    pyramid = levels and compressed and suffix != ".png"
    check_room(path, plan_levels(spec) if pyramid else (spec,), compressed=compressed)


def create_image(
    path: str | Path,
    spec: ImageSpec,
    *,
    overwrite: bool = False,
    chunks: tuple[int, ...] | None = None,
    metadata: Mapping[str, Any] | None = None,
    ngff_version: "NgffVersion" = "0.5",
    levels: bool = True,
    fingerprint: "Fingerprint | None" = None,
    shard: int | None = None,
) -> ImageSink:
    """Create an output that appears under its final name only when it is finished.

    Parameters
    ----------
    path
        ``.tif``, ``.tiff``, ``.npy``, ``.png`` (2D uint8 and uint16), ``.zarr`` and ``.ome.zarr``, or a path inside an
        OME-Zarr such as ``store.ome.zarr/labels/nuclei``.
    spec
        Axes, shape, dtype and calibration of what will be written. NPY and PNG keep shape and dtype only.
    overwrite
        Replace what exists there, at the end.
    chunks
        Chunk shape of a zarr, in the order of ``spec.axes``.
    metadata
        JSON-ready fields to keep with the image (zarr and TIFF).
    ngff_version
        Version of OME-Zarr; inside an existing store that store's version is used.
    levels
        Whether a zarr of more than 4096 pixels along y or x gets smaller copies, each of half the size.
    fingerprint
        What decides the pixels; whoever creates the output again with the same one goes on with what is unfinished.
    shard
        Edge in pixels of shards: files of a zarr of many chunks.

    Returns
    -------
    ImageSink
        Unwritten regions are 0. What a run can go on with stays as ``<name>.partial`` when aborted, as any zarr does.

    Raises
    ------
    OutputExistsError
        If `path` or ``<name>.partial`` exists and may neither be replaced nor gone on with.
    InvalidInputError
        If the suffix is unknown, or the format cannot hold such an image.
    StorageError
        If the folder cannot be written, or the disk has no room for the image.
    """
    path = expand_home(path)
    check_output(path, overwrite, resumable=fingerprint is not None)
    check_fits(path, spec, levels=levels)
    if path.suffix.lower() in _SUFFIXES_OF_FILES:
        _check_unsharded(path, shard)
        return _open_file(path, spec, overwrite, metadata, chunks=chunks, fingerprint=fingerprint)
    from napari_tessera.io.zarr_sink import ZarrSink

    options: dict[str, Any] = {"chunks": chunks, "metadata": metadata, "version": ngff_version, "levels": levels}
    return ZarrSink(path, spec, overwrite=overwrite, fingerprint=fingerprint, shard=shard, **options)


def _check_unsharded(path: Path, shard: int | None) -> None:
    if shard is not None:
        raise InvalidInputError(
            f"{path} is one file, and shards are for zarr: name it .ome.zarr, or leave out --shard."
        )


def _open_file(
    path: Path, spec: ImageSpec, overwrite: bool, metadata: Mapping[str, Any] | None, **resuming: Any
) -> ImageSink:
    from napari_tessera.io.file_sinks import FileSink, PngSink, TiffSink  # slow to import, as is zarr

    match path.suffix.lower():
        case ".npy":
            return FileSink(path, spec, overwrite=overwrite, **resuming)
        case ".png":
            return PngSink(path, spec, overwrite=overwrite)
        case _:
            return TiffSink(path, spec, overwrite=overwrite, metadata=metadata, **resuming)

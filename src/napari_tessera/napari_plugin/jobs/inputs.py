"""Brings the pixels of layers to where the worker can read them. Runs in a thread, never in the GUI thread."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import TesseraError
from napari_tessera.core.image import ImageSource
from napari_tessera.core.jobs import CancelToken
from napari_tessera.core.regions import Region
from napari_tessera.core.tiles import TileGrid
from napari_tessera.io.arrays import ArraySource
from napari_tessera.io.creating import create_image
from napari_tessera.io.opening import open_image
from napari_tessera.napari_plugin.layers.images import LayerImage
from napari_tessera.pipeline.requests import InputFile

MOST_IN_MEMORY = 2**26
"""Images in memory of up to this number of pixels are worked on in a thread of the window's process."""

BLOCK = 2**20
"""Elements copied at a time: short enough that the GUI thread never waits for the interpreter."""


def small_enough(images: Iterable[LayerImage]) -> bool:
    """Return whether work on `images` can be done in a thread of this process: they lie in memory and are not large."""
    return all(
        isinstance(image.array, np.ndarray) and math.prod(image.spec.shape) <= MOST_IN_MEMORY for image in images
    )


def write_input(image: LayerImage, path: Path, cancel: CancelToken) -> InputFile:
    """Return a file that holds `image`: the one it comes from where that is certain, otherwise a copy.

    Parameters
    ----------
    image
        What to write.
    path
        Where a copy goes, without suffix.
    cancel
        Looked at between blocks.

    Raises
    ------
    JobCancelledError
        If `cancel` is set.
    OSError
        If the disk is full, for example.
    """
    stored = stored_path(image.array) or source_path(image)
    if stored is None:
        if isinstance(image.array, np.ndarray):
            stored = path.with_suffix(".npy")
            _write_npy(image.array, stored, cancel)
        else:
            stored = path.with_suffix(".zarr")
            _write_zarr(image, stored, cancel)
    spec = image.spec
    return InputFile(
        path=stored,
        axes=spec.axes,
        scale=spec.scale,
        translate=spec.translate,
        units=spec.units,
        channel_names=spec.channel_names or None,
        name=spec.name,
    )


def stored_path(array: Any) -> Path | None:
    """Return the folder of the zarr array that `array` shows whole and unchanged; None if that is not certain."""
    behind: Any = array
    if hasattr(array, "dask"):
        behind = _zarr_behind(array)
    store_path: Any = getattr(behind, "store_path", None)
    root = _local_root(getattr(store_path, "store", None))
    if root is None or tuple(behind.shape) != tuple(array.shape) or behind.dtype != array.dtype:
        return None
    folder = Path(root) / store_path.path
    return folder if folder.is_dir() else None


def source_path(image: LayerImage) -> Path | None:
    """Return the file that napari read the lazy layer `image` from; None if it is not certain to hold the same pixels.

    Certain is only what a reader handed over as it was: a dask array that shows one array of a file and nothing done
    to it, of the shape and dtype that the file has for us, and equal in the first, the middle and the last chunk.
    """
    array = image.array
    behind = _zarr_behind(array) if hasattr(array, "dask") else None
    if image.path is None or behind is None or tuple(behind.shape) != tuple(array.shape):
        return None
    try:
        source = open_image(image.path, axes=image.spec.axes)
        same = source.shape == image.spec.shape and source.dtype == image.spec.dtype and _look_alike(source, array)
    except (TesseraError, OSError, ValueError):  # not of a type that we read, or gone: a copy does
        return None
    return image.path if same else None


def _look_alike(source: ImageSource, array: Any) -> bool:
    ours = ArraySource(array, source.spec)
    tiles = list(TileGrid(ours.shape, ours.chunks or ours.shape))
    regions = [tiles[index].inner for index in sorted({0, len(tiles) // 2, len(tiles) - 1})]
    return all(np.array_equal(source.read(region), ours.read(region)) for region in regions)


def _local_root(store: Any) -> str | Path | None:
    """Return the folder of a zarr store on this machine's disks."""
    if hasattr(store, "root"):
        return store.root
    files = getattr(store, "fs", None)  # what dask opens a path with
    files = getattr(files, "sync_fs", files)
    protocol = getattr(files, "protocol", ())
    return store.path if "file" in ((protocol,) if isinstance(protocol, str) else protocol) else None


def _zarr_behind(array: Any) -> Any:
    """Return the zarr array that a dask array was made from, if nothing else has been done to it."""
    layers = list(array.dask.layers.values())
    if len(layers) > 2 or not array.name.startswith("from-zarr"):
        return None
    found = [value for layer in layers for value in dict(layer).values() if hasattr(value, "store_path")]
    return found[0] if len(found) == 1 else None


def _write_npy(array: NDArray[Any], path: Path, cancel: CancelToken) -> None:
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
        np.lib.format.write_array_header_2_0(file, header)
        for region in blocks(array.shape):
            cancel.raise_if_cancelled()
            _write_block(file, array[region])


def _write_block(file: IO[bytes], block: NDArray[Any]) -> None:
    file.write(np.ascontiguousarray(block).view(np.uint8).data if block.size else b"")


def blocks(shape: tuple[int, ...]) -> Iterator[Region]:
    """Cut an array of `shape` into pieces of about `BLOCK` elements that follow each other in C order."""
    tile, rest = [], BLOCK
    for length in reversed(shape):  # whole trailing dimensions, part of one, single steps of those before
        tile.append(max(1, min(length, rest)))
        rest //= max(1, length)
    return (piece.inner for piece in TileGrid(shape, tile[::-1]))


def _write_zarr(image: LayerImage, path: Path, cancel: CancelToken) -> None:
    source = ArraySource(image.array, image.spec)
    sink = create_image(path, image.spec, levels=False)
    chunks = source.chunks or tuple(min(1024, n) if axis in "yx" else 1 for axis, n in image.spec.sizes.items())
    try:
        for tile in TileGrid(image.spec.shape, chunks):
            cancel.raise_if_cancelled()
            sink.write(tile.inner, source.read(tile.inner))
    except BaseException:
        sink.abort()
        raise
    sink.finish()


def count_numbers(array: Any, cancel: CancelToken) -> dict[int, int]:
    """Return how many pixels of an integer array have each of its values, looked through in small blocks."""
    found: dict[int, int] = {}
    for region in blocks(array.shape):
        cancel.raise_if_cancelled()
        pixels = np.asarray(array[region])
        if not pixels.any():  # most of what is painted in is nothing, and seen to be so in no time
            found[0] = found.get(0, 0) + pixels.size
            continue
        values, counts = np.unique(pixels, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            found[int(value)] = found.get(int(value), 0) + count
    return found

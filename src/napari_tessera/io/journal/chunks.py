"""The chunks of a journalled layer: a zarr 3 array whose chunks are written one by one, each in one step.

Chunks that hold only zeros are not there. The files are those of the zarr specification, so any program opens them;
each ends with a checksum (codec ``crc32c``). They are written here because a chunk must be on the disk, as a whole,
before the log that made it may go.
"""

import json
import math
import shutil
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.errors import StorageError
from napari_tessera.core.regions import Region
from napari_tessera.io.arrays import reading
from napari_tessera.io.journal.disk import TEMPORARY, DamageError, Disk
from napari_tessera.io.journal.frames import blosc_bytes, compress, decompress
from napari_tessera.io.journal.plain_files import read_plain

CHUNK_EDGE = 1024
"""Pixels along y and x: what takes time is to sync each file, so there are few."""

DESCRIPTION = "zarr.json"
"""Name of the file that says what an array is."""

_SUM_BYTES = 4
_MOST_TEXT = 2**20
_MOST_CHUNK = 2**28
"""Bytes of a chunk that are read; those that are written here are a thirtieth of it."""

Index = tuple[int, ...]


class DamagedChunkError(DamageError):
    """A chunk that cannot be read.

    Attributes
    ----------
    region
        What it covers.
    """

    def __init__(self, path: Path, region: Region, reason: str) -> None:
        pixels = ", ".join(f"{part.start}-{part.stop - 1}" for part in region)
        super().__init__(f"{path} is damaged ({reason}): the labels at {pixels} in it are lost, the others are there.")
        self.region = region


class ChunkStore:
    """A zarr array on disk; use `create` or `open`.

    Attributes
    ----------
    path
        The array's folder.
    shape, dtype, chunks
        Of the array; dtype in native byte order.
    summed
        Whether chunks end with a checksum; those of the first version of the format have none.
    """

    def __init__(
        self, path: Path, shape: Index, dtype: np.dtype[Any], chunks: Index, disk: Disk, *, summed: bool = True
    ) -> None:
        self.path, self.shape, self.dtype, self.chunks, self.summed = path, shape, dtype, chunks, summed
        self._disk = disk
        self._unsynced: set[Path] = set()

    @classmethod
    def create(cls, path: Path, shape: Sequence[int], dtype: Any, axes: str, disk: Disk) -> "ChunkStore":
        """Make an array of zeros; nothing but its description is written."""
        shape = tuple(shape)
        chunks = tuple(
            max(1, min(length, CHUNK_EDGE if axis >= len(shape) - 2 else 1)) for axis, length in enumerate(shape)
        )
        store = cls(path, shape, np.dtype(dtype).newbyteorder("="), chunks, disk)
        disk.make_folder(path)
        disk.write_file(path / DESCRIPTION, json.dumps(_description(store, axes), indent=2).encode())
        return store

    @classmethod
    def open(cls, path: Path, shape: Index, dtype: Any, disk: Disk) -> "ChunkStore":
        """Open an array that `create` made, of a shape and dtype that are known.

        Raises
        ------
        StorageError
            If its description is damaged or missing, or is that of another array.
        """
        dtype = np.dtype(dtype).newbyteorder("=")
        with reading(path / DESCRIPTION):
            fields = json.loads(read_plain(path / DESCRIPTION, _MOST_TEXT))
            chunks = tuple(fields["chunk_grid"]["configuration"]["chunk_shape"])
            summed = fields["codecs"][-1]["name"] == "crc32c"
            found = tuple(fields["shape"]), fields["data_type"]
            lengths = len(chunks) == len(shape) and all(type(length) is int and length > 0 for length in chunks)
            fits = found == (shape, dtype.name) and lengths and math.prod(chunks) * dtype.itemsize <= _MOST_CHUNK
        if not fits:
            raise StorageError(f"{path / DESCRIPTION} is damaged: it does not describe the labels of its layer.")
        return cls(path, shape, dtype, chunks, disk, summed=summed)

    def region(self, index: Index) -> Region:
        """Return what a chunk covers, cut at the array's border."""
        return regions.cell(index, self.chunks, self.shape)

    def overlapping(self, box: Region) -> Iterator[Index]:
        """Yield the chunks that share pixels with `box`."""
        if not regions.is_empty(box):
            yield from product(*(range(part.start, part.stop) for part in regions.cells(box, self.chunks)))

    def everywhere(self) -> Iterator[Index]:
        """Yield all chunks of the grid, written or not."""
        return self.overlapping(regions.whole(self.shape))

    def written(self) -> Iterator[Index]:
        """Yield the chunks that are there."""
        for path in (self.path / "c").glob("/".join("*" * len(self.shape))):
            parts = path.relative_to(self.path / "c").parts
            if all(part.isascii() and part.isdigit() for part in parts):
                index = tuple(map(int, parts))
                if all(at * chunk < length for at, chunk, length in zip(index, self.chunks, self.shape, strict=True)):
                    yield index

    def read(self, index: Index) -> NDArray[Any] | None:
        """Return the pixels of a chunk, cut at the array's border; None if they are all zero.

        Raises
        ------
        DamagedChunkError
            If its checksum does not match, or there is something else wrong with it.
        StorageError
            If the file may not be read.
        """
        path = self.file(index)
        region = self.region(index)
        with reading(path):
            try:
                content = read_plain(path, _MOST_CHUNK)
            except FileNotFoundError:
                return None
            except OSError as error:
                if isinstance(error, PermissionError):
                    raise
                raise DamagedChunkError(path, region, error.strerror or str(error)) from error
        if self.summed:
            content, total = content[:-_SUM_BYTES], content[-_SUM_BYTES:]
            if google_crc32c.value(content).to_bytes(_SUM_BYTES, "little") != total:
                raise DamagedChunkError(path, region, "its checksum is another")
        try:
            if blosc_bytes(content) != math.prod(self.chunks) * self.dtype.itemsize:
                raise DamagedChunkError(path, region, "it holds another number of pixels")
            pixels = decompress(content, self.dtype.newbyteorder("<")).reshape(self.chunks)
        except (ValueError, RuntimeError) as error:  # what the decoder raises is a RuntimeError
            raise DamagedChunkError(path, region, str(error)) from error
        return pixels[regions.whole(regions.size(region))].astype(self.dtype)

    def write(self, index: Index, pixels: NDArray[Any]) -> None:
        """Store a chunk in one step; its name is safe after `sync`.

        Parameters
        ----------
        index
            Which chunk.
        pixels
            Shape of its `region`.
        """
        path = self.file(index)
        if not pixels.any():
            if path.exists():
                self._disk.remove(path)
                self._unsynced.add(path.parent)
            return
        if pixels.shape != self.chunks:
            whole = np.zeros(self.chunks, self.dtype)
            whole[tuple(map(slice, pixels.shape))] = pixels
            pixels = whole
        folder = path.parent
        while not folder.is_dir():
            self._unsynced.add(folder.parent)
            folder = folder.parent
        self._disk.make_folder(path.parent, sync_name=False)
        content = compress(pixels.astype(self.dtype, copy=False))
        if self.summed:
            content += google_crc32c.value(content).to_bytes(_SUM_BYTES, "little")
        self._disk.write_file(path, content, sync_name=False)
        self._unsynced.add(path.parent)

    def sync(self) -> None:
        """Return when the names of all chunks are on the disk."""
        for folder in list(self._unsynced):
            self._disk.sync_folder(folder)
            self._unsynced.remove(folder)

    def remove_leftovers(self) -> None:
        """Remove files that a program which was killed had begun to write."""
        for path in self.path.rglob(f".*{TEMPORARY}"):
            path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the array."""
        shutil.rmtree(self.path, ignore_errors=True)

    def file(self, index: Index) -> Path:
        """Return where a chunk lies, if it is there."""
        return self.path.joinpath("c", *map(str, index))


def _description(store: ChunkStore, axes: str) -> dict[str, Any]:
    itemsize = store.dtype.itemsize
    codec = {"typesize": itemsize, "cname": "lz4", "clevel": 5, "shuffle": "bitshuffle", "blocksize": 0}
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(store.shape),
        "data_type": store.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(store.chunks)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": False if store.dtype.kind == "b" else 0,
        "codecs": [
            {"name": "bytes", "configuration": {"endian": "little"}} if itemsize > 1 else {"name": "bytes"},
            {"name": "blosc", "configuration": codec},
            *([{"name": "crc32c"}] if store.summed else []),
        ],
        "attributes": {},
        **({"dimension_names": list(axes)} if axes else {}),
        "storage_transformers": [],
    }

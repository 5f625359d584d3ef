"""What all outputs share: temporary names, the change to the final name, and one sentence for a full disk."""

import errno
import math
import shutil
import threading
import uuid
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.atomic import sync_file
from napari_tessera.core.errors import InvalidInputError, OutputExistsError, StorageError
from napari_tessera.core.image import ImageSink, ImageSpec
from napari_tessera.core.leftovers import OLD, Hidden
from napari_tessera.core.regions import Region
from napari_tessera.io.arrays import checked_pixels
from napari_tessera.io.ledger import Ledger
from napari_tessera.io.partial import check_partial, tidy_finished
from napari_tessera.io.places import check_place, check_replaceable
from napari_tessera.io.write_units import WriteUnits
from napari_tessera.io.zarr_folders import is_zarr


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn any failure to write into one sentence about `path`.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written.
    """
    try:
        yield
    except (StorageError, OutputExistsError):
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"The disk is full, so {path} is not finished: free space or choose another folder."
        else:
            message = f"{path} cannot be written ({error.strerror or error}): choose another folder."
        raise StorageError(message) from error


def check_free(path: Path, overwrite: bool, *, resumable: bool = False) -> None:
    """Refuse an output that exists, finished or unfinished, unless `overwrite` allows to replace it.

    What an earlier run has begun is let pass where this one may go on with it (`resumable`).

    Raises
    ------
    OutputExistsError
        If `path` or its unfinished folder exists and `overwrite` is false.
    InvalidInputError
        If `path` is a folder that is no zarr, or a zarr of several images: neither is ever replaced; or if it lies
        inside a zarr where no results go.
    """
    check_place(path)
    tidy_finished(path)
    _check_final(path, overwrite)
    check_partial(path, overwrite, resumable=resumable)


def _check_final(path: Path, overwrite: bool) -> None:
    if not path.exists():
        return
    if path.is_dir() and not is_zarr(path):
        raise InvalidInputError(f"{path} is a folder: name a file in it.")
    if not overwrite:
        raise OutputExistsError(f"{path} exists: choose another name, or replace it with --overwrite.")
    check_replaceable(path)


class PathSink(ImageSink):
    """What sinks share that write into a place of their own until they are finished; they say where pixels go.

    Parameters
    ----------
    path
        Final name.
    spec
        What is written.
    overwrite
        Whether `finish` may replace what has that name.
    """

    def __init__(self, path: Path, spec: ImageSpec, *, overwrite: bool) -> None:
        self.path = path
        self._spec = spec
        self._overwrite = overwrite
        self._ledger: Ledger | None = None
        self._units: WriteUnits | None = None

    @property
    def spec(self) -> ImageSpec:
        """Axes, shape, dtype and calibration of what is written."""
        return self._spec

    def write(self, region: Region, pixels: NDArray[Any]) -> None:
        """Store `pixels` at `region`; safe to call from several threads.

        Raises
        ------
        InvalidInputError
            If the pixels do not fit the region or the dtype.
        StorageError
            If the disk is full.
        """
        pixels = checked_pixels(region, pixels, self._spec)
        with writing(self.path):
            self._store(region, pixels)

    @property
    def earlier_devices(self) -> frozenset[str]:
        """Kinds of the devices on which earlier runs have made a part of this output."""
        return frozenset() if self._ledger is None else self._ledger.devices

    def holds(self, region: Region) -> bool:
        """Whether all of `region` is complete already."""
        return self._units is not None and self._units.holds(region)

    def settle(self, region: Region) -> None:
        """Take note that `region` is complete: what has not been written of it is 0."""
        if self._units is not None:
            with writing(self.path):
                self._units.settle(region)

    def recall(self, name: str) -> Any | None:
        """Return what an earlier run has left under `name`."""
        return None if self._ledger is None else self._ledger.recall(name)

    def remember(self, name: str, value: Any) -> None:
        """Keep a value for a run that goes on with this one."""
        if self._ledger is not None:
            with writing(self.path):
                self._ledger.remember(name, value)

    @abstractmethod
    def _store(self, region: Region, pixels: NDArray[Any]) -> None:
        """Store `pixels`, which fit."""


def temporary_file(path: Path) -> Hidden:
    """Create the folder of `path` and an empty, hidden file in it; what killed runs have left there is removed."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return Hidden(path)


def publish_file(temporary: Path, path: Path, overwrite: bool) -> None:
    """Sync `temporary` and give it its final name in one step."""
    with writing(path):
        with temporary.open("rb+") as file:
            sync_file(file)
        _check_final(path, overwrite)
        temporary.replace(path)


def publish_folder(partial: Path, path: Path, overwrite: bool) -> None:
    """Give the folder `partial` its final name; what stood there is removed only once the new one is in place."""
    with writing(path):
        _check_final(path, overwrite)
        old = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.{OLD}")
        if path.exists():
            path.rename(old)
        partial.rename(path)
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink(missing_ok=True)


class RegionFile:
    """A raw array inside a file, written region by region in any order.

    Plain writes and no memory map: where the disk fills, a write raises and a map kills the process.

    Parameters
    ----------
    path
        An existing file; it is made long enough for the array.
    offset
        Position of the first element, in bytes.
    shape, dtype
        Of the array, in C order.
    """

    def __init__(self, path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._offset, self._shape, self._itemsize = offset, shape, dtype.itemsize
        self._lock = threading.Lock()
        self._file = path.open("rb+", buffering=0)
        end = offset + math.prod(shape) * dtype.itemsize
        if path.stat().st_size < end:
            self._file.truncate(end)

    def write(self, region: Region, pixels: NDArray[Any]) -> None:
        """Store `pixels` (dtype of the array) at `region`; safe to call from several threads."""
        if pixels.size == 0:
            return
        pixels = np.ascontiguousarray(pixels)
        split = self._first_contiguous(region)
        steps = [math.prod(self._shape[axis + 1 :]) for axis in range(len(self._shape))]
        base = sum(part.start * step for part, step in zip(region, steps, strict=True))
        with self._lock:
            for index in np.ndindex(pixels.shape[:split]):
                start = base + sum(i * step for i, step in zip(index, steps, strict=False))
                self._write_all(self._offset + start * self._itemsize, pixels[index])

    def _first_contiguous(self, region: Region) -> int:
        """Return the dimension from which on the elements of `region` lie side by side in the file."""
        axis = len(region) - 1
        while axis > 0 and region[axis].stop - region[axis].start == self._shape[axis]:
            axis -= 1
        return axis

    def _write_all(self, position: int, pixels: NDArray[Any]) -> None:
        rest = pixels.reshape(-1).view(np.uint8).data
        self._file.seek(position)
        while rest:
            rest = rest[self._file.write(rest) :]

    def close(self) -> None:
        """Close the file; closing twice does no harm."""
        self._file.close()

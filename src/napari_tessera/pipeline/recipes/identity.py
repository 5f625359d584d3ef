"""Telling images and arrays apart by a hash of what is in them."""

import hashlib
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.config.recipe import ArrayIdentity, InputIdentity
from napari_tessera.core import regions
from napari_tessera.core.errors import InvalidInputError, MissingInputError, StorageError
from napari_tessera.core.image import ImageSource
from napari_tessera.core.jobs import CancelToken
from napari_tessera.core.regions import Region
from napari_tessera.io.arrays import checked_dtype, reading

HASHED_BYTES = 2**30
"""Images of more bytes are not hashed: it would take as long as working on them."""

_PIECE_BYTES = 2**25


def identify_image(
    image: ImageSource, *, most_bytes: int = HASHED_BYTES, cancel: CancelToken | None = None
) -> InputIdentity:
    """Return name, axes, shape, dtype and hash of an image; no hash if it is larger than `most_bytes`."""
    spec = image.spec
    sha256 = None
    if math.prod(spec.shape) * spec.dtype.itemsize <= most_bytes:
        hasher = hashlib.sha256(_header(spec.shape, spec.dtype))
        for region in _pieces(spec.shape, spec.dtype.itemsize):
            if cancel is not None:
                cancel.raise_if_cancelled()
            hasher.update(_raw(image.read(region)))
        sha256 = hasher.hexdigest()
    return InputIdentity(name=spec.name, axes=spec.axes, shape=spec.shape, dtype=str(spec.dtype), sha256=sha256)


def identify_array(array: NDArray[Any], axes: str = "") -> ArrayIdentity:
    """Return hash, shape and dtype of `array`; `axes` names its dimensions if it is an image or labels."""
    sha256 = hashlib.sha256(npy_bytes(array)).hexdigest()
    return ArrayIdentity(
        sha256=sha256, shape=array.shape, dtype=str(checked_dtype(array.dtype, "The array")), axes=axes
    )


def npy_bytes(array: NDArray[Any]) -> bytes:
    """Return `array` as a NPY file: format 1.0, C order, little-endian."""
    dtype = checked_dtype(array.dtype, "The array")
    return _header(array.shape, dtype) + bytes(_raw(array))


def read_identified(path: Path, identity: ArrayIdentity) -> NDArray[Any]:
    """Read an array that was stored under its hash.

    Raises
    ------
    MissingInputError, StorageError
        If there is no such file, or it cannot be read.
    InvalidInputError
        If it holds something else.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingInputError(
            f"There is no file {path}, which holds data of the recipe: copy it together with the recipe."
        ) from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    changed = InvalidInputError(
        f"{path} is not what the recipe was saved with: copy it together with the recipe again."
    )
    if hashlib.sha256(content).hexdigest() != identity.sha256:
        raise changed
    with reading(path):
        array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    if array.shape != identity.shape or str(array.dtype) != identity.dtype:
        raise changed
    return array


def _header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    file = io.BytesIO()
    fields = {"descr": dtype.newbyteorder("<").str, "fortran_order": False, "shape": tuple(shape)}
    np.lib.format.write_array_header_1_0(file, fields)
    return file.getvalue()


def _raw(array: NDArray[Any]) -> memoryview:
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8).data


def _pieces(shape: tuple[int, ...], itemsize: int) -> Iterator[Region]:
    """Yield regions that, one after another, go through an array in C order."""
    axis = 0
    while axis < len(shape) - 1 and math.prod(shape[axis + 1 :]) * itemsize > _PIECE_BYTES:
        axis += 1
    step = max(1, _PIECE_BYTES // max(1, math.prod(shape[axis + 1 :]) * itemsize))
    rest = regions.whole(shape[axis + 1 :])
    for index in np.ndindex(shape[:axis]):
        for start in range(0, shape[axis], step):
            yield (*regions.pixel(index), slice(start, min(start + step, shape[axis])), *rest)

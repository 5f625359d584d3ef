"""NPY files."""

import re
from pathlib import Path

import numpy as np

from napari_tessera.core.axes import guess_axes
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.io.arrays import ArraySource, check_not_empty, checked_dtype, reading

_SIGNATURE = b"\x93NUMPY"
_HEADER_BYTES = 2**16
_OBJECTS = re.compile(rb"""'descr':[^}]*'[|<>=]?O8?'""")
"""How the type of Python's objects is written, alone or as a field of records."""


def check_npy(path: Path) -> None:
    """Refuse a file that is sound and yet no array of numbers: other bytes, or objects of a Python program.

    Raises
    ------
    InvalidInputError
        Saying what it is; a file that is cut off passes, and fails when it is read.
    """
    with path.open("rb") as file:
        signature = file.read(len(_SIGNATURE))
        if signature and signature != _SIGNATURE:
            raise InvalidInputError(f"{path} is not a NPY file in spite of its name: give it its right suffix.")
        header = file.read(_HEADER_BYTES)
    if _OBJECTS.search(header.partition(b"\n")[0]):
        raise InvalidInputError(
            f"{path} holds objects of a Python program and no array of numbers, as programs save their settings "
            "together with their results: save the image or the masks themselves from there, as TIFF or NPY."
        )


def open_npy(path: Path, axes: str | None = None) -> ArraySource:
    """Open a NPY file as a memory map; without `axes` they are guessed from the number of dimensions.

    Raises
    ------
    InvalidInputError
        If it holds no numbers, or its axes cannot be guessed.
    StorageError
        If it is damaged.
    """
    with reading(path), np.errstate(over="ignore"):  # a shape that is no number of bytes is refused, without a word
        check_npy(path)
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    dtype = checked_dtype(array.dtype, str(path))
    check_not_empty(array.shape, str(path))
    spec = ImageSpec(axes=axes or guess_axes(array.shape), shape=array.shape, dtype=dtype, name=path.stem)
    return ArraySource(array, spec, path=path, axes_guessed=axes is None)

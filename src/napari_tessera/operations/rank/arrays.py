"""What the filters ask of arrays before a kernel sees them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError


def checked_out(image: NDArray[Any], out: NDArray[Any] | None) -> NDArray[Any]:
    """Return the array to write to.

    Raises
    ------
    InvalidInputError
        If `out` has not the shape and dtype of `image`, or cannot be written.
    """
    if out is None:
        return np.empty(image.shape, image.dtype)
    if out.shape != image.shape or out.dtype != image.dtype or not out.flags.writeable:
        needed = f"a writable {image.dtype} one of shape {image.shape}"
        msg = f"The output is a {out.dtype} array of shape {out.shape}: give {needed}."
        raise InvalidInputError(msg)
    return out


def as_filtered(image: NDArray[Any], out: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return (z, y, x) arrays that kernels can read from and write to: C-contiguous, of a plain dtype, apart in memory.

    The second is a view of `out` where that is possible, else a new array: see `hand_over`.

    Raises
    ------
    InvalidInputError
        For a dtype whose values have no order, or none that processors know.
    """
    if image.dtype.kind not in "buif" or image.dtype.itemsize > 8:
        msg = f"Pixels of dtype {image.dtype} cannot be ranked: convert the image to an integer or float dtype."
        raise InvalidInputError(msg)
    shape = (1,) * (3 - image.ndim) + image.shape
    dtype = np.dtype("float32") if image.dtype == np.float16 else image.dtype.newbyteorder("=")
    source = np.ascontiguousarray(image, dtype=dtype).reshape(shape)
    if np.may_share_memory(source, out):
        source = source.copy()
    fits = out.flags.c_contiguous and out.dtype == dtype and out.dtype.isnative
    target = out.reshape(shape) if fits else np.empty(shape, dtype)
    if dtype == np.bool_:
        return source.view(np.uint8), target.view(np.uint8)
    return source, target


def hand_over(target: NDArray[Any], result: NDArray[Any]) -> None:
    """Copy what was filtered into the second array of `as_filtered` to where it belongs, if it is not there yet."""
    if not np.may_share_memory(target, result):
        result[...] = target.reshape(result.shape)


def read_only(image: NDArray[Any]) -> NDArray[Any]:
    """Return a view that cannot be written, so that kernels are compiled for one kind of array only."""
    view = image.view()
    view.flags.writeable = False
    return view


def working_buffer(window: tuple[int, int, int], dtype: np.dtype[Any], *, extremes: bool = False) -> NDArray[Any]:
    """Return the uninitialised working buffer of the kernels: its rows begin at whole vectors, one is spare."""
    from napari_tessera.operations.rank.plans import plan
    from napari_tessera.operations.rank.vectors import ROW_BYTES, VECTOR_BYTES

    rows = plan(window, extremes=extremes).rows + 1
    raw = np.empty(rows * ROW_BYTES + VECTOR_BYTES, np.uint8)
    start = -raw.ctypes.data % VECTOR_BYTES
    return raw[start : start + rows * ROW_BYTES].view(dtype).reshape(rows, ROW_BYTES // dtype.itemsize)

"""Actions as the journal keeps them: the values that they left behind, wherever they may have changed any.

A record is a *physical redo*: it holds new values, never a difference or a command. Replaying a record twice, or over
pixels that have its values already, changes nothing. A record must cover every pixel that its action touched, also one
that ended with the value it had before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.config.session import LayerHeader
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.regions import Region
from napari_tessera.io.arrays import ArrayLike


@dataclass(frozen=True, eq=False)
class BoxRecord:
    """The values in a box, or those of its pixels that a mask picks.

    Attributes
    ----------
    box
        One slice per dimension of the layer's data, with ``start`` and ``stop`` and no step.
    after
        Values in the box once the action is done; shape of the box, any integer dtype. With a mask: the values under it
        in C order, or one value for all.
    mask
        Shape of the box; None for all of it.
    """

    box: Region
    after: NDArray[Any]
    mask: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class PointsRecord:
    """Values at single pixels; of a pixel that is named more than once the last value holds.

    Attributes
    ----------
    indices
        One integer array of shape ``(n,)`` per dimension of the layer's data.
    values
        Shape ``(n,)``, or one value for all.
    """

    indices: tuple[NDArray[Any], ...]
    values: NDArray[Any] | int


@dataclass(frozen=True, eq=False)
class ReplaceRecord:
    """Another array in place of the one until then, possibly of another shape or dtype.

    Attributes
    ----------
    array
        Anything that can be sliced; it is read chunk by chunk in `JournalWriter.copy_base`. None for zeros.
    shape, dtype
        Of the new array; only needed where `array` is None.
    private
        Whether nobody changes `array` any more: it is then valid once it is copied, without `JournalWriter.end_base`.
    changes
        Fields of `LayerHeader` that change with it, such as ``axes`` or ``scale``.
    """

    array: ArrayLike | None
    shape: tuple[int, ...] = ()
    dtype: str = ""
    private: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class WidenRecord:
    """The same values in a wider dtype; nothing is read or copied for it."""

    dtype: str


@dataclass(frozen=True, eq=False)
class MetadataRecord:
    """Fields of `LayerHeader` that have changed, with their new values; never ``shape`` or ``dtype``."""

    changes: Mapping[str, Any]


Record = BoxRecord | PointsRecord | ReplaceRecord | WidenRecord | MetadataRecord


def checked_box(record: BoxRecord, header: LayerHeader) -> tuple[tuple[int, ...], NDArray[Any]]:
    """Return where the box begins, and its values in native byte order; those under its mask as a flat array.

    Raises
    ------
    InvalidInputError
        If it does not lie within the layer, or the values do not fill it or do not fit the dtype.
    """
    after = np.asarray(record.after)
    shape = after.shape if record.mask is None else record.mask.shape
    fits = len(record.box) == len(header.shape) == len(shape) and all(
        part.step in (None, 1) and part.start is not None and part.start >= 0 and part.stop == part.start + length
        for part, length in zip(record.box, shape, strict=True)
    )
    if not fits or any(part.stop > length for part, length in zip(record.box, header.shape, strict=True)):
        raise InvalidInputError(
            f"A change of shape {shape} at {record.box} does not lie within labels of shape {header.shape}."
        )
    if record.mask is not None:
        after = after.reshape(-1)
        count = int(np.count_nonzero(record.mask))
        if after.size not in (1, count):
            raise InvalidInputError(f"{after.size} values do not go with {count} changed pixels.")
    return tuple(int(part.start) for part in record.box), checked_values(after, header)


def checked_points(record: PointsRecord, header: LayerHeader) -> tuple[list[NDArray[Any]], NDArray[Any]]:
    """Return the indices as int64 without negative ones, and the values.

    Raises
    ------
    InvalidInputError
        If an index does not lie within the layer, or the values do not go with the indices or do not fit the dtype.
    """
    indices = [np.asarray(index, np.int64).ravel() for index in record.indices]
    values = np.asarray(record.values)
    count = indices[0].size if indices else 0
    if len(indices) != len(header.shape) or any(index.size != count for index in indices):
        raise InvalidInputError(f"Changed pixels need one index for each dimension of {header.shape}.")
    if values.ndim > 1 or (values.ndim == 1 and values.size not in (1, count)):
        raise InvalidInputError(f"{values.size} values do not go with {count} changed pixels.")
    for index, length in zip(indices, header.shape, strict=True):
        if count and not (-length <= int(index.min()) and int(index.max()) < length):
            raise InvalidInputError(f"A changed pixel does not lie within labels of shape {header.shape}.")
    whole = [np.where(index < 0, index + length, index) for index, length in zip(indices, header.shape, strict=True)]
    return whole, checked_values(values.reshape(-1), header)


def checked_values(values: NDArray[Any], header: LayerHeader) -> NDArray[Any]:
    """Return `values` in the dtype of the layer, or raise InvalidInputError if one does not fit."""
    dtype = np.dtype(header.dtype).newbyteorder("=")
    if values.dtype == dtype:
        return values
    if values.dtype.kind not in "biu":
        raise InvalidInputError(f"Labels are integers, not {values.dtype}.")
    if values.size and not np.can_cast(values.dtype, dtype, "safe"):
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if int(values.min()) < low or int(values.max()) > high:
            raise InvalidInputError(f"Label {int(values.max())} does not fit into {dtype}: widen the labels first.")
    return values.astype(dtype)

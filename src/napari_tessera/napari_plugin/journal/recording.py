"""From edits of a layer to records of the journal; runs in the writer's thread, for it looks at every changed pixel."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.regions import Region
from napari_tessera.io.journal.records import BoxRecord, PointsRecord
from napari_tessera.napari_plugin.painting.history_reading import Edits

Part = BoxRecord | PointsRecord

_SMALL = 2**16
"""Boxes of up to so many pixels are put together whatever lies between their contents."""
_WASTE = 3
"""Larger ones if the box that holds them has at most so many times their pixels."""


class UnknownEditError(Exception):
    """An entry of napari's history is of no known form, or does not fit the layer."""


def records_of(edits: Iterable[Edits], shape: tuple[int, ...], dtype: Any) -> tuple[Part, ...]:
    """Return records with the values that `edits` have left behind, to be written as one action.

    Parameters
    ----------
    edits
        In the order in which they were made.
    shape, dtype
        Of the layer's data.

    Raises
    ------
    UnknownEditError
        If an edit cannot be read or does not lie within the layer.
    """
    parts: list[Part] = []
    run: list[_Masked] = []
    for entry in edits:
        for atom in entry.atoms:
            one = _part(atom, shape, np.dtype(dtype), forward=entry.forward)
            if isinstance(one, PointsRecord):
                parts.extend(_merged(run))
                run = []
                parts.append(one)
            elif _worth_merging(run, one):
                run.append(one)
            else:
                parts.extend(_merged(run))
                run = [one]
    return (*parts, *_merged(run))


def touched_boxes(records: Iterable[Part]) -> list[Region]:
    """Return boxes that hold everything that `records` change."""
    boxes = []
    for record in records:
        if isinstance(record, BoxRecord):
            boxes.append(record.box)
        elif record.indices and record.indices[0].size:
            boxes.append(regions.of_pixels(record.indices))
    return boxes


def bytes_of(edits: Sequence[Edits]) -> int:
    """Return about how much memory is held by `edits`."""
    return sum(_atom_bytes(atom) for entry in edits for atom in entry.atoms)


class _Masked:
    """Values in a box, or under a mask in it."""

    def __init__(self, box: Region, mask: NDArray[np.bool_] | None, values: NDArray[Any]) -> None:
        self.box = box
        self.mask = mask
        self.values = values
        self.size = math.prod(regions.size(box))


def _part(atom: Any, shape: tuple[int, ...], dtype: np.dtype[Any], *, forward: bool) -> "_Masked | PointsRecord":
    try:
        if hasattr(atom, "slice_key"):
            values = atom.new_value if forward else atom.old_values
            return _masked(_checked(atom.slice_key, shape), atom.mask, _cast(values, dtype))
        indices, before, after = atom
        return _points(indices, _cast(after if forward else before, dtype), shape)
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UnknownEditError(str(error)) from error


def _cast(values: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    found = np.asarray(values)
    return found if found.dtype == dtype else found.astype(dtype)


def _checked(key: Sequence[slice], shape: tuple[int, ...]) -> Region:
    if len(key) != len(shape):
        raise UnknownEditError(f"{len(key)} slices for {len(shape)} dimensions")
    box = tuple(slice(*part.indices(length)) for part, length in zip(key, shape, strict=True))
    if any(part.step != 1 for part in box) or regions.is_empty(box):
        raise UnknownEditError(f"{key} does not lie within {shape}")
    if any(part.stop is not None and part.stop > length for part, length in zip(key, shape, strict=True)):
        raise UnknownEditError(f"{key} does not lie within {shape}")
    return tuple(slice(part.start, part.stop) for part in box)


def _masked(box: Region, mask: NDArray[np.bool_] | None, values: NDArray[Any]) -> _Masked:
    lengths = regions.size(box)
    if mask is not None and mask.shape != lengths:
        raise UnknownEditError(f"a mask of shape {mask.shape} for {box}")
    if values.ndim and mask is None:
        values = np.broadcast_to(values, lengths)
    elif values.ndim and mask is not None and values.shape != (int(np.count_nonzero(mask)),):
        raise UnknownEditError(f"{values.shape} values under a mask")
    return _Masked(box, mask, values)


def _points(indices: Any, values: NDArray[Any], shape: tuple[int, ...]) -> PointsRecord:
    found = tuple(np.asarray(index) for index in indices)
    if len(found) != len(shape) or any(index.dtype.kind not in "iu" for index in found):
        raise UnknownEditError("indices of an unknown form")
    found = tuple(index.ravel() for index in np.broadcast_arrays(*found))
    for index, length in zip(found, shape, strict=True):
        if index.size and not (-length <= int(index.min()) and int(index.max()) < length):
            raise UnknownEditError(f"an index does not lie within {shape}")
    if values.ndim:
        return PointsRecord(found, values.ravel())
    return PointsRecord(found, values.reshape(()))


def _worth_merging(run: Sequence[_Masked], one: _Masked) -> bool:
    if not run:
        return True
    together = regions.union(*(part.box for part in run), one.box)
    return math.prod(regions.size(together)) <= max(_SMALL, _WASTE * (sum(part.size for part in run) + one.size))


def _merged(run: Sequence[_Masked]) -> list[Part]:
    """Return one record of what `run` leaves behind, the later over the earlier; none for an empty run."""
    if not run:
        return []
    if len(run) == 1:
        return [_box_record(run[0].box, run[0].mask, run[0].values)]
    box = regions.union(*(part.box for part in run))
    after = np.zeros(regions.size(box), run[0].values.dtype)
    touched = np.zeros(after.shape, np.bool_)
    for part in run:
        inner = regions.relative(part.box, box)
        if part.mask is None:
            after[inner] = part.values
            touched[inner] = True
        else:
            after[inner][part.mask] = part.values
            touched[inner] |= part.mask
    return [_box_record(box, touched, after[touched])]


def _box_record(box: Region, mask: NDArray[np.bool_] | None, values: NDArray[Any]) -> BoxRecord:
    if mask is not None and not mask.all():
        if values.size > 1 and (values == values[0]).all():
            values = values[:1].reshape(())
        return BoxRecord(box, values, mask)
    lengths = regions.size(box)
    return BoxRecord(box, values.reshape(lengths) if values.ndim == 1 else np.broadcast_to(values, lengths))


def _atom_bytes(atom: Any) -> int:
    if hasattr(atom, "slice_key"):
        held = (atom.mask, atom.old_values, atom.new_value)
    else:
        indices, before, after = atom
        held = (*indices, before, after)
    return sum(int(getattr(part, "nbytes", 0)) for part in held) + 200

"""Objects found in an array of labels by their numbers: all of the array is looked through, once."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.regions import Region


def box_of(labels: NDArray[Any], number: int) -> Region | None:
    """Return the smallest box that holds all pixels of a label; None if there is none.

    Parameters
    ----------
    labels
        Integers of any number of dimensions.
    number
        The label.
    """
    from napari_tessera.operations.labels.finding_kernels import bounds

    if labels.size == 0 or not np.iinfo(labels.dtype).min <= number <= np.iinfo(labels.dtype).max:
        return None
    found: list[tuple[tuple[int, ...], Any]] = []
    for lead, volume in _volumes(labels):
        ends = bounds(volume, labels.dtype.type(number))
        if ends[1] > 0:
            found.append((lead, ends))
    if not found:
        return None
    leads = np.array([lead for lead, _ in found], np.int64).reshape(len(found), -1)
    box = [slice(int(axis.min()), int(axis.max()) + 1) for axis in leads.T]
    ends = np.array([ends for _, ends in found])
    box += [slice(int(ends[:, 2 * axis].min()), int(ends[:, 2 * axis + 1].max())) for axis in range(3)]
    return tuple(box[-labels.ndim :])


def next_object(labels: NDArray[Any], number: int, direction: Literal[1, -1] = 1) -> tuple[int, Region] | None:
    """Return the next higher label, or the next lower one, and its box; after the last comes the first.

    Parameters
    ----------
    labels
        Integers of any number of dimensions, 0 for background.
    number
        Where to go on from; need not be there.
    direction
        1 for higher, -1 for lower.

    Returns
    -------
    None if there is no label at all. If `number` is the only one, it again.
    """
    from napari_tessera.operations.labels.finding_kernels import around

    pick: Callable[..., int] = min if direction > 0 else max
    near: list[int] = []
    far: list[int] = []
    for _, volume in _volumes(labels):
        beside, end, has_beside, has_any = around(volume, number, direction > 0)
        near += [int(beside)] * has_beside
        far += [int(end)] * has_any
    if not far:
        return None
    chosen = pick(near) if near else pick(far)
    box = box_of(labels, chosen)
    assert box is not None
    return chosen, box


def _volumes(labels: NDArray[Any]) -> list[tuple[tuple[int, ...], NDArray[Any]]]:
    """Return read-only views of three dimensions that make up the labels, and the leading indices of each."""
    whole = labels[(None,) * max(0, 3 - labels.ndim)].view()
    whole.flags.writeable = False  # one compiled version per dtype and layout
    return [(lead, whole[lead]) for lead in np.ndindex(whole.shape[:-3]) if whole.size]

"""Connected components of arrays: numbered, and described one by one without a loop over them in Python."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Numbered:
    """Components of an array, numbered from 1 in the order of their first pixel (raster order).

    Attributes
    ----------
    numbers
        The component of every pixel, 0 for none; int32, or int64 for arrays of 2³¹ pixels and more.
    values
        Shape (components,), int64 (uint64 for such parts): the value that the pixels have in the parts.
    first
        Shape (components,), int64: flat index of the first pixel.
    sizes
        Shape (components,), int64: number of pixels.
    """

    numbers: NDArray[Any]
    values: NDArray[Any]
    first: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sizes)


def number_components(parts: NDArray[Any], connectivity: int) -> Numbered:
    """Find the components of `parts`: neighbours of equal, non-zero value are connected.

    Parameters
    ----------
    parts
        Mask or integers.
    connectivity
        In how many coordinates neighbours may differ, by one each.
    """
    from napari_tessera.operations.labels.component_kernels import first_and_sizes

    numbers, count = _label(parts, connectivity)
    first, sizes = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    first_and_sizes(numbers.reshape(-1), first, sizes)
    if np.any(first[2:] < first[1:-1]):
        # scipy goes along the axis that suits it: beside dimensions of length 1 that need not be the last
        order = np.concatenate([[0], 1 + np.argsort(first[1:])])
        rank = np.empty_like(order, dtype=numbers.dtype)
        rank[order] = np.arange(count + 1)
        numbers, first, sizes = rank[numbers], first[order], sizes[order]
    values = parts.reshape(-1)[first[1:]]
    values = values.astype(np.uint64 if parts.dtype == np.uint64 else np.int64)
    return Numbered(numbers, values, first[1:], sizes[1:])


def _label(parts: NDArray[Any], connectivity: int) -> tuple[NDArray[Any], int]:
    from scipy.ndimage import generate_binary_structure
    from scipy.ndimage import label as label_mask
    from skimage.measure import label

    if parts.dtype != np.bool_ and parts.min() == 0 and parts.max() <= 1:
        parts = parts != 0
    if parts.dtype == np.bool_:
        structure = generate_binary_structure(parts.ndim, connectivity)
        wide = np.int32 if parts.size < 2**31 - 1 else np.int64
        numbers, count = label_mask(parts, structure, output=wide)
        return np.ascontiguousarray(numbers), int(count)
    # The bits of a uint64 make an int64 of their own: equal stays equal.
    whole = parts.view(np.int64) if parts.dtype == np.uint64 else parts.astype(np.int64)
    numbers, count = label(whole, background=0, connectivity=connectivity, return_num=True)
    narrow = np.int32 if parts.size < 2**31 - 1 else np.int64
    return np.ascontiguousarray(numbers, narrow), int(count)


def numbers_on_border(
    numbers: NDArray[Any], count: int, sides: tuple[tuple[bool, bool], ...] | None = None
) -> NDArray[np.bool_]:
    """Return which components touch the border of their array, shape (count,).

    Parameters
    ----------
    numbers, count
        Components 1 … `count`.
    sides
        Per dimension, whether its first and its last pixel lie on the border; all do by default.
    """
    found = np.zeros(count + 1, bool)
    for axis in range(numbers.ndim):
        first, last = (True, True) if sides is None else sides[axis]
        along = np.moveaxis(numbers, axis, 0)
        if first:
            found[along[0]] = True
        if last:
            found[along[-1]] = True
    return found[1:]


def numbers_at(numbers: NDArray[Any], marks: NDArray[np.bool_] | None, count: int) -> NDArray[np.bool_]:
    """Return which components have a pixel in the mask `marks`, shape (count,); none do without a mask."""
    found = np.zeros(count + 1, bool)
    if marks is not None:
        found[numbers[marks.astype(bool, copy=False)]] = True
    return found[1:]


def labels_around(
    numbers: NDArray[Any], surroundings: NDArray[Any] | None, count: int, connectivity: int
) -> NDArray[np.int64]:
    """Return the lowest and highest non-zero value of `surroundings` next to each component.

    Parameters
    ----------
    numbers, count
        Components 1 … `count`.
    surroundings
        Labels of the same shape, or None.
    connectivity
        What counts as next to.

    Returns
    -------
    ndarray
        int64, shape (count, 2); 0 where there is none.
    """
    from scipy.ndimage import generate_binary_structure

    low = np.full(count + 1, np.iinfo(np.int64).max)
    high = np.full(count + 1, np.iinfo(np.int64).min)
    if surroundings is not None:
        offsets = np.argwhere(generate_binary_structure(numbers.ndim, connectivity)) - 1
        for offset in offsets:
            here = tuple(slice(max(0, -step), n - max(0, step)) for step, n in zip(offset, numbers.shape, strict=True))
            there = tuple(slice(max(0, step), n - max(0, -step)) for step, n in zip(offset, numbers.shape, strict=True))
            own, other = numbers[here], surroundings[there]
            touching = (own != 0) & (other != 0)
            own, other = own[touching], other[touching].astype(np.int64)
            np.minimum.at(low, own, other)
            np.maximum.at(high, own, other)
    none = low > high
    low[none] = high[none] = 0
    return np.stack([low[1:], high[1:]], axis=1)

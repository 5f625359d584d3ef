"""Whether integers look like labels or like intensities, judged by how their equal pixels hang together.

An object is in one piece, and a class is one of few. Grey levels are many, and each lies in many places: where the
image is noisy or steep in specks of a pixel or two, where it is smooth and has few levels in bands next to the level
above.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from napari_tessera.core.axes import move_axes
from napari_tessera.core.image import ImageSource
from napari_tessera.core.tiles import TileGrid

MOST_CLASSES = 64
"""With more ids than this they are objects or grey levels, not classes."""

_BLOCK = {2: {"y": 512, "x": 512}, 3: {"z": 32, "y": 256, "x": 256}}
_MOST_BLOCKS = 4

_FEW = 16
"""A block with no more ids than this is not looked into."""

_SPECK = 4
"""Pieces of labels are larger on average, in pixels of a plane."""

_MOST_DOTS = 4096
"""More objects of a single pixel than this do not lie side by side."""

_NEXT = 2
"""Bands of a smooth image differ from those beside them by no more than so many grey levels."""

_LEAST_CONTACTS, _MOST_STEPS = 100, 0.9


def intensity_levels(image: ImageSource) -> int:
    """Return how many grey levels were seen, if `image` looks like intensities and not like labels; else 0.

    Looked at are a few blocks, spread evenly. Never taken for intensities are up to `MOST_CLASSES` ids, and ids most of
    which are in one piece each, unless they are thousands of pixels side by side.

    Parameters
    ----------
    image
        Integers or bool.
    """
    if image.dtype.kind not in "iu":
        return 0
    axes = "".join(axis for axis in "zyx" if axis in image.axes)
    levels: set[int] = set()
    doubtful = total = around = 0
    for pixels in _blocks(image, axes):
        ids, numbers = np.unique(pixels, return_inverse=True)
        levels.update(ids[ids != 0].tolist())
        numbers = np.where(pixels == 0, 0, numbers.reshape(pixels.shape) + 1)
        total += int(np.count_nonzero(numbers))
        around += numbers.size
        if len(ids) > _FEW and _looks_graded(pixels, numbers):
            doubtful += _scattered(numbers)
    scattered = len(levels) > MOST_CLASSES and 2 * doubtful >= total
    dots = len(levels) > max(_MOST_DOTS, 2 * total // 3) and 2 * total >= around
    return len(levels) if scattered or dots else 0


def doubt_labels(labels: ImageSource) -> str:
    """Return a sentence if labels that are to be learnt from look like intensities; empty if not."""
    levels = intensity_levels(labels)
    if not levels:
        return ""
    return (
        f"The labels {labels.name} look like intensities and not like labels, as most of their {levels} numbers lie "
        "scattered: make sure that they are the right file."
    )


def _blocks(image: ImageSource, axes: str) -> Iterator[NDArray[np.generic]]:
    """Yield blocks of `image`, spread evenly, of dimensions `axes`."""
    lengths = _BLOCK[3 if "z" in axes else 2]
    grid = TileGrid(image.shape, tuple(lengths.get(axis, 1) for axis in image.axes))
    chosen = np.linspace(0, len(grid) - 1, min(len(grid), _MOST_BLOCKS)).round().astype(int)
    for index in dict.fromkeys(chosen.tolist()):
        yield move_axes(image.read(grid[index].inner), image.axes, axes)


def _looks_graded(pixels: NDArray[np.generic], numbers: NDArray[np.int64]) -> bool:
    """Whether the planes of a block are made of specks, or of bands each of which is next to the level above."""
    planes = numbers.reshape(-1, *numbers.shape[-2:])
    pieces = sum(int(label(plane, connectivity=plane.ndim, background=0).max()) for plane in planes)
    if np.count_nonzero(numbers) < _SPECK * pieces:
        return True
    contacts = steps = 0
    unsigned = f"u{pixels.dtype.itemsize}"  # in which a difference that wraps around is right
    for axis in range(max(0, numbers.ndim - 2), numbers.ndim):
        one, other = np.moveaxis(pixels, axis, 0)[1:], np.moveaxis(pixels, axis, 0)[:-1]
        touching = (one != other) & (one != 0) & (other != 0)
        high, low = (pick(one, other)[touching].astype(unsigned) for pick in (np.maximum, np.minimum))
        contacts += len(high)
        steps += int(np.count_nonzero(high - low <= _NEXT))
    return contacts >= _LEAST_CONTACTS and steps >= _MOST_STEPS * contacts


def _scattered(numbers: NDArray[np.int64]) -> int:
    """Return the number of pixels whose number lies in more than one piece."""
    found = label(numbers, connectivity=numbers.ndim, background=0)
    _, first = np.unique(found, return_index=True)
    owners = numbers.ravel()[first]
    pieces = np.bincount(owners[owners != 0], minlength=int(numbers.max()) + 1)
    return int(np.count_nonzero(pieces[numbers] > 1))

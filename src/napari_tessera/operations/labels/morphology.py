"""Morphology of labels, in which every object is treated as if it were alone, but none takes the place of another.

Shapes of the surroundings of a pixel, for a radius ``r`` in pixels: a *ball* holds what is at most ``r`` away (a disk
in planes), a *box* what differs by at most ``r`` in each coordinate. What lies beyond the borders of the image does
not count.

Where several objects claim a pixel, the nearest has it, of equally near ones that with the lowest label: a rule that
knows nothing of where a tile begins.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Shape = Literal["ball", "box"]


def dilate(labels: NDArray[Any], radius: int, shape: Shape = "ball") -> NDArray[Any]:
    """Return labels of which each has grown into the background by `radius` pixels.

    Parameters
    ----------
    labels
        Integers of any number of dimensions, 0 for background; negative values count as higher than positive ones.
    radius
        In pixels.
    shape
        What is added around a pixel; see the module.

    Returns
    -------
    Labels of the same dtype. Of one object it is exactly the dilation by a ball or box.
    """
    limit = float(radius) ** 2 if shape == "ball" else np.inf
    return _nearest(labels, [radius] * labels.ndim, [1.0] * labels.ndim, limit)


def expand(labels: NDArray[Any], distance: float, spacing: Sequence[float]) -> NDArray[Any]:
    """Return labels of which each has grown into the background by `distance`, straight-line.

    Parameters
    ----------
    labels
        Integers, 0 for background.
    distance
        In the unit of `spacing`.
    spacing
        Length of a pixel along each axis.
    """
    limit = distance**2 * (1 + TOLERANCE)
    return _nearest(labels, reach_of(distance, spacing), [step**2 for step in spacing], limit)


TOLERANCE = 1e-9
"""Three steps of 0.1 are 0.3 away, whatever binary fractions make of it."""


def reach_of(distance: float, spacing: Sequence[float]) -> list[int]:
    """Return how many pixels lie within `distance` along each axis."""
    return [int(distance / step * (1 + TOLERANCE)) for step in spacing]


def erode(labels: NDArray[Any], radius: int, shape: Shape = "ball") -> NDArray[Any]:
    """Return labels without the pixels that have another label or background within `radius`.

    Parameters are those of `dilate`. Of one object it is exactly the erosion by a ball or box.
    """
    if shape == "ball":
        squares = squared_distance(labels, [1.0] * labels.ndim)
        return np.where(squares > radius**2, labels, 0).astype(labels.dtype, copy=False)
    from napari_tessera.operations.labels.morphology_kernels import erode_along

    for axis in range(labels.ndim):
        (labels,) = _along(axis, lambda lines: (erode_along(lines, radius),), labels)
    return labels


def opened(labels: NDArray[Any], radius: int, shape: Shape = "ball") -> NDArray[Any]:
    """Return what of each object can be covered by balls or boxes that lie inside it; parameters as for `dilate`."""
    return dilate(erode(labels, radius, shape), radius, shape)


def closed(labels: NDArray[Any], radius: int, shape: Shape = "ball") -> NDArray[Any]:
    """Return labels with narrow gaps of each object closed: dilated, then eroded; parameters as for `dilate`.

    No object loses a pixel, and a gap between two objects stays.
    """
    shrunk = erode(dilate(labels, radius, shape), radius, shape)
    return np.where(labels != 0, labels, shrunk)


def squared_distance(labels: NDArray[Any], spacing: Sequence[float]) -> NDArray[np.float64]:
    """Return how far, squared, the centre of the nearest pixel with another value is; infinite if there is none.

    Parameters
    ----------
    labels
        Integers; the background is a value as any other.
    spacing
        Length of a pixel along each axis.
    """
    from napari_tessera.operations.labels.morphology_kernels import squares_along

    squares = np.full(labels.shape, np.inf)
    for axis in reversed(range(labels.ndim)):
        weight = float(spacing[axis]) ** 2
        (squares,) = _along(axis, lambda names, far, w=weight: (squares_along(names, far, w),), labels, squares)
    return squares


def _nearest(labels: NDArray[Any], reach: Sequence[int], weights: Sequence[float], limit: float) -> NDArray[Any]:
    from napari_tessera.operations.labels.morphology_kernels import nearest_along

    squares = np.where(labels != 0, 0.0, np.inf)
    found = labels
    for axis in reversed(range(labels.ndim)):
        arguments = reach[axis], float(weights[axis]), float(limit)
        found, squares = _along(axis, lambda names, far, a=arguments: nearest_along(names, far, *a), found, squares)
    return found


def _along(
    axis: int, work: Callable[..., tuple[NDArray[Any], ...]], labels: NDArray[Any], *further: NDArray[Any]
) -> tuple[NDArray[Any], ...]:
    """Do `work` on the lines along `axis`: arrays of shape (lines, length), the labels as unsigned integers."""
    dtype = labels.dtype
    arrays = (labels.view(f"u{dtype.itemsize}"), *further)
    moved = [np.moveaxis(array, axis, -1) for array in arrays]
    shape = moved[0].shape
    results = work(*map(_lines, moved))
    back = (np.moveaxis(result.reshape(shape), -1, axis) for result in results)
    return tuple(result.view(dtype) if result.dtype.kind == "u" else result for result in back)


def _lines(array: NDArray[Any]) -> NDArray[Any]:
    """Return lines along the last axis, read-only whatever the array is: one compiled version per dtype."""
    lines = np.ascontiguousarray(array).reshape(-1, array.shape[-1]).view()
    lines.flags.writeable = False
    return lines

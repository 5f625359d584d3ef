"""A small picture of what is annotated, to know a session by: a few thousand pixels of image and labels."""

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from numpy.typing import NDArray

EDGE = 128
"""Longest side of the picture, in pixels."""


def picture_of(viewer: ViewerModel, labels: Labels, image: Image | None) -> NDArray[np.uint8] | None:
    """Return the plane that is on screen, image and labels over each other; None if there is nothing to show.

    Every so many-th pixel is taken, so it costs about a millisecond whatever the size.

    Returns
    -------
    ndarray
        Axes ``yxc``, three channels.
    """
    if viewer.dims.ndisplay != 2 or labels.data.ndim < 2:
        return None
    numbers = _plane(viewer, labels, labels.data)
    if numbers is None:
        return None
    ground = _gray(viewer, image, numbers.shape[:2]) if image is not None else None
    if ground is None:
        ground = np.zeros((*numbers.shape[:2], 3), np.float32)
    colors = np.asarray(labels.colormap.map(np.ascontiguousarray(numbers)), np.float32)
    weight = 0.6 * colors[..., 3:] * (numbers != 0)[..., None]
    mixed = ground * (1 - weight) + colors[..., :3] * weight
    return np.clip(mixed * 255, 0, 255).astype(np.uint8)


def _plane(viewer: ViewerModel, layer: Layer, data: Any) -> NDArray[Any] | None:
    """Return the shown plane of an array in memory, thinned out."""
    if not isinstance(data, np.ndarray) or len(viewer.dims.displayed) != 2:
        return None
    offset = viewer.dims.ndim - layer.ndim
    shown = [axis - offset for axis in viewer.dims.displayed]
    if min(shown) < 0:
        return None
    here = layer.world_to_data(viewer.dims.point)
    key: list[Any] = []
    for axis in range(layer.ndim):
        length = data.shape[axis]
        if axis in shown:
            step = max(1, -(-max(data.shape[each] for each in shown) // EDGE))
            key.append(slice(step // 2 if length > step else 0, None, step))
        else:
            key.append(min(max(round(float(here[axis])), 0), length - 1))
    plane = data[tuple(key)]
    return plane if shown[0] < shown[1] else np.swapaxes(plane, 0, 1)


def _gray(viewer: ViewerModel, image: Image, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    data = image.data[-1] if image.multiscale else image.data
    plane = _plane(viewer, image, data)
    if plane is None or plane.size == 0:
        return None
    found = np.asarray(plane, np.float32)
    if found.ndim == 2:
        low, high = (float(limit) for limit in image.contrast_limits)
        found = np.repeat(((found - low) / ((high - low) or 1.0))[..., None], 3, axis=2)
    else:
        found = found[..., :3] / (255.0 if plane.dtype == np.uint8 else max(float(found.max()), 1e-6))
    rows = np.linspace(0, found.shape[0] - 1, shape[0]).round().astype(int)
    columns = np.linspace(0, found.shape[1] - 1, shape[1]).round().astype(int)
    return np.clip(np.nan_to_num(found[rows][:, columns]), 0, 1)

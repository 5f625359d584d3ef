"""A small picture of what is annotated, to know a session by: a few thousand pixels of image and labels."""

import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import label_colormap
from numpy.typing import NDArray

from napari_tessera.core.errors import TesseraError
from napari_tessera.io.journal.recovery import recover
from napari_tessera.io.journal.sessions import LayerSummary, SessionSummary

EDGE = 128
"""Longest side of the picture, in pixels."""
MOST_BYTES = 2**24
"""Labels that take up more on the disk are not read for a picture."""
_MOST_PIXELS = 2**26

_drawn: dict[Path, tuple[float, NDArray[np.uint8] | None]] = {}
_drawing = threading.Lock()


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


def picture_of_labels(session: SessionSummary) -> NDArray[np.uint8] | None:
    """Return a picture of what was painted in last in a session, for one that ended before it had one of its own.

    It reads the journal, so call it in a thread. None if that cannot be done soon or there is nothing to see.

    Returns
    -------
    ndarray
        Axes ``yxc``, three channels; the plane of a stack that has the most labels.
    """
    shown = [layer for layer in session.kept or session.layers if len(layer.shape) >= 2 and 0 not in layer.shape]
    if not shown:
        return None
    layer = max(shown, key=lambda layer: layer.time)
    try:
        if _is_large(layer):
            return None
        labels = recover(layer.folder).load()
    except (TesseraError, OSError, MemoryError):
        return None
    stack = labels.reshape(-1, *labels.shape[-2:])
    step = max(1, -(-max(stack.shape[-2:]) // EDGE))
    thin = np.stack([_thinned(plane, step) for plane in stack[:: max(1, len(stack) // 256)]])
    plane = thin[np.count_nonzero(thin, axis=(1, 2)).argmax()]
    if not plane.any():
        return None
    colors = np.asarray(label_colormap(49).map(plane.astype(np.int64)), np.float32)[..., :3]
    return np.asarray(np.where((plane != 0)[..., None], colors * 255, 0), np.uint8)


def shared_picture(session: SessionSummary) -> NDArray[np.uint8] | None:
    """Return what `picture_of_labels` does; the journal is read once after each change, whoever asks, in any thread."""
    with _drawing:
        known = _drawn.get(session.path)
        if known is None or known[0] != session.time:
            known = _drawn[session.path] = session.time, picture_of_labels(session)
        return known[1]


def _thinned(plane: NDArray[Any], step: int) -> NDArray[Any]:
    """Return the highest label of each square of `step` pixels, so that fine strokes stay."""
    rows = np.maximum.reduceat(plane, np.arange(0, plane.shape[0], step), axis=0)
    return np.asarray(np.maximum.reduceat(rows, np.arange(0, plane.shape[1], step), axis=1))


def _is_large(layer: LayerSummary) -> bool:
    if math.prod(layer.shape) > _MOST_PIXELS:
        return True
    return sum(path.stat().st_size for path in layer.folder.rglob("*") if path.is_file()) > MOST_BYTES


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

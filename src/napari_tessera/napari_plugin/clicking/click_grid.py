"""How a Labels layer lies on an image: which axis is which, and by how many pixels they are moved."""

from dataclasses import dataclass

import numpy as np
from napari.layers import Labels, Layer
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.napari_plugin.layers.images import full_resolution

FITS = "press New labels for a layer that fits"
_MOST_SHIFT = 0.05
"""Grids that lie this far apart, in pixels, still count as the same one."""


@dataclass(frozen=True)
class Grid:
    """A Labels layer that has the pixels of an image.

    Attributes
    ----------
    axes
        What the dimensions of the labels are.
    shift
        Index in the labels minus index in the image, one per dimension of the labels; 0 for ``c``.
    overlap
        The part of the labels that the image covers, in indices of the labels.
    """

    axes: str
    shift: tuple[int, ...]
    overlap: tuple[slice, ...]


def match_grids(image: Layer, axes: str, labels: Labels) -> Grid:
    """Return how `labels` lies on `image`, whose dimensions are `axes` (the colours of an RGB layer with them).

    Raises
    ------
    InvalidInputError
        If one pixel of the labels is not one pixel of the image.
    """
    own = axes[: image.ndim]
    named = _axes_of_labels(image, own, labels)
    kept = [own.index(axis) for axis in named]
    shift = [0 if axis == "c" else step for axis, step in zip(named, _shift(image, kept, labels, named), strict=True)]
    shape = full_resolution(image).shape
    overlap = tuple(
        slice(0, 1) if axis == "c" else slice(max(0, step), min(labels.data.shape[at], step + shape[own.index(axis)]))
        for at, (axis, step) in enumerate(zip(named, shift, strict=True))
    )
    if any(part.start >= part.stop for part in overlap):
        raise InvalidInputError(f"{labels.name!r} lies beside the image {image.name!r}: {FITS}.")
    return Grid(named, tuple(shift), overlap)


def labels_shape(image: Layer, axes: str) -> tuple[int, ...]:
    """Return the shape of labels that fit `image`: without ``c``, or with one channel if that stands in the middle."""
    own = axes[: image.ndim]
    shape = full_resolution(image).shape[: len(own)]
    middle = own.find("c") > 0
    return tuple(1 if axis == "c" else n for axis, n in zip(own, shape, strict=True) if axis != "c" or middle)


def _axes_of_labels(image: Layer, own: str, labels: Labels) -> str:
    without = own.replace("c", "")
    if labels.ndim == len(own) and "c" in own and labels.data.shape[own.index("c")] == 1:
        return own
    if labels.ndim != len(without):
        raise InvalidInputError(
            f"{labels.name!r} has {labels.ndim} dimensions and the image {image.name!r} needs {len(without)}: {FITS}."
        )
    if own.find("c") > 0:
        raise InvalidInputError(
            f"The channels of {image.name!r} stand between its other dimensions, and {labels.name!r} has none: {FITS}."
        )
    return without


def _shift(image: Layer, kept: list[int], labels: Labels, named: str) -> NDArray[np.int64]:
    image_matrix, image_origin = to_world(image)
    matrix, origin = to_world(labels)
    rows = [labels.ndim - image.ndim + at for at in kept] if labels.ndim == image.ndim else kept
    spatial = [at for at, axis in enumerate(named) if axis != "c"]
    chosen = [rows[at] for at in spatial]
    own = matrix[np.ix_(spatial, spatial)]
    other = image_matrix[np.ix_(chosen, chosen)]
    if abs(np.linalg.det(own)) < 1e-300:
        raise InvalidInputError(f"{labels.name!r} is scaled to nothing: {FITS}.")
    extent = np.array([labels.data.shape[at] for at in spatial])
    relative = np.linalg.solve(own, other)
    if np.abs((relative - np.eye(len(spatial))) * extent).max() > 0.25:
        raise InvalidInputError(
            f"The pixels of {labels.name!r} have another size or direction than those of {image.name!r}: {FITS}."
        )
    moved = np.linalg.solve(own, image_origin[chosen] - origin[spatial])
    if np.abs(moved - np.round(moved)).max() > _MOST_SHIFT:
        raise InvalidInputError(
            f"The pixels of {labels.name!r} lie between those of {image.name!r}, not on them: {FITS}."
        )
    shift = np.zeros(labels.ndim, np.int64)
    shift[spatial] = np.round(moved)
    return shift


def to_world(layer: Layer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return matrix and origin of the map from indices to the world."""
    origin = np.asarray(layer.data_to_world(np.zeros(layer.ndim)), float)
    columns = [np.asarray(layer.data_to_world(step), float) - origin for step in np.eye(layer.ndim)]
    return np.array(columns).T, origin

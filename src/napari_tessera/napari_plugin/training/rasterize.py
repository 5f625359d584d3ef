"""Points and Shapes layers as annotation: drawn into a labels array of the image's shape."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from napari.layers import Layer, Points, Shapes
from numpy.typing import NDArray

from napari_tessera.core.errors import AnnotationError
from napari_tessera.napari_plugin.training.fitting import PIXEL, units_differ

CLASS_COLUMN = "class"
"""Feature column that gives each point or shape its class number."""

_ELLIPSE_POINTS = 64


@dataclass(frozen=True)
class Mark:
    """One point, line or area in pixel coordinates of the labels.

    Attributes
    ----------
    number
        What to write: the number of a class.
    plane
        Index on each leading dimension.
    outline
        ``(n, 2)`` float positions (y, x).
    radius
        Half the width of a point or line, in pixels; None for an area.
    """

    number: int
    plane: tuple[int, ...]
    outline: NDArray[np.float64]
    radius: float | None


def read_marks(layer: Layer, image: Layer, axes: str, number: int) -> list[Mark]:
    """Read a Points or Shapes layer; to be called in the GUI thread, it copies only positions.

    Parameters
    ----------
    layer
        Points are discs of their size, lines and paths have their width, everything else is filled.
    image, axes
        The image layer that is annotated and what its dimensions are.
    number
        The class of everything that the layer's feature column ``class`` does not give one.

    Raises
    ------
    AnnotationError
        If the layer has other dimensions or units than the image, or a class that is no whole number from 1 up.
    """
    channel = axes.index("c") if "c" in axes and not getattr(image, "rgb", False) else None
    if layer.ndim != image.ndim:
        raise AnnotationError(
            f"{layer.name!r} has {layer.ndim} dimensions but the image {image.name!r} has {image.ndim}: add the layer "
            "again while the image is selected."
        )
    differ = units_differ(layer.units, image.units)
    if differ is not None and PIXEL not in differ:  # without units napari shows positions by their numbers
        raise AnnotationError(
            f"{layer.name!r} is measured in {differ[0]} but {image.name!r} in {differ[1]}: give both the same units."
        )
    numbers = _class_numbers(layer, number)
    matrix, offset = _to_pixels(layer, image)
    shrink = float(np.sqrt(abs(np.linalg.det(matrix[-2:, -2:]))))
    marks = []
    for (vertices, radius), own in zip(_outlines(layer), numbers, strict=True):
        positions = np.asarray(vertices, float) @ matrix.T + offset
        if channel is not None:
            positions = np.delete(positions, channel, axis=1)
        plane = tuple(round(float(value)) for value in positions[0, :-2])
        marks.append(Mark(own, plane, positions[:, -2:], None if radius is None else radius * shrink))
    return marks


def draw_marks(marks: Sequence[Mark], labels: NDArray[Any]) -> None:
    """Draw `marks` into `labels`, later ones over earlier ones; what lies outside is left out."""
    for mark in marks:
        if all(0 <= index < length for index, length in zip(mark.plane, labels.shape, strict=False)):
            _draw(mark, labels[mark.plane])


def _draw(mark: Mark, plane: NDArray[Any]) -> None:
    from skimage.draw import disk, polygon  # brings scipy with it

    if mark.radius is None:
        rows, columns = polygon(mark.outline[:, 0], mark.outline[:, 1], plane.shape)
        plane[rows, columns] = mark.number
        return
    for y, x in _along(mark.outline):
        # half a pixel at least, so that the smallest point still marks the pixel it stands on
        centre = (round(y), round(x)) if mark.radius < 1 else (y, x)
        rows, columns = disk(centre, max(mark.radius, 0.6), shape=plane.shape)
        plane[rows, columns] = mark.number


def _along(outline: NDArray[np.float64]) -> Iterator[tuple[float, float]]:
    yield float(outline[0, 0]), float(outline[0, 1])
    for start, stop in pairwise(outline):
        steps = max(1, int(np.ceil(np.linalg.norm(stop - start) * 2)))
        for step in range(1, steps + 1):
            y, x = start + (stop - start) * (step / steps)
            yield float(y), float(x)


def _outlines(layer: Layer) -> Iterator[tuple[NDArray[np.float64], float | None]]:
    if isinstance(layer, Points):
        for position, size in zip(layer.data, layer.size, strict=True):
            yield np.asarray(position, float)[np.newaxis], float(np.mean(size)) / 2
    elif isinstance(layer, Shapes):
        for vertices, kind, width in zip(layer.data, layer.shape_type, layer.edge_width, strict=True):
            corners = np.asarray(vertices, float)
            if kind == "ellipse":
                yield _ellipse(corners), None
            elif kind in ("line", "path"):
                yield corners, float(width) / 2
            else:
                yield corners, None


def _ellipse(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    centre = corners.mean(axis=0)
    first, second = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, _ELLIPSE_POINTS, endpoint=False)[:, np.newaxis]
    return np.asarray(centre + np.cos(angle) * first + np.sin(angle) * second)


def _class_numbers(layer: Layer, number: int) -> list[int]:
    features = layer.features
    if CLASS_COLUMN not in features:
        return [number] * len(layer.data)
    try:
        numbers = [int(value) for value in features[CLASS_COLUMN]]
    except (TypeError, ValueError) as error:
        raise AnnotationError(
            f"The column {CLASS_COLUMN!r} of {layer.name!r} must hold class numbers: write 1, 2, … into it."
        ) from error
    if min(numbers, default=1) < 1:
        raise AnnotationError(f"The column {CLASS_COLUMN!r} of {layer.name!r} holds {min(numbers)}: use 1 and above.")
    return numbers


def _to_pixels(layer: Layer, image: Layer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the matrix and offset that take positions of `layer` to pixels of `image`; found by probing."""
    ndim = image.ndim
    probes = np.vstack([np.zeros(ndim), np.eye(ndim)])
    moved = np.array([image.world_to_data(layer.data_to_world(tuple(probe))) for probe in probes], float)
    return (moved[1:] - moved[0]).T, moved[0]

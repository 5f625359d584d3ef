"""What the numbers of an annotation mean, and the targets that a training makes of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.config.model import ClassSpec
from napari_tessera.config.training import Annotation, TrainingConfig
from napari_tessera.core.errors import AnnotationError, InvalidInputError
from napari_tessera.core.image import ImageSource, ImageSpec
from napari_tessera.core.tiles import TileGrid
from napari_tessera.core.units import MICROMETERS
from napari_tessera.io.arrays import SqueezedSource
from napari_tessera.io.opening import open_image
from napari_tessera.nn.samples import MAX_CLASSES
from napari_tessera.pipeline.known_labels import COLORED_LABELS, holds_colors

SCAN_TILE = 2048
"""Labels are looked through in squares of this edge length, in pixels."""

_SAME_SIZE = 0.01
"""Pixel sizes that differ by no more than this share are one size, written in different ways."""

_SAME_PLACE = 1.0
"""Pixels by which labels may lie beside their image; positions are given with few digits at times."""

BACKGROUND_COLOR = "#00e5ff"
CLASS_COLORS = ("#e6550d", "#1f78b4", "#33a02c", "#984ea3", "#e7298a", "#b15928", "#17becf", "#bcbd22")
"""Colours of the classes in turn, told apart by people with any colour vision as far as eight colours can be."""


def scan_grid(labels: ImageSource) -> TileGrid:
    """Return the squares in which `labels` are looked through, plane by plane."""
    return TileGrid(labels.shape, [SCAN_TILE if axis in "yx" else 1 for axis in labels.axes])


def fit_labels(image: ImageSource, labels: ImageSource) -> ImageSource:
    """Make sure that `labels` can annotate `image`, and name their axes as the image does.

    Labels without metadata have guessed axes; where their shape is that of the image without channels, they have its
    axes. An axis of length one that only one of both has makes no difference: labels inside an OME-Zarr mostly have one
    channel.

    Raises
    ------
    AnnotationError
        If shapes or calibrated pixel sizes differ, or the labels are no whole numbers.
    """
    expected = image.spec.without("c")
    if labels.dtype.kind not in "bui":
        raise AnnotationError(
            f"The labels {labels.name!r} hold numbers of type {labels.dtype}: use a Labels layer or whole numbers."
        )
    if dict(labels.spec.sizes) == dict(expected.sizes):
        return _of_one_size(image, labels)
    if holds_colors(labels.spec):
        raise AnnotationError(COLORED_LABELS.format(name=labels.name))
    if labels.shape == expected.shape:
        return _of_one_size(image, open_image(labels, axes=expected.axes))
    if _long_axes(labels.spec) == _long_axes(expected):
        return _of_one_size(image, SqueezedSource(labels, expected.axes))
    raise AnnotationError(
        f"The labels {labels.name!r} have shape {labels.shape} ({labels.axes}) but the image {image.name!r} needs "
        f"{expected.shape} ({expected.axes}): make an annotation layer for this image, or name the axes of both."
    )


def _long_axes(spec: ImageSpec) -> Mapping[str, int]:
    return {axis: length for axis, length in spec.sizes.items() if length > 1 or axis in "yx"}


def _of_one_size(image: ImageSource, labels: ImageSource) -> ImageSource:
    """Return `labels`, whose shape is that of the image, unless both are calibrated and lie apart.

    Either their pixels differ in size, or the labels have a place of their own that is not that of the image.
    """
    for axis in labels.spec.spatial:
        (size, start, unit), (own, own_start, own_unit) = (_place(source.spec, axis) for source in (image, labels))
        lengths = [MICROMETERS.get(each or "") for each in (unit, own_unit)]
        ratio = 1.0 if unit == own_unit else (lengths[1] or 0.0) / (lengths[0] or 1.0)
        if unit is None or own_unit is None or not ratio:
            continue
        if abs(abs(own) * ratio - abs(size)) > _SAME_SIZE * abs(size):
            raise AnnotationError(
                f"The labels {labels.name!r} have pixels of {abs(own):g} {own_unit} along {axis} but those of the "
                f"image {image.name!r} have {abs(size):g} {unit}: scale the labels to the image, or correct the pixel "
                "size of one."
            )
        if own_start and abs(own_start * ratio - start) > abs(size) * _SAME_PLACE:
            raise AnnotationError(
                f"The labels {labels.name!r} begin at {own_start:g} {own_unit} along {axis} but the image "
                f"{image.name!r} at {start:g} {unit}, so they do not lie on each other: crop both to the same part, or "
                "correct the position of one."
            )
    return labels


def _place(spec: ImageSpec, axis: str) -> tuple[float, float, str | None]:
    """Return the length of a pixel, the position of the first one, and their unit."""
    at = spec.axes.index(axis)
    return spec.scale[at], spec.translate[at], spec.units[at]


def find_painted(labels: Sequence[ImageSource]) -> tuple[int, ...]:
    """Return all numbers that occur in `labels`, in ascending order.

    Raises
    ------
    AnnotationError
        If there are negative numbers.
    """
    found: set[int] = set()
    for source in labels:
        for pixels in _scan(source):
            found.update(_numbers(pixels).tolist())
    if found and min(found) < 0:
        raise AnnotationError(f"The labels hold the negative number {min(found)}: use 0 and above.")
    return tuple(sorted(int(number) for number in found))


def _numbers(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the numbers that occur in `pixels`; of small types by counting, which is quicker than sorting."""
    if pixels.dtype.kind in "bu" and pixels.dtype.itemsize <= 2:
        return np.flatnonzero(np.bincount(pixels.ravel()))
    return np.unique(pixels)


def _scan(source: ImageSource) -> Iterator[NDArray[Any]]:
    return (source.read(tile.inner) for tile in scan_grid(source))


def class_numbers(painted: Sequence[int], annotation: Annotation) -> tuple[int, ...]:
    """Return the painted number of each class, background first.

    Raises
    ------
    AnnotationError
        If nothing is annotated, only one class is, or there are more classes than can be told apart.
    """
    if annotation is Annotation.OBJECTS:
        numbers = tuple(sorted({min(number, 1) for number in painted}))
    else:
        numbers = tuple(number for number in painted if number > 0 or annotation is Annotation.DENSE)
    if not any(painted):
        raise AnnotationError("The annotation is empty: paint some pixels of each class first.")
    if len(numbers) < 2:
        background = "1 (background) and 2" if annotation is Annotation.SCRIBBLES else "0 (background) and 1"
        raise AnnotationError(
            f"The annotation has one class only ({numbers[0]}): paint at least two, for example {background}."
        )
    if len(numbers) > MAX_CLASSES:
        raise AnnotationError(
            f"The annotation has {len(numbers)} classes, more than {MAX_CLASSES}: if each number is one object, choose "
            "the annotation kind objects."
        )
    return numbers


def describe_classes(numbers: Sequence[int], config: TrainingConfig) -> tuple[ClassSpec, ...]:
    """Return id, name and colour of each class; the id is what predictions write, 0 for background.

    Raises
    ------
    InvalidInputError
        If the settings name or colour a class that is not annotated.
    """
    background = config.annotation.background
    unknown = sorted({*config.data.class_names, *config.data.class_colors} - {*numbers, background})
    if unknown:
        raise InvalidInputError(f"Class {unknown[0]} is named but not annotated: paint it or drop its name.")
    classes = []
    for number in numbers:
        is_background = number == background
        first = 2 if config.annotation is Annotation.SCRIBBLES else 1
        name = "background" if is_background else f"class {number}"
        color = BACKGROUND_COLOR if is_background else CLASS_COLORS[(number - first) % len(CLASS_COLORS)]
        classes.append(
            ClassSpec.parse(
                {
                    "id": 0 if is_background else number,
                    "name": config.data.class_names.get(number, name),
                    "color": config.data.class_colors.get(number, color),
                }
            )
        )
    return tuple(classes)

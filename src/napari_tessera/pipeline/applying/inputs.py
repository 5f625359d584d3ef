"""What an operation is applied to: its inputs by name, checked before anything is computed."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.axes import FEW_CHANNELS
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSource, ImageSpec
from napari_tessera.io.memory import check_memory
from napari_tessera.io.opening import as_labels, axes_are_guessed, has_palette, open_image
from napari_tessera.operations.base import Input, InputKind, Operation
from napari_tessera.operations.whole import prepared
from napari_tessera.pipeline.running.chunk_cache import cached

OperationInput = ImageSource | NDArray[Any]
"""Images and labels of the frame's size as sources (arrays are opened, their axes guessed); the rest as arrays."""


@dataclass(frozen=True)
class Inputs:
    """Inputs that have been checked.

    Attributes
    ----------
    image
        The first, whose frames are gone through.
    sources
        The others that are read region by region.
    arrays
        Those that are read whole: kernels, and points as float64 (N, columns).
    """

    image: ImageSource
    sources: Mapping[str, ImageSource]
    arrays: Mapping[str, NDArray[Any]]

    def cached(self) -> Self:
        """Return the same inputs, of which no chunk is decoded for every tile that looks into it."""
        sources = {name: cached(source) for name, source in self.sources.items()}
        return replace(self, image=cached(self.image), sources=sources)


def gather_inputs(operation: Operation, given: Mapping[str, OperationInput]) -> Inputs:
    """Check that `given` are the inputs of `operation` and sort them by how they are read.

    Raises
    ------
    InvalidInputError
        If one is missing, unknown, empty, or of the wrong kind.
    """
    declared = {one.name: one for one in operation.inputs}
    _check_names(operation, declared, given)
    first = operation.inputs[0]
    image = _source(first, given[first.name], None)
    sources: dict[str, ImageSource] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for name, value in given.items():
        one = declared[name]
        if name == first.name:
            continue
        if one.kind in ("image", "labels") or (one.kind == "seeds" and not _are_points(value, image.spec)):
            sources[name] = _source(one, value, image.spec)
        elif one.kind == "kernel":
            arrays[name] = _kernel(one, value)
        else:
            arrays[name] = _points(one, value)
    return Inputs(image, sources, arrays)


def _check_names(operation: Operation, declared: Mapping[str, Input], given: Mapping[str, object]) -> None:
    unknown = [name for name in given if name not in declared]
    if unknown:
        raise InvalidInputError(
            f"{operation.title} has no input {unknown[0]!r}: it takes {', '.join(map(repr, declared))}."
        )
    missing = [one for one in declared.values() if not one.optional and one.name not in given]
    if missing:
        raise InvalidInputError(f"{operation.title} needs the input {missing[0].name!r}: {missing[0].help}")


def _source(one: Input, value: OperationInput, like: ImageSpec | None) -> ImageSource:
    source = value if isinstance(value, ImageSource) else open_image(value)
    source = as_labels(source) if one.kind in ("labels", "seeds") else source
    if like is not None and len(source.shape) == len(like.shape) and axes_are_guessed(source):
        # an array says nothing of its axes: one that has as many as the image has the same ones
        source = open_image(source, axes=like.axes)
    spec = source.spec
    if 0 in spec.shape:
        raise InvalidInputError(f"The input {one.name!r} has shape {spec.shape}, so no pixels: choose another.")
    if spec.dtype.kind not in "biuf":
        raise InvalidInputError(
            f"The input {one.name!r} has pixels of type {spec.dtype}: convert them to real numbers."
        )
    if one.kind in ("labels", "seeds") and spec.dtype.kind == "f":
        raise InvalidInputError(
            f"The input {one.name!r} must be labels, but its pixels are of type {spec.dtype}: choose labels, or make "
            "some with a threshold or connected components first."
        )
    return source


def _are_points(value: OperationInput, image: ImageSpec) -> bool:
    """Whether seeds are positions: a table whose shape is not that of the image."""
    if isinstance(value, ImageSource) and not axes_are_guessed(value) and value.axes != "yx":
        return False
    if len(value.shape) > 2 or value.shape in {image.shape, tuple(image.sizes[axis] for axis in "yx")}:
        return False
    # a table of floats with too many columns is told so, and not taken for labels of a wrong shape
    most = 5 if value.dtype.kind == "f" else len(image.shape)
    return len(value.shape) == 1 or value.shape[1] <= max(most, len(image.shape))


def _kernel(one: Input, value: OperationInput) -> NDArray[Any]:
    array = prepared(_whole(one, value))
    if array.size == 0:
        raise InvalidInputError(f"The input {one.name!r} has shape {array.shape}, so no pixels: choose another.")
    if array.dtype.kind not in "iuf":
        raise InvalidInputError(
            f"The input {one.name!r} has values of type {array.dtype}: convert them to real numbers."
        )
    if not np.isfinite(array).all():
        raise InvalidInputError(f"The input {one.name!r} holds NaN or infinite values: replace them, for example by 0.")
    return array


def _points(one: Input, value: OperationInput) -> NDArray[np.float64]:
    array = _whole(one, value)
    if array.dtype.kind not in "biuf":
        raise InvalidInputError(f"The input {one.name!r} has values of type {array.dtype}: give positions as numbers.")
    if array.ndim == 1 and array.size:
        array = array[np.newaxis]
    if array.ndim != 2:
        if array.size:
            raise InvalidInputError(
                f"The input {one.name!r} has shape {array.shape}: give one row per point, one column per axis."
            )
        array = array.reshape(0, 0)
    if array.size == 0 and one.kind in ("points", "seeds") and not one.optional:
        raise InvalidInputError(f"The input {one.name!r} holds no points: put some into the image, or choose others.")
    points = array.astype(np.float64)
    if not np.isfinite(points).all():
        raise InvalidInputError(f"The input {one.name!r} holds a position that is NaN or infinite: remove it.")
    return points


def _whole(one: Input, value: OperationInput) -> NDArray[Any]:
    if not isinstance(value, ImageSource):
        return np.asarray(value)
    need = math.prod(value.shape) * value.dtype.itemsize
    check_memory(need, f"The input {one.name!r} is taken as a whole, which", "crop it, or use a coarser level of it")
    return value.read(value.spec.full_region)


def doubts_about(image: ImageSource, kind: InputKind = "image") -> Iterator[str]:
    """Yield sentences about what may be taken wrongly: a palette for intensities, and axes that were guessed."""
    if kind == "image" and has_palette(image):
        yield (
            f"{image.name} shows its numbers in colours by a palette, and these numbers are taken for intensities: "
            "convert it to RGB first if its colours are meant."
        )
    if axes := _doubts_about_axes(image):
        yield axes


def _doubts_about_axes(image: ImageSource) -> str:
    if not axes_are_guessed(image):
        return ""
    first, last = image.shape[0], image.shape[-1]
    spare = image.axes[1:]
    if len(image.shape) == 3 and last <= FEW_CHANNELS < first:
        meant = "yxc"
    elif first <= FEW_CHANNELS:
        meant = f"c{spare}"
    else:
        return ""
    return (
        f"{image.name} does not name its axes, so its shape {image.shape} is taken for {image.axes}; if a dimension "
        f"holds channels, name the axes {meant}."
    )

"""What came out of an operation, and how it becomes a layer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_tessera.core.image import ImageSpec
from napari_tessera.io.opening import open_image, open_levels
from napari_tessera.napari_plugin.layers.lazy import LARGE, lazy
from napari_tessera.napari_plugin.layers.result_layers import place_points, place_result, result_layer
from napari_tessera.operations.base import Operation


@dataclass(frozen=True)
class Finished:
    """A result.

    Attributes
    ----------
    data
        Pixels, the levels of a pyramid, or positions.
    spec
        What the pixels are; None for positions.
    metadata
        What the layer is to remember.
    """

    data: Any
    spec: ImageSpec | None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def opened(path: Path, finished: Finished, *, whole: bool = False) -> Finished:
    """Return a result that was written to an OME-Zarr: read at once if it is small or wanted `whole`.

    Otherwise it is read lazily and with its levels.
    """
    source = open_image(path)
    spec = source.spec
    if whole or math.prod(spec.shape) * spec.dtype.itemsize <= LARGE:
        return replace(finished, data=source.read(spec.full_region), spec=spec)
    levels = [lazy(level) for level in open_levels(path)]
    return replace(finished, data=levels if len(levels) > 1 else levels[0], spec=spec)


def arranged(finished: Finished, source: Layer, image: ImageSpec) -> Finished:
    """Return a result of the layer `source`, which is `image`, with the dimensions that its layer will have.

    Colours of another type than napari shows as such become channels, which a slider goes through. This is done before
    a result is hashed, so that its layer is known again.
    """
    spec = finished.spec
    if spec is None or not _has_colors(source, spec) or _shows_colors(spec, image):
        return finished
    data = finished.data
    data = [_channels_first(level) for level in data] if isinstance(data, list) else _channels_first(data)
    return replace(finished, data=data, spec=spec.without("c").with_leading("c", spec.channels, spec.channel_names))


def own_copy(array: NDArray[Any], *inputs: Any) -> NDArray[Any]:
    """Return `array`, or a copy of it if it lies in the memory of an input: a layer must not change with another."""
    shared = any(isinstance(one, np.ndarray) and np.may_share_memory(array, one) for one in inputs)
    return array.copy() if shared else array


def to_layer(finished: Finished, operation: Operation, source: Layer, image: ImageSpec, name: str) -> Layer:
    """Return a result of `operation` on the layer `source`, which is `image`, as a layer that lies where it belongs.

    It must be `arranged`.
    """
    data, spec = finished.data, finished.spec
    if spec is None:
        place = place_points(source, image, operation, data.shape[1])
        return result_layer(data, operation, source, place, name, finished.metadata, rgb=False)
    rgb = _has_colors(source, spec) and _shows_colors(spec, image)
    place = place_result(source, image, spec, rgb=rgb)
    return result_layer(data, operation, source, place, name, finished.metadata, rgb=rgb)


def _has_colors(source: Layer, spec: ImageSpec) -> bool:
    return bool(getattr(source, "rgb", False)) and spec.axes.endswith("c")


def _shows_colors(spec: ImageSpec, image: ImageSpec) -> bool:
    return spec.dtype == image.dtype and spec.channels in (3, 4)


def _channels_first(array: Any) -> Any:
    return array.transpose([array.ndim - 1, *range(array.ndim - 1)])

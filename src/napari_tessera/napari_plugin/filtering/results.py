"""What came out of an operation, and how it becomes a layer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_tessera.core.image import ImageSource, ImageSpec
from napari_tessera.io.arrays import ArraySource
from napari_tessera.io.opening import image_levels, open_image
from napari_tessera.napari_plugin.filtering.result_layers import place_points, place_result, result_layer
from napari_tessera.napari_plugin.prediction.prediction_inputs import LARGE
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


def opened(path: Path, finished: Finished) -> Finished:
    """Return a result that was written to an OME-Zarr: read at once if it is small, lazily and with levels if not."""
    source = open_image(path)
    spec = source.spec
    if math.prod(spec.shape) * spec.dtype.itemsize <= LARGE:
        return replace(finished, data=source.read(spec.full_region), spec=spec)
    levels = [_lazy(open_image(path, level=level)) for level in range(len(image_levels(path)))]
    return replace(finished, data=levels if len(levels) > 1 else levels[0], spec=spec)


def own_copy(array: NDArray[Any], *inputs: Any) -> NDArray[Any]:
    """Return `array`, or a copy of it if it lies in the memory of an input: a layer must not change with another."""
    shared = any(isinstance(one, np.ndarray) and np.may_share_memory(array, one) for one in inputs)
    return array.copy() if shared else array


def to_layer(finished: Finished, operation: Operation, source: Layer, image: ImageSpec, name: str) -> Layer:
    """Return a result of `operation` on the layer `source`, which is `image`, as a layer that lies where it belongs."""
    data, spec = finished.data, finished.spec
    if spec is None:
        place = place_points(source, image, operation, data.shape[1])
        return result_layer(data, operation, source, place, name, finished.metadata, rgb=False)
    colors = bool(getattr(source, "rgb", False)) and spec.axes.endswith("c")
    rgb = colors and spec.dtype == image.dtype and spec.channels in (3, 4)
    if colors and not rgb:  # of another type than napari shows as colours: a slider goes through the channels
        data = [_channels_first(level) for level in data] if isinstance(data, list) else _channels_first(data)
        spec = spec.without("c").with_leading("c", spec.channels, spec.channel_names)
    place = place_result(source, image, spec, rgb=rgb)
    return result_layer(data, operation, source, place, name, finished.metadata, rgb=rgb)


def _lazy(source: ImageSource) -> Any:
    import dask.array

    while not isinstance(source, ArraySource):
        source = source.source  # type: ignore[attr-defined]
    return dask.array.from_zarr(source.array)


def _channels_first(array: Any) -> Any:
    return array.transpose([array.ndim - 1, *range(array.ndim - 1)])

"""What of a layer is on screen, at which resolution, and how its pixels are read in another thread."""

import math
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.image import DerivedSource, ImageSource, ImageSpec
from napari_tessera.core.regions import Region
from napari_tessera.napari_plugin.layers.images import layer_image

MOST_PIXELS = 2**23
"""More pixels than this are never shown in a plane at a time: beyond it every second, third, … is looked at."""


class ThinnedSource(ImageSource):
    """An array of which every `step`-th pixel counts; read as often as needed, without copies of arrays in memory.

    Parameters
    ----------
    array
        Numpy, dask or zarr array.
    step
        One entry per dimension.
    spec
        Specification of what is left.
    """

    def __init__(self, array: Any, step: tuple[int, ...], spec: ImageSpec) -> None:
        self._array, self._step, self._spec = array, step, spec

    @property
    def spec(self) -> ImageSpec:
        """Axes, shape, dtype and scale of what is left."""
        return self._spec

    def read(self, region: Region) -> NDArray[Any]:
        """Return the pixels of `region`; of a numpy array they may be a view."""
        spans = zip(region, self._step, self._array.shape, strict=True)
        piece = self._array[tuple(slice(part.start * step, min(part.stop * step, n)) for part, step, n in spans)]
        if hasattr(piece, "compute"):  # dask; in this thread: the plugin's one pool is its own
            piece = piece.compute(scheduler="synchronous")
        return np.asarray(piece)[tuple(slice(None, None, step) for step in self._step)]


class CroppedSource(DerivedSource):
    """A region of an image as an image of its own."""

    def __init__(self, source: ImageSource, region: Region) -> None:
        super().__init__(source, source.spec.cropped(region))
        self._region = region

    def read(self, region: Region) -> NDArray[Any]:
        """Return the pixels of `region`, counted from where the crop begins."""
        return self.base.read(regions.moved(region, regions.start(self._region)))


@dataclass(frozen=True)
class Look:
    """The part of a layer that is on screen, at the resolution at which it is shown.

    Attributes
    ----------
    source
        The whole layer at that resolution: its spec has all axes of the image, and the scale at that resolution.
    region
        What is on screen, in pixels of that resolution: one pixel along axes that are not displayed, all colours.
    factors
        How many pixels of full resolution one of these is, per axis.
    key
        Tells whether two looks are at the same pixels.
    """

    source: ImageSource
    region: Region
    factors: tuple[float, ...]
    key: Hashable

    @property
    def spec(self) -> ImageSpec:
        """Specification of the whole layer at the displayed resolution."""
        return self.source.spec

    @property
    def factor(self) -> float:
        """How many pixels of full resolution one pixel of the plane is."""
        return max(self.factors[self.spec.axes.index(axis)] for axis in "yx")

    @property
    def colors(self) -> bool:
        """Whether all channels are on screen at once, as of an RGB layer."""
        return "c" in self.spec.axes and self.span("c").stop - self.span("c").start == self.spec.channels > 1

    def span(self, axis: str) -> slice:
        """Return what is on screen along `axis`."""
        return self.region[self.spec.axes.index(axis)]


def look_at(viewer: ViewerModel, layer: Layer, axes: str, version: int = 0) -> Look | str:
    """Return what of `layer` is on screen, or a sentence on why nothing can be shown of it.

    Parameters
    ----------
    viewer, layer
        An Image or Labels layer of the viewer.
    axes
        What its dimensions mean.
    version
        Another number for every change of its pixels.
    """
    own = axes[: layer.ndim]  # without the colours of an RGB layer
    offset = viewer.dims.ndim - layer.ndim
    if viewer.dims.ndisplay != 2:
        return "The preview needs the 2D view: press the button with the cube under the layer list."
    if {index - offset for index in viewer.dims.displayed} != {own.index("y"), own.index("x")}:
        return "The preview needs y and x on screen: roll the dimensions back, or press Apply."
    level = layer.data_level if layer.multiscale else 0
    factors = _level_factors(layer, level)
    region = _visible(viewer, layer, own, factors)
    if region is None:
        return "The image is out of view: move it back, or press the button with the house under the layer list."
    step = _step(own, region)
    steps = tuple(step if axis in "yx" else 1 for axis in own)
    thinned = [
        slice(part.start // n, max(part.start // n + 1, -(-part.stop // n)))
        for part, n in zip(region, steps, strict=True)
    ]
    total = tuple(factor * n for factor, n in zip(factors, steps, strict=True))
    source = thinned_source(layer, axes, total)
    colors = [slice(0, n) for n in source.shape[layer.ndim :]]
    key = (layer.unique_id, version, level, step, axes)
    return Look(source, (*thinned, *colors), (*total, *[1.0] * len(colors)), key)


def thinned_source(layer: Layer, axes: str, factors: tuple[float, ...]) -> ThinnedSource:
    """Return `layer` with pixels that are `factors` (one per dimension of the layer) times as large.

    Of a pyramid it is the level that is nearest, with the rest of the way in whole steps.
    """
    image = layer_image(layer, axes)
    level = 0
    if layer.multiscale:
        fitting = [
            index
            for index in range(len(layer.data))
            if all(own <= wanted * 1.01 for own, wanted in zip(_level_factors(layer, index), factors, strict=True))
        ]
        level = max(fitting, default=0)
    array = layer.data[level] if layer.multiscale else layer.data
    if array.ndim > layer.ndim:
        array = array[..., : image.spec.shape[-1]]  # without opacity
    own = _level_factors(layer, level)
    steps = tuple(max(1, round(wanted / has)) for wanted, has in zip(factors, own, strict=True))
    colors = array.ndim - layer.ndim
    total = (*(has * step for has, step in zip(own, steps, strict=True)), *[1.0] * colors)
    steps = (*steps, *[1] * colors)
    shape = tuple(-(-n // step) for n, step in zip(array.shape, steps, strict=True))
    scale = tuple(size * factor for size, factor in zip(image.spec.scale, total, strict=True))
    return ThinnedSource(array, steps, replace(image.spec, shape=shape, scale=scale))


def _level_factors(layer: Layer, level: int) -> tuple[float, ...]:
    if not layer.multiscale:
        return (1.0,) * layer.ndim
    return tuple(float(factor) for factor in layer.downsample_factors[level][: layer.ndim])


def _visible(viewer: ViewerModel, layer: Layer, own: str, factors: tuple[float, ...]) -> Region | None:
    shape = (layer.data[layer.data_level] if layer.multiscale else layer.data).shape
    corners = np.asarray(layer.corner_pixels, float)
    here = layer.world_to_data(viewer.dims.point)
    region = []
    for index, axis in enumerate(own):
        if axis in "yx":
            start, stop = int(np.floor(corners[0, index])), int(np.ceil(corners[1, index])) + 1
        else:
            start = round(float(here[index]) / factors[index])
            stop = start + 1
        start, stop = max(start, 0), min(stop, shape[index])
        if start >= stop:
            return None
        region.append(slice(start, stop))
    return tuple(region)


def _step(own: str, region: Region) -> int:
    plane = math.prod(region[own.index(axis)].stop - region[own.index(axis)].start for axis in "yx")
    return max(1, math.ceil(math.sqrt(plane / MOST_PIXELS)))

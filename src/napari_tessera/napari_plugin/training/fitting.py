"""How a Labels layer lies on the image that it annotates: what a person sees there is what is learnt.

Where the two differ by pixel size and place alone, the annotation is taken over to the image's pixels, each from the
nearest of its own. What is rotated, sheared or measured in other units is refused with a sentence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Labels, Layer
from numpy.typing import NDArray

from napari_tessera.core.jobs import CancelToken
from napari_tessera.core.regions import Region
from napari_tessera.napari_plugin.jobs.inputs import blocks
from napari_tessera.napari_plugin.layers.images import full_resolution, layer_image, placement

_SLACK = 0.05
"""Differences of less than this part of a pixel, over the whole image, are rounding of files and of calibrations."""
PIXEL = "pixel"
"""What napari calls the unit of a layer that has none."""


@dataclass(frozen=True)
class Fit:
    """How the pixels of an annotation lie on those of its image; position = `size` × own index + `offset`.

    Attributes
    ----------
    size, offset
        In pixels of the image, one entry per dimension of its labels; `size` is negative where one is mirrored.
    shape
        Shape of the annotation.
    target
        Shape of the image without channels.
    channel
        Dimension of the annotation that is left out, of length one; None if there is none.
    """

    size: tuple[float, ...]
    offset: tuple[float, ...]
    shape: tuple[int, ...]
    target: tuple[int, ...]
    channel: int | None = None

    @property
    def exact(self) -> bool:
        """Whether the annotation has the pixels of the image."""
        return self.shape == self.target and self._same_grid and not any(round(at) for at in self.offset)

    @property
    def _same_grid(self) -> bool:
        return all(abs(size - 1) * n < _SLACK for size, n in zip(self.size, self.target, strict=True))

    @property
    def resampled(self) -> bool:
        """Whether the annotation has larger or smaller pixels than the image."""
        return not self._same_grid

    @property
    def region(self) -> Region:
        """The part of the image that the annotation lies on; a slice is empty where there is none."""
        return tuple(_span(self._nearest(axis), n) for axis, n in enumerate(self.shape))

    @property
    def whole(self) -> bool:
        """Whether the annotation covers all of the image."""
        return all(part == slice(0, n) for part, n in zip(self.region, self.target, strict=True))

    def indices(self) -> tuple[NDArray[np.intp], ...]:
        """Return for each dimension of `region` which of the annotation's pixels are nearest."""
        return tuple(self._nearest(axis)[part] for axis, part in enumerate(self.region))

    def _nearest(self, axis: int) -> NDArray[np.intp]:
        own = (np.arange(self.target[axis]) - self.offset[axis]) / self.size[axis]
        # a pixel of the image on the border of two of the annotation takes the latter, whatever the rounding
        return np.floor(own + 0.5 + 1e-6).astype(np.intp)


def fit(annotation: Labels, image: Layer, axes: str) -> Fit | str:
    """Return how `annotation` lies on `image`, a layer with `axes`; or a sentence on why it cannot annotate it."""
    target = layer_image(image, axes).spec.without("c")
    shape = tuple(full_resolution(annotation).shape)
    kept = [axis for axis in range(image.ndim) if axes[axis] != "c"]
    channel = next((axis for axis in range(image.ndim) if axes[axis] == "c"), None)
    if len(shape) == len(kept) or channel is None or len(shape) != image.ndim or shape[channel] != 1:
        channel, own = None, list(range(len(shape)))
    else:
        own = kept  # a Labels layer with one channel: that one holds for all channels of the image
    if len(own) != len(kept):
        return (
            f"{annotation.name!r} has shape {shape} but {image.name!r} needs {target.shape}: "
            "press New annotation layer."
        )
    same = can_lie_on(annotation, image, axes)
    remedy = "press Lay it on the image" if same else "press New annotation layer"
    matrix, offset = _relative(annotation, own, image, kept)
    lengths = np.array([max(n, shape[axis]) for n, axis in zip(target.shape, own, strict=True)])
    size = matrix.diagonal()
    if not np.isfinite(matrix).all() or (np.abs(matrix - np.diag(size)) * lengths).max(initial=0) > _SLACK:
        return f"{annotation.name!r} is rotated or sheared against {image.name!r}: turn it back, or {remedy}."
    found = Fit(tuple(size), tuple(offset), tuple(shape[axis] for axis in own), target.shape, channel)
    why_not = _why_not(found, annotation, own, image, kept)
    return f"{why_not}, or {remedy}." if why_not else found


def units_differ(first: Sequence[Any], second: Sequence[Any]) -> tuple[str, str] | None:
    """Return the first two units that are not the same; None if there are none."""
    pairs = ((str(one), str(other)) for one, other in zip(first, second, strict=True))
    return next((pair for pair in pairs if pair[0] != pair[1]), None)


def take_over(array: Any, found: Fit, cancel: CancelToken) -> Any:
    """Return the annotation on the pixels of its image, 0 where it does not reach.

    Parameters
    ----------
    array
        Numpy, dask or zarr array of labels.
    found
        How it lies on the image.
    cancel
        Looked at between blocks.

    Returns
    -------
    array
        The array itself where it fits as it is, otherwise a numpy array, or a dask array of one that is lazy.
    """
    if found.channel is not None:
        array = array[(slice(None),) * found.channel + (0,)]
    if found.exact:
        return array
    indices = found.indices()
    if not isinstance(array, np.ndarray):
        import dask.array  # takes as long to import as all else that a widget needs

        lazy = array if hasattr(array, "dask") else dask.array.from_array(array)
        for axis, own in enumerate(indices):
            lazy = dask.array.take(lazy, own, axis=axis)
        outside = [(part.start, n - part.stop) for part, n in zip(found.region, found.target, strict=True)]
        return dask.array.pad(lazy, outside)
    result = np.zeros(found.target, array.dtype)
    covered = result[found.region]
    for region in blocks(covered.shape):
        cancel.raise_if_cancelled()
        covered[region] = array[np.ix_(*(own[part] for own, part in zip(indices, region, strict=True)))]
    return result


def can_lie_on(annotation: Layer, image: Layer, axes: str) -> bool:
    """Return whether `annotation` has just the pixels of `image`, wherever it lies now."""
    if not isinstance(annotation, Labels):
        return False
    target = layer_image(image, axes).spec.without("c").shape
    return annotation.ndim == len(target) and tuple(full_resolution(annotation).shape) == target


def lay_on(annotation: Labels, image: Layer, axes: str) -> None:
    """Give `annotation` the place, pixel size and units of `image`."""
    for name, value in placement(image, axes).items():
        setattr(annotation, name, value)


def _why_not(found: Fit, annotation: Labels, own: list[int], image: Layer, kept: list[int]) -> str:
    """Return why an annotation cannot be taken over, and the first half of what to do; empty if it can."""
    differ = units_differ([annotation.units[axis] for axis in own], [image.units[axis] for axis in kept])
    # napari leaves units out that are none of the other's kind: what lies on each other pixel by pixel is seen so
    if differ is not None and not (found.exact and PIXEL in differ):
        return (
            f"{annotation.name!r} is measured in {differ[0]} but {image.name!r} in {differ[1]}: give both the same "
            "units"
        )
    if any(part.start >= part.stop for part in found.region):
        return f"{annotation.name!r} lies beside {image.name!r}, not on it: move it onto the image"
    return ""


def _relative(
    annotation: Layer, own: list[int], image: Layer, kept: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return matrix and offset from indices of `annotation` to those of `image`, in the dimensions that both have."""
    ours, ours_at = _to_world(annotation, own)
    theirs, theirs_at = _to_world(image, kept)
    to_image: NDArray[np.float64] = np.asarray(np.linalg.inv(theirs), np.float64)
    return to_image @ ours, to_image @ (ours_at - theirs_at)


def _to_world(layer: Layer, dimensions: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    probes = np.vstack([np.zeros(layer.ndim), np.eye(layer.ndim)[dimensions]])
    world = np.array([layer.data_to_world(tuple(probe)) for probe in probes], float)[:, dimensions]
    return (world[1:] - world[0]).T, world[0]


def _span(nearest: NDArray[np.intp], length: int) -> slice:
    inside = np.flatnonzero((nearest >= 0) & (nearest < length))
    return slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0)

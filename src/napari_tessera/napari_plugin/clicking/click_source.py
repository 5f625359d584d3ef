"""From what is chosen and on screen to the plane or volume that a click grows in, and its pixels."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.regions import Region
from napari_tessera.napari_plugin.clicking.click_grid import Grid, match_grids
from napari_tessera.napari_plugin.layers.images import full_resolution

Extent = Literal["plane", "volume"]
SPATIAL = "zyx"


@dataclass(frozen=True)
class LabelsFrame:
    """A plane or volume of a Labels layer.

    Attributes
    ----------
    layer
        The Labels layer.
    dims
        The dimensions of the layer that the frame has, ascending.
    start
        Where the frame begins, one index per dimension of the layer; in those not in `dims` the one index that it has.
    shape, spacing
        Pixels and size of a pixel along `dims`.
    whole
        Shape of the layer's array when the frame was made.
    """

    layer: Labels
    dims: tuple[int, ...]
    start: tuple[int, ...]
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    whole: tuple[int, ...]

    @property
    def valid(self) -> bool:
        """Whether the layer still has an array of that shape."""
        return self.layer.data.shape == self.whole

    @property
    def pixels(self) -> NDArray[Any]:
        """The labels of the frame; of an array in memory they are a view."""
        data = self.layer.data[self.box_in_layer(regions.whole(self.shape))]
        return np.asarray(data).reshape(self.shape)

    def read(self, box: Region) -> NDArray[Any]:
        """Return the labels of a box of the frame; of an array in memory they are a view."""
        return np.asarray(self.layer.data[self.box_in_layer(box)]).reshape(regions.size(box))

    def box_in_layer(self, box: Region) -> Region:
        """Return a box of the frame as one of the layer."""
        whole = list(regions.pixel(self.start))
        for dim, part in zip(self.dims, box, strict=True):
            whole[dim] = slice(self.start[dim] + part.start, self.start[dim] + part.stop)
        return tuple(whole)

    def in_layer(self, origin: tuple[int, ...], block: NDArray[Any]) -> tuple[tuple[int, ...], NDArray[Any]]:
        """Return a block that begins at `origin` of the frame as one of the layer, with all its dimensions."""
        box = self.box_in_layer(regions.placed(origin, block.shape))
        return regions.start(box), block.reshape(regions.size(box))

    def point(self, index: NDArray[Any]) -> NDArray[Any]:
        """Return an index of the layer, or several in rows, as one of the frame."""
        return np.asarray(index)[..., list(self.dims)] - np.asarray(self.start)[list(self.dims)]

    def index(self, point: NDArray[Any]) -> NDArray[Any]:
        """Return a point of the frame as an index of the layer."""
        index = np.array(self.start, dtype=np.asarray(point).dtype)
        index[list(self.dims)] += np.asarray(point)
        return index

    def holds(self, point: NDArray[Any]) -> bool:
        """Whether a point of the frame lies in it."""
        rounded = np.round(point)
        return bool(np.all((rounded >= 0) & (rounded < self.shape)))


@dataclass(frozen=True)
class ClickSource:
    """The frame of an image in which a click grows; safe to read in another thread.

    Attributes
    ----------
    frame
        The same plane or volume in the labels.
    dtype
        Of the pixels that `read` returns.
    channels
        Length of the last axis of what `read` returns; 0: it has none.
    lazy
        Whether reading may take long: the pixels are not in memory.
    """

    frame: LabelsFrame
    dtype: np.dtype[Any]
    channels: int
    lazy: bool
    array: Any
    places: tuple[int | str, ...]
    """Per dimension of the array an index, or the letter of the axis along which the frame is read."""
    order: str
    """Letters of the axes of the frame."""
    shift: tuple[int, ...]
    """Index in the frame of the labels minus index in the image, along `order`."""
    chosen: tuple[int, ...]
    """Channels."""

    def read(self, box: Region) -> NDArray[Any]:
        """Return the pixels of a box of the frame, native, maybe as a view; the channels, if any, are the last axis."""
        spans = dict(zip(self.order, regions.moved(box, [-step for step in self.shift]), strict=True))
        first = min(self.chosen, default=0)
        spans["c"] = slice(first, max(self.chosen, default=0) + 1)
        piece = self.array[tuple(spans[place] if isinstance(place, str) else place for place in self.places)]
        if hasattr(piece, "compute"):  # dask; in this thread: no pool of its own
            piece = piece.compute(scheduler="synchronous")
        pixels = np.asarray(piece)
        if "c" in self.places:
            at = [place for place in self.places if isinstance(place, str)].index("c")
            pixels = np.take(np.moveaxis(pixels, at, -1), [one - first for one in self.chosen], axis=-1)
            pixels = pixels if self.channels else pixels[..., 0]
        return np.asarray(pixels, dtype=self.dtype)


def labels_frame(
    viewer: ViewerModel, layer: Labels, axes: str, extent: Extent, overlap: Region | None = None
) -> LabelsFrame:
    """Return the plane on screen, or the volume that it is part of.

    Parameters
    ----------
    axes
        What the dimensions of the layer are.
    extent
        ``"plane"`` or ``"volume"``.
    overlap
        The part of the layer that may be used; None: all of it.

    Raises
    ------
    InvalidInputError
        If there is no such plane or volume on screen.
    """
    if viewer.dims.ndisplay != 2:
        raise InvalidInputError("Clicking needs the 2D view: press the button with the cube below the layer list.")
    whole = overlap or regions.whole(layer.data.shape)
    offset = viewer.dims.ndim - layer.ndim
    shown = tuple(sorted(index - offset for index in viewer.dims.displayed))
    if any(dim < 0 or axes[dim] not in SPATIAL for dim in shown):
        raise InvalidInputError(
            "Clicking needs two of z, y and x on screen: roll the dimensions back below the canvas."
        )
    dims = shown if extent == "plane" else tuple(dim for dim, axis in enumerate(axes) if axis in SPATIAL)
    here = np.round(layer.world_to_data(np.asarray(viewer.dims.point))).astype(int)
    start = []
    for dim, part in enumerate(whole):
        if dim not in shown and axes[dim] != "c" and not part.start <= here[dim] < part.stop:
            raise InvalidInputError(f"{layer.name!r} has nothing in this slice: move the sliders below the canvas.")
        start.append(part.start if dim in dims or axes[dim] == "c" else int(here[dim]))
    scale = np.abs(np.asarray(layer.scale, float))
    return LabelsFrame(
        layer,
        dims,
        tuple(start),
        tuple(whole[dim].stop - whole[dim].start for dim in dims),
        tuple(float(scale[dim]) for dim in dims),
        layer.data.shape,
    )


def click_source(
    viewer: ViewerModel, image: Layer, axes: str, labels: Labels, extent: Extent, channels: tuple[int, ...] | None
) -> ClickSource:
    """Return what a click grows in.

    Parameters
    ----------
    image, axes
        The image layer, and what its dimensions are, those of its colours included.
    channels
        Numbers of the channels that count; None: the one on screen, and all of an RGB layer.

    Raises
    ------
    InvalidInputError
        If the labels do not fit the image, or nothing of them is on screen.
    """
    array = full_resolution(image)
    dtype = _read_dtype(np.dtype(array.dtype), image.name)
    grid = match_grids(image, axes, labels)
    frame = labels_frame(viewer, labels, grid.axes, extent, grid.overlap)
    order = "".join(grid.axes[dim] for dim in frame.dims)
    chosen = _channels(viewer, image, axes, channels)
    places: list[int | str] = []
    for axis in axes:
        if axis in order or axis == "c":
            places.append(axis)
        else:
            dim = grid.axes.index(axis)
            places.append(frame.start[dim] - grid.shift[dim])
    shift = _shift_in_frame(grid, frame)
    lazy = not isinstance(array, np.ndarray) or isinstance(array, np.memmap)
    several = len(chosen) if len(chosen) > 1 else 0
    return ClickSource(frame, dtype, several, lazy, array, tuple(places), order, shift, chosen)


def pixel_kind(
    viewer: ViewerModel, image: Layer, axes: str, channels: tuple[int, ...] | None
) -> tuple[np.dtype[Any], int]:
    """Return dtype and channels of the pixels that a click in `image` reads, as `ClickSource` has them.

    Raises
    ------
    InvalidInputError
        If regions cannot grow in such pixels.
    """
    chosen = _channels(viewer, image, axes, channels)
    return _read_dtype(np.dtype(full_resolution(image).dtype), image.name), len(chosen) if len(chosen) > 1 else 0


def channel_count(image: Layer, axes: str) -> int:
    """Return how many channels `image` has to choose from; opacity is none."""
    if "c" not in axes:
        return 1
    count = int(full_resolution(image).shape[axes.index("c")])
    return 3 if len(axes) > image.ndim and count == 4 else count


def _channels(viewer: ViewerModel, image: Layer, axes: str, wanted: tuple[int, ...] | None) -> tuple[int, ...]:
    if "c" not in axes:
        return ()
    count = channel_count(image, axes)
    if wanted is not None:
        chosen = tuple(sorted({one for one in wanted if 0 <= one < count}))
        if not chosen:
            raise InvalidInputError("No channel is chosen: tick at least one.")
        return chosen
    if len(axes) > image.ndim:
        return tuple(range(count))
    at = round(float(image.world_to_data(np.asarray(viewer.dims.point))[axes.index("c")]))
    return (min(max(at, 0), count - 1),)


def _shift_in_frame(grid: Grid, frame: LabelsFrame) -> tuple[int, ...]:
    return tuple(grid.shift[dim] - frame.start[dim] for dim in frame.dims)


def _read_dtype(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    if dtype.kind not in "biuf":
        raise InvalidInputError(f"{name!r} holds {dtype}, in which no region grows: convert it to real numbers first.")
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype == np.float16:
        return np.dtype(np.float32)
    if dtype.kind == "f" and dtype.itemsize > 8:
        return np.dtype(np.float64)
    return dtype.newbyteorder("=")

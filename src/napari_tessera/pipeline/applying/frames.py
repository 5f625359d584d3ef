"""Frames: what an operation works on at a time, cut out of its inputs and put back into its output."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.axes import move_axes, validate_axes
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSource, ImageSpec
from napari_tessera.core.regions import Region
from napari_tessera.io.arrays import ArraySource, unwrapped
from napari_tessera.operations.base import Block, Operation
from napari_tessera.operations.whole import all_finite, prepared, prepared_dtype
from napari_tessera.operations.wide_integers import beyond_floats
from napari_tessera.pipeline.applying.inputs import Inputs

Position = Mapping[str, int]
"""Which frame: an index along each looped axis."""

_PLACED = ("points", "seeds", "frequencies")
"""Kinds of inputs that may have a column for each looped axis before those of the frame."""


@dataclass(frozen=True)
class Frames:
    """The frames of an operation's inputs.

    Attributes
    ----------
    operation
        What is applied.
    inputs
        Checked to fit it.
    spec
        One frame: its axes in the order that the operation asks for, dtype as it gets it.
    looped
        Axes of the image that are gone through one by one.
    frame_output
        What comes out of one frame; None for points.
    output
        What comes out of all; None for points.
    check
        Raises once the work is to stop.
    rounded
        Names of the images with integers that the operation rounds, as they come up; from several threads.
    flat
        ``z`` if the operation gets the only plane of a volume as a plane: it is then the last of `looped`.
    """

    operation: Operation
    inputs: Inputs
    spec: ImageSpec
    looped: str
    frame_output: ImageSpec | None
    output: ImageSpec | None
    check: Callable[[], None] = field(default=lambda: None)
    flat: str = ""
    rounded: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return math.prod(self.inputs.image.spec.sizes[axis] for axis in self.looped)

    def __iter__(self) -> Iterator[Position]:
        lengths = [self.inputs.image.spec.sizes[axis] for axis in self.looped]
        return (dict(zip(self.looped, index, strict=True)) for index in np.ndindex(*lengths))

    def block(self, position: Position, region: Region | None = None) -> Block:
        """Read `region` (all by default) of the frame at `position`.

        Raises
        ------
        InvalidInputError
            If it holds NaN or infinite pixels and the operation does not take them.
        """
        self.check()
        region = self.spec.full_region if region is None else region
        by_axis = self.spec.by_axis(region)
        image = self._read(self.inputs.image, self.spec.axes, position, by_axis)
        others = {name: self._other(source, position, by_axis) for name, source in self.inputs.sources.items()}
        if self.operation.needs_finite:
            first = self.operation.inputs[0].name
            for name, pixels in {first: image, **others}.items():
                check_finite(pixels, name if others else "")
        if not self.operation.keeps_wide:
            self._note_rounded({self.operation.inputs[0].name: image, **others})
        return Block(image, self.spec, region, {**others, **self.arrays(position)}, self.check)

    def _note_rounded(self, pixels: Mapping[str, NDArray[Any]]) -> None:
        for one in self.operation.inputs:
            if one.kind == "image" and one.name in pixels and beyond_floats(pixels[one.name]):
                source = self.inputs.sources.get(one.name, self.inputs.image)
                self.rounded.add(source.name)

    @property
    def rounding(self) -> str:
        """What to say of the integers in `rounded`; empty if there are none."""
        if not self.rounded:
            return ""
        names = " and ".join(sorted(self.rounded))
        return (
            f"{names} holds integers beyond 2^53, and {self.operation.title} computes with floating-point numbers, "
            "which round those: if the last digits count, bring the values into a smaller range first, with the "
            "operation 'rescale'."
        )

    def arrays(self, position: Position) -> dict[str, NDArray[Any]]:
        """Return the inputs that are read whole."""
        return {name: self._array(name, position) for name in self.inputs.arrays}

    def arrays_of_all(self) -> dict[str, NDArray[Any]]:
        """Return those inputs that are read whole and are the same for every frame."""
        return {name: self._array(name, {}) for name in self.inputs.arrays if not self._leading(name)}

    def other(self, name: str, position: Position, region: Region) -> NDArray[Any]:
        """Read a region of another input alone."""
        self.check()
        return self._other(self.inputs.sources[name], position, self.spec.by_axis(region))

    def _other(self, source: ImageSource, position: Position, by_axis: Mapping[str, slice]) -> NDArray[Any]:
        """Read another input; lacking axes of the frame but ``c`` are filled by repeating it."""
        present = "".join(axis for axis in self.spec.axes if _extends(source.spec, axis, self.spec.sizes[axis]))
        pixels = self._read(source, present, position, by_axis)
        wanted = self.spec.axes if "c" in present else self.spec.axes.replace("c", "")
        if present == wanted:
            return pixels
        lengths = tuple(by_axis[axis].stop - by_axis[axis].start for axis in wanted)
        return np.ascontiguousarray(np.broadcast_to(move_axes(pixels, present, wanted), lengths))

    def _read(self, source: ImageSource, axes: str, position: Position, by_axis: Mapping[str, slice]) -> NDArray[Any]:
        """Read what `source` has at `position`, with dimensions `axes`; looped axes that it lacks do not matter."""
        region = []
        for axis, length in source.spec.sizes.items():
            if axis in axes:
                region.append(by_axis[axis])
            else:
                at = position.get(axis, 0) if length > 1 else 0
                region.append(slice(at, at + 1))
        pixels = move_axes(read_pixels(source, tuple(region)), source.axes, axes)
        return np.ascontiguousarray(prepared(pixels))

    def _array(self, name: str, position: Position) -> NDArray[Any]:
        """Return an input that is read whole: of points with a column per axis of the image, those of the frame."""
        array = self.inputs.arrays[name]
        kind = next(one.kind for one in self.operation.inputs if one.name == name)
        dimensions = len(self.spec.spatial)
        if kind == "kernel" and self.flat and array.ndim == dimensions + 1 and len(array) == 1:
            return np.ascontiguousarray(array[0])
        if kind not in _PLACED or array.shape[1] == dimensions:
            return array
        if array.shape[0] == 0:
            return np.zeros((0, dimensions))
        leading = self._leading(name)
        if not leading:  # along z, a plane has no frequency
            return np.ascontiguousarray(array[:, -dimensions:])
        here = np.rint(array[:, : len(leading)]) == [position[axis] for axis in leading]
        return np.ascontiguousarray(array[here.all(axis=1), len(leading) :])

    def _leading(self, name: str) -> str:
        """Return the looped axes on which the points of an input that is read whole lie; empty if on all frames."""
        kind = next(one.kind for one in self.operation.inputs if one.name == name)
        if kind not in _PLACED:
            return ""
        leading = _leading_axes(self.inputs.arrays[name], len(self.spec.spatial), self.looped, self.flat)
        return "" if kind == "frequencies" and leading == self.flat else leading

    def cropped(self, block: Block, region: Region) -> Block:
        """Return the part of `block` over `region`, which lies inside it."""
        within = self.spec.by_axis(regions.relative(region, block.region))

        def part(pixels: NDArray[Any]) -> NDArray[Any]:
            axes = self.spec.axes if pixels.ndim == len(self.spec.axes) else self.spec.axes.replace("c", "")
            return np.ascontiguousarray(pixels[tuple(within[axis] for axis in axes)])

        others = {
            name: part(pixels) if name in self.inputs.sources else pixels for name, pixels in block.others.items()
        }
        return replace(block, image=part(block.image), others=others, region=region)

    def output_region(self, position: Position, inner: Mapping[str, slice]) -> Region:
        """Return where a tile goes: `inner` along the axes it names, all of the frame along the rest."""
        assert self.output is not None
        return tuple(
            slice(position[axis], position[axis] + 1) if axis in self.looped else inner.get(axis, slice(0, length))
            for axis, length in self.output.sizes.items()
        )

    def arranged(self, result: NDArray[Any]) -> NDArray[Any]:
        """Return what came out of a frame with the dimensions of `output`."""
        assert self.output is not None
        assert self.frame_output is not None
        return move_axes(result, self.frame_output.axes, self.output.axes)


def read_pixels(source: ImageSource, region: Region) -> NDArray[Any]:
    """Read a region, without a copy where an array in memory holds it in one piece.

    Operations do not write into what they are given (a test holds them to it).
    """
    inner = unwrapped(source)
    if isinstance(inner, ArraySource) and inner.path is None and isinstance(inner.array, np.ndarray):
        part = inner.array[region]
        if part.flags.c_contiguous and part.flags.writeable and part.flags.aligned and part.dtype == inner.dtype:
            return part.view(np.ndarray)
    return source.read(region)


def check_finite(pixels: NDArray[Any], name: str = "") -> None:
    """Raise InvalidInputError if there is a NaN or infinite pixel; the remedy is an operation."""
    if all_finite(pixels):
        return
    what = f"The input {name!r}" if name else "The image"
    raise InvalidInputError(
        f"{what} holds NaN or infinite pixels: replace them first, with the operation 'replace_invalid'."
    )


def make_frames(operation: Operation, inputs: Inputs) -> Frames:
    """Find what a frame is, and what comes out.

    Raises
    ------
    InvalidInputError
        If the operation cannot work on such frames, or another input does not fit the image.
    """
    image = inputs.image.spec
    if operation.one_channel and image.channels > 1:
        raise InvalidInputError(
            f"{operation.title} works on one channel and {image.name} has {image.channels}: choose one with the "
            "operation 'channel', or make one with 'grey', first."
        )
    if operation.one_color and image.axes.endswith("c") and image.channels in (3, 4):
        raise InvalidInputError(
            f"{operation.title} works on one channel at a time and {image.name} is in colour: make grey levels of it "
            "with the operation 'grey', or choose one colour with 'channel', first."
        )
    prepared_image = image.with_dtype(prepared_dtype(image.dtype))
    axes = validate_axes(operation.frame_axes(image.axes))
    flat = "z" if _is_flat(operation, prepared_image, axes) else ""
    spec = prepared_image.ordered(axes.replace("z", "") if flat else axes)
    # the plane's z goes last, so that points have the columns that they have in a thicker volume
    looped = "".join(axis for axis in image.axes if axis not in axes) + flat
    for name, source in inputs.sources.items():
        _check_fits(name, source.spec, image)
    for one in operation.inputs:
        if one.kind in _PLACED and one.name in inputs.arrays:
            _check_columns(one.name, inputs.arrays[one.name], spec, looped, flat)
            leading = _leading_axes(inputs.arrays[one.name], len(spec.spatial), looped, flat)
            if not (one.kind == "frequencies" and leading == flat):
                _check_places(one.name, inputs.arrays[one.name], image, leading)
    operation.check_frame(spec)
    frames = Frames(operation, inputs, spec, looped, None, None, flat=flat)
    operation.check_given(spec, frames.arrays_of_all())
    if operation.output == "points":
        return frames
    frame_output = operation.output_spec(spec)
    return replace(frames, frame_output=frame_output, output=_all_frames(operation, image, looped, frame_output, flat))


def _is_flat(operation: Operation, image: ImageSpec, axes: str) -> bool:
    """Whether `operation` is to get the only plane of a volume as a plane, with the plane's result.

    Not if it may change z, takes it away (a projection), or needs it (a gradient along z).
    """
    if operation.keeps_depth or "z" not in axes or image.sizes["z"] != 1:
        return False
    try:
        operation.check_frame(image.ordered(axes.replace("z", "")))
    except InvalidInputError:
        return False
    volume = image.ordered(axes)
    try:
        operation.check_frame(volume)
    except InvalidInputError:
        return True
    return operation.output == "points" or "z" in operation.output_spec(volume).axes


def _check_fits(name: str, other: ImageSpec, image: ImageSpec) -> None:
    for axis, length in other.sizes.items():
        wanted = image.sizes.get(axis, 1)
        if length != wanted and (length != 1 or axis in "yx"):
            raise InvalidInputError(
                f"The input {name!r} has shape {other.shape} ({other.axes}), which does not fit the image's "
                f"{image.shape} ({image.axes}): choose one of the same size, or crop it to that."
            )


def _check_columns(name: str, points: NDArray[Any], spec: ImageSpec, looped: str, flat: str) -> None:
    dimensions = len(spec.spatial)
    if len(points) and points.shape[1] not in (dimensions, dimensions + len(flat), dimensions + len(looped)):
        raise InvalidInputError(
            f"The input {name!r} has {points.shape[1]} columns, but a point needs {dimensions}, along {spec.spatial}"
            + (f", or {dimensions + len(looped)}, with {looped} before them" if looped else "")
            + ": choose points made on this image."
        )


def _check_places(name: str, points: NDArray[Any], image: ImageSpec, leading: str) -> None:
    """Refuse points on frames that there are not: nobody would notice that they are left out."""
    for column, axis in enumerate(leading):
        places, length = np.rint(points[:, column]), image.sizes[axis]
        outside = (places < 0) | (places >= length)
        if outside.any():
            raise InvalidInputError(
                f"The input {name!r} has a point at {axis} = {points[outside.argmax(), column]:g}, but {image.name} "
                f"has only {axis} = 0{f' to {length - 1}' * (length > 1)}: choose points made on this image."
            )


def _leading_axes(points: NDArray[Any], dimensions: int, looped: str, flat: str) -> str:
    """Return which looped axes the columns before those of the frame belong to."""
    spare = points.shape[1] - dimensions if len(points) else 0
    return looped if spare == len(looped) else flat[:spare]


def _extends(other: ImageSpec, axis: str, length: int) -> bool:
    """Whether `other` has pixels along `axis` as the frame has, not one for all of them."""
    return axis in other.axes and (other.sizes[axis] == length)


def _all_frames(operation: Operation, image: ImageSpec, looped: str, frame: ImageSpec, flat: str) -> ImageSpec:
    """Return the specification of all frames' results together, in the axis order of the image."""
    twice = [axis for axis in looped if axis in frame.axes]
    if twice:
        raise InvalidInputError(
            f"{operation.title} makes an axis {twice[0]!r}, which {image.name} has already: choose one position on it."
        )
    kept = [axis for axis in image.axes if axis in looped or axis in frame.axes]
    new = [axis for axis in frame.axes if axis not in kept]
    first = next((at for at, axis in enumerate(kept) if axis in frame.spatial + flat), 0)
    axes = "".join([*kept[:first], *new, *kept[first:]])
    origin = {axis: image if axis in looped else frame for axis in axes}

    def along(what: str) -> tuple[Any, ...]:
        return tuple(origin[axis].by_axis(getattr(origin[axis], what))[axis] for axis in axes)

    return ImageSpec(
        axes=axes,
        shape=along("shape"),
        dtype=frame.dtype,
        scale=along("scale"),
        translate=along("translate"),
        units=along("units"),
        channel_names=origin["c"].channel_names if "c" in axes else (),
        name=f"{image.name} · {operation.title}",
    )


def crop(result: NDArray[Any], axes: str, inner: Mapping[str, slice], outer: Mapping[str, slice]) -> NDArray[Any]:
    """Return `result`, which covers `outer`, over `inner`; axes not named by `inner` stay whole."""
    return result[tuple(_within(inner[axis], outer[axis]) if axis in inner else slice(None) for axis in axes)]


def _within(inner: slice, outer: slice) -> slice:
    return regions.relative((inner,), (outer,))[0]

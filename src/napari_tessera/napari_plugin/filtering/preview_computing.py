"""What an operation makes of the part of an image that is on screen. Knows no Qt; runs in the preview's thread.

========== ==========================================================================================================
family     how it is previewed
========== ==========================================================================================================
local      the visible part with its halo, trimmed afterwards: exactly what Apply gives, at the displayed resolution
fitted     fitted to the whole frame at the displayed resolution (once), then applied to the visible part
connected  on the visible part alone
global     on the visible part alone; geometry on the whole frame, for it says where everything goes
========== ==========================================================================================================
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSource, ImageSpec
from napari_tessera.core.regions import Region
from napari_tessera.napari_plugin.filtering.preview_scaling import scaled_to
from napari_tessera.napari_plugin.filtering.preview_strips import compute_strips, cut_strips
from napari_tessera.napari_plugin.layers.looking import CroppedSource, Look
from napari_tessera.operations.base import Connected, Family, Fitted, Local, Operation, of_family
from napari_tessera.operations.whole import WholeFrame, run_whole
from napari_tessera.pipeline.applying.frames import Frames, Position, make_frames
from napari_tessera.pipeline.applying.inputs import gather_inputs

MOST_FITTED = 2**26
"""Frames of more pixels than this are not read whole for a preview."""
MOST_VOXELS = 2**22
"""How many voxels around the displayed plane a global operation on a volume is shown."""
_KEPT_FITS = 16

STRETCHED = "The result has a place of its own: the preview stretches it over the view."
PART_ONLY = "The preview works on the visible part only; Apply takes the whole image."


@dataclass(frozen=True)
class PreviewTask:
    """One preview to compute.

    Attributes
    ----------
    number
        Later tasks have higher numbers.
    operation
        With parameters for full resolution.
    look
        What is on screen of the first input.
    sources
        Further images and labels by name, at the resolution of the look.
    arrays
        What is read whole, by name.
    points
        Which of `arrays` are positions in pixels: (N, looped and spatial axes), of full resolution.
    key
        Tells whether `sources` and `arrays` are the same as those of another task.
    """

    number: int
    operation: Operation
    look: Look
    sources: Mapping[str, ImageSource] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    points: frozenset[str] = frozenset()
    key: Hashable = ()


@dataclass(frozen=True)
class PreviewResult:
    """What a task has led to.

    Attributes
    ----------
    plane
        The pixels of the displayed plane (y, x), with colours last if there are any; None if it failed.
    origin, step
        Where the first pixel lies and how far it is to the next (y, x), in pixels of the image at full resolution.
    levels
        Thresholds that were found.
    notes
        Sentences about how the preview differs from what Apply gives.
    error
        Why there is no preview.
    seconds
        How long it took.
    """

    task: PreviewTask
    plane: NDArray[Any] | None = None
    origin: tuple[float, float] = (0.0, 0.0)
    step: tuple[float, float] = (1.0, 1.0)
    levels: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0


class Fits:
    """The local operations that fitted ones have become lately."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Local] = OrderedDict()

    def get(self, key: Hashable, fit: Callable[[], Local]) -> Local:
        """Return what is kept under `key`, or fit."""
        if key not in self._kept:
            self._kept[key] = fit()
            while len(self._kept) > _KEPT_FITS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


@dataclass(frozen=True)
class _Scene:
    """One frame on screen: where it is among all frames, and what of it is seen."""

    task: PreviewTask
    frames: Frames
    position: Position

    @property
    def operation(self) -> Operation:
        return self.frames.operation

    @property
    def spec(self) -> ImageSpec:
        return self.frames.spec

    def visible(self, *, whole_plane: bool = False) -> Region:
        """Return what is on screen; along axes that the operation takes in and that are not space, everything."""
        spans = self.task.look.span
        return tuple(
            spans(axis) if axis in "zyx" and not (whole_plane and axis in "yx") else slice(0, length)
            for axis, length in self.spec.sizes.items()
        )


@dataclass(frozen=True)
class _Outcome:
    """What an operation gave for a part of a frame: `pixels` begin at the index `start` of a frame with `spec`."""

    pixels: NDArray[Any]
    spec: ImageSpec
    start: tuple[int, ...]
    levels: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    elsewhere: bool = False
    """Whether it has no place in the image: a spectrum, a PSF."""


def compute_preview(task: PreviewTask, fits: Fits, check: Callable[[], None] = lambda: None) -> PreviewResult:
    """Compute the preview that `task` asks for.

    Parameters
    ----------
    task
        What to compute.
    fits
        Taken from and added to.
    check
        Raises if nobody waits for the result any more.

    Raises
    ------
    InvalidInputError
        If the operation does not take the image, with the remedy.
    """
    begun = time.perf_counter()
    look = task.look
    operation, notes = scaled_to(task.operation, look.factor)
    frames = _frames(task, operation, look.source, task.sources, (0,) * len(look.spec.axes), check)
    at = {axis: look.span(axis).start for axis in frames.looped}
    channels = range(look.span("c").start, look.span("c").stop) if "c" in frames.looped else [0]
    scenes = [_Scene(task, frames, {**at, "c": channel} if "c" in at else at) for channel in channels]
    outcomes = [_work(scene, fits, check) for scene in scenes]
    planes = [_plane(outcome, look) for outcome in outcomes]
    origin, step, more = _where(outcomes[0], frames.spec, look)
    return PreviewResult(
        task,
        np.stack(planes, -1) if len(planes) > 1 else planes[0],
        origin,
        step,
        outcomes[0].levels or tuple(float(level) for level in getattr(operation, "levels", ())),
        tuple(filter(None, (*notes, *outcomes[0].notes, *more, frames.rounding))),
        seconds=time.perf_counter() - begun,
    )


def _frames(
    task: PreviewTask,
    operation: Operation,
    image: ImageSource,
    sources: Mapping[str, ImageSource],
    start: tuple[int, ...],
    check: Callable[[], None],
) -> Frames:
    """Return the frames of an image that begins at `start`, in pixels of the look."""
    look, arrays = task.look, dict(task.arrays)
    looped = [axis for axis in look.spec.axes if axis not in operation.frame_axes(look.spec.axes)]
    order = [*looped, *(axis for axis in look.spec.spatial if axis not in looped)]
    for name in task.points & set(arrays):
        points = arrays[name]
        columns = [look.spec.axes.index(axis) for axis in order][len(order) - points.shape[1] :]
        factors = np.array([look.factors[column] for column in columns])
        arrays[name] = points / factors - [start[column] for column in columns]
        if start != (0,) * len(start) or image.shape != look.source.shape:
            arrays[name] = _in_view(arrays[name], [image.shape[column] for column in columns])
    inputs = gather_inputs(operation, {operation.inputs[0].name: image, **sources, **arrays})
    return replace(make_frames(operation, inputs), check=check)


def _in_view(points: NDArray[Any], shape: list[int]) -> NDArray[Any]:
    """Return the points inside an image of `shape`; a point elsewhere does not matter for what is on screen."""
    inside = ((np.rint(points) >= 0) & (np.rint(points) < shape)).all(axis=1)
    if len(points) and not inside.any():
        raise InvalidInputError("None of the points is in view: move the view to them, or press Apply.")
    return points[inside]


def _work(scene: _Scene, fits: Fits, check: Callable[[], None]) -> _Outcome:
    def whole(_: Operation) -> _Outcome:
        return _whole(scene, check)

    def local(operation: Local) -> _Outcome:
        return _local(operation, scene) if _keeps_place(operation, scene.spec) else whole(operation)

    runners: Mapping[Family, Callable[[Any], _Outcome]] = {
        "local": local,
        "fitted": lambda operation: _fitted(operation, scene, fits),
        "connected": whole,
        "mapped": whole,
        "paged": whole,
        "global": whole,
    }
    return of_family(runners, scene.operation)(scene.operation)


def _local(operation: Local, scene: _Scene) -> _Outcome:
    spec = operation.output_spec(scene.spec)
    changed = [axis for axis, length in scene.spec.sizes.items() if spec.sizes.get(axis) != length]
    inner = tuple(
        slice(0, length) if axis in changed else part
        for part, (axis, length) in zip(scene.visible(), scene.spec.sizes.items(), strict=True)
    )
    halo = dict(zip(scene.spec.spatial, operation.halo(scene.spec), strict=True))
    outer = regions.grown(inner, [halo.get(axis, 0) for axis in scene.spec.axes], scene.spec.shape)
    _check_size(outer)
    kept = [axis for axis in spec.axes if axis in scene.spec.axes and axis not in changed]
    starts = {axis: part.start for axis, part in zip(scene.spec.axes, inner, strict=True) if axis in kept}

    def computed(part: Region, around: Region) -> NDArray[Any]:
        pixels = operation.compute(scene.frames.block(scene.position, around))
        inside = scene.spec.by_axis(regions.relative(part, around))
        return pixels[tuple(inside[axis] if axis in kept else slice(None) for axis in spec.axes)]

    strips = cut_strips(inner, outer, scene.spec.axes.index("y"), divisible="y" in kept)
    pixels = compute_strips(computed, strips, spec.axes.index("y"), scene.frames.check)
    return _Outcome(pixels, spec, tuple(starts.get(axis, 0) for axis in spec.axes))


def _fitted(operation: Fitted, scene: _Scene, fits: Fits) -> _Outcome:
    large = math.prod(scene.spec.shape) > MOST_FITTED
    region = scene.visible() if large else scene.spec.full_region
    key = (
        (type(operation), operation.model_dump_json(), scene.task.look.key, scene.task.key),
        tuple(scene.position.items()),
        str(region) if large else "",
    )
    local = fits.get(key, lambda: operation.fit(WholeFrame(scene.frames.block(scene.position, region))))
    scene.frames.check()
    notes = ("Fitted to the visible part; Apply fits to the whole image.",) if large else ()
    levels = tuple(float(level) for level in getattr(local, "levels", ()))
    outcome = _local(local, scene)
    return replace(outcome, spec=operation.output_spec(scene.spec), levels=levels, notes=notes)


def _whole(scene: _Scene, check: Callable[[], None]) -> _Outcome:
    operation, look = scene.operation, scene.task.look
    geometry = not _keeps_place(operation, scene.spec)
    seen = scene.spec.by_axis(scene.visible(whole_plane=geometry))
    if "z" in seen and not isinstance(operation, Connected):
        plane = math.prod(part.stop - part.start for axis, part in seen.items() if axis != "z")
        seen["z"] = _slab(seen["z"], max(1, MOST_VOXELS // max(1, plane)), scene.spec.sizes["z"])
    _check_size(tuple(seen.values()))

    def cropped(source: ImageSource) -> ImageSource:
        region = (seen.get(axis, slice(0, n)) if n > 1 else slice(0, 1) for axis, n in source.spec.sizes.items())
        return CroppedSource(source, tuple(region))

    start = tuple(seen[axis].start if axis in seen else 0 for axis in look.spec.axes)
    sources = {name: cropped(source) for name, source in scene.task.sources.items()}
    frames = _frames(scene.task, operation, cropped(look.source), sources, start, check)
    pixels = run_whole(operation, frames.block(scene.position))
    scene.frames.rounded.update(frames.rounded)
    notes = () if geometry or frames.spec.shape == scene.spec.shape else (PART_ONLY,)
    spec = operation.output_spec(frames.spec)
    elsewhere = not geometry and any(
        spec.sizes[axis] != frames.spec.sizes[axis]
        or spec.scale[spec.axes.index(axis)] != frames.spec.scale[frames.spec.axes.index(axis)]
        for axis in "yx"
    )
    return _Outcome(pixels, spec, (0,) * pixels.ndim, notes=notes, elsewhere=elsewhere)


def _slab(plane: slice, count: int, length: int) -> slice:
    """Return the planes around the displayed one that a volume operation is given: up to `count`."""
    reach = (count - 1) // 2
    return slice(max(0, plane.start - reach), min(length, plane.stop + reach))


def _keeps_place(operation: Operation, spec: ImageSpec) -> bool:
    """Return whether a pixel of the result lies where that of the image does."""
    if not operation.changes_grid:
        return True
    return isinstance(operation, Local) and operation.output_spec(spec).shape == spec.shape


def _check_size(region: Region) -> None:
    size = math.prod(part.stop - part.start for part in region)
    if size > MOST_FITTED:
        raise InvalidInputError(f"{size / 1e6:.0f} million pixels are too many for a preview: press Apply.")


def _plane(outcome: _Outcome, look: Look) -> NDArray[Any]:
    """Return the displayed plane (y, x) of an outcome, with colours last if it has them."""
    pixels, axes = outcome.pixels, outcome.spec.axes
    index: list[Any] = []
    for axis, start, length in zip(axes, outcome.start, pixels.shape, strict=True):
        if axis in "yx" or (axis == "c" and look.colors and length in (3, 4)):
            index.append(slice(None))
            continue
        at = _nearest(axis, outcome.spec, look) - start if axis in look.spec.axes else 0
        index.append(min(max(at, 0), length - 1))
    left = [axis for axis, part in zip(axes, index, strict=True) if isinstance(part, slice)]
    wanted = ["y", "x", *(axis for axis in left if axis == "c")]
    return np.asarray(pixels[tuple(index)].transpose([left.index(axis) for axis in wanted]))


def _nearest(axis: str, spec: ImageSpec, look: Look) -> int:
    """Return the index along `axis` of a result with `spec` that is nearest to what is on screen."""
    ours, theirs = spec.axes.index(axis), look.spec.axes.index(axis)
    if spec.units[ours] != look.spec.units[theirs]:
        return spec.shape[ours] // 2
    position = look.spec.translate[theirs] + look.span(axis).start * look.spec.scale[theirs]
    return round((position - spec.translate[ours]) / spec.scale[ours])


def _where(
    outcome: _Outcome, frame: ImageSpec, look: Look
) -> tuple[tuple[float, float], tuple[float, float], tuple[str, ...]]:
    """Return the position of the first pixel and the step to the next, in pixels of full resolution."""
    spec, origin, step = outcome.spec, [], []
    elsewhere = outcome.elsewhere
    for axis in "yx":
        ours, theirs = spec.axes.index(axis), frame.axes.index(axis)
        factor = look.factors[look.spec.axes.index(axis)]
        if elsewhere:
            visible = look.span(axis)
            origin.append(visible.start * factor)
            step.append((visible.stop - visible.start) * factor / max(1, spec.shape[ours]))
            continue
        first = spec.translate[ours] + outcome.start[ours] * spec.scale[ours]
        origin.append((first - frame.translate[theirs]) / frame.scale[theirs] * factor)
        step.append(spec.scale[ours] / frame.scale[theirs] * factor)
    notes = (STRETCHED,) if elsewhere else ()
    return (origin[0], origin[1]), (step[0], step[1]), notes

"""Objects from a Points layer: all points grow at once and compete, one label for each.

As with clicks, what looks like background where the tolerance is only estimated becomes no object, and is told.
"""

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.jobs import CancelToken, Job, Progress
from napari_tessera.napari_plugin.clicking.click_grid import to_world
from napari_tessera.napari_plugin.clicking.click_source import ClickSource, LabelsFrame
from napari_tessera.napari_plugin.clicking.committing import new_label
from napari_tessera.napari_plugin.clicking.edit_runner import UNDO
from napari_tessera.napari_plugin.clicking.pending_region import (
    MOST_TO_ALL_SIDES,
    blocked_reader,
    looks_like_background,
)
from napari_tessera.napari_plugin.clicking.target import Target
from napari_tessera.napari_plugin.painting.label_writing import write_box

if TYPE_CHECKING:
    from napari_tessera.operations.growing.clicking import ClickFrame, ClickRule
    from napari_tessera.operations.growing.competing import CompetingRegions

SLICE = 200_000
"""Pixels between two looks at whether to stop."""


@dataclass
class PointsGrowth:
    """Regions from points; made in the GUI thread, run in another, written in the GUI thread.

    Attributes
    ----------
    target, points
        Where to grow, and from what.
    """

    target: Target
    points: Points
    _source: ClickSource = field(init=False)
    _seeds: NDArray[np.int64] = field(init=False)
    _left_out: int = field(init=False, default=0)
    _on_background: int = field(init=False, default=0)
    _regions: "CompetingRegions | None" = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._source = self.target.source()
        frame = self._source.frame
        inside = points_in(frame, self.points, self.target.viewer.dims.point)
        if not len(inside):
            raise InvalidInputError(f"No point of {self.points.name!r} lies in this slice and inside of the image.")
        blocked = blocked_reader(frame, 0, enter_others=self.target.options.enter_others)
        free = [seed for seed in inside if not blocked(regions.pixel(seed)).any()]
        if not free:
            raise InvalidInputError(f"All points of {self.points.name!r} lie on objects: delete those first.")
        self._seeds = np.array(free, np.int64)
        self._left_out = len(self.points.data) - len(free)

    def run(self, cancel: CancelToken) -> Job:
        """Grow; yields events."""
        from napari_tessera.operations.growing.competing import grow_competing

        source, options = self._source, self.target.options
        yield Progress(0, 0, message=f"Growing from {_points(len(self._seeds))} …")
        engine = self._engine(options.rule(len(source.frame.shape)))
        regions = grow_competing(engine, self._seeds, options.tolerance, lambda: cancel.cancelled)
        if options.tolerance is None and self._fill_much(regions):
            yield Progress(0, 0, message="Looking for points on background …")
            objects = np.array([not self._is_background(seed, engine.smoothing, cancel) for seed in self._seeds])
            self._on_background = int(np.count_nonzero(~objects))
            if not objects.any():
                raise InvalidInputError(f"{self._told_background} Nothing was made.")
            if self._on_background:
                self._seeds = self._seeds[objects]
                yield Progress(0, 0, message=f"Growing from {_points(len(self._seeds))} …")
                regions = grow_competing(engine, self._seeds, None, lambda: cancel.cancelled)
        self._regions = regions

    @property
    def _told_background(self) -> str:
        """What is said of the points on background."""
        one = self._on_background == 1
        of = "volume" if len(self._source.frame.shape) == 3 else "image"
        return (
            f"{_points(self._on_background)} of {self.points.name!r} left out: from {'it' if one else 'each of them'} "
            f"a region fills much of the {of}, which looks like background. Move {'it' if one else 'them'} "
            "onto objects, or set a first tolerance."
        )

    def _engine(self, rule: "ClickRule") -> "ClickFrame":
        from napari_tessera.operations.growing.clicking import ClickFrame

        source, frame = self._source, self._source.frame
        blocked = blocked_reader(frame, 0, enter_others=self.target.options.enter_others)
        return ClickFrame(
            source.read, frame.shape, source.dtype, frame.spacing, source.channels, rule=rule, blocked=blocked
        )

    def _fill_much(self, regions: "CompetingRegions") -> bool:
        """Whether there may be background in what has grown: points on it share it, so that none need fill much."""
        pixels = math.prod(self._source.frame.shape)
        return regions.ended == "loaded" or int(regions.sizes.sum()) > MOST_TO_ALL_SIDES * pixels

    def _is_background(self, seed: NDArray[np.int64], smoothing: float, cancel: CancelToken) -> bool:
        """Whether a click on `seed` would be told to be one on background."""
        rule = replace(self.target.options.rule(len(self._source.frame.shape)), smoothing=smoothing)
        engine = self._engine(rule)
        engine.start(seed, engine.estimate_tolerance(seed))
        done = False
        while not done:
            cancel.raise_if_cancelled()
            done = engine.step(SLICE)
            if looks_like_background(engine.region, self._source.frame.shape, rule.most_loaded):
                return True
        return False

    def write(self) -> str:
        """Write what has grown as one step that can be undone; return a sentence on it.

        Raises
        ------
        InvalidInputError
            If the layer cannot be changed any more, has other labels by now, or was removed.
        """
        regions, frame, layer = self._regions, self._source.frame, self.target.labels
        assert regions is not None
        if layer not in self.target.viewer.layers:
            raise InvalidInputError("The labels were removed while the regions grew: choose others to grow in.")
        if not frame.valid:
            raise InvalidInputError("The labels were replaced while the regions grew: press the button again.")
        count = len(self._seeds)
        first = new_label(layer, count)
        after = frame.read(regions.box).copy()
        grown = regions.labels > 0
        grown &= ~blocked_reader(frame, 0, enter_others=self.target.options.enter_others)(regions.box)
        after[grown] = regions.labels[grown].astype(after.dtype) + after.dtype.type(first - 1)
        write_box(layer, frame.box_in_layer(regions.box), frame.in_layer(regions.origin, after)[1])
        layer.selected_label = first + count - 1
        left = f" {self._left_out} left out: outside, in another slice, or on an object." if self._left_out else ""
        cut = " Some reached the limit of what may be loaded." if regions.ended == "loaded" else ""
        background = f" {self._told_background}" if self._on_background else ""
        made = "1 object from 1 point" if count == 1 else f"{count} objects from {count} points"
        return f"{made}.{left}{background}{cut} {UNDO}"


def _points(count: int) -> str:
    return f"{count} point{'s' if count != 1 else ''}"


def points_in(frame: LabelsFrame, points: Points, here: Any) -> NDArray[np.int64]:
    """Return the pixels of `frame` in which points lie, shape (n, ndim), in their order.

    Parameters
    ----------
    here
        Where the viewer is, one coordinate per dimension: for dimensions that the points do not have.
    """
    matrix, origin = to_world(points)
    own, own_origin = to_world(frame.layer)
    world = np.tile(np.asarray(here, float), (len(points.data), 1))
    world[:, world.shape[1] - points.ndim :] = np.asarray(points.data, float) @ matrix.T + origin
    index = np.linalg.solve(own, (world[:, world.shape[1] - frame.layer.ndim :] - own_origin).T).T
    pixels = np.round(index).astype(np.int64)
    fixed = [dim for dim in range(frame.layer.ndim) if dim not in frame.dims]
    inside = (pixels[:, fixed] == np.asarray(frame.start)[fixed]).all(axis=1)
    places = np.asarray(frame.point(pixels))
    inside &= ((places >= 0) & (places < frame.shape)).all(axis=1)
    return np.asarray(places[inside], np.int64)

"""Regions that grow from clicks, at the speed of the mouse, in images that need not be in memory.

The order of growth, running means and fixed ranges are those of `grower`; over several channels, the distance to the
mean is the Euclidean one. A third criterion is ``edge_stopped``: a pixel joins if the edge strength there is at most
the tolerance. Edge strength is the length of the gradient, by derivatives of a Gaussian with a sigma of 1, or that of
the smoothing if it is more; over several channels, the root of the sum of squares. Such a region ends at strong edges
however much the grey level drifts within the object.

Lengths are physical, in units of the smallest side of a pixel: sigmas, gradients, and which diagonals are neighbours.

References
----------
S. W. Zucker, "Region growing: childhood and adolescence", Computer Graphics and Image Processing 5 (1976), and
T. Pavlidis and Y.-T. Liow, "Integrating region growing and edge detection", IEEE Trans. Pattern Anal. Mach. Intell. 12
(1990), for regions that end at edges.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from napari_tessera.core import regions
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.regions import Region
from napari_tessera.operations.growing.engine.click_window import Frame, Reader
from napari_tessera.operations.growing.engine.criteria import EVER
from napari_tessera.operations.growing.engine.growth import Ended, Growth
from napari_tessera.operations.growing.engine.physical import physical_steps, relative_sides

Criterion = Literal["running_mean", "fixed_range", "edge_stopped"]

MOST_SPREAD = 2**28
"""Pixels of the largest box that points of one growth may span."""
MOST_SETTLED = 32
"""At so many points at most the noise is looked at."""


@dataclass(frozen=True)
class ClickRule:
    """What a person has chosen for clicks.

    Attributes
    ----------
    criterion
        See the module.
    connectivity
        1: neighbours share a face; ndim: a corner is enough, where voxels are cubes; see `physical_steps`.
    smoothing
        Sigma of the Gaussian that the image is smoothed with before, in units of the smallest side of a pixel; 0: none;
        None: what the noise round the first point asks for, which is none in most images.
    fill_holes
        Whether what a region encloses becomes part of it in the end, as far as it may be entered and the size allows.
    max_size
        Largest number of pixels of a region, or None.
    most_loaded
        How many pixels of the image one click may read.
    """

    criterion: Criterion = "running_mean"
    connectivity: int = 1
    smoothing: float | None = 0.0
    fill_holes: bool = False
    max_size: int | None = None
    most_loaded: int = 2**26

    def __post_init__(self) -> None:
        if self.criterion not in {"running_mean", "fixed_range", "edge_stopped"}:
            raise InvalidInputError(
                f"Criterion {self.criterion!r} is not known: choose 'running_mean', 'fixed_range' or 'edge_stopped'."
            )
        smoothing = self.smoothing or 0.0
        if not (math.isfinite(smoothing) and 0 <= smoothing <= 50):
            raise InvalidInputError(f"Smoothing {self.smoothing} is not possible: choose 0 to 50 pixels.")
        if self.max_size is not None and self.max_size < 1:
            raise InvalidInputError(f"A region of at most {self.max_size} pixels is none: choose 1 or more.")
        if not 1 <= self.most_loaded <= 2**30:
            raise InvalidInputError(f"A click cannot read {self.most_loaded} pixels: choose 1 to 2^30.")


@dataclass(frozen=True)
class ClickRegion:
    """What has grown until now.

    Attributes
    ----------
    origin
        First pixel of the bounding box in the frame.
    mask
        Bool, in the shape of the bounding box.
    size
        Number of pixels.
    ended
        ``"whole"``: no neighbour fits any more; ``"size"``: the size limit is reached; ``"loaded"``: more of the image
        would have to be read than the rule allows; None: it still grows.
    """

    origin: tuple[int, ...]
    mask: NDArray[np.bool_]
    size: int
    ended: Ended | None

    @property
    def box(self) -> Region:
        """The bounding box in the frame."""
        return regions.placed(self.origin, self.mask.shape)


class ClickFrame:
    """One plane or volume that is clicked in. Use it in one thread at a time.

    Parameters
    ----------
    read
        Returns the pixels of a box of the frame, with a last axis of channels if there are several.
    shape, dtype
        Of the image, without channels: (y, x) or (z, y, x); bool, integer or real.
    spacing
        Sides of a pixel, one per axis, in any unit.
    channels
        How many channels the last axis of what is read has; 0: there is none.
    rule
        What the person has chosen.
    blocked
        Returns, for a box, which pixels may not be entered; bool, without channels.

    Raises
    ------
    InvalidInputError
        If regions cannot grow in such an image, or the rule does not fit it.
    """

    def __init__(
        self,
        read: Reader,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        spacing: tuple[float, ...],
        channels: int = 0,
        *,
        rule: ClickRule,
        blocked: Reader | None = None,
    ) -> None:
        dtype = np.dtype(dtype)
        _check_frame(shape, dtype, spacing)
        self.rule = rule
        edges = rule.criterion == "edge_stopped"
        sides = relative_sides(spacing)
        self._frame = Frame(read, tuple(shape), dtype, sides, channels, rule.smoothing or 0.0, edges, blocked)
        self._steps = physical_steps(spacing, rule.connectivity)
        self._growth = self.new_growth(many=False)
        self._points: NDArray[np.int64] | None = None
        self._finished: ClickRegion | None = None
        self._settled: list[list[int]] | None = None

    @property
    def smoothing(self) -> float:
        """Sigma of the Gaussian that is grown after; of an automatic one, that of the last points."""
        return self._frame.sigma

    def settle(self, points: ArrayLike) -> None:
        """Find out what smoothing the noise round points asks for, if the rule leaves that open.

        `estimate_tolerance` and `start` do so by themselves, for other points than the last ones.

        Parameters
        ----------
        points
            As for `start`; of many, the usual smoothing is taken.

        Raises
        ------
        InvalidInputError
            If one lies outside.
        """
        places = self.checked(points)
        if self.rule.smoothing is not None or self._settled == places.tolist():
            return
        from napari_tessera.operations.growing.guess.first_smoothing import first_smoothing

        some = places[:: -(-len(places) // MOST_SETTLED)]
        sigmas = sorted(first_smoothing(self._frame, place) for place in some)
        sigma = sigmas[len(sigmas) // 2]
        if sigma != self._frame.sigma:
            self._frame = replace(self._frame, sigma=sigma)
            self._growth = self.new_growth(many=False)
            self._points = self._finished = None
        self._settled = places.tolist()

    def new_growth(self, *, many: bool) -> Growth:
        """Return an empty growth by the rule: of one region, or of many."""
        running = self.rule.criterion == "running_mean"
        frame = replace(self._frame, real=True) if many else self._frame
        return Growth(frame, self._steps, running, self.rule.max_size or EVER, self.rule.most_loaded, many)

    def estimate_tolerance(self, point: ArrayLike, *, settled: bool = False) -> float:
        """Return a tolerance with which a first click at `point` mostly gives the object there.

        Parameters
        ----------
        settled
            Whether the smoothing of the last points is kept.

        Raises
        ------
        InvalidInputError
            If nothing can grow from the point.
        """
        from napari_tessera.operations.growing.guess.first_tolerance import first_tolerance

        place = self.checked(point)
        if not settled:
            self.settle(place)
        probe = self.new_growth(many=False)
        probe.open(place, regions.pixel(place[0]))
        check_seeds(probe, place)
        running = self.rule.criterion == "running_mean"
        return first_tolerance(self._frame, self._steps, place[0], running=running)

    def start(self, seeds: ArrayLike, tolerance: float) -> None:
        """Forget everything, and begin a region at its seeds; the image and what is blocked are read anew.

        Parameters
        ----------
        seeds
            Integers, shape (n, ndim), or (ndim,) for one: pixels of one region.
        tolerance
            In grey levels; in grey levels per smallest side of a pixel for ``edge_stopped``; 0 or more.

        Raises
        ------
        InvalidInputError
            If a seed lies outside, on NaN or infinity or on a blocked pixel, or the tolerance is no number ≥ 0.
        """
        self._points = self._finished = None
        points = self.checked(seeds)
        _check_tolerance(tolerance)
        self.settle(points)
        self._growth.open(points)
        check_seeds(self._growth, points)
        self._points = points
        self.retune(tolerance)

    def retune(self, tolerance: float) -> None:
        """Begin the same region again with another tolerance, and with what has been read already: for dragging.

        Raises
        ------
        InvalidInputError
            If the tolerance is no number ≥ 0, or no region has been started.
        """
        _check_tolerance(tolerance)
        if self._points is None:
            raise InvalidInputError("No region has been started: click on an object first.")
        self._growth.plant(self._points, np.array([tolerance], np.float64))
        self._finished = None

    def step(self, max_pixels: int = EVER) -> bool:
        """Go on for about `max_pixels` pixels; return whether the region is finished.

        The result does not depend on how the work is cut. At most one further page of the image is read.
        """
        if self._finished is not None:
            return True
        growth = self._growth
        if self._points is None:
            raise InvalidInputError("No region has been started: click on an object first.")
        if growth.advance(max_pixels):
            self._finished = self._finish(self.region)
        return self._finished is not None

    def finish(self) -> ClickRegion:
        """Go on to the end and return the region."""
        while not self.step():
            pass
        return self.region

    @property
    def region(self) -> ClickRegion:
        """What has grown until now; with its holes filled, if the rule says so, when it is finished."""
        if self._finished is not None:
            return self._finished
        growth = self._growth
        if self._points is None:
            raise InvalidInputError("No region has been started: click on an object first.")
        origin = tuple(part.start for part in growth.bounds)
        return ClickRegion(origin, growth.mask, growth.size, growth.ended)

    def checked(self, points: ArrayLike) -> NDArray[np.int64]:
        """Return points as an array (n, ndim) of pixels of the frame.

        Raises
        ------
        InvalidInputError
            If there are none, they are not whole numbers, or one lies outside.
        """
        array, shape = np.asarray(points), self._frame.shape
        if array.dtype.kind not in "iu":
            raise InvalidInputError(f"Points of {array.dtype} are not pixels: round them to integers first.")
        array = array.reshape(1, -1) if array.ndim == 1 else array
        if array.ndim != 2 or array.shape[1] != len(shape) or not len(array):
            raise InvalidInputError(
                f"Points of shape {array.shape} fit no image of shape {shape}: give {len(shape)} numbers for each."
            )
        outside = ((array < 0) | (array >= shape)).any(axis=1)
        if outside.any():
            where = tuple(array[outside.argmax()].tolist())
            raise InvalidInputError(f"The point {where} lies outside the image of shape {shape}: click inside it.")
        spread = math.prod((array.max(axis=0) - array.min(axis=0) + 1).tolist())
        if spread > MOST_SPREAD:
            raise InvalidInputError(
                "The points lie too far apart to grow at once: take those of one part of the image."
            )
        return array.astype(np.int64)

    def _finish(self, region: ClickRegion) -> ClickRegion:
        if region.ended == "whole" and self._frame.edges:
            from napari_tessera.operations.growing.finishing.ridges import at_ridges

            origin, numbers = at_ridges(self._growth, region.mask.astype(np.uint32), self.rule.max_size or EVER)
            region = self._with_mask(region, origin, numbers != 0)
        if not self.rule.fill_holes or region.ended != "whole":
            return region
        from napari_tessera.operations.growing.finishing.holes import fill_holes

        filled = fill_holes(region.mask)
        if self._frame.blocked is not None:
            closed = self._growth.look(region.box)[1]
            filled &= True if closed is None else ~closed
        return self._with_mask(region, region.origin, filled)

    def _with_mask(self, region: ClickRegion, origin: tuple[int, ...], mask: NDArray[np.bool_]) -> ClickRegion:
        """Return the region with another mask, unless that is larger than a region may be."""
        size = int(np.count_nonzero(mask))
        return region if size > (self.rule.max_size or EVER) else replace(region, origin=origin, mask=mask, size=size)


def warm_up(ndim: int, dtype: DTypeLike, channels: int, rule: ClickRule) -> None:
    """Compile all that a click in such an image needs: seconds at the first time, then it comes from the cache on disk.

    Parameters
    ----------
    ndim, dtype, channels, rule
        As for `ClickFrame`.
    """
    shape = (5,) * ndim
    image = np.zeros(shape + ((channels,) if channels else ()), dtype)
    frame = ClickFrame(lambda box: image[box], shape, dtype, (1.0,) * ndim, channels, rule=rule)
    centre = np.full(ndim, 2)
    frame.start(centre, frame.estimate_tolerance(centre) + 1.0)
    frame.finish()


def check_seeds(growth: Growth, points: NDArray[np.int64]) -> None:
    """Refuse points in the window of a growth that nothing can grow from.

    Raises
    ------
    InvalidInputError
        If one lies on NaN, infinity, or a blocked pixel.
    """
    places = tuple((points - growth.window.shift).T)
    closed = growth.window.stamps[places] == growth.window.closed
    values = growth.window.values[places]
    finite = np.isfinite(values).reshape(len(points), -1).all(axis=1) if values.dtype.kind == "f" else ~closed
    for bad, why, remedy in (
        (closed, "is labelled already", "click beside it, or allow to enter other labels"),
        (~finite & ~closed, "has no value (NaN or infinity)", "click on a pixel with a value"),
    ):
        if bad.any():
            where = tuple(points[bad.argmax()].tolist())
            raise InvalidInputError(f"The pixel {where} {why}: {remedy}.")


def _check_tolerance(tolerance: float) -> None:
    if not tolerance >= 0:
        raise InvalidInputError(f"Tolerance {tolerance} lets nothing join: choose 0 or more.")


def _check_frame(shape: tuple[int, ...], dtype: np.dtype[Any], spacing: tuple[float, ...]) -> None:
    if len(shape) not in {2, 3}:
        raise InvalidInputError(f"Regions grow in 2 or 3 dimensions, not in {len(shape)}: choose a plane or a volume.")
    if dtype.kind not in "biuf":
        raise InvalidInputError(f"Regions cannot grow in {dtype}: convert the image to integers or real numbers.")
    if len(spacing) != len(shape):
        raise InvalidInputError(f"{len(spacing)} sides of a pixel do not fit {len(shape)} axes: give one per axis.")

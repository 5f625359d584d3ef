"""Regions that grow from many points at once and compete for pixels: one label per point."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tessera.core import regions
from napari_tessera.core.errors import InvalidInputError, JobCancelledError
from napari_tessera.core.regions import Region
from napari_tessera.operations.growing.clicking import ClickFrame, check_seeds
from napari_tessera.operations.growing.engine.criteria import EVER
from napari_tessera.operations.growing.engine.growth import Ended

SLICE = 200_000
"""Pixels between two looks at whether to stop."""


@dataclass(frozen=True)
class CompetingRegions:
    """What has grown from many points.

    Attributes
    ----------
    origin
        First pixel of the bounding box of all in the frame.
    labels
        uint32, in the shape of the bounding box: 0, or 1 … n in the order of the points.
    sizes
        Shape (n,): the pixels of each.
    ended
        As for `ClickRegion`; ``"size"`` if any region reached its limit.
    """

    origin: tuple[int, ...]
    labels: NDArray[np.uint32]
    sizes: NDArray[np.int64]
    ended: Ended | None

    @property
    def box(self) -> Region:
        """The bounding box in the frame."""
        return regions.placed(self.origin, self.labels.shape)


def grow_competing(
    frame: ClickFrame,
    points: ArrayLike,
    tolerances: float | Sequence[float] | NDArray[Any] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> CompetingRegions:
    """Grow a region from each point, all in turn, by the rule of a frame; none enters another.

    Parameters
    ----------
    frame
        What to grow in; a click that is pending in it is not touched.
    points
        Integers, shape (n, ndim): pixels. Of points on the same pixel the first has it, and the others grow nothing.
    tolerances
        One for all, or one for each; None: each is estimated as for a click.
    stop
        Asked now and then whether to give up.

    Returns
    -------
    The regions; holes that one encloses alone are filled if the rule says so.

    Raises
    ------
    InvalidInputError
        If a point or a tolerance is refused as for a click.
    JobCancelledError
        If `stop` says so.
    """
    places = frame.checked(points)
    frame.settle(places)
    limits = _tolerances(frame, places, tolerances)
    growth = frame.new_growth(many=True)
    growth.open(places)
    check_seeds(growth, places)
    growth.plant(places, limits)
    while not growth.advance(SLICE):
        if stop():
            raise JobCancelledError("Growing from points was cancelled.")
    origin, labels = regions.start(growth.bounds), growth.regions.astype(np.uint32)
    if growth.frame.edges and growth.ended != "loaded":
        from napari_tessera.operations.growing.finishing.ridges import at_ridges

        origin, labels = at_ridges(growth, labels, frame.rule.max_size or EVER)
    if frame.rule.fill_holes and growth.ended != "loaded":
        closed = growth.look(regions.placed(origin, labels.shape))[1]
        _fill_each(labels, (labels == 0) if closed is None else (labels == 0) & ~closed, frame.rule.max_size)
    sizes = np.bincount(labels.reshape(-1), minlength=len(places) + 1)[1:].astype(np.int64)
    return CompetingRegions(origin, labels, sizes, growth.ended)


def _tolerances(frame: ClickFrame, places: NDArray[np.int64], given: Any) -> NDArray[np.float64]:
    if given is None:
        return np.array([frame.estimate_tolerance(place, settled=True) for place in places], np.float64)
    limits = np.asarray(given, np.float64)
    if limits.shape not in {(), (len(places),)}:
        raise InvalidInputError(f"{limits.size} tolerances do not fit {len(places)} points: give one, or one for each.")
    if not (limits >= 0).all():
        raise InvalidInputError("A tolerance below 0 lets nothing join: choose 0 or more.")
    return np.array(np.broadcast_to(limits, (len(places),)))


def _fill_each(labels: NDArray[np.uint32], free: NDArray[np.bool_], max_size: int | None) -> None:
    """Give each region, in place, the free pixels that it encloses."""
    from scipy import ndimage

    from napari_tessera.operations.growing.finishing.holes import fill_holes

    for number, box in enumerate(ndimage.find_objects(labels.astype(np.int64)), start=1):
        if box is None:
            continue
        mask = labels[box] == number
        filled = (fill_holes(mask) & free[box]) | mask
        if max_size is None or np.count_nonzero(filled) <= max_size:
            labels[box][filled] = number

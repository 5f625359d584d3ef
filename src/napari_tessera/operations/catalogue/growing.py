"""Operations that grow regions from seeds."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.core.image import ImageSpec
from napari_tessera.core.regions import Region
from napari_tessera.operations.base import Input
from napari_tessera.operations.growing.engine.grower import Grower, held_as
from napari_tessera.operations.growing.engine.windows import (
    Seeds,
    grow_in_windows,
    seeds_at_points,
    seeds_of_labels,
    touches,
)
from napari_tessera.operations.labels.neighbours import Connectivity, check_connectivity
from napari_tessera.operations.paging import Paged, Pages
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.registry import register

GROUP = "Region growing"

BYTES_PER_PIXEL = 40
"""Marks, the queue, and the result on its way to uint32."""

REMEDY = "lower the tolerance, limit the size of regions, or crop the image"

SLICE = 2**18
"""Pixels that grow between two looks at whether the job has been cancelled: some hundredths of a second."""


@register
class GrowRegions(Paged):
    """Grow regions from seeds over neighbouring pixels of similar intensity.

    Points give regions 1, 2, … in their order; seeds painted as labels keep their labels. Regions grow in turns and
    never overlap; a time point without seeds stays empty. A pixel joins if its intensity differs by less than
    the tolerance from the mean of the region so far (running mean), or by at most the tolerance from the mean of the
    seed (fixed range).

    Of a large image only as much is read as the regions reach.

    References
    ----------
    R. Adams and L. Bischof, "Seeded region growing", IEEE Trans. Pattern Anal. Mach. Intell. 16 (1994), for the idea.
    """

    title: ClassVar = "Grow regions from seeds"
    also: ClassVar = ("magic wand", "flood fill", "seeded", "segmentation")
    group: ClassVar = GROUP
    menu: ClassVar = "segment"
    inputs: ClassVar = (
        Input("image", "image", "The image to grow in."),
        Input("seeds", "seeds", "Where to start: points, or labels painted on the image."),
    )
    output: ClassVar = "labels"
    one_channel: ClassVar = True

    tolerance: float = parameter(
        10.0, "How much intensities may differ from the mean.", unit="grey levels", ge=0, allow_inf_nan=False
    )
    criterion: Literal["running_mean", "fixed_range"] = parameter(
        "running_mean", "Whether the mean follows the pixels that join, or stays that of the seed."
    )
    connectivity: Connectivity = 1
    max_size: int | None = parameter(None, "Largest size of a region; any if left out.", unit="pixels", ge=1)

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse a connectivity that the frame is too flat for."""
        check_connectivity(self.connectivity, spec)

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:  # noqa: ARG002
        """Return uint32, whatever the image."""
        return np.uint32

    def memory(self, spec: ImageSpec) -> int:
        """Return the size of image, marks, queue and result if regions reach everywhere."""
        held = held_as(spec.dtype)
        copied = 0 if held == spec.dtype else held.itemsize
        return int(np.prod(spec.shape)) * (spec.dtype.itemsize + copied + BYTES_PER_PIXEL)

    def compute_pages(self, pages: Pages) -> Iterator[tuple[Region, NDArray[Any]]]:
        """Yield the windows that regions have grown in."""
        seeds = seeds_of(pages)
        return grow_in_windows(seeds, pages.spec.shape, partial(self._grow, pages, seeds.are_points))

    def _grow(
        self, pages: Pages, are_points: bool, box: Region, places: NDArray[np.int64], ids: NDArray[np.int64]
    ) -> tuple[NDArray[Any] | None, Region]:
        """Return what grows in a window, and its bounds; None once it has come to the edge of the window."""
        shape = tuple(part.stop - part.start for part in box)
        pages.reserve(self.memory(replace(pages.spec, shape=shape)), REMEDY)
        grower = Grower(pages.block(box).image, self.connectivity)
        inside = places - [part.start for part in box]
        if are_points:
            # As many as the window is high would be taken for labels: a point said twice is left out by the grower.
            given = np.vstack([inside, inside[-1:]]) if inside.shape == shape else inside
        else:
            given = np.zeros(shape, np.int64)
            given[tuple(inside.T)] = ids
        grower.start(given, self.criterion, self.tolerance, self.max_size)
        while not grower.step(SLICE):
            pages.check()
            if touches(box, grower.bounds, pages.spec.shape):
                return None, grower.bounds
        labels = grower.labels(np.zeros(shape, np.uint32))
        if are_points and ids[-1] != len(ids):
            labels = np.concatenate([[0], ids]).astype(np.uint32)[labels]
        return labels, grower.bounds


def seeds_of(pages: Pages) -> Seeds:
    """Return the seeds of a frame: points (N, dimensions) rounded to pixels, or painted labels."""
    shape = pages.spec.shape
    given = pages.others.get("seeds")
    if given is None or (given.dtype.kind != "f" and given.shape == shape):
        return seeds_of_labels(((region, pages.other("seeds", region)) for region in pages.tiles()), len(shape))
    # Beyond all images, so that it is refused as outside and does not overflow.
    points = np.asarray(np.clip(np.rint(given), -(2.0**40), 2.0**40), np.int64)
    return seeds_at_points(np.atleast_2d(points), shape)

"""When a pixel joins a region, and in which order pixels are looked at: what both engines hold to.

`grower` grows in an image in memory, all of whose pixels it holds; `growth` in windows of an image of any size, whose
pixels may not all be entered.

The result depends on the order in which pixels are looked at, so it is fixed. There is one first-in-first-out queue
(breadth first). It begins with the seeds: region by region in the order of their ids, and within a region in raster
order. The first pixel of the queue is taken out, and each of its neighbours in raster order (last axis fastest) that
belongs to no region joins that of the pixel, at the end of the queue, if the criterion holds. So regions take turns and
never overlap. A pixel that was turned away is tried again from its other neighbours.

Criteria, for a pixel ``x`` and a region ``R`` of ``n`` pixels:

- ``running_mean``: ``|mean(R) − I(x)| < tolerance``, with the mean of all pixels that have joined until then;
- ``fixed_range``: ``|mean(seed) − I(x)| ≤ tolerance``, with the mean of the region's own seed pixels.

They are evaluated as ``|sum − n·I(x)| < n·tolerance`` (``≤`` as less than the next float64 above the tolerance): with
integer images ``sum`` and ``n·I(x)`` are whole numbers, and no mean is ever rounded.
"""

import math
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Criterion = Literal["running_mean", "fixed_range"]

EVER = 2**62
"""More pixels than there are."""

Tolerances = TypeVar("Tolerances", float, NDArray[np.float64])


def limits(tolerances: Tolerances, *, running: bool) -> Tolerances:
    """Return what a distance to the mean must be less than, for one region or for each.

    Parameters
    ----------
    tolerances
        In grey levels.
    running
        Whether the mean follows the pixels that join. Else a distance may be equal to the tolerance as well: "at most"
        is "less than the next number".
    """
    return tolerances if running else np.nextafter(tolerances, math.inf)

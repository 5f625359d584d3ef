"""The parts in which a local operation previews a large view: one per processor, joined to what the whole would be."""

import math
import os
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.regions import Region
from napari_tessera.pipeline.running.parallel import run_all

PARALLEL_PIXELS = 2**20
"""Of more visible pixels than this, each thread is given a part."""
THREADS = min(4, os.cpu_count() or 1)


def cut_strips(inner: Region, outer: Region, axis: int, *, divisible: bool) -> list[tuple[Region, Region]]:
    """Cut `inner`, which is read with `outer` around it, along `axis`: a strip per thread if it is large.

    Returns
    -------
    list
        Of each strip what it gives, and what is read for that.
    """
    size = math.prod(part.stop - part.start for part in inner)
    whole, around = inner[axis], outer[axis]
    count = min(THREADS, whole.stop - whole.start) if size >= PARALLEL_PIXELS and divisible else 1
    before, after = whole.start - around.start, around.stop - whole.stop
    cuts = [whole.start + (whole.stop - whole.start) * index // count for index in range(count + 1)]
    reach = max(before, after)  # at a border of the frame one side of the halo is cut off
    strips = []
    for start, stop in pairwise(cuts):
        part, read = list(inner), list(outer)
        part[axis] = slice(start, stop)
        read[axis] = slice(max(around.start, start - reach), min(around.stop, stop + reach))
        strips.append((tuple(part), tuple(read)))
    return strips


def compute_strips(
    compute: Callable[[Region, Region], NDArray[Any]],
    strips: list[tuple[Region, Region]],
    axis: int,
    check: Callable[[], None],
) -> NDArray[Any]:
    """Compute strips, each in a thread, and join them; the result of a local operation does not depend on cuts."""
    if len(strips) == 1:
        return compute(*strips[0])
    done: dict[int, NDArray[Any]] = {}

    def work(index: int) -> None:
        done[index] = compute(*strips[index])

    run_all(range(len(strips)), work, len(strips), check)
    return np.concatenate([done[index] for index in range(len(strips))], axis)

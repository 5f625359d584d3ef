"""Objects that touch, parted where they are narrow."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

BYTES_PER_PIXEL = 60
"""Distances and their smoothing, the order of pixels, two indices each, and the result."""


def split(
    labels: NDArray[Any],
    depth: float,
    smoothing: float,
    spacing: Sequence[float],
    check: Callable[[], None] = lambda: None,
) -> NDArray[np.uint32]:
    """Part objects by a watershed of the distance from their outlines.

    Parameters
    ----------
    labels
        Shape (y, x) or (z, y, x); integers, 0 for background. Objects with different labels stay apart.
    depth
        How much farther from the outline the middle of each part must be than the neck between them, in the unit of
        `spacing`. 0 parts at every bump.
    smoothing
        Standard deviation of a Gaussian that smooths the distances first, in the unit of `spacing`; 0 for none.
    spacing
        Length of a pixel along each axis.
    check
        Raises if nobody waits for the result any more.

    Returns
    -------
    uint32 labels from 1 in raster order.

    References
    ----------
    L. Vincent and P. Soille, "Watersheds in digital spaces", IEEE Trans. Pattern Anal. Mach. Intell. 13 (1991);
    M. Grimaud, "New measure of contrast: the dynamics", Proc. SPIE 1769 (1992), for which summits count.
    """
    from scipy.ndimage import gaussian_filter

    from napari_tessera.operations.labels.morphology import squared_distance
    from napari_tessera.operations.labels.splitting_kernels import flood

    heights = squared_distance(labels, spacing)
    # All one object: nothing to be far from.
    heights = np.ascontiguousarray(np.sqrt(np.where(np.isinf(heights), 0, heights)))
    check()
    if smoothing > 0:
        heights[labels == 0] = 0
        heights = gaussian_filter(heights, [smoothing / step for step in spacing], mode="nearest")
        check()
    inside = np.flatnonzero(labels)
    order = inside[np.argsort(-heights.reshape(-1)[inside], kind="stable")]
    check()
    lead = (1,) * (3 - labels.ndim)
    offsets = [step for step in product((-1, 0, 1), repeat=labels.ndim) if any(step)]
    steps = np.array([(0,) * len(lead) + step for step in offsets], np.int64)
    names = np.ascontiguousarray(labels).view(f"u{labels.dtype.itemsize}").reshape(lead + labels.shape)
    parts = flood(heights.reshape(lead + labels.shape), names, order, steps, float(depth))
    return np.asarray(parts.reshape(labels.shape))

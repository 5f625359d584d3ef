"""Lines in the middle of objects."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["auto", "zhang", "lee"]


def skeleton(labels: NDArray[Any], method: Method, check: Callable[[], None] = lambda: None) -> NDArray[Any]:
    """Return labels of which only a line in the middle is left, one pixel wide; each object is thinned by itself.

    Parameters
    ----------
    labels
        (y, x) or (z, y, x), integers; 0 is background.
    method
        ``zhang`` (planes), ``lee``, or ``auto``: the former in planes, the latter in volumes.
    check
        Called between objects.

    References
    ----------
    T. Y. Zhang and C. Y. Suen, "A fast parallel algorithm for thinning digital patterns", Comm. ACM 27 (1984); T.-C.
    Lee, R. L. Kashyap and C.-N. Chu, "Building skeleton models via 3-D medial surface/axis thinning algorithms", CVGIP
    56 (1994).
    """
    from scipy.ndimage import find_objects
    from skimage.morphology import skeletonize

    chosen = ("zhang" if labels.ndim == 2 else "lee") if method == "auto" else method
    ids, numbers = np.unique(labels, return_inverse=True)
    numbers = numbers.reshape(labels.shape) + (1 if ids.size and ids[0] != 0 else 0)
    kept = np.zeros(labels.shape, bool)
    for number, box in enumerate(find_objects(numbers), 1):
        check()
        if box is not None:
            kept[box] |= skeletonize(np.pad(numbers[box] == number, 1), method=chosen)[(slice(1, -1),) * labels.ndim]
    return np.where(kept, labels, labels.dtype.type(0))

"""Compiled sums of `local_thresholds`."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation

announce_compilation()


@njit(cache=True, nogil=True, error_model="numpy")
def running_sums(values: NDArray[np.int64], window: int) -> NDArray[np.int64]:
    """Return the sums of `window` neighbours along the middle axis; of integers, so that nothing is rounded.

    Parameters
    ----------
    values
        Shape (outer, length, inner).

    Returns
    -------
    Shape (outer, length - window + 1, inner).
    """
    outer, length, inner = values.shape
    sums = np.empty((outer, length - window + 1, inner), np.int64)
    for o in range(outer):
        sums[o, 0] = 0
        for at in range(window):
            for i in range(inner):
                sums[o, 0, i] += values[o, at, i]
        for at in range(1, length - window + 1):
            for i in range(inner):
                sums[o, at, i] = sums[o, at - 1, i] + values[o, at + window - 1, i] - values[o, at - 1, i]
    return sums

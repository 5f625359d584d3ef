"""Compiled loops over numbered components."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation

announce_compilation()


@njit(cache=True, nogil=True)
def first_and_sizes(numbers: NDArray[Any], first: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
    """Find the first pixel of every component, and count its pixels.

    Parameters
    ----------
    numbers
        Shape (pixels,): number of the component, 0 for none.
    first, sizes
        Shape (components + 1,), zeros; index of the first pixel, and number of pixels.
    """
    for at in range(numbers.size):
        number = numbers[at]
        if number != 0:
            if sizes[number] == 0:
                first[number] = at
            sizes[number] += 1

"""Labels replaced one by one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def replaced(labels: NDArray[Any], ids: NDArray[Any], numbers: NDArray[Any]) -> NDArray[Any]:
    """Return labels in which each of `ids` has its number from `numbers`, and all others are 0.

    Parameters
    ----------
    labels
        Integers, none negative.
    ids
        Shape (n,), ascending, without 0.
    numbers
        Shape (n,); its dtype is that of the result.
    """
    if ids.size == 0:
        return np.zeros(labels.shape, numbers.dtype)
    # A table costs its length, a search the logarithm of the number of ids for every pixel.
    highest = int(ids[-1])
    if highest < 8 * labels.size:
        table = np.zeros(highest + 2, numbers.dtype)
        table[ids.astype(np.int64)] = numbers
        return np.asarray(table[np.minimum(labels, labels.dtype.type(min(highest + 1, np.iinfo(labels.dtype).max)))])
    where = np.minimum(np.searchsorted(ids, labels), ids.size - 1)
    return np.where(ids[where] == labels, numbers[where], numbers.dtype.type(0))

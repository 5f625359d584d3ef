"""Compiled loops of `histograms`: counting grey levels, and counting equal bins.

The loops fill several tables in turn and add them up at the end: neighbouring pixels are often equal, and an increment
would wait for the one before it if both went to the same counter.
"""

from typing import Any

import numpy as np
from numba import njit

from napari_tessera.operations.compiling import announce_compilation

announce_compilation()

TABLES = 4


@njit(cache=True, nogil=True, error_model="numpy")
def count_levels(values: Any, low: int, bins: int) -> Any:
    """Count integers, shape (n,), in `bins` bins from `low` on; what lies outside goes to the bin at that end."""
    tables = np.zeros((TABLES, bins), np.int64)
    last = np.int64(bins - 1)
    blocks = values.size // TABLES
    for block in range(blocks):
        for table in range(TABLES):
            level: Any = np.int64(values[block * TABLES + table]) - low
            tables[table, min(max(level, 0), last)] += 1
    for index in range(blocks * TABLES, values.size):
        rest: Any = np.int64(values[index]) - low
        tables[0, min(max(rest, 0), last)] += 1
    return tables.sum(axis=0)


@njit(cache=True, nogil=True, error_model="numpy")
def count_all(values: Any, bins: int) -> Any:
    """Count unsigned integers, shape (n,), n below 2^32, all of them below `bins`: nothing is checked."""
    tables = np.zeros((TABLES, bins), np.uint32)
    first, second, third, fourth = tables[0], tables[1], tables[2], tables[3]
    one = np.uint32(1)
    whole = values.size // TABLES * TABLES
    for index in range(0, whole, TABLES):
        first[np.uint64(values[index])] += one
        second[np.uint64(values[index + 1])] += one
        third[np.uint64(values[index + 2])] += one
        fourth[np.uint64(values[index + 3])] += one
    for index in range(whole, values.size):
        first[np.uint64(values[index])] += one
    return tables.astype(np.int64).sum(axis=0)


@njit(cache=True, nogil=True, error_model="numpy")
def count_bins(values: Any, low: float, scale: float, bins: int) -> tuple[Any, int]:
    """Count numbers, shape (n,), in `bins` bins, open below and closed above, and return how many are not finite.

    Bin ``k`` holds the values with ``k < (value - low) * scale <= k + 1`` in float64: it depends on the value alone.
    What lies outside goes to the bin at that end.
    """
    tables = np.zeros((TABLES, bins), np.int64)
    unusable = 0
    for index in range(values.size):
        value = np.float64(values[index])
        place = (value - low) * scale
        if 0 < place <= bins:
            tables[index % TABLES, np.int64(np.ceil(place)) - 1] += 1
        elif not np.isfinite(value):
            unusable += 1
        elif place <= 0:
            tables[0, 0] += 1
        else:
            tables[0, bins - 1] += 1
    return tables.sum(axis=0), unusable

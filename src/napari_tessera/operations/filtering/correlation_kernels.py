"""Compiled loops of `correlation`."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation
from napari_tessera.operations.mirroring_kernels import mirrored

announce_compilation()

_WIDTH = 2048
"""Columns that are worked on together: their sums stay in the nearest cache."""


@njit(cache=True, nogil=True)
def along_rows(image: NDArray[Any], weights: NDArray[np.float64], sign: int, out: NDArray[Any]) -> None:
    """Correlate the middle axis of `image` (n, rows, columns), row by row; see `correlation.correlate_axis`."""
    radius = len(weights) // 2
    planes, rows, columns = image.shape
    total = np.empty(_WIDTH)
    for plane in range(planes):
        for start in range(0, columns, _WIDTH):
            stop = min(columns, start + _WIDTH)
            count = stop - start
            for row in range(rows):
                here = image[plane, row, start:stop]
                for i in range(count):
                    total[i] = np.float64(here[i]) * weights[radius]
                for step in range(radius, 0, -1):
                    weight = weights[radius - step]
                    one = image[plane, mirrored(row - step, rows), start:stop]
                    other = image[plane, mirrored(row + step, rows), start:stop]
                    if sign > 0:
                        for i in range(count):
                            total[i] += (np.float64(one[i]) + np.float64(other[i])) * weight
                    else:
                        for i in range(count):
                            total[i] += (np.float64(one[i]) - np.float64(other[i])) * weight
                result = out[plane, row, start:stop]
                for i in range(count):
                    result[i] = total[i]


@njit(cache=True, nogil=True)
def along_lines(image: NDArray[Any], weights: NDArray[np.float64], sign: int, out: NDArray[Any]) -> None:
    """Correlate the last axis of `image` (lines, columns); see `correlation.correlate_axis`."""
    radius = len(weights) // 2
    lines, columns = image.shape
    padded = np.empty(columns + 2 * radius)
    total = np.empty(columns)
    for line in range(lines):
        for i in range(columns):
            padded[radius + i] = image[line, i]
        for i in range(1, radius + 1):
            padded[radius - i] = image[line, mirrored(-i, columns)]
            padded[radius + columns - 1 + i] = image[line, mirrored(columns - 1 + i, columns)]
        for i in range(columns):
            total[i] = padded[radius + i] * weights[radius]
        for step in range(radius, 0, -1):
            weight = weights[radius - step]
            one = padded[radius - step : radius - step + columns]
            other = padded[radius + step : radius + step + columns]
            if sign > 0:
                for i in range(columns):
                    total[i] += (one[i] + other[i]) * weight
            else:
                for i in range(columns):
                    total[i] += (one[i] - other[i]) * weight
        for i in range(columns):
            out[line, i] = total[i]

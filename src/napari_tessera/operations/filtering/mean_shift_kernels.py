"""Compiled loop of the mean shift. Places are counted from each pixel, so that a tile gives the bits of the whole."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation

announce_compilation()

STILL = 0.01
"""A pixel that moves less, in pixels, stands still."""


@njit(cache=True, nogil=True, error_model="numpy")
def shift_all(
    values: NDArray[np.float64], radius: int, reach: int, spread: float, iterations: int, out: NDArray[np.float64]
) -> None:
    """Fill `out`, (c, z, y, x), from `values`, (z, y, x, c); `reach` is the radius along z."""
    depth, height, width, count = values.shape
    own, at = np.empty(count), np.empty(3)
    sums = np.empty(3 + count)
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                at[:] = 0
                own[:] = values[z, y, x]
                for _ in range(iterations):
                    pixels = gather(values, z, y, x, at, own, radius, reach, spread, sums)
                    if pixels == 0 or step(at, own, sums, pixels, spread) < STILL:
                        break
                out[:, z, y, x] = own


@njit(cache=True, nogil=True, error_model="numpy")
def gather(
    values: NDArray[np.float64],
    z: int,
    y: int,
    x: int,
    at: NDArray[np.float64],
    own: NDArray[np.float64],
    radius: int,
    reach: int,
    spread: float,
    sums: NDArray[np.float64],
) -> int:
    """Sum up the places of what is near `at` and `own`, and how its intensities differ from `own`; return how many."""
    sums[:] = 0
    pixels = 0
    for dz in span(at[0], reach, z, values.shape[0]):
        left_z = radius * radius - (dz - at[0]) * (dz - at[0])
        for dy in span(at[1], radius, y, values.shape[1]):
            left = left_z - (dy - at[1]) * (dy - at[1])
            if left < 0:
                continue
            for dx in span(at[2], np.sqrt(left), x, values.shape[2]):
                here = values[z + dz, y + dy, x + dx]
                squared = 0.0
                for c in range(own.size):
                    squared += ((here[c] - own[c]) / spread) ** 2
                if squared <= 1:
                    pixels += 1
                    sums[0] += dz
                    sums[1] += dy
                    sums[2] += dx
                    sums[3:] += here - own
    return pixels


@njit(cache=True, nogil=True, error_model="numpy")
def span(at: float, reach: float, start: int, length: int) -> range:
    """Return the whole numbers within `reach` of `at` that lie in the image, counted from the pixel at `start`."""
    return range(max(-start, int(np.ceil(at - reach))), min(length - 1 - start, int(np.floor(at + reach))) + 1)


@njit(cache=True, nogil=True, error_model="numpy")
def step(
    at: NDArray[np.float64], own: NDArray[np.float64], sums: NDArray[np.float64], pixels: int, spread: float
) -> float:
    """Move to the mean, and return how far that was, in pixels and in parts of the range of intensities."""
    moved = 0.0
    for axis in range(3):
        new = sums[axis] / pixels
        moved += abs(new - at[axis])
        at[axis] = new
    for c in range(own.size):
        change = sums[3 + c] / pixels
        moved += abs(change) / spread
        own[c] += change
    return moved

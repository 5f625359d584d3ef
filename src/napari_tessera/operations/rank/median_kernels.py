"""Compiled loops over an image: chunks of rows are copied into buffers that stay in cache, with reflected borders.

Nothing is padded as a whole: that costs more than the filter. Compiled code is cached on disk by numba, which notices
changes of this file only: after a change of `networks`, `plans` or `vectors`, touch this file.
"""

from typing import Any

from numba import njit

from napari_tessera.operations.mirroring_kernels import mirrored
from napari_tessera.operations.rank.plans import FOURS, LAST, PAIRS, ROWS
from napari_tessera.operations.rank.vectors import copy_pixels, run_stage


@njit(cache=True, nogil=True)
def fetch_row(target: Any, row: Any, start: int, count: int) -> None:
    """Copy `count` pixels of a row from position `start` on, which may lie outside it."""
    length = row.shape[0]
    first = min(max(-start, 0), count)
    last = max(min(length - start, count), first)
    for i in range(first):
        target[i] = row[mirrored(start + i, length)]
    if first < last:
        copy_pixels(target[first:], row[start + first :], last - first)
    for i in range(last, count):
        target[i] = row[mirrored(start + i, length)]


@njit(cache=True, nogil=True, inline="always")
def visit_row(image: Any, work: Any, window: Any, plane: int, row: int, left: int, pixels: int, index: int) -> None:
    """Make the lists that can be made once a chunk's row number `index`, row `row` of the image, is there.

    Parameters
    ----------
    image : (z, y, x) array, C-contiguous
    work : (rows, x) array
        Working buffer, see `vectors.run_stage`.
    window : tuple
        From `vectors.marker_of`.
    plane, row, left, pixels : int
        Which plane and row of the image, either may lie outside, and which columns of the result.
    """
    depth, width = len(window[0]), len(window[2])
    y = mirrored(row, image.shape[1])
    for j in range(depth):
        z = mirrored(plane + j - depth // 2, image.shape[0])
        fetch_row(work[j], image[z, y], left - width // 2, pixels + width - 1)
    run_stage(window, 0, ROWS, work, index, 0, pixels)
    if index >= 2 and index % 2 == 0:
        run_stage(window, 0, PAIRS, work, index // 2 - 1, 0, pixels)
        if index >= 4:
            run_stage(window, 0, FOURS, work, index // 2 - 2, 0, pixels)


@njit(cache=True, nogil=True)
def median_rows(image: Any, out: Any, window: Any, work: Any, chunk: int) -> None:
    """Fill `out` with the medians of `image`, both (z, y, x) and C-contiguous.

    Parameters
    ----------
    window : tuple
        From `vectors.marker_of`.
    work : (rows, x) array
        Working buffer, see `vectors.run_stage`.
    chunk : int
        How many pixels of a row fit into the buffer.
    """
    height = len(window[1])
    planes, rows, columns = image.shape
    results = work.shape[0] - 3
    for plane in range(planes):
        for left in range(0, columns, chunk):
            pixels = min(chunk, columns - left)
            for index in range(rows + rows % 2 + height - 1):
                visit_row(image, work, window, plane, index - height // 2, left, pixels, index)
                y = index - height
                if y >= 0 and y % 2 == 0:
                    run_stage(window, 0, LAST, work, y // 2, 0, pixels)
                    copy_pixels(out[plane, y, left:], work[results], pixels)
                    if y + 1 < rows:
                        copy_pixels(out[plane, y + 1, left:], work[results + 1], pixels)

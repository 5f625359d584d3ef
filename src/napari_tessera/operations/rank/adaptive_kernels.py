"""Compiled passes of the adaptive median: one for each size of window, over what the smaller ones left open.

Cached on disk like the kernels in `kernels`; after a change of those, `networks`, `plans` or `vectors`, touch this
file. What is called from one place is written into its caller before that is compiled (``inline``): compiled on its
own, the networks would be optimised again there, and again in the caller's caller.
"""

from typing import Any

import numpy as np
from numba import njit

from napari_tessera.operations.mirroring_kernels import mirrored
from napari_tessera.operations.rank.median_kernels import fetch_row, visit_row
from napari_tessera.operations.rank.plans import LAST
from napari_tessera.operations.rank.vectors import VECTOR_BYTES, decide_vectors, run_stage


@njit(cache=True, nogil=True)
def open_range(todo: Any, plane: int, top: int, bottom: int, start: int, stop: int) -> tuple[int, int]:
    """Return the words of 8 pixels, of start … stop, outside which rows top … bottom − 1 have no open pixel."""
    first, last = stop, start
    for y in range(top, bottom):
        words = todo[plane, y]
        i = start
        while i < first and words[i] == 0:
            i += 1
        first = i
        j = stop
        while j > max(last, first) and words[j - 1] == 0:
            j -= 1
        last = max(last, j)
    return first, last


@njit(cache=True, nogil=True, inline="always")
def decide_row(pixels: Any, found: Any, out: Any, todo: Any) -> None:
    """Apply the levels A and B to a row of pixels, see `vectors.decide_vectors`."""
    lanes = VECTOR_BYTES // pixels.itemsize
    count = pixels.shape[0] // lanes
    decide_vectors(pixels, found, out, todo, count)
    for x in range(count * lanes, pixels.shape[0]):
        low, middle, high = found[0, x], found[1, x], found[2, x]
        if todo[x]:
            holds = low < middle < high
            out[x] = pixels[x] if holds and low < pixels[x] < high else middle
            todo[x] = not holds


@njit(cache=True, nogil=True)
def network_pass(image: Any, out: Any, todo: Any, words: Any, window: Any, work: Any, chunk: int, strip: int) -> None:
    """Try one size of window on every open pixel, by sorting networks.

    Parameters
    ----------
    image, out : (z, y, x) array, C-contiguous
    todo : (z, y, x) array of uint8
        1 where a pixel is open; the length of its rows is a multiple of 8, what lies beyond the image is 0.
    words : (z, y, x / 8) array of uint64
        `todo` again, 8 pixels at a time.
    window : tuple
        From `vectors.marker_of`.
    work : (rows, x) array
        Working buffer, see `vectors.run_stage`.
    chunk, strip : int
        How many pixels of a row fit into the buffer, a multiple of 8, and how many rows are tried together, even.
    """
    planes, rows, columns = image.shape
    for plane in range(planes):
        for left in range(0, columns, chunk):
            stop = min(left + chunk, columns)
            for top in range(0, rows, strip):
                below = min(top + strip, rows)
                first, last = open_range(words, plane, top, below, left // 8, (stop + 7) // 8)
                if first < last:
                    try_strip(image, out, todo, words, window, work, plane, top, below, first * 8, min(last * 8, stop))


@njit(cache=True, nogil=True, inline="always")
def try_strip(
    image: Any,
    out: Any,
    todo: Any,
    words: Any,
    window: Any,
    work: Any,
    plane: int,
    top: int,
    below: int,
    left: int,
    stop: int,
) -> None:
    """Try one size of window on the open pixels of rows top … below − 1, columns left … stop − 1."""
    height = len(window[1])
    results = work.shape[0] - 7
    count = below - top
    for index in range(count + count % 2 + height - 1):
        visit_row(image, work, window, plane, top + index - height // 2, left, stop - left, index)
        y = top + index - height
        if y < top or (y - top) % 2:
            continue
        first, last = open_range(words, plane, y, min(y + 2, below), left // 8, (stop + 7) // 8)
        if first >= last:
            continue
        a, b = first * 8, min(last * 8, stop)
        run_stage(window, 1, LAST, work, (y - top) // 2, a - left, b - a)
        for i in range(min(2, below - y)):
            found = work[results + 3 * i : results + 3 * i + 3, a - left :]
            decide_row(image[plane, y + i, a:b], found, out[plane, y + i, a:b], todo[plane, y + i, a:b])


@njit(cache=True, nogil=True)
def select(values: Any, count: int, rank: int) -> Any:
    """Return the value of a rank (from 0) among the first `count` of `values`, which are reordered."""
    left, right = 0, count - 1
    while left < right:
        pivot = values[(left + right) // 2]
        i, j = left, right
        while i <= j:
            while i < right and values[i] < pivot:
                i += 1
            while j > left and values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if rank <= j:
            right = j
        elif rank >= i:
            left = i
        else:
            return values[rank]
    return values[rank]


@njit(cache=True, nogil=True, inline="always")
def extremes_and_counts(
    moving: Any, row: int, count: int, width: int, column: int, low: Any, high: Any, equal: Any, scratch: Any
) -> None:
    """Find the smallest and largest value of each window of a row of pixels, and how often each occurs.

    Parameters
    ----------
    moving : (rows, x) array
        Windows are `count` rows from `row` on and `width` columns from `column` + x on.
    low, high : (x,) array
        Receive the extremes.
    equal : (2, x) array of int32
        Receives how many pixels equal the smallest and the largest value.
    scratch : (2, x) array
        At least `width` − 1 longer than `low`.
    """
    pixels = low.shape[0]
    # Loops in place of slices that are assigned: numba would compile checks and messages about shapes, for seconds.
    line = moving[row, column:]
    for x in range(pixels + width - 1):
        scratch[0, x] = scratch[1, x] = line[x]
    for r in range(row + 1, row + count):
        line = moving[r, column:]
        for x in range(pixels + width - 1):
            scratch[0, x] = min(scratch[0, x], line[x])
            scratch[1, x] = max(scratch[1, x], line[x])
    for x in range(pixels):
        low[x], high[x] = scratch[0, x], scratch[1, x]
        equal[0, x] = equal[1, x] = 0
    for shift in range(1, width):
        for x in range(pixels):
            low[x] = min(low[x], scratch[0, x + shift])
            high[x] = max(high[x], scratch[1, x + shift])
    for r in range(row, row + count):
        for shift in range(width):
            line = moving[r, column + shift :]
            for x in range(pixels):
                equal[0, x] += line[x] == low[x]
                equal[1, x] += line[x] == high[x]


@njit(cache=True, nogil=True, inline="always")
def settle_row(
    moving: Any,
    row: int,
    count: int,
    width: int,
    column: int,
    low: Any,
    high: Any,
    equal: Any,
    gathered: Any,
    pixels: Any,
    out: Any,
    todo: Any,
) -> None:
    """Apply the levels A and B to the open pixels of a row, with a selection only where the median is emitted."""
    rank = count * width // 2
    for x in range(pixels.shape[0]):
        if not todo[x]:
            continue
        if equal[0, x] > rank:
            out[x] = low[x]
        elif equal[1, x] > rank:
            out[x] = high[x]
        else:
            todo[x] = 0
            if low[x] < pixels[x] and pixels[x] < high[x]:
                out[x] = pixels[x]
            else:
                for r in range(count):
                    for shift in range(width):
                        gathered[r * width + shift] = moving[row + r, column + x + shift]
                out[x] = select(gathered, count * width, rank)


@njit(cache=True, nogil=True)
def counting_pass(image: Any, out: Any, todo: Any, words: Any, window: Any, chunk: int, strip: int) -> None:
    """Try one size of window on every open pixel, for windows too large for a network.

    The median equals an extreme, so that level A fails, where more than half of the window equals that extreme:
    counting decides, and flat background needs no median at all. Parameters as for `network_pass`.
    """
    depth, height, width = window
    planes, rows, columns = image.shape
    moving = np.empty(((strip + height - 1) * depth, chunk + width - 1), image.dtype)
    scratch = np.empty((2, chunk + width - 1), image.dtype)
    bounds = np.empty((2, chunk), image.dtype)
    equal = np.empty((2, chunk), np.int32)
    gathered = np.empty(depth * height * width, image.dtype)
    for plane in range(planes):
        for left in range(0, columns, chunk):
            stop = min(left + chunk, columns)
            ends = (left // 8, (stop + 7) // 8)
            for top in range(0, rows, strip):
                below = min(top + strip, rows)
                first, last = open_range(words, plane, top, below, ends[0], ends[1])
                if first >= last:
                    continue
                for i in range(below - top + height - 1):
                    y = mirrored(top + i - height // 2, rows)
                    for j in range(depth):
                        z = mirrored(plane + j - depth // 2, planes)
                        fetch_row(moving[i * depth + j], image[z, y], left - width // 2, stop - left + width - 1)
                for y in range(top, below):
                    first, last = open_range(words, plane, y, y + 1, ends[0], ends[1])
                    if first >= last:
                        continue
                    a, b = first * 8, min(last * 8, stop)
                    low, high = bounds[0, : b - a], bounds[1, : b - a]
                    row, count, column = (y - top) * depth, depth * height, a - left
                    extremes_and_counts(moving, row, count, width, column, low, high, equal, scratch)
                    line = (image[plane, y, a:b], out[plane, y, a:b], todo[plane, y, a:b])
                    settle_row(moving, row, count, width, column, low, high, equal, gathered, line[0], line[1], line[2])

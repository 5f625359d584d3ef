"""Adaptive median filter (levels A and B) of 2D and 3D images."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError

LARGEST_NETWORK = {2: 15, 3: 7}
"""Widest window that a sorting network searches, in 2D and 3D: beyond, counting is faster."""

SHORT_STRIP, LONG_STRIP = 16, 64
"""Rows that are tried together, even: few where few pixels are open, so that much is left out; many where most are."""

COUNTING_CHUNK, COUNTING_STRIP = 512, 16
"""Pixels and rows that are worked on at a time for larger windows; the chunk is a multiple of 8."""


def adaptive_median(image: NDArray[Any], largest: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Remove impulse noise with the smallest window, of 3, 5, … `largest` pixels, whose median is no impulse itself.

    The filter of Gonzalez & Woods [1]_, with strict inequalities. For a window with the smallest value z_min, median
    z_med and largest value z_max around a pixel z_xy:

    - level A: if z_min < z_med < z_max, level B decides; else the window grows by 2 pixels;
    - level B: if z_min < z_xy < z_max, the pixel is kept (z_xy), else it becomes z_med.

    Where level A fails for the largest window too, the pixel becomes that window's z_med (third and later editions of
    the book; the second emitted z_xy). Borders are reflected (d c b a | a b c d | d c b a). A constant region stays as
    it is.

    Parameters
    ----------
    image : (y, x) or (z, y, x) array
        bool, integers of 8 to 64 bit, float16, float32 or float64. Where a window holds NaN its result is one of the
        window's values, which one is not defined: check for NaN before.
    largest : int
        Extent of the largest window along each axis, in pixels, odd, at least 3 (S_max).
    out : array, optional
        Where to write, of the shape and dtype of `image`.

    Returns
    -------
    array
        `out`, or a new array of the shape and dtype of `image`.

    Raises
    ------
    InvalidInputError
        For an image that is not 2D or 3D, a dtype without order, a window that is even or below 3, or an unfit `out`.

    References
    ----------
    .. [1] R. C. Gonzalez and R. E. Woods, "Digital Image Processing", section "Adaptive median filters".
    """
    from napari_tessera.operations.rank.arrays import as_filtered, checked_out, hand_over, read_only
    from napari_tessera.operations.rank.median import checked_size

    checked_size(3, np.ndim(image))
    if largest < 3 or largest % 2 == 0:
        msg = f"The largest window must be an odd number of pixels from 3 on, not {largest}: take 3, 5, 7, …"
        raise InvalidInputError(msg)
    result = checked_out(image, out)
    if image.size == 0:
        return result
    source, target = as_filtered(image, result)
    planes, rows, columns = source.shape
    todo = np.zeros((planes, rows, -(-columns // 8) * 8), np.uint8)
    todo[:, :, :columns] = 1
    words = todo.view(np.uint64)
    for size in range(3, largest + 1, 2):
        _try_window(read_only(source), target, todo, size, image.ndim)
        if not words.any():
            break
    hand_over(target, result)
    return result


def _try_window(image: NDArray[Any], out: NDArray[Any], todo: NDArray[np.uint8], size: int, ndim: int) -> None:
    """Try a window of `size` pixels on the open pixels of a (z, y, x) image."""
    from napari_tessera.operations.rank.adaptive_kernels import counting_pass, network_pass
    from napari_tessera.operations.rank.arrays import working_buffer
    from napari_tessera.operations.rank.vectors import CHUNK_BYTES, marker_of

    window = (size if ndim == 3 else 1, size, size)
    words = todo.view(np.uint64)
    if size > LARGEST_NETWORK[ndim]:
        counting_pass(image, out, todo, words, window, COUNTING_CHUNK, COUNTING_STRIP)
        return
    work = working_buffer(window, image.dtype, extremes=True)
    strip = LONG_STRIP if np.count_nonzero(words) > words.size // 8 else SHORT_STRIP
    network_pass(image, out, todo, words, marker_of(window), work, CHUNK_BYTES // image.itemsize, strip)

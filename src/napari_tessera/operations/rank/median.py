"""Median filter of 2D and 3D images, identical to scipy's with reflected borders and far faster."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.rank.counting import median_by_counting

LARGEST_NETWORK = 343
"""Pixels of the largest window that is filtered by a sorting network: beyond, compiling one takes too long."""

LONGEST_ROW = 15
"""Longest window along x of a sorting network, in pixels."""

OPENCV_DTYPES = {3: {"uint8", "uint16", "int16", "float32"}, 5: {"float32"}}
"""Square windows and dtypes for which OpenCV's vector code is faster than a network."""

Window = tuple[int, int, int]


def median(
    image: NDArray[Any],
    size: int | tuple[int, ...],
    out: NDArray[Any] | None = None,
    check: Callable[[], None] = lambda: None,
) -> NDArray[Any]:
    """Replace each pixel by the median of the window around it; borders are reflected (d c b a | a b c d | d c b a).

    The result is that of ``scipy.ndimage.median_filter(image, size, mode="reflect")`` in every pixel, but exact
    for integers above 2⁵³, which scipy rounds. What computes it:
    OpenCV for square windows of 3, and 5 on float32; sorting networks [1]_ for other windows of up to
    `LARGEST_NETWORK` pixels, in 3D too; OpenCV's constant-time histogram for larger square windows on uint8 and bool;
    counts of ranks
    for other large windows; scipy for windows that extend along one axis only. The first call
    for a window and dtype compiles a network for about a second; it is then cached on disk.

    Parameters
    ----------
    image : (y, x) or (z, y, x) array
        bool, integers of 8 to 64 bit, float16, float32 or float64. Where a window holds NaN its result is one of the
        window's values, which one is not defined: check for NaN before.
    size : int or tuple of int
        Extent of the window in pixels, odd, one for all axes or one per axis.
    out : array, optional
        Where to write, of the shape and dtype of `image`.
    check : callable, optional
        Raises if the work is to end; called now and then where windows are large.

    Returns
    -------
    array
        `out`, or a new array of the shape and dtype of `image`.

    Raises
    ------
    InvalidInputError
        For an image that is not 2D or 3D, a dtype without order, an even or non-positive size, or an unfit `out`.

    References
    ----------
    .. [1] A. Adams, "Fast median filters using separable sorting networks", ACM Transactions on Graphics 40(4), 2021.
    """
    from napari_tessera.operations.rank.arrays import as_filtered, checked_out, hand_over

    extents = checked_size(size, np.ndim(image))
    result = checked_out(image, out)
    if image.size == 0:
        return result
    source, target = as_filtered(image, result)
    window: Window = (1, *extents) if len(extents) == 2 else extents  # type: ignore[assignment]
    _filter(source, window, target, check)
    hand_over(target, result)
    return result


def checked_size(size: int | tuple[int, ...], ndim: int) -> tuple[int, ...]:
    """Return the extent of a window along each of `ndim` axes.

    Raises
    ------
    InvalidInputError
        For an image that is not 2D or 3D, or extents that are not odd, positive and one per axis.
    """
    if ndim not in {2, 3}:
        msg = f"The filter needs a 2D or 3D image, this one has {ndim} axes: filter its planes or volumes one by one."
        raise InvalidInputError(msg)
    extents = (int(size),) * ndim if isinstance(size, int | np.integer) else tuple(int(extent) for extent in size)
    if len(extents) != ndim:
        msg = f"The window has {len(extents)} extents and the image {ndim} axes: give one extent, or one per axis."
        raise InvalidInputError(msg)
    if any(extent < 1 or extent % 2 == 0 for extent in extents):
        msg = f"The window must be odd along each axis, not {' × '.join(map(str, extents))}: take 3, 5, 7, …"
        raise InvalidInputError(msg)
    return extents


def _filter(image: NDArray[Any], window: Window, out: NDArray[Any], check: Callable[[], None]) -> None:
    """Filter a (z, y, x) array into another one by the fastest way there is for the window and the dtype."""
    depth, height, width = window
    wide = [axis for axis in range(3) if window[axis] > 1]
    if not wide:
        out[...] = image
    elif len(wide) == 1:
        _filter_with_scipy(image, window, out)
    elif height == 1 or (depth > 1 and width == 1):
        # The kernels need rows of several pixels in planes of several rows: exchange the axis of extent 1 with z.
        narrow = window.index(1)
        turned = np.empty_like(np.swapaxes(image, 0, narrow), order="C")
        _filter(np.ascontiguousarray(np.swapaxes(image, 0, narrow)), _exchanged(window, narrow), turned, check)
        out[...] = np.swapaxes(turned, 0, narrow)
    elif depth == 1 and height == width and _suits_opencv(image.dtype, height):
        for plane, target in zip(image, out, strict=True):
            _filter_with_opencv(plane, height, target)
    elif depth * height * width <= LARGEST_NETWORK and width <= LONGEST_ROW:
        _filter_with_network(image, window, out)
    else:
        median_by_counting(image, window, out, check)


def _exchanged(window: Window, axis: int) -> Window:
    extents = list(window)
    extents[0], extents[axis] = extents[axis], extents[0]
    return extents[0], extents[1], extents[2]


def _suits_opencv(dtype: np.dtype[Any], size: int) -> bool:
    return dtype.name in OPENCV_DTYPES.get(size, ()) or (size > LONGEST_ROW and dtype == np.uint8)


def _filter_with_scipy(image: NDArray[Any], window: Window, out: NDArray[Any]) -> None:
    from scipy import ndimage

    if image.dtype.kind in "iu" and image.dtype.itemsize == 8:
        # scipy computes with float64, which does not hold all integers of 64 bit: it gets their ranks.
        values, ranks = np.unique(image, return_inverse=True)
        out[...] = values[ndimage.median_filter(ranks.reshape(image.shape), window, mode="reflect")]
        return
    out[...] = ndimage.median_filter(image, window, mode="reflect")


def _filter_with_network(image: NDArray[Any], window: Window, out: NDArray[Any]) -> None:
    from napari_tessera.operations.rank.arrays import read_only, working_buffer
    from napari_tessera.operations.rank.median_kernels import median_rows
    from napari_tessera.operations.rank.vectors import CHUNK_BYTES, marker_of

    work = working_buffer(window, image.dtype)
    target = out if out.flags.c_contiguous else np.empty_like(out, order="C")
    median_rows(read_only(image), target, marker_of(window), work, CHUNK_BYTES // image.itemsize)
    if target is not out:
        out[...] = target


def _filter_with_opencv(plane: NDArray[Any], size: int, out: NDArray[Any]) -> None:
    """Filter a (y, x) plane with OpenCV, which repeats the edge pixel: the same for 3 × 3, made good for others."""
    import cv2

    radius = size // 2
    if size == 3:
        _blur(cv2, plane, size, out)
    elif size > 5 or min(plane.shape) < 2 * radius:
        out[...] = cv2.medianBlur(np.pad(plane, radius, mode="symmetric"), size)[radius:-radius, radius:-radius]
    else:
        _blur(cv2, plane, size, out)
        # Only the outermost rows and columns see the border; columns are turned into rows, which are faster.
        near, far = slice(None, 2 * radius), slice(-2 * radius, None)
        for image, target in ((plane, out), (plane.T, out.T)):
            for rows, edge in ((near, slice(None, radius)), (far, slice(-radius, None))):
                strip = cv2.medianBlur(np.pad(image[rows], radius, mode="symmetric"), size)
                target[edge] = strip[radius:-radius, radius:-radius][edge]


def _blur(cv2: Any, plane: NDArray[Any], size: int, out: NDArray[Any]) -> None:
    """Let OpenCV write into `out` where it can, else copy."""
    made = cv2.medianBlur(plane, size, dst=out)
    if made is not out:
        out[...] = made

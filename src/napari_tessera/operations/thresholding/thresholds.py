"""Thresholds found from a histogram alone: an image of any size needs one pass to have its threshold.

Every threshold ``t`` means: the foreground is what is greater than ``t``. Where a method picks a bin, ``t`` is the
highest value of that bin in the image's own dtype: comparing pixels with ``t`` divides them exactly as the bins were.
"""

import numpy as np

from napari_tessera.core.errors import InvalidInputError, NoContrastError
from napari_tessera.operations.reductions.histograms import Histogram

MOST_CLASSES = 10


def otsu(histogram: Histogram) -> float:
    """Return the threshold with the greatest variance between the two classes.

    Of equally good thresholds it is the lowest.

    Raises
    ------
    InvalidInputError
        If the image is constant or empty.

    References
    ----------
    N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. Syst. Man Cybern. 9 (1979).
    """
    _check_spread(histogram)
    return multi_otsu(histogram, 2)[0]


def multi_otsu(histogram: Histogram, classes: int = 3) -> tuple[float, ...]:
    """Return the thresholds with the greatest variance between the classes: of all there are, not of some tried.

    Class ``k`` (from 0) is what is greater than ``k`` of the thresholds. Of divisions that are equally good (to
    rounding) it is the one whose first threshold is lowest, then whose second is, and so on; a threshold is always a
    grey level that occurs.

    Parameters
    ----------
    histogram
        Histogram of the whole image.
    classes
        2 to 10.

    Returns
    -------
    ``classes - 1`` thresholds, ascending.

    Raises
    ------
    InvalidInputError
        If `classes` is out of range, or the image has fewer grey levels than that.

    References
    ----------
    P.-S. Liao, T.-S. Chen and P.-C. Chung, "A fast algorithm for multilevel thresholding", J. Inf. Sci. Eng. 17 (2001),
    for the criterion; dynamic programming with monotone ends in place of their search.
    """
    from napari_tessera.operations.thresholding.threshold_kernels import otsu_splits

    if not 2 <= classes <= MOST_CLASSES:
        raise InvalidInputError(f"{classes} classes cannot be told apart: choose 2 to {MOST_CLASSES}.")
    occupied = int(np.count_nonzero(histogram.counts))
    if occupied < classes:
        raise NoContrastError(
            f"The image has {occupied} grey level{'s' * (occupied != 1)} and cannot be divided into {classes} classes: "
            f"choose {f'at most {occupied} classes' if occupied > 1 else 'an image that is not constant'}."
        )
    return tuple(histogram.upper(int(index)) for index in otsu_splits(histogram.counts, classes))


def li(histogram: Histogram, tolerance: float | None = None) -> float:
    """Return the threshold of least cross entropy between the image and its two class means, found by iteration.

    It starts at the mean, on intensities counted from the lowest that occurs (the method needs logarithms), and ends
    when a step is no longer than `tolerance`.

    Parameters
    ----------
    histogram
        Histogram of the whole image.
    tolerance
        In grey levels; half the width of a bin by default.

    Raises
    ------
    InvalidInputError
        If the image is constant or empty, or `tolerance` is not greater than 0.

    References
    ----------
    C. H. Li and P. K. S. Tam, "An iterative algorithm for minimum cross entropy thresholding", Pattern Recognition
    Letters 19 (1998).
    """
    first, _ = _check_spread(histogram)
    if tolerance is None:
        tolerance = histogram.width / 2
    if not tolerance > 0:
        raise InvalidInputError(f"Tolerance {tolerance} never ends the iteration: choose one greater than 0.")
    counts = histogram.counts[first:]
    levels = np.arange(counts.size)
    pixels, totals = np.cumsum(counts), np.cumsum(counts * levels)
    step = tolerance / histogram.width
    threshold, previous = totals[-1] / pixels[-1], -np.inf
    while abs(threshold - previous) > step:
        previous = threshold
        below = int(threshold)
        back = totals[below] / pixels[below]
        if back == 0:
            break
        fore = (totals[-1] - totals[below]) / (pixels[-1] - pixels[below])
        threshold = (back - fore) / (np.log(back) - np.log(fore))
    return float(histogram.centers[first] + threshold * histogram.width)


def triangle(histogram: Histogram) -> float:
    """Return the threshold farthest from the line between the histogram's peak and the end of its longer tail.

    Of equally far ones it is the one nearest to the end of the tail.

    Raises
    ------
    InvalidInputError
        If the image is constant or empty.

    References
    ----------
    G. W. Zack, W. E. Rogers and S. A. Latt, "Automatic measurement of sister chromatid exchange frequency",
    J. Histochem. Cytochem. 25 (1977).
    """
    first, last = _check_spread(histogram)
    peak = int(np.argmax(histogram.counts))
    falling = peak - first < last - peak
    tail = histogram.counts[last:peak:-1] if falling else histogram.counts[first:peak]
    # Distance from the line, times a constant, in whole numbers: equals are found to be equal.
    distance = histogram.counts[peak] * np.arange(tail.size) - tail.size * tail
    farthest = int(np.argmax(distance))
    return histogram.upper(last - farthest if falling else first + farthest)


def yen(histogram: Histogram) -> float:
    """Return the threshold by the maximum correlation criterion; of equally good ones it is the lowest.

    Raises
    ------
    InvalidInputError
        If the image is constant or empty.

    References
    ----------
    J.-C. Yen, F.-J. Chang and S. Chang, "A new criterion for automatic multilevel thresholding", IEEE Trans. Image
    Processing 4 (1995).
    """
    first, last = _check_spread(histogram)
    counts = histogram.counts[first : last + 1]
    squares = (counts / counts.sum()) ** 2
    # what is above is counted: 1 less what is below would leave nothing of few pixels among many
    below, above = np.cumsum(counts)[:-1] / counts.sum(), np.cumsum(counts[:0:-1])[::-1] / counts.sum()
    under, over = np.cumsum(squares)[:-1], np.cumsum(squares[:0:-1])[::-1]
    criterion = 2 * np.log(below * above) - np.log(under) - np.log(over)
    return histogram.upper(first + int(np.argmax(criterion)))


def isodata(histogram: Histogram) -> float:
    """Return the lowest threshold that lies midway between the means of what it divides.

    Raises
    ------
    InvalidInputError
        If the image is constant or empty.

    References
    ----------
    T. W. Ridler and S. Calvard, "Picture thresholding using an iterative selection method", IEEE Trans. Syst. Man
    Cybern. 8 (1978).
    """
    first, last = _check_spread(histogram)
    counts = histogram.counts[first : last + 1]
    levels = np.arange(counts.size)
    pixels, totals = np.cumsum(counts), np.cumsum(counts * levels)
    means = totals[:-1] / pixels[:-1], (totals[-1] - totals[:-1]) / (pixels[-1] - pixels[:-1])
    beyond = (means[0] + means[1]) / 2 - levels[:-1]
    # from bin to bin it falls by 1 at most, from at least 0 to less than 1, so that there is one between
    return histogram.upper(first + int(np.flatnonzero((beyond >= 0) & (beyond < 1))[0]))


def _check_spread(histogram: Histogram) -> tuple[int, int]:
    """Return the first and the last bin that are not empty, which must differ."""
    occupied = np.flatnonzero(histogram.counts)
    if occupied.size == 0:
        raise InvalidInputError("The image has no pixels: choose one that is not empty.")
    if occupied.size == 1:
        raise NoContrastError("The image is constant, so no threshold divides it: choose one that is not.")
    return int(occupied[0]), int(occupied[-1])

"""Histograms that add up: those of the tiles sum to that of the whole image, count for count."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.wide_integers import is_wide, offsets_within

BINS = 65_536
"""Bins of an image whose grey levels are too many to have one each."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """How often each grey level, or each of many equal bins, occurs in an image.

    Bins are open below and closed above, so that the pixels of the bins up to ``k`` are exactly those that are not
    greater than `upper` of ``k``.

    Attributes
    ----------
    counts
        Shape (bins,), int64: pixels per bin, the lowest bin first.
    low, high
        Lowest and highest value that the bins cover.
    dtype
        Dtype of the image.
    """

    counts: NDArray[np.int64]
    low: float
    high: float
    dtype: np.dtype[Any]

    @property
    def by_level(self) -> bool:
        """Whether there is one bin per grey level."""
        return _by_level(self.dtype, self.low, self.high, self.counts.size)

    @property
    def width(self) -> float:
        """Width of a bin in grey levels."""
        return 1.0 if self.by_level else extent_between(self.low, self.high) / self.counts.size

    @property
    def edges(self) -> NDArray[np.float64]:
        """Shape (bins + 1,): borders of the bins; half a level beside the levels where there is one bin per level."""
        first = float(self.low) - 0.5 if self.by_level else float(self.low)
        return np.asarray(first + np.arange(self.counts.size + 1) * self.width, np.float64)

    @property
    def centers(self) -> NDArray[np.float64]:
        """Shape (bins,): the value that stands for each bin; the grey level where there is one bin per level."""
        first = float(self.low) if self.by_level else float(self.low) + self.width / 2
        return np.asarray(first + np.arange(self.counts.size) * self.width, np.float64)

    def upper(self, index: int) -> float:
        """Return the highest value of the image's dtype that falls into bin `index` or below it.

        A pixel lies in a higher bin exactly if it is greater than this value: as an integer for integer images, and
        otherwise as a number that rounds to itself in the image's dtype.
        """
        if self.by_level:
            return self.low + index
        if index >= self.counts.size - 1:
            return self.high
        return _bisect(self, index, integer=self.dtype.kind in "iu")

    def trimmed(self) -> "Histogram":
        """Return the histogram without the empty grey levels at both ends (as it is, if bins are not levels)."""
        occupied = np.flatnonzero(self.counts)
        if not self.by_level or occupied.size == 0:
            return self
        first, last = int(occupied[0]), int(occupied[-1])
        low = int(self.low)
        return replace(self, counts=self.counts[first : last + 1], low=low + first, high=low + last)


def histogram(image: NDArray[Any], bins: int = BINS) -> Histogram:
    """Return the histogram of a whole image over its own range.

    Parameters
    ----------
    image
        Array of any shape; bool, integer or real.
    bins
        Number of bins where the image has more grey levels than that and more than 16 bits.

    Raises
    ------
    InvalidInputError
        If the image is empty, complex, or holds NaN or infinity.
    """
    low, high = full_range(image.dtype) or extent_of(image)
    count = bins_for(image.dtype, low, high, bins)
    return Histogram(histogram_of(image, low, high, count), low, high, image.dtype).trimmed()


def full_range(dtype: DTypeLike) -> tuple[int, int] | None:
    """Return the range of integers of up to 16 bits, which can be counted without a first look; None for others."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return 0, 1
    if dtype.kind in "iu" and dtype.itemsize <= 2:
        limits = np.iinfo(dtype)
        return int(limits.min), int(limits.max)
    return None


def extent_of(image: NDArray[Any]) -> tuple[float, float]:
    """Return the lowest and the highest value; those of the tiles combine to those of the whole.

    Raises
    ------
    InvalidInputError
        If the image is empty, complex, or holds NaN or infinity.
    """
    _check_dtype(image.dtype)
    if image.size == 0:
        raise InvalidInputError(f"The image of shape {image.shape} has no pixels: choose one that is not empty.")
    low, high = image.min().item(), image.max().item()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise _not_finite()
    return low, high


def bins_for(dtype: DTypeLike, low: float, high: float, bins: int = BINS) -> int:
    """Return how many bins to use: one per grey level for integers of up to 16 bits, or of no more levels than `bins`.

    Raises
    ------
    InvalidInputError
        If `bins` is less than 2.
    """
    dtype = np.dtype(dtype)
    if bins < 2:
        raise InvalidInputError(f"A histogram of {bins} bins tells nothing: choose 2 bins or more.")
    if dtype.kind in "biu":
        levels = int(high) - int(low) + 1
        if full_range(dtype) is not None or levels <= bins:
            return levels
    return bins if high > low else 1


def histogram_of(array: NDArray[Any], low: float, high: float, bins: int) -> NDArray[np.int64]:
    """Count the pixels of an array, or of one tile of it, per bin.

    The bin of a pixel depends on its value alone, so that the counts of tiles add up to those of the whole image.

    Parameters
    ----------
    array
        Array of any shape; bool, integer or real.
    low, high
        Range of the bins: that of the whole image. What lies outside is counted in the bin at that end.
    bins
        Number of bins. Integers have one bin per grey level if it is ``high - low + 1``; in all other cases the bins
        are of equal width, open below and closed above, and the lowest holds `low` too.

    Returns
    -------
    Shape (bins,), int64.

    Raises
    ------
    InvalidInputError
        If the array is complex or holds NaN or infinity, or the range cannot be divided into bins.
    """
    from napari_tessera.operations.reductions.histogram_kernels import count_all, count_bins, count_levels

    _check_dtype(array.dtype)
    flat = flat_pixels(array)
    if bins in (2**8, 2**16) and flat.size < 2**32 and (low, high, bins) == _whole_type(flat.dtype):
        counts = np.asarray(count_all(flat.view(f"u{flat.dtype.itemsize}"), bins))
        return np.roll(counts, bins // 2) if flat.dtype.kind == "i" else counts  # negative levels come first
    if is_wide(flat.dtype):  # from the lowest on, so that floats tell large ones apart where they can
        offsets, low, high = offsets_within(flat, int(low), int(high)), 0, int(high) - int(low)
        flat = offsets.astype(np.int64 if high + 1 == bins else np.float64)
    if _by_level(array.dtype, low, high, bins):
        return np.asarray(count_levels(flat, int(low), bins))
    counts, unusable = count_bins(flat, float(low), _bins_per_unit(low, high, bins), bins)
    if unusable:
        raise _not_finite()
    return np.asarray(counts)


def _whole_type(dtype: np.dtype[Any]) -> tuple[int, int, int] | None:
    """Return lowest and highest level and number of levels of an integer type; None for other types."""
    if dtype.kind not in "iu":
        return None
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max), int(limits.max) - int(limits.min) + 1


def _by_level(dtype: np.dtype[Any], low: float, high: float, bins: int) -> bool:
    # Differences of 64-bit levels may not fit into 64 bits: only Python's integers count them.
    return dtype.kind in "biu" and int(high) - int(low) + 1 == bins


def flat_pixels(array: NDArray[Any]) -> NDArray[Any]:
    """Return all pixels in one dimension, as a read-only view where possible: one compiled version per dtype."""
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    elif array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    flat = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(-1).view()
    flat.flags.writeable = False
    return flat


def _bins_per_unit(low: float, high: float, bins: int) -> float:
    """Return the factor that both counting and looking up a bin use; 0 for a constant image."""
    extent = extent_between(low, high)
    if extent == 0:
        return 0.0
    scale = bins / extent
    if not (0 < scale < np.inf):
        raise InvalidInputError(
            f"The range {low:g} to {high:g} cannot be divided into {bins} bins: rescale the intensities first."
        )
    return scale


def _bisect(histogram: Histogram, index: int, *, integer: bool) -> float:
    """Return the highest value whose bin is `index` or lower, by halving the range in the image's own numbers."""
    scale = _bins_per_unit(histogram.low, histogram.high, histogram.counts.size)
    low, high = histogram.low, histogram.high
    while True:
        if integer:
            middle: float = (int(low) + int(high)) // 2
        else:
            middle = float(histogram.dtype.type(low / 2 + high / 2))
        if middle in {low, high}:
            return low
        if extent_between(histogram.low, middle) * scale <= index + 1:
            low = middle
        else:
            high = middle


def extent_between(low: float, high: float) -> float:
    """Return how far `high` lies above `low`; of integers exactly, before it is rounded."""
    return float(high - low) if isinstance(low, int) and isinstance(high, int) else float(high) - float(low)


def _check_dtype(dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "biuf":
        raise InvalidInputError(
            f"A histogram of {dtype} is not defined: convert the image to integers or real numbers."
        )


def _not_finite() -> InvalidInputError:
    return InvalidInputError("The image holds NaN or infinity: replace them by numbers first, for example by 0.")

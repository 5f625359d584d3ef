"""Histograms and ids of a whole frame, gathered piece by piece."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.operations.base import Block, Survey
from napari_tessera.operations.reductions.histograms import (
    BINS,
    Histogram,
    bins_for,
    extent_of,
    full_range,
    histogram_of,
)

COUNTED_IDS = 2**22
"""Ids up to this are counted in a table; higher ones by sorting."""


def survey_histogram(survey: Survey, bins: int = BINS) -> Histogram:
    """Return the histogram of a frame over its own range, the same however the frame is cut.

    Integers of up to 16 bits need one look at the image, all others two.

    Raises
    ------
    InvalidInputError
        If the image holds NaN or infinity.
    """
    dtype = survey.spec.dtype
    low, high = full_range(dtype) or survey.reduce(
        lambda block: extent_of(block.image),
        lambda one, other: (min(one[0], other[0]), max(one[1], other[1])),
    )
    count = bins_for(dtype, low, high, bins)
    counts = survey.reduce(lambda block: histogram_of(block.image, low, high, count), np.add)
    return Histogram(counts, low, high, dtype).trimmed()


def survey_ids(survey: Survey) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the ids other than 0 that labels hold, ascending, and how many pixels each has."""

    def measure(block: Block) -> tuple[NDArray[Any], NDArray[np.int64]]:
        return count_ids(block.image)

    return survey.reduce(measure, merge_counts)


def count_ids(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the ids other than 0 of an array, ascending and in its dtype, and how many pixels each has."""
    if labels.size and labels.min() >= 0 and labels.max() < min(COUNTED_IDS, 8 * labels.size):
        counts = np.bincount(labels.reshape(-1).astype(np.intp, copy=False))
        counts[0] = 0
        ids = np.flatnonzero(counts)
        return ids.astype(labels.dtype), counts[ids].astype(np.int64)
    ids, counts = np.unique(labels, return_counts=True)
    return ids[ids != 0], counts[ids != 0].astype(np.int64)


def merge_counts(
    one: tuple[NDArray[Any], NDArray[np.int64]], other: tuple[NDArray[Any], NDArray[np.int64]]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the ids of two pieces together, and the sums of their counts."""
    ids, where = np.unique(np.concatenate([one[0], other[0]]), return_inverse=True)
    counts = np.zeros(ids.size, np.int64)
    np.add.at(counts, where, np.concatenate([one[1], other[1]]))
    return ids, counts

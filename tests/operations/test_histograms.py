"""Histograms count every pixel once, in a bin that depends on its value alone."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.reductions.histograms import (
    BINS,
    Histogram,
    bins_for,
    extent_of,
    full_range,
    histogram,
    histogram_of,
)

SMALL = ("bool", "uint8", "int8", "uint16", "int16")
WIDE = ("uint32", "int32", "uint64", "int64", "float16", "float32", "float64", "longdouble", ">u2", ">f4")


def sample(dtype: str, seed: int = 0, shape: tuple[int, ...] = (13, 17)) -> np.ndarray:
    """Return random values over a large part of the dtype's range."""
    rng, kind = np.random.default_rng(seed), np.dtype(dtype)
    if kind.kind == "b":
        return rng.random(shape) < 0.3
    if kind.kind == "f":
        return rng.normal(3, 1000, shape).astype(kind)
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, shape, kind.newbyteorder("="), endpoint=True).astype(kind)


@pytest.mark.parametrize("dtype", SMALL)
def test_small_integers_have_one_bin_per_level(dtype):
    image = sample(dtype)
    found = histogram(image)
    levels, counts = np.unique(image.astype(int), return_counts=True)
    assert found.by_level
    assert (found.low, found.high) == (levels[0], levels[-1])
    assert found.counts.dtype == np.int64
    np.testing.assert_array_equal(found.centers[found.counts > 0], levels)
    np.testing.assert_array_equal(found.counts[found.counts > 0], counts)
    np.testing.assert_array_equal(found.edges[:-1], found.centers - 0.5)


@pytest.mark.parametrize("dtype", [*SMALL, *WIDE])
@pytest.mark.parametrize("bins", [2, 7, BINS])
def test_bins_divide_pixels_as_their_upper_values_do(dtype, bins):
    image = sample(dtype)
    low, high = extent_of(image)
    counts = histogram_of(image, low, high, bins_for(image.dtype, low, high, bins))
    found = Histogram(counts, low, high, image.dtype)
    assert counts.sum() == image.size
    for index in {0, 1, counts.size // 3, counts.size // 2, counts.size - 2, counts.size - 1}:
        assert (image > found.upper(index)).sum() == counts[index + 1 :].sum(), index


@pytest.mark.parametrize("dtype", [*SMALL, *WIDE])
def test_counts_of_tiles_sum_to_those_of_the_whole(dtype):
    image = sample(dtype, shape=(12, 31))
    low, high = extent_of(image)
    count = bins_for(image.dtype, low, high, 1000)
    parts = [histogram_of(image[:, at : at + 7], low, high, count) for at in range(0, 31, 7)]
    np.testing.assert_array_equal(sum(parts), histogram_of(image, low, high, count))


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e6, 1e6)), st.integers(2, 9))
def test_float_bins_match_their_edges(image, bins):
    low, high = extent_of(image)
    assume(high == low or high - low > 1e-300)  # a range that cannot be divided is refused, see below
    count = bins_for(image.dtype, low, high, bins)
    found = Histogram(histogram_of(image, low, high, count), low, high, image.dtype)
    assert found.edges.size == found.centers.size + 1 == count + 1
    for index in range(count):
        upper = found.upper(index)
        assert found.counts[: index + 1].sum() == (image <= upper).sum()
        assert abs(upper - found.edges[index + 1]) <= 1e-9 * (1 + abs(low) + abs(high))


def test_float_bins_are_those_of_numpy():
    """But at the edges, where numpy's bins are closed below."""
    image = np.random.default_rng(0).random(10_000)
    low, high = extent_of(image)
    np.testing.assert_array_equal(histogram_of(image, low, high, 256), np.histogram(image, 256)[0])
    assert histogram_of(np.array([0.0, 1, 2, 3, 4]), 0, 4, 4).tolist() == [2, 1, 1, 1]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_values_out_of_range_are_counted_at_the_ends(dtype):
    image = np.array([0, 1, 2, 3, 4, 5, 200], dtype)
    assert histogram_of(image, 2, 4, 3).tolist() == [3, 1, 3]


def test_wide_integers_with_few_levels_have_one_bin_each():
    found = histogram(np.array([2**40, 2**40 + 3], np.int64))
    assert found.by_level
    assert found.counts.tolist() == [1, 0, 0, 1]
    assert found.upper(1) == 2**40 + 1


def test_extreme_64_bit_integers_are_divided():
    image = np.array([0, 5, 2**64 - 1], np.uint64)
    found = histogram(image)
    assert found.counts.sum() == 3
    assert (image > found.upper(0)).tolist() == [False, False, True]
    high = np.array([2**64 - 3, 2**64 - 1], np.uint64)
    assert histogram(high).counts.sum() == 2


def test_a_constant_image_has_one_bin():
    assert histogram(np.full((3, 4), 7, np.uint16)).counts.tolist() == [12]
    found = histogram(np.full((3, 4), 0.1, np.float32))
    assert found.counts.tolist() == [12]
    assert found.upper(0) == np.float32(0.1)


def test_ranges_of_dtypes():
    assert full_range(bool) == (0, 1)
    assert full_range("int8") == (-128, 127)
    assert full_range("uint32") is full_range("float16") is None


def test_trimming_keeps_what_is_not_empty():
    found = Histogram(np.array([0, 0, 3, 0, 1, 0]), -2, 3, np.dtype("int8")).trimmed()
    assert (found.counts.tolist(), found.low, found.high) == ([3, 0, 1], 0, 2)
    empty = Histogram(np.zeros(3, np.int64), 0, 2, np.dtype("uint8"))
    assert empty.trimmed() is empty


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_what_is_not_finite_is_refused(value, dtype):
    image = np.ones((5, 5), dtype)
    image[2, 3] = value
    with pytest.raises(InvalidInputError, match="NaN or infinity"):
        histogram(image)
    with pytest.raises(InvalidInputError, match="NaN or infinity"):
        histogram_of(image, 0, 1, 16)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((0, 4)), "no pixels"),
        (np.zeros((2, 2), complex), "complex128"),
        (np.array([-1.7e308, 1.7e308]), "rescale"),
        (np.array([0, 5e-324]), "rescale"),
    ],
)
def test_images_that_cannot_be_counted_are_refused(image, message):
    with pytest.raises(InvalidInputError, match=message):
        histogram(image)


def test_one_bin_is_refused():
    with pytest.raises(InvalidInputError, match="2 bins"):
        histogram(np.array([0.0, 1.0]), bins=1)


def test_an_empty_tile_counts_nothing():
    assert histogram_of(np.zeros((0, 3), np.uint8), 0, 3, 4).tolist() == [0, 0, 0, 0]

"""Thresholds are those of the definition, of an exhaustive search and of scikit-image."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from skimage import data, filters

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.reductions.histograms import Histogram, histogram
from napari_tessera.operations.thresholding.thresholds import isodata, li, multi_otsu, otsu, triangle, yen

IMAGES = [data.camera(), data.coins(), data.page(), data.moon(), data.text()]


def by_levels(counts: list[int], low: int = 0) -> Histogram:
    return Histogram(np.array(counts, np.int64), low, low + len(counts) - 1, np.dtype("int16"))


def variance(counts: list[int], ends: tuple[int, ...]) -> Fraction:
    """Return what the variance between classes differs by, as an exact number; `ends` are the last levels."""
    total = Fraction(0)
    for first, last in zip((0, *(end + 1 for end in ends)), (*ends, len(counts) - 1), strict=True):
        part = range(first, last + 1)
        weight = sum(counts[level] for level in part)
        total += Fraction(sum(counts[level] * level for level in part) ** 2, weight) if weight else 0
    return total


counts = st.lists(st.one_of(st.just(0), st.integers(0, 30)), min_size=2, max_size=14)


@settings(max_examples=200, deadline=None)
@given(counts, st.integers(2, 5), st.integers(-300, 300))
def test_multi_otsu_is_the_best_of_all(counts, classes, low):
    occupied = [level for level, count in enumerate(counts) if count]
    if len(occupied) < classes:
        with pytest.raises(InvalidInputError):
            multi_otsu(by_levels(counts, low), classes)
        return
    found = tuple(int(t) - low for t in multi_otsu(by_levels(counts, low), classes))
    every = {ends: variance(counts, ends) for ends in combinations(occupied[:-1], classes - 1)}
    best = max(every.values())
    assert found in every
    assert every[found] == best
    if sum(value > best * (1 - Fraction(1, 10**12)) for value in every.values()) == 1:
        assert found == max(every, key=every.__getitem__)


def test_a_lone_peak_far_from_zero_is_divided_as_one_near_it():
    pixels = np.random.default_rng(0).normal(60_000, 2, 10**6).round()
    counts = np.bincount(pixels.astype(int), minlength=65_536)
    near = Histogram(counts[59_900:60_100], 59_900, 60_099, np.dtype("uint16"))
    far = Histogram(counts, 0, 65_535, np.dtype("uint16"))
    assert multi_otsu(far, 5) == multi_otsu(near, 5)
    assert otsu(far) == filters.threshold_otsu(hist=(near.counts.astype(float), near.centers))


@pytest.mark.parametrize("image", IMAGES)
def test_thresholds_are_those_of_scikit_image(image):
    found = histogram(image)
    assert otsu(found) == filters.threshold_otsu(image)
    assert triangle(found) == filters.threshold_triangle(image)
    assert yen(found) == filters.threshold_yen(image)
    assert isodata(found) == filters.threshold_isodata(image)
    assert list(multi_otsu(found, 3)) == filters.threshold_multiotsu(image, 3).tolist()
    assert list(multi_otsu(found, 4)) == filters.threshold_multiotsu(image, 4).tolist()
    assert li(found) == pytest.approx(filters.threshold_li(image), abs=1e-3)


@settings(max_examples=100, deadline=None)
@given(counts.filter(lambda c: np.count_nonzero(c) > 1), st.integers(-300, 300))
def test_isodata_lies_midway_between_the_means(counts, low):
    levels, counts = np.arange(len(counts)) + low, np.array(counts)
    found = isodata(by_levels(counts.tolist(), low))
    under = levels <= found
    means = [np.average(levels[part], weights=counts[part]) for part in (under, ~under)]
    assert found <= sum(means) / 2 < found + 1


def test_few_pixels_among_very_many_are_found():
    counts = [10**12, 3, 0, 0, 0, 0, 2, 1]
    assert yen(by_levels(counts)) in range(8)
    assert isodata(by_levels(counts)) == 3


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=2, max_size=256).filter(lambda c: np.count_nonzero(c) > 1))
@example([4, 1, 20, 2, 3])  # tails of equal length
def test_triangle_is_that_of_scikit_image(counts):
    image = np.repeat(np.arange(len(counts)), counts).astype(np.uint8)
    ours, theirs = triangle(by_levels(counts)), int(filters.threshold_triangle(image))
    if ours != theirs:  # equally far to rounding: then ours is nearer to the end of the tail
        peak, ends = int(np.argmax(counts)), np.flatnonzero(counts)[[0, -1]]
        falling = peak - ends[0] < ends[1] - peak
        end = ends[1] if falling else ends[0]
        assert (ours > peak) == falling
        far = [counts[peak] * abs(t - end) - abs(peak - end) * counts[t] for t in (ours, theirs)]
        assert far[0] >= far[1]


@pytest.mark.parametrize("offset", [0, -100, 1000])
def test_li_on_16_bit_and_signed_images(offset):
    image = (data.coins().astype(np.int16) * 5 + offset).astype(np.int16)
    assert li(histogram(image)) == pytest.approx(filters.threshold_li(image.copy()), abs=0.5)


def test_floats_are_as_near_as_a_bin_is_wide():
    image = (data.coins() / 255 + np.random.default_rng(0).normal(0, 1e-3, data.coins().shape)).astype(np.float32)
    found = histogram(image)
    assert otsu(found) == pytest.approx(filters.threshold_otsu(image, nbins=65_536), abs=10 * found.width)
    assert li(found) == pytest.approx(filters.threshold_li(image), abs=10 * found.width)
    coarse = histogram(image, bins=256)
    assert triangle(coarse) == pytest.approx(filters.threshold_triangle(image, nbins=256), abs=coarse.width)
    np.testing.assert_allclose(multi_otsu(coarse, 3), filters.threshold_multiotsu(image, 3), atol=coarse.width)


def test_a_threshold_divides_pixels_as_the_bins_were():
    image = np.random.default_rng(0).random((50, 50)).astype(np.float32)
    found = histogram(image, bins=10)
    for threshold in multi_otsu(found, 4):
        assert (image > threshold).sum() in np.cumsum(found.counts[::-1])
        assert np.float32(threshold) == threshold


def test_every_class_of_a_large_histogram_is_used():
    counts = np.random.default_rng(0).integers(0, 50, 65_536)
    for classes in (2, 10):
        thresholds = multi_otsu(Histogram(counts, 0, 65_535, np.dtype("uint16")), classes)
        assert len(thresholds) == classes - 1
        assert list(thresholds) == sorted(set(thresholds))
        # Each threshold lies half-way between the means of the classes beside it: what the best division fulfils.
        parts = np.split(np.arange(65_536), np.array(thresholds) + 1)
        means = [np.average(part, weights=counts[part]) for part in parts]
        for threshold, below, above in zip(thresholds, means, means[1:], strict=False):
            assert threshold == pytest.approx((below + above) / 2, abs=3)


@pytest.mark.parametrize("method", [otsu, li, triangle])
@pytest.mark.parametrize(
    ("image", "message"), [(np.full((4, 4), 7, np.uint8), "constant"), (np.full(3, 0.5), "constant")]
)
def test_a_constant_image_is_refused(method, image, message):
    with pytest.raises(InvalidInputError, match=message):
        method(histogram(image))


@pytest.mark.parametrize("method", [otsu, li, triangle])
def test_an_empty_histogram_is_refused(method):
    with pytest.raises(InvalidInputError, match="no pixels"):
        method(by_levels([0, 0, 0]))


def test_two_levels_are_divided_by_every_method():
    found = by_levels([5, 0, 0, 3], low=10)
    for method in (otsu, li, triangle):
        assert 10 <= method(found) < 13


def test_classes_out_of_range_are_refused():
    found = by_levels([1, 2, 3])
    for classes in (1, 11):
        with pytest.raises(InvalidInputError, match="2 to 10"):
            multi_otsu(found, classes)
    with pytest.raises(InvalidInputError, match="at most 3 classes"):
        multi_otsu(found, 4)
    with pytest.raises(InvalidInputError, match="not constant"):
        multi_otsu(by_levels([0, 3]), 2)
    assert multi_otsu(found, 3) == (0, 1)


def test_a_tolerance_of_nothing_is_refused():
    with pytest.raises(InvalidInputError, match="Tolerance"):
        li(by_levels([1, 2, 3]), tolerance=0)

"""Regions against the masks that they stand for: what holds of the pixels must hold of the slices."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.regions import Region

SHAPE = (7, 9)
WHOLE = (slice(0, 7), slice(0, 9))


def spans(length: int, least: int = 0) -> st.SearchStrategy[slice]:
    starts = st.integers(0, length - least)
    return starts.flatmap(lambda start: st.integers(start + least, length).map(lambda stop: slice(start, stop)))


def boxes(least: int = 0) -> st.SearchStrategy[Region]:
    return st.tuples(*(spans(length, least) for length in SHAPE))


def mask_of(region: Region) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, np.bool_)
    mask[region] = True
    return mask


def test_whole_and_one_pixel() -> None:
    assert regions.whole(SHAPE) == WHOLE
    assert regions.pixel((3, 8)) == (slice(3, 4), slice(8, 9))
    assert regions.placed(np.array([2, 3]), (4, 5)) == (slice(2, 6), slice(3, 8))
    assert all(type(part.start) is int and type(part.stop) is int for part in regions.pixel(np.array([3, 8])))


@given(region=boxes())
def test_start_and_size_place_a_region_again(region: Region) -> None:
    assert regions.placed(regions.start(region), regions.size(region)) == region
    assert mask_of(region)[region].shape == regions.size(region)
    assert regions.is_empty(region) == (math.prod(regions.size(region)) == 0)


@given(region=boxes(), at=st.tuples(st.integers(-2, 8), st.integers(-2, 10)))
def test_a_region_holds_its_pixels(region: Region, at: tuple[int, int]) -> None:
    inside = all(0 <= place < length for place, length in zip(at, SHAPE, strict=True))
    assert regions.holds(region, at) == (inside and bool(mask_of(region)[at]))


@given(one=boxes(1), other=boxes(1))
def test_union_intersection_and_containing(one: Region, other: Region) -> None:
    both = mask_of(one) & mask_of(other)
    shared = regions.intersection(one, other)
    assert (shared is None) == (not both.any())
    if shared is not None:
        np.testing.assert_array_equal(mask_of(shared), both)
    assert regions.union(one, other) == regions.bounds(mask_of(one) | mask_of(other))
    assert regions.contains(one, other) == bool((mask_of(one) | ~mask_of(other)).all())


@given(outer=boxes(1), data=st.data())
def test_relative_and_moved_are_each_others_inverse(outer: Region, data: st.DataObject) -> None:
    inner = data.draw(st.tuples(*(spans(length, 1) for length in regions.size(outer))))
    moved = regions.moved(inner, regions.start(outer))
    assert regions.relative(moved, outer) == inner
    numbers = np.arange(math.prod(SHAPE)).reshape(SHAPE)
    np.testing.assert_array_equal(numbers[outer][inner], numbers[moved])


@given(region=boxes(1), by=st.tuples(st.integers(0, 10), st.integers(0, 10)))
def test_what_is_grown_holds_all_that_is_near_and_within(region: Region, by: tuple[int, int]) -> None:
    grown = regions.grown(region, by, SHAPE)
    near = [
        [part.start - step <= at < part.stop + step for at in range(length)]
        for part, step, length in zip(region, by, SHAPE, strict=True)
    ]
    np.testing.assert_array_equal(mask_of(grown), np.logical_and.outer(*map(np.array, near)))
    assert regions.contains(WHOLE, grown)
    assert regions.grown(region, 2, SHAPE) == regions.grown(region, (2, 2), SHAPE)


@given(
    start=st.tuples(st.integers(-20, 20), st.integers(-20, 20)), size=st.tuples(st.integers(0, 20), st.integers(0, 20))
)
def test_what_is_clipped_lies_within(start: tuple[int, int], size: tuple[int, int]) -> None:
    region = regions.placed(start, size)
    clipped = regions.clipped(region, SHAPE)
    assert regions.contains(WHOLE, clipped)
    assert all(part.start <= part.stop for part in clipped)
    shared = regions.intersection(region, WHOLE)
    assert clipped == shared if shared else regions.is_empty(clipped)


@given(places=st.sets(st.tuples(st.integers(0, 6), st.integers(0, 8)), max_size=6))
def test_bounds_are_the_smallest(places: set[tuple[int, int]]) -> None:
    mask = np.zeros(SHAPE, np.bool_)
    for place in places:
        mask[place] = True
    found = regions.bounds(mask)
    assert (found is None) == (not places)
    if found is not None:
        assert found == regions.of_pixels(np.nonzero(mask))
        assert mask[found].sum() == mask.sum()
        assert all(mask[found].any(axis=1)[[0, -1]])
        assert all(mask[found].any(axis=0)[[0, -1]])


def test_bounds_take_numbers_for_a_mask() -> None:
    assert regions.bounds(np.array([[0, 0, 0], [0, 7, 0]])) == (slice(1, 2), slice(1, 2))


@given(region=boxes(), edges=st.tuples(st.integers(1, 9), st.integers(1, 10)))
def test_cells_that_share_pixels_with_a_region(region: Region, edges: tuple[int, int]) -> None:
    counts = [-(-length // edge) for length, edge in zip(SHAPE, edges, strict=True)]
    covered = np.zeros(SHAPE, np.int64)
    sharing = []
    for index in product(*map(range, counts)):
        cell = regions.cell(index, edges, SHAPE)
        covered[cell] += 1
        if regions.intersection(cell, region):
            sharing.append(index)
    assert (covered == 1).all()
    if not regions.is_empty(region):
        grid = regions.cells(region, edges)
        assert list(product(*(range(part.start, part.stop) for part in grid))) == sharing


@pytest.mark.parametrize("by", [(0, 0), (-3, 2)])
def test_moving_keeps_the_size(by: tuple[int, int]) -> None:
    region = (slice(4, 6), slice(1, 9))
    assert regions.size(regions.moved(region, by)) == (2, 8)
    assert regions.start(regions.moved(region, by)) == (4 + by[0], 1 + by[1])

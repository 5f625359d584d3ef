"""The mosaic of tiles is the image, whatever its shape, tile, halo and alignment."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tessera.core.tiles import TileGrid

PRIMES = (1, 2, 3, 5, 7, 11, 13, 17, 19)


@st.composite
def grids(draw: st.DrawFn) -> TileGrid:
    """One to three spatial dimensions, with or without channel and time in front of them or behind."""
    ndim = draw(st.integers(1, 5))
    lengths = st.one_of(st.sampled_from(PRIMES), st.integers(1, 20)) if ndim < 4 else st.integers(1, 6)
    entries = [
        (draw(lengths), draw(st.integers(1, 24)), draw(st.integers(0, 9)), draw(st.sampled_from((1, 2, 3, 4, 8))))
        for _ in range(ndim)
    ]
    return TileGrid(*zip(*entries, strict=True))


@settings(max_examples=120, deadline=None)
@given(grids())
def test_inner_regions_partition_the_image(grid: TileGrid) -> None:
    written = np.zeros(grid.shape, int)
    for tile in grid:
        assert all(part.stop > part.start for part in tile.inner)
        written[tile.inner] += 1
    assert (written == 1).all()


@settings(max_examples=120, deadline=None)
@given(grids())
def test_stitched_identity_equals_the_input(grid: TileGrid) -> None:
    image = np.arange(np.prod(grid.shape)).reshape(grid.shape)
    stitched = np.full(grid.shape, -1)
    for tile in grid:
        stitched[tile.inner] = image[tile.outer][tile.crop]
    assert np.array_equal(stitched, image)


@settings(max_examples=120, deadline=None)
@given(grids())
def test_stitched_neighbourhood_sum_equals_that_of_the_whole_image(grid: TileGrid) -> None:
    """The halo is wide enough: a box sum of that radius is the same with tiles as without."""
    image = np.random.default_rng(0).integers(0, 100, grid.shape)
    stitched = np.full(grid.shape, -1)
    for tile in grid:
        stitched[tile.inner] = _box_sum(image[tile.outer], grid.halo)[tile.crop]
    assert np.array_equal(stitched, _box_sum(image, grid.halo))


def _box_sum(image: np.ndarray, radius: tuple[int, ...]) -> np.ndarray:
    for axis, reach in enumerate(radius):
        positions = np.arange(image.shape[axis])
        near = abs(positions[:, None] - positions[None, :]) <= reach
        image = np.moveaxis(np.tensordot(near.astype(int), image, (1, axis)), 0, axis)
    return image


@settings(max_examples=120, deadline=None)
@given(grids())
def test_outer_regions_are_aligned_and_within_the_image(grid: TileGrid) -> None:
    for tile in grid:
        for inner, outer, length, alignment in zip(tile.inner, tile.outer, grid.shape, grid.alignment, strict=True):
            assert 0 <= outer.start <= inner.start < inner.stop <= outer.stop <= length
            assert outer.start % alignment == 0
            assert inner.start % alignment == 0
            assert outer.stop % alignment == 0 or outer.stop == length


@settings(max_examples=120, deadline=None)
@given(grids())
def test_padding_makes_up_for_what_the_border_clips(grid: TileGrid) -> None:
    for tile in grid:
        for inner, outer, (before, after), halo, length in zip(
            tile.inner, tile.outer, tile.padding, grid.halo, grid.shape, strict=True
        ):
            assert inner.start - outer.start + before == halo
            assert outer.stop - inner.stop + after == halo
            assert before == 0 or outer.start == 0
            assert after == 0 or outer.stop == length


@settings(max_examples=60, deadline=None)
@given(grids())
def test_tiles_are_numbered_in_order_and_found_by_number(grid: TileGrid) -> None:
    tiles = list(grid)
    assert len(tiles) == len(grid) == np.prod(grid.counts)
    assert [tile.index for tile in tiles] == list(range(len(grid)))
    starts = [tuple(part.start for part in tile.inner) for tile in tiles]
    assert starts == sorted(starts)
    with pytest.raises(IndexError):
        grid[len(grid)]

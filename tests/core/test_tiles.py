import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tessera.core import regions
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.tiles import BlockGrid, Tile, TileGrid


def test_a_tile_in_the_middle_reads_its_halo() -> None:
    tile = TileGrid((100, 100), (20, 20), (8, 8), (4, 4))[6]
    assert tile == Tile(
        index=6,
        inner=(slice(20, 40), slice(20, 40)),
        outer=(slice(12, 48), slice(12, 48)),
        padding=((0, 0), (0, 0)),
    )
    assert tile.crop == (slice(8, 28), slice(8, 28))


def test_a_tile_at_the_border_says_what_was_clipped() -> None:
    tile = TileGrid((50,), (20,), (8,))[2]
    assert tile.inner == (slice(40, 50),)
    assert tile.outer == (slice(32, 50),)
    assert tile.padding == ((0, 8),)


def test_tile_and_halo_are_rounded_up_to_the_alignment() -> None:
    grid = TileGrid((64,), (9,), (3,), (8,))
    assert grid.tile == (16,)
    assert grid.halo == (8,)


def test_a_grid_over_a_terabyte_costs_nothing() -> None:
    grid = TileGrid((10_000, 1_000_000, 1_000_000), (1, 512, 512), (0, 44, 44), (1, 8, 8))
    assert len(grid) == 10_000 * 1954**2
    assert grid[len(grid) - 1].inner[0] == slice(9_999, 10_000)


@pytest.mark.parametrize(
    "arguments",
    [((0,), (1,)), ((4,), (0,)), ((4,), (2,), (-1,)), ((4,), (2,), (1,), (0,)), ((4, 4), (2,)), ((4,), (2,), (1, 1))],
)
def test_a_grid_that_makes_no_sense_is_refused(arguments: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(InvalidInputError):
        TileGrid(*arguments)


def test_an_image_that_no_computer_goes_through_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="1099511627776 × 1099511627776 pixels is too large for any computer"):
        TileGrid((2**40, 2**40), (2048, 2048))
    assert len(TileGrid((2**30, 2**30), (2048, 2048))) == 2**38


edges = st.tuples(st.integers(1, 6), st.integers(1, 6))


@given(shape=st.tuples(st.integers(1, 40), st.integers(1, 40)), block=edges, tile=edges, halo=edges)
def test_tiles_of_blocks_come_block_by_block_and_cross_no_border(
    shape: tuple[int, int], block: tuple[int, int], tile: tuple[int, int], halo: tuple[int, int]
) -> None:
    alignment = (2, 2)
    block, tile = ((2 * each[0], 2 * each[1]) for each in (block, tile))
    grid = BlockGrid(shape, block, tile, halo, alignment)
    written = np.zeros(shape, int)
    seen: list[tuple[int, ...]] = []
    for index, one in enumerate(grid):
        assert one.index == index
        written[one.inner] += 1
        assert one.outer == regions.grown(one.inner, halo, shape)
        assert all(at % 2 == 0 for at in regions.start(one.inner))
        cells = regions.cells(one.inner, block)
        assert regions.size(cells) == (1, 1)
        if not seen or seen[-1] != regions.start(cells):
            seen.append(regions.start(cells))
    assert (written == 1).all()
    assert len(set(seen)) == len(seen)
    assert len(grid) == index + 1

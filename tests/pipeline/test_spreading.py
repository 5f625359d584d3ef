"""Blocks spread evenly over an image."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_tessera.pipeline.running.spreading import spread_blocks


@given(
    z=st.integers(1, 40), y=st.integers(1, 300), x=st.integers(1, 300), edge=st.integers(1, 64), most=st.integers(1, 50)
)
def test_blocks_lie_inside_and_apart_and_reach_both_ends(z: int, y: int, x: int, edge: int, most: int) -> None:
    lengths = {"z": z, "y": y, "x": x}
    blocks = spread_blocks(lengths, edge, most)
    assert 1 <= len(blocks) <= most
    starts = {tuple(side.start for side in block.values()) for block in blocks}
    assert len(starts) == len(blocks)
    for block in blocks:
        assert list(block) == ["z", "y", "x"]
        assert all(0 <= side.start < side.stop <= lengths[axis] for axis, side in block.items())
        assert block["z"].stop - block["z"].start == 1
    if len(blocks) > 1:
        assert {0, z - 1} == {blocks[0]["z"].start, blocks[-1]["z"].start}
        assert (blocks[-1]["y"].stop, blocks[-1]["x"].stop) == (y, x)


def test_an_image_of_a_trillion_pixels_is_no_work() -> None:
    blocks = spread_blocks({"t": 100, "y": 10**5, "x": 10**5}, 128, 8)
    assert [block["t"].start for block in blocks] == [0, 14, 28, 42, 57, 71, 85, 99]


@given(most=st.integers(16, 64))
def test_scattered_blocks_run_along_no_diagonal(most: int) -> None:
    """On a grid of 32 × 32 blocks, one after the other in row order would take the main diagonal."""
    blocks = spread_blocks({"y": 4096, "x": 4096}, 128, most, scattered=True)
    assert 0.9 * most <= len(blocks) <= most
    y, x = (np.array([block[axis].start for block in blocks]) for axis in "yx")
    for low in (0, 2048):
        for left in (0, 2048):
            quarter = (y >= low) & (y < low + 2048) & (x >= left) & (x < left + 2048)
            assert quarter.mean() > 0.12
    assert abs(np.corrcoef(y, x)[0, 1]) < 0.5


def test_few_blocks_are_all_taken() -> None:
    assert len(spread_blocks({"z": 2, "y": 64, "x": 64}, 32, 50, scattered=True)) == 8

"""Reordering axes loses nothing."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tessera.core.axes import CANONICAL, move_axes, validate_axes


@st.composite
def axes(draw: st.DrawFn) -> str:
    letters = ["y", "x", *draw(st.sets(st.sampled_from("tcz")))]
    return "".join(draw(st.permutations(letters)))


@settings(max_examples=100, deadline=None)
@given(axes(), st.permutations(CANONICAL), st.data())
def test_moving_there_and_back_gives_the_array(source: str, target: list[str], data: st.DataObject) -> None:
    shape = tuple(data.draw(st.integers(1, 4)) for _ in source)
    array = np.arange(np.prod(shape)).reshape(shape)
    there = move_axes(array, source, "".join(target))
    assert there.ndim == 5
    assert np.array_equal(move_axes(there, "".join(target), source), array)


@settings(max_examples=100, deadline=None)
@given(axes(), st.permutations(CANONICAL), st.data())
def test_every_pixel_keeps_its_position_on_every_axis(source: str, target: list[str], data: st.DataObject) -> None:
    shape = tuple(data.draw(st.integers(1, 4)) for _ in source)
    position = dict(zip(source, (data.draw(st.integers(0, length - 1)) for length in shape), strict=True))
    array = np.arange(np.prod(shape)).reshape(shape)
    moved = move_axes(array, source, "".join(target))
    assert moved[tuple(position.get(axis, 0) for axis in target)] == array[tuple(position[axis] for axis in source)]


@settings(max_examples=50, deadline=None)
@given(axes())
def test_every_order_of_known_letters_is_valid(source: str) -> None:
    assert validate_axes(source, len(source)) == source

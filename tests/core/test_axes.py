import numpy as np
import pytest

from napari_tessera.core.axes import guess_axes, move_axes, spatial_axes, validate_axes
from napari_tessera.core.errors import InvalidInputError


@pytest.mark.parametrize(
    ("axes", "ndim", "says"),
    [("yxq", None, "'q'"), ("yxx", None, "twice"), ("zy", None, "lack y or x"), ("yx", 3, "3"), ("", None, "lack")],
)
def test_what_is_wrong_with_axes_is_said(axes: str, ndim: int | None, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        validate_axes(axes, ndim)


def test_spatial_axes_keep_the_order_of_the_array() -> None:
    assert spatial_axes("txczy") == "xzy"


@pytest.mark.parametrize(
    ("shape", "rgb", "axes"),
    [
        ((4, 5), False, "yx"),
        ((3, 4, 5), False, "zyx"),
        ((2, 3, 4, 5), False, "tzyx"),
        ((4, 5, 3), True, "yxc"),
        ((2, 4, 5, 3), True, "zyxc"),
    ],
)
def test_axes_are_guessed_from_the_number_of_dimensions(shape: tuple[int, ...], rgb: bool, axes: str) -> None:
    assert guess_axes(shape, rgb=rgb) == axes


@pytest.mark.parametrize("shape", [(), (5,), (1, 2, 3, 4, 5)])
def test_axes_that_cannot_be_guessed_are_asked_for(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInputError, match="name its axes"):
        guess_axes(shape)


def test_arrays_of_more_dimensions_than_there_are_axes_get_advice_that_can_be_followed() -> None:
    with pytest.raises(InvalidInputError, match="has 6 dimensions, and an image at most 5: save one image of it"):
        guess_axes((1, 2, 3, 4, 5, 6))


def test_moving_axes_is_a_view() -> None:
    array = np.zeros((2, 3, 4))
    assert np.shares_memory(move_axes(array, "cyx", "tyxc"), array)


def test_an_axis_of_length_one_is_dropped_and_a_longer_one_is_not() -> None:
    assert move_axes(np.zeros((1, 3, 4)), "cyx", "yx").shape == (3, 4)
    with pytest.raises(InvalidInputError, match="'c' of length 2"):
        move_axes(np.zeros((2, 3, 4)), "cyx", "yx")

"""Calls of `napari_tessera.apply` that cannot be meant are refused in one sentence, before anything is opened."""

import warnings

import numpy as np
import pytest

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError

IMAGE = np.zeros((8, 8), np.uint8)


@pytest.mark.parametrize("operation", ["median", nt.operations.Median])
def test_a_name_or_a_class_is_no_operation(operation):
    with pytest.raises(InvalidInputError, match=r"is not an operation: build one, for example operations\.Median\("):
        nt.apply(operation, IMAGE)


def test_an_unknown_keyword_is_not_opened_as_a_file():
    with pytest.raises(InvalidInputError, match="has no input 'axes': it has no further inputs"):
        nt.apply(nt.operations.Median(), IMAGE, axes="yx")
    with pytest.raises(InvalidInputError, match=r"has no input 'tiles': did you mean tile\?"):
        nt.apply(nt.operations.Median(), IMAGE, tiles=3)
    with pytest.raises(AttributeError, match=r"There is no operation 'Medain': did you mean Median or Mean\?"):
        nt.operations.Medain  # noqa: B018  looking it up is what fails
    with pytest.raises(InvalidInputError, match="has no input 'second': its further inputs are other"):
        nt.apply(nt.operations.Add(), IMAGE, second="x.tif")


WIDE = (2**60 + np.arange(30).reshape(5, 6)).astype(np.int64)


@pytest.mark.parametrize("operation", [nt.operations.Gaussian(), nt.operations.MeanShift(), nt.operations.Multiply()])
@pytest.mark.parametrize("tile", [None, 3])
def test_integers_that_are_rounded_are_told_once(operation, tile):
    others = {"other": IMAGE[:5, :6]} if operation.name() == "multiply" else {}
    with pytest.warns(UserWarning, match=r"holds integers beyond 2\^53, and .* 'rescale'") as told:
        nt.apply(operation, WIDE, tile=tile, **others)
    assert len(told) == 1
    with pytest.warns(UserWarning, match=r"2\^53"):
        nt.apply(operation, (-WIDE), tile=tile, **others)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nt.apply(operation, WIDE - 2**60 + 2**53 - 29, tile=tile, **others)


def test_integers_that_count_in_full_are_not_told_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for operation in (nt.operations.Median(), nt.operations.Rescale(), nt.operations.Otsu(), nt.operations.Flip()):
            nt.apply(operation, WIDE)

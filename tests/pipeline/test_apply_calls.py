"""Calls of `napari_tessera.apply` that cannot be meant are refused in one sentence, before anything is opened."""

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
    with pytest.raises(InvalidInputError, match="has no input 'second': its further inputs are other"):
        nt.apply(nt.operations.Add(), IMAGE, second="x.tif")

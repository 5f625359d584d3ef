"""Figures of a frame are exact, so that they do not depend on how it is cut."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block
from napari_tessera.operations.reductions.statistics import exact_sum, moments, value_range
from napari_tessera.operations.whole import WholeFrame

numbers = st.floats(-1e100, 1e100, allow_nan=False, allow_infinity=False)


def survey(image):
    spec = ImageSpec(axes="yx", shape=image.shape, dtype=image.dtype)
    return WholeFrame(Block(image, spec, spec.full_region))


@given(hnp.arrays(np.float64, st.integers(1, 60), elements=numbers))
def test_sums_are_exact(values):
    assert exact_sum(values) == sum(map(Fraction, values.tolist()), Fraction(0))


@given(hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e20, 1e20).filter(lambda x: abs(x) > 1e-20)))
def test_squares_are_exact(values):
    found = moments(survey(values[None]))
    assert found.squares == sum((Fraction(value) ** 2 for value in values.tolist()), Fraction(0))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.uint32, np.int64, np.float32])
def test_mean_and_deviation_agree_with_numpy(dtype):
    image = np.random.default_rng(0).integers(0, 120, (37, 41)).astype(dtype)
    found = moments(survey(image))
    assert found.count == image.size
    assert found.mean == pytest.approx(image.mean(dtype=np.float64), rel=1e-12)
    assert found.std == pytest.approx(image.std(dtype=np.float64), rel=1e-12)
    assert value_range(survey(image)) == (image.min(), image.max())


@pytest.mark.parametrize("value", [0.1, 1e17 + 1, 1 / 3])
def test_a_constant_image_has_no_deviation(value):
    assert moments(survey(np.full((5, 7), value))).std == 0
    assert math.isclose(moments(survey(np.full((5, 7), value))).mean, value)


@pytest.mark.parametrize("value", [1e160, -1e300])
@pytest.mark.filterwarnings("error")
def test_squares_that_overflow_are_refused(value):
    with pytest.raises(InvalidInputError, match=r"too large to compute with.*'rescale'"):
        moments(survey(np.array([[1.0, value]])))

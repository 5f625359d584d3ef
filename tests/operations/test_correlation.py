"""The separable filters against scipy, bit for bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.filtering.correlation import correlate_axis, gaussian_blur


@given(
    hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=3, max_side=12)),
    st.sampled_from([[0.25, 0.5, 0.25], [-0.5, 0.0, 0.5], [0.1] * 9, [1.0], [0.3, -0.7, 0.0, 0.7, -0.3]]),
    st.integers(0, 1),
)
def test_equal_to_scipy_on_any_shape(image, weights, axis):
    for at in (axis, -1):
        for dtype in (np.float32, np.float64):
            expected = ndimage.correlate1d(image, weights, at, output=dtype, mode="reflect")
            np.testing.assert_array_equal(correlate_axis(image, weights, at, dtype), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(301, 4099), (7, 65, 40)])
def test_gaussian_equals_scipy(dtype, shape):
    image = (np.random.default_rng(0).random(shape) * 200).astype(dtype)
    result = dtype if np.dtype(dtype).kind == "f" else np.float64
    for sigmas in ((1.3,) * len(shape), (0, 2.5, 1)[: len(shape)]):
        expected = ndimage.gaussian_filter(image, sigmas, output=result, mode="reflect")
        np.testing.assert_array_equal(gaussian_blur(image, sigmas, result), expected)


def test_strided_and_foreign_arrays():
    image = np.arange(60, dtype=">u2").reshape(6, 10)[::2, ::3]
    expected = ndimage.correlate1d(image, [1, 2, 1], 0, output=np.float64)
    np.testing.assert_array_equal(correlate_axis(image, [1, 2, 1], 0), expected)


@pytest.mark.parametrize("weights", [[0.5, 0.5], [1, 2, 3]])
def test_other_weights_are_refused(weights):
    with pytest.raises(InvalidInputError, match="symmetric"):
        correlate_axis(np.zeros((3, 3)), weights, 0)

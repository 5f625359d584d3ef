"""Lowest, highest and variance of windows, and differences of Gaussians, against scipy and scikit-image."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import filters, morphology

import napari_tessera as nt

DTYPES = ["uint8", "int16", "uint64", "int64", "float32", "float64"]


def noise(shape, dtype, seed=0):
    """Noise over the upper part of the range of `dtype`."""
    rng = np.random.default_rng(seed)
    if dtype.startswith("float"):
        return rng.normal(size=shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(max(limits.min, limits.max - 1000), limits.max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("dtype", ["uint8", "uint64", "int64", "float32"])
@pytest.mark.parametrize("shape", ["disk", "square"])
@pytest.mark.parametrize("lengths", [(20, 17), (6, 9, 8)])
def test_extremes_are_those_under_the_footprint(dtype, shape, lengths):
    if (dtype, shape) == ("int64", "disk"):
        return  # one more version to compile
    image = noise(lengths, dtype)
    ball = morphology.disk(2) if image.ndim == 2 else morphology.ball(2)
    footprint = np.ones_like(ball) if shape == "square" else ball
    # scipy's own filters take integers of 64 bits through floats
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(image, 2, mode="symmetric"), footprint.shape)
    under = windows[..., footprint.astype(bool)]
    for name, expected in (("Minimum", under.min(axis=-1)), ("Maximum", under.max(axis=-1))):
        result = nt.apply(getattr(nt.operations, name)(radius=2, shape=shape), image)
        assert result.dtype == image.dtype
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lengths", [(20, 17), (6, 9, 8)])
def test_variance_is_that_of_the_window(dtype, lengths):
    image = noise(lengths, dtype)
    base = image.min()
    exact = image - base if image.dtype.kind != "f" else image  # differences that float64 holds
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(exact, 2, mode="symmetric"), (5,) * image.ndim)
    expected = windows.astype(np.float64).var(axis=tuple(range(-image.ndim, 0)))
    np.testing.assert_allclose(nt.apply(nt.operations.Variance(size=5), image), expected, rtol=1e-4)
    deviation = nt.apply(nt.operations.Variance(size=5, result="deviation"), image)
    np.testing.assert_allclose(deviation, np.sqrt(expected), rtol=1e-4)


def test_variance_of_a_constant_is_0_and_keeps_its_digits_on_a_bright_ground():
    assert not nt.apply(nt.operations.Variance(), np.full((1, 1), 2**64 - 1, np.uint64)).any()
    image = 1e9 + np.arange(40.0).reshape(5, 8) % 2
    np.testing.assert_allclose(nt.apply(nt.operations.Variance(), image), 2 / 9, rtol=1e-6)


@pytest.mark.parametrize("larger", [None, 4.0])
def test_difference_of_gaussians_is_that_of_scikit_image(larger):
    image = noise((30, 41), "float64")
    result = nt.apply(nt.operations.DifferenceOfGaussians(sigma=1.5, larger=larger), image)
    np.testing.assert_allclose(result, filters.difference_of_gaussians(image, 1.5, larger, mode="reflect"), atol=1e-12)
    whole = (1000 * (image + 5)).astype(np.uint16)
    blurred = [ndimage.gaussian_filter(whole.astype(np.float64), sigma) for sigma in (1.5, larger or 2.4)]
    result = nt.apply(nt.operations.DifferenceOfGaussians(sigma=1.5, larger=larger), whole)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, blurred[0] - blurred[1], atol=1e-3)


def test_bright_spots_are_positive():
    image = np.zeros((21, 21), np.uint8)
    image[10, 10] = 255
    assert nt.apply(nt.operations.DifferenceOfGaussians(), image)[10, 10] > 10
    with pytest.raises(ValueError, match="exchange them"):
        nt.operations.DifferenceOfGaussians(sigma=3, larger=2)

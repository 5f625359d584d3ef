"""Separation of stains against scikit-image's and against mixtures that are known."""

import numpy as np
import pytest
from skimage.color import separate_stains
from skimage.data import immunohistochemistry

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.io.opening import open_image
from napari_tessera.operations.intensity.stains import KNOWN

SeparateStains = nt.operations.SeparateStains


@pytest.fixture(scope="module")
def tissue():
    return immunohistochemistry()[100:150, 200:260]


def colors(array, axes="yxc"):
    return open_image(array, axes=axes)


@pytest.mark.parametrize("stains", ["H&E", "H-DAB", "H&E-DAB"])
@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_stains_are_those_of_scikit_image(tissue, stains, dtype):
    rows = np.array(KNOWN[stains])
    if len(rows) == 2:
        rows = np.vstack([rows, np.cross(*rows)])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    image = tissue if dtype == "uint8" else tissue / 255
    expected = 6 * separate_stains(tissue, np.linalg.inv(rows))  # whose densities are in units of 6
    result = nt.apply(SeparateStains(stains=stains, stain="all"), colors(image), tile=16)
    assert (result.dtype, result.shape) == (np.float32, (50, 60, 3))
    np.testing.assert_allclose(result, expected, atol=1e-5)
    for index, stain in enumerate(("first", "second", "third")):
        one = nt.apply(SeparateStains(stains=stains, stain=stain), colors(image))
        np.testing.assert_array_equal(one, result[..., index])


def test_a_mixture_comes_apart_into_the_amounts_that_were_mixed():
    first, second = np.array([0.6, 0.5, 0.2]), np.array([0.1, 0.4, 0.3])
    amounts = np.random.default_rng(1).random((2, 20, 20))
    density = amounts[0][..., None] * first + amounts[1][..., None] * second
    light = np.round(4000 * 10**-density).astype(np.uint16)  # 12 bits in 16
    own = {"stains": "own", "first": "0.6 0.5 0.2", "second": "0.1, 0.4, 0.3", "white": 4000}
    result = nt.apply(SeparateStains(stain="all", **own), colors(light))
    np.testing.assert_allclose(result[..., 0], amounts[0] * np.linalg.norm(first), atol=0.01)
    np.testing.assert_allclose(result[..., 1], amounts[1] * np.linalg.norm(second), atol=0.01)
    assert result[..., 2].max() < 0.01


def test_full_light_is_that_of_the_image_where_the_type_does_not_say():
    light = np.full((3, 8, 8), 4095, np.uint16)
    light[:, 2, 3] = 400
    result = nt.apply(SeparateStains(), colors(light, "cyx"))
    assert result.shape == (8, 8)
    assert result[0, 0] == 0 < result[2, 3]


def test_black_dark_and_single_pixels_are_finite():
    assert np.isfinite(nt.apply(SeparateStains(stain="all"), colors(np.zeros((1, 1, 3), np.uint8)))).all()
    with pytest.raises(InvalidInputError, match="no light"):
        nt.apply(SeparateStains(), colors(np.zeros((4, 4, 3), np.uint64)))


def test_opacity_is_no_colour_and_grey_is_refused(tissue):
    opaque = np.dstack([tissue, np.full(tissue.shape[:2], 9, np.uint8)])
    np.testing.assert_array_equal(
        nt.apply(SeparateStains(), colors(opaque)), nt.apply(SeparateStains(), colors(tissue))
    )
    with pytest.raises(InvalidInputError, match=r"has 1 channel.*image in colour"):
        nt.apply(SeparateStains(), tissue[..., 0])


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [("1 2", "1 0 0", "three numbers"), ("a b c", "1 0 0", "than numbers"), ("1 0 0", "2 0 0", "differ"),
     ("1 0 0", "", "not 1"), ("0 0 0", "1 0 0", "differ"), ("nan 1 1", "1 0 0", "three numbers")],
)  # fmt: skip
def test_vectors_that_tell_nothing_apart_are_refused(first, second, why):
    with pytest.raises(ValueError, match=why):
        SeparateStains(stains="own", first=first, second=second)

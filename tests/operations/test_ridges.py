"""Ridge filters against scikit-image's."""

import numpy as np
import pytest
from skimage import filters
from skimage.draw import line

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError


@pytest.fixture(scope="module")
def fibres():
    """Bright fibres and blobs on noise, of float64."""
    rng = np.random.default_rng(3)
    image = 20 * rng.random((60, 70))
    for ends in ((5, 5, 50, 60), (50, 8, 10, 40), (30, 2, 33, 68)):
        image[line(*ends)] += 200
    image[40:46, 50:56] += 150
    return image


SIGMAS = (1.5, 2.25, 3.0)
SCALES = {"sigma": 1.5, "largest": 3.0, "scales": 3}


@pytest.mark.parametrize("ridges", ["bright", "dark"])
@pytest.mark.parametrize("name", ["sato", "meijering", "frangi"])
@pytest.mark.parametrize("depth", [None, 9])
def test_ridges_are_those_of_scikit_image(fibres, name, ridges, depth):
    image = fibres if depth is None else fibres[:depth, :24] + np.linspace(0, 9, 16)[:, None, None] * fibres[8:17, :24]
    operation = getattr(nt.operations, name.title())(ridges=ridges, **SCALES)
    expected = getattr(filters, name)(image, sigmas=SIGMAS, black_ridges=ridges == "dark")
    np.testing.assert_allclose(
        nt.apply(operation, image), expected, rtol=1e-6, atol=1e-6 * expected.max()
    )  # scikit-image answers to 0 and less curvature too


def test_frangi_takes_its_constants(fibres):
    operation = nt.operations.Frangi(alpha=0.7, beta=0.3, gamma=12, **SCALES)
    expected = filters.frangi(fibres, SIGMAS, alpha=0.7, beta=0.3, gamma=12, black_ridges=False)
    np.testing.assert_allclose(nt.apply(operation, fibres), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", ["Frangi", "Meijering"])
def test_what_is_measured_of_the_whole_image_is_exact_in_tiles(fibres, name):
    operation = getattr(nt.operations, name)(sigma=0.8, largest=1.2, scales=2)
    image = fibres.astype(np.uint8)
    np.testing.assert_array_equal(nt.apply(operation, image, tile=16), nt.apply(operation, image))


def test_a_dark_line_is_no_bright_ridge():
    image = np.full((40, 40), 100.0)
    image[:, 20] = 0  # its curvature along the line is exactly 0
    assert nt.apply(nt.operations.Frangi(), image)[5:-5, 19:22].max() < 1e-3
    assert nt.apply(nt.operations.Frangi(ridges="dark"), image)[20, 20] > 0.5


@pytest.mark.parametrize("name", ["Sato", "Frangi", "Meijering"])
def test_constant_and_tiny_images_have_no_ridges(name):
    operation = getattr(nt.operations, name)()
    for image in (np.full((9, 9), 7, np.uint8), np.ones((1, 1)), np.full((3, 1), 2**63, np.uint64)):
        np.testing.assert_allclose(nt.apply(operation, image), 0, atol=1e-12 * image.max())


def test_brightness_does_not_matter_to_frangi(fibres):
    operation = nt.operations.Frangi()
    np.testing.assert_allclose(nt.apply(operation, fibres * 1e-9), nt.apply(operation, fibres), rtol=1e-6, atol=1e-9)


def test_scales_out_of_order_are_refused():
    with pytest.raises(InvalidInputError, match="exchange them"):
        nt.operations.Sato(sigma=5, largest=2)

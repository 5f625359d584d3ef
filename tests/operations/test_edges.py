"""Edges and convolution against scipy and scikit-image; tiles give the whole image."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import filters

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.base import Operation
from napari_tessera.operations.catalogue.edges import (
    Convolve,
    GaussianGradientMagnitude,
    Laplacian,
    LaplacianOfGaussian,
    Prewitt,
    Scharr,
    Sobel,
    UnsharpMask,
)

SHAPES = [(31, 40), (7, 18, 21)]


def pixels(shape: tuple[int, ...], dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random(shape) * 200).astype(dtype)


@pytest.mark.parametrize("shape", SHAPES)
def test_sobel_and_prewitt_are_scipys_normalised(shape: tuple[int, ...]) -> None:
    image = pixels(shape)
    for operation, function, across in ((Sobel, ndimage.sobel, 4), (Prewitt, ndimage.prewitt, 3)):
        factor = 2 * across ** (len(shape) - 1)
        parts = [function(image.astype(float), axis) / factor for axis in range(len(shape))]
        result = nt.apply(operation(direction="y"), image)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, parts[-2], atol=1e-5)
        np.testing.assert_allclose(nt.apply(operation(), image), np.sqrt(sum(p**2 for p in parts)), atol=1e-4)


def test_scharr_is_scikit_images() -> None:
    image = pixels((31, 40), "float64")
    expected = filters.scharr_h(image) / 2
    np.testing.assert_allclose(nt.apply(Scharr(direction="y"), image), expected)
    ramp = np.outer(np.ones(9), np.arange(9.0)) * 3
    np.testing.assert_allclose(nt.apply(Scharr(), ramp)[:, 1:-1], 3)
    np.testing.assert_allclose(nt.apply(Scharr(direction="x"), ramp)[:, 1:-1], 3)


def test_a_direction_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="'z'"):
        nt.apply(Sobel(direction="z"), pixels((9, 9)))
    with pytest.raises(InvalidInputError, match="'z'"):
        nt.apply(Sobel(direction="z", per_plane=True), pixels((3, 9, 9)))


@pytest.mark.parametrize("shape", SHAPES)
def test_second_derivatives_are_scipys(shape: tuple[int, ...]) -> None:
    image = pixels(shape)
    values = image.astype(float)
    np.testing.assert_allclose(nt.apply(Laplacian(), image), ndimage.laplace(values), atol=1e-4)
    expected = ndimage.gaussian_laplace(values, 1.5)
    np.testing.assert_allclose(nt.apply(LaplacianOfGaussian(sigma=1.5), image), expected, atol=1e-4)
    np.testing.assert_allclose(nt.apply(LaplacianOfGaussian(sigma=1.5, bright_spots=True), image), -expected, atol=1e-4)
    expected = ndimage.gaussian_gradient_magnitude(values, 1.5)
    np.testing.assert_allclose(nt.apply(GaussianGradientMagnitude(sigma=1.5), image), expected, atol=1e-4)


def test_unsharp_mask_is_its_definition_and_clips() -> None:
    image = pixels((31, 40))
    expected = image + 2.0 * (image - ndimage.gaussian_filter(image.astype(float), 1))
    result = nt.apply(UnsharpMask(sigma=1, amount=2), image)
    np.testing.assert_array_equal(result, np.rint(expected).clip(0, 255))
    assert (result == 0).any()


@pytest.mark.parametrize("rows", ["1 2 3; 4 5 6; 7 8 10", "1 2 3 4", "1; 2; 3; 5", "1,2\n3,4"])
def test_convolve_is_scipys(rows: str) -> None:
    kernel = np.array([[float(n) for n in row.replace(",", " ").split()] for row in rows.replace("\n", ";").split(";")])
    image = pixels((31, 40))
    expected = ndimage.convolve(image.astype(float), kernel)
    np.testing.assert_allclose(nt.apply(Convolve(weights=rows), image), expected, rtol=1e-6)
    np.testing.assert_allclose(nt.apply(Convolve(), image, kernel=kernel), expected, rtol=1e-6)
    planes = pixels((3, 18, 21))
    for plane, result in zip(planes, nt.apply(Convolve(weights=rows), planes), strict=True):
        np.testing.assert_allclose(result, ndimage.convolve(plane.astype(float), kernel), rtol=1e-6)


def test_convolve_with_a_volume_of_weights() -> None:
    kernel, image = np.random.default_rng(1).random((3, 2, 5)), pixels((7, 18, 21))
    np.testing.assert_allclose(
        nt.apply(Convolve(), image, kernel=kernel), ndimage.convolve(image * 1.0, kernel), rtol=1e-6
    )


def test_a_normalised_kernel_keeps_brightness_and_type() -> None:
    image = np.full((9, 9), 200, np.uint8)
    result = nt.apply(Convolve(weights="1 2 1; 2 4 2; 1 2 1", normalise=True, keep_type=True), image)
    np.testing.assert_array_equal(result, image)


@pytest.mark.parametrize(
    ("parameters", "kernel", "match"),
    [
        ({}, np.ones((3, 13)), "larger than the image"),
        ({}, np.ones((3, 3, 3)), "dimensions"),
        ({}, np.zeros((0, 3)), "finite|empty|pixels"),
        ({}, np.array([[np.nan]]), "NaN"),
        ({"normalise": True}, np.array([[1.0, -1.0]]), "sums to zero"),
    ],
)
def test_unusable_kernels_are_refused(parameters: dict[str, bool], kernel: np.ndarray, match: str) -> None:
    with pytest.raises(InvalidInputError, match=match):
        nt.apply(Convolve(**parameters), pixels((9, 9)), kernel=kernel)


@pytest.mark.parametrize("rows", ["", "1 2; 3", "a b", ";"])
def test_unreadable_kernels_are_refused(rows: str) -> None:
    with pytest.raises(InvalidInputError):
        Convolve.parse({"weights": rows})


OPERATIONS = [
    Convolve(weights="1 2 3 4 5; 6 7 8 9 1"),
    Sobel(),
    Prewitt(),
    Scharr(),
    GaussianGradientMagnitude(sigma=1.5),
    Laplacian(),
    LaplacianOfGaussian(sigma=1.5),
    UnsharpMask(),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name())
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_tiles_give_the_whole(operation: Operation, dtype: str) -> None:
    for shape, tile in (((61, 70), 17), ((9, 20, 21), 8)):
        image = pixels(shape, dtype)
        np.testing.assert_array_equal(nt.apply(operation, image, tile=tile), nt.apply(operation, image, tile=1000))


@pytest.mark.parametrize("operation", OPERATIONS[1:], ids=lambda operation: operation.name())
def test_constant_tiny_and_bool_images(operation: Operation) -> None:
    for image in (np.full((12, 13), 9, np.uint8), np.ones((1, 1), np.uint16)):
        expected = image if isinstance(operation, UnsharpMask) else np.zeros_like(image)
        np.testing.assert_allclose(nt.apply(operation, image), expected, atol=3e-3)
    assert nt.apply(operation, np.eye(5, dtype=bool)).shape == (5, 5)

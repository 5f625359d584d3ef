"""Smoothing and background against scipy, scikit-image and plain definitions; tiles give the whole image."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage
from skimage import data, morphology, restoration

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.base import Operation
from napari_tessera.operations.catalogue.background import BlackTophat, FlatField, RollingBall, WhiteTophat
from napari_tessera.operations.catalogue.smoothing import (
    AdaptiveMedian,
    Bilateral,
    Gaussian,
    Mean,
    Median,
    NonLocalMeans,
)
from napari_tessera.operations.filtering import smoothing

DTYPES = ["uint8", "uint16", "int16", "uint32", "float32", "float64"]


def pixels(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    values = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 1) * 1000 - 380
    limits = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else np.finfo(dtype)
    return values.clip(max(float(limits.min), -1e6), min(float(limits.max), 1e6)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(31, 40), (7, 18, 21)])
def test_mean_is_scipys_rounded(dtype: str, shape: tuple[int, ...]) -> None:
    image = pixels(shape, dtype)
    expected = ndimage.uniform_filter(image.astype(np.float64), 5, mode="reflect")
    result = nt.apply(Mean(size=5), image)
    assert result.dtype == image.dtype
    if image.dtype.kind == "f":
        np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-4)
    else:
        np.testing.assert_array_equal(result, np.floor(np.round(expected, 6) + 0.5))


def test_mean_of_large_integers_is_exact() -> None:
    image = np.full((9, 9), 2**32 - 1, np.uint32)
    image[4, 4] -= 25
    assert (nt.apply(Mean(size=5), image)[2:7, 2:7] == 2**32 - 2).all()


@pytest.mark.parametrize(("dtype", "base"), [("uint64", 2**64 - 1000), ("int64", 2**63 - 1000), ("int64", -(2**63))])
def test_64_bits_give_what_small_numbers_give(dtype: str, base: int) -> None:
    small = np.random.default_rng(4).integers(0, 500, (14, 20), np.int32)
    large = (small.astype(object) + base).astype(dtype)
    for operation in (Mean(size=5), RollingBall(radius=4, height=30.5, result="background")):
        result = nt.apply(operation, large, tile=6).astype(object) - base
        np.testing.assert_array_equal(result.astype(np.int32), nt.apply(operation, small))
    subtracted = nt.apply(RollingBall(radius=4, height=30.5), large).astype(np.int64)
    np.testing.assert_array_equal(subtracted, nt.apply(RollingBall(radius=4, height=30.5), small))


@pytest.mark.parametrize("shape", [(31, 40), (7, 18, 21)])
def test_gaussian_is_scipys(shape: tuple[int, ...]) -> None:
    image = pixels(shape, "float32")
    np.testing.assert_array_equal(nt.apply(Gaussian(sigma=1.5), image), ndimage.gaussian_filter(image, 1.5))
    whole = pixels(shape, "uint16")
    expected = np.rint(ndimage.gaussian_filter(whole.astype(float), 1.5))
    np.testing.assert_array_equal(nt.apply(Gaussian(sigma=1.5), whole), expected)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_median_is_scipys(size: int) -> None:
    image = pixels((31, 40), "uint16")
    expected = ndimage.median_filter(image, size, mode="reflect")
    np.testing.assert_array_equal(nt.apply(Median(size=size), image), expected)


def test_median_per_plane_differs_from_the_volume() -> None:
    image = pixels((5, 18, 21), "uint8")
    expected = ndimage.median_filter(image, (1, 3, 3), mode="reflect")
    np.testing.assert_array_equal(nt.apply(Median(size=3, per_plane=True), image), expected)
    assert (nt.apply(Median(size=3), image) != expected).any()


def test_adaptive_median_removes_what_a_median_smears() -> None:
    image = data.camera()[100:228, 100:228]
    rng = np.random.default_rng(1)
    noisy = np.where(rng.random(image.shape) < 0.35, rng.choice([0, 255], image.shape), image).astype(np.uint8)

    def error(result: np.ndarray) -> float:
        return float(((result.astype(float) - image) ** 2).mean())

    assert error(nt.apply(AdaptiveMedian(largest=7), noisy)) < error(nt.apply(Median(size=5), noisy))


@pytest.mark.parametrize("field", [{"size": 4}, {"size": 0}, {"size": 203}])
@pytest.mark.parametrize("operation", [Mean, Median])
def test_even_and_oversized_windows_are_refused(operation: type[Operation], field: dict[str, int]) -> None:
    with pytest.raises(InvalidInputError):
        operation.parse(field)


@pytest.mark.parametrize("largest", [1, 2, 4])
def test_adaptive_median_needs_an_odd_window_of_3_or_more(largest: int) -> None:
    with pytest.raises(InvalidInputError):
        AdaptiveMedian.parse({"largest": largest})


def test_windows_larger_than_the_image_mirror_it() -> None:
    image = pixels((3, 4), "float64")
    expected = ndimage.uniform_filter(np.pad(image, 15, mode="symmetric"), 21)[15:-15, 15:-15]
    np.testing.assert_allclose(nt.apply(Mean(size=21), image), expected)
    whole = pixels((3, 4), "uint8")
    padded = np.pad(whole, 10, mode="symmetric")
    expected = np.median(sliding_window_view(padded, (21, 21)), axis=(2, 3))
    np.testing.assert_array_equal(nt.apply(Median(size=21), whole), expected)


def brute_bilateral(image: np.ndarray, sigma: float, sigma_range: float) -> np.ndarray:
    radius = int(3 * sigma + 0.5)
    windows = sliding_window_view(np.pad(image, radius, mode="symmetric"), (2 * radius + 1,) * image.ndim)
    squared = ((np.indices(windows.shape[image.ndim :]) - radius) ** 2).sum(axis=0)
    own = image.reshape(*image.shape, *(1,) * image.ndim)
    weights = np.exp(-squared / (2 * sigma**2)) * np.exp(-((windows - own) ** 2) / (2 * sigma_range**2))
    axes = tuple(range(image.ndim, 2 * image.ndim))
    return np.asarray((weights * windows).sum(axis=axes) / weights.sum(axis=axes))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
@pytest.mark.parametrize("sigma_range", [0.01, 7.3, 900.0, 1e6])
def test_bilateral_of_integers_is_that_of_floats(dtype: type, sigma_range: float) -> None:
    limits = np.iinfo(dtype)
    image = np.random.default_rng(0).integers(limits.min, limits.max, (2, 9, 12), endpoint=True).astype(dtype)
    image[1] //= 50
    as_floats = smoothing.bilateral(image.astype(np.float32), 1.3, sigma_range)
    assert np.array_equal(smoothing.bilateral(image, 1.3, sigma_range), np.rint(as_floats).astype(dtype))


@pytest.mark.parametrize("shape", [(25, 30), (5, 9, 8)])
def test_bilateral_is_its_definition(shape: tuple[int, ...]) -> None:
    image = pixels(shape, "float64")
    result = nt.apply(Bilateral(sigma=1, sigma_range=40), image)
    np.testing.assert_allclose(result, brute_bilateral(image, 1, 40), atol=2e-3)
    default = nt.apply(Bilateral(sigma=1), image)
    np.testing.assert_allclose(default, brute_bilateral(image, 1, image.std()), atol=2e-3)


def brute_non_local_means(image: np.ndarray, patch: int, distance: int, h: float) -> np.ndarray:
    padded = np.pad(image, patch // 2 + distance, mode="symmetric")
    patches = sliding_window_view(padded, (patch,) * image.ndim)
    axes = tuple(range(image.ndim, 2 * image.ndim))
    result = np.empty_like(image)
    for at in np.ndindex(image.shape):
        around = patches[tuple(slice(i, i + 2 * distance + 1) for i in at)]
        own = around[(distance,) * image.ndim]
        weights = np.exp(-((around - own) ** 2).mean(axis=axes) / h**2)
        centres = around[(...,) + (patch // 2,) * image.ndim]
        result[at] = (weights * centres).sum() / weights.sum()
    return result


@pytest.mark.parametrize("shape", [(20, 24), (4, 7, 6)])
def test_non_local_means_is_its_definition(shape: tuple[int, ...]) -> None:
    image = pixels(shape, "float64")
    result = nt.apply(NonLocalMeans(patch_size=3, distance=2, strength=50), image)
    np.testing.assert_allclose(result, brute_non_local_means(image, 3, 2, 50), atol=2e-2)


@pytest.mark.parametrize("operation", [Bilateral(), NonLocalMeans(patch_size=3, distance=3)])
def test_denoising_brings_an_image_nearer_to_the_truth(operation: Operation) -> None:
    truth = data.camera()[100:180, 100:180].astype(float)
    noisy = truth + np.random.default_rng(0).normal(0, 12, truth.shape)
    assert ((nt.apply(operation, noisy) - truth) ** 2).mean() < 0.7 * ((noisy - truth) ** 2).mean()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("shape", [(31, 40), (9, 18, 21)])
@pytest.mark.parametrize("kind", ["disk", "square"])
def test_top_hats_are_scipys(dtype: str, shape: tuple[int, ...], kind: str) -> None:
    image = pixels(shape, dtype)
    radius = 3
    ball = morphology.disk(radius) if len(shape) == 2 else morphology.ball(radius)
    footprint = ball if kind == "disk" else np.ones_like(ball)
    opened = ndimage.grey_opening(image, footprint=footprint, mode="reflect")
    closed = ndimage.grey_closing(image, footprint=footprint, mode="reflect")
    np.testing.assert_array_equal(nt.apply(WhiteTophat(radius=radius, shape=kind), image), image - opened)
    np.testing.assert_array_equal(nt.apply(BlackTophat(radius=radius, shape=kind), image), closed - image)


def test_top_hat_of_signed_integers_does_not_wrap_around() -> None:
    image = np.full((9, 9), -128, np.int8)
    image[4, 4] = 127
    assert nt.apply(WhiteTophat(radius=2), image)[4, 4] == 127


def test_a_top_hat_larger_than_the_image_subtracts_its_minimum() -> None:
    image = pixels((3, 7), "uint16")
    for shape in ("disk", "square"):
        result = nt.apply(WhiteTophat(radius=100, shape=shape), image)
        np.testing.assert_array_equal(result, image - image.min())


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("shape", [(31, 40), (6, 14, 15)])
def test_rolling_ball_is_scikit_images(dtype: str, shape: tuple[int, ...]) -> None:
    image = pixels(shape, dtype)
    background = restoration.rolling_ball(image, radius=5)
    result = nt.apply(RollingBall(radius=5, height=5, result="background"), image)
    np.testing.assert_allclose(result, background, rtol=1e-6)
    np.testing.assert_allclose(nt.apply(RollingBall(radius=5, height=5), image), image - result)


def test_rolling_ball_finds_its_height_in_the_range_of_floats() -> None:
    image = pixels((31, 40), "uint8")
    scaled = (image / np.float32(255)).astype(np.float32)
    ball = nt.apply(RollingBall(radius=9, height=9 * (float(image.max()) - image.min()) / 255), image.astype(float))
    np.testing.assert_allclose(nt.apply(RollingBall(radius=9), scaled) * 255, ball, atol=1e-2)
    assert ball.max() > 5


def test_flat_field_removes_uneven_illumination() -> None:
    truth = pixels((30, 40), "uint16")
    light = np.linspace(0.5, 1.5, 40)[np.newaxis] * np.ones((30, 1))
    dark = np.full((30, 40), 7.0)
    seen = np.rint(truth * light + 7).astype(np.uint16)
    result = nt.apply(FlatField(), seen, flat=1000 * light + 7, dark=dark)
    assert result.dtype == np.uint16
    np.testing.assert_allclose(result, truth, atol=2)


def test_flat_field_refuses_a_dark_flat_and_zeroes_unlit_pixels() -> None:
    image = np.ones((4, 5), np.float32)
    with pytest.raises(InvalidInputError, match="not brighter"):
        nt.apply(FlatField(), image, flat=np.zeros((4, 5)))
    flat = np.ones((4, 5))
    flat[0, 0] = 0
    assert nt.apply(FlatField(), image, flat=flat)[0, 0] == 0


def test_a_flat_plane_serves_all_planes() -> None:
    image = pixels((3, 8, 9), "float64")
    flat = np.arange(1, 73.0).reshape(8, 9)
    np.testing.assert_allclose(nt.apply(FlatField(), image, flat=flat), image / flat * flat.mean())


OPERATIONS = [
    Gaussian(sigma=2),
    Mean(size=7),
    Median(size=5),
    AdaptiveMedian(largest=5),
    Bilateral(),
    NonLocalMeans(patch_size=3, distance=3),
    WhiteTophat(radius=4),
    BlackTophat(radius=4, shape="square"),
    RollingBall(radius=6),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name())
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_tiles_give_the_whole(operation: Operation, dtype: str) -> None:
    for shape, tile in (((61, 70), 17), ((9, 20, 21), 8)):
        image = pixels(shape, dtype)
        np.testing.assert_array_equal(nt.apply(operation, image, tile=tile), nt.apply(operation, image, tile=1000))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name())
def test_constant_tiny_and_bool_images_pass(operation: Operation) -> None:
    for image in (np.full((12, 13), 9, np.uint8), np.full((12, 13), 0.5, np.float32), np.ones((1, 1), np.uint16)):
        result = nt.apply(operation, image)
        hat = isinstance(operation, WhiteTophat | BlackTophat | RollingBall)
        np.testing.assert_allclose(result, np.zeros_like(image) if hat else image, rtol=1e-6)
    mask = np.random.default_rng(0).random((12, 13)) > 0.5
    assert nt.apply(operation, mask).dtype == np.uint8


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name())
def test_nan_is_refused(operation: Operation) -> None:
    image = np.zeros((5, 6), np.float32)
    image[2, 2] = np.nan
    with pytest.raises(InvalidInputError, match="replace_invalid"):
        nt.apply(operation, image)

"""Combining images: arithmetic that saturates, statistics along axes, exposure fusion."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from skimage import data

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSource
from napari_tessera.io.opening import open_image
from napari_tessera.operations.base import Operation
from napari_tessera.operations.catalogue.combining import (
    Add,
    Difference,
    Divide,
    FuseExposures,
    MeanAlong,
    Multiply,
    Project,
    Subtract,
)
from napari_tessera.operations.summing import sum_dtype

INTEGERS = ["uint8", "int8", "uint16", "int16", "uint32", "int32"]


def extremes(dtype: str, seed: int) -> np.ndarray:
    limits = np.iinfo(dtype)
    rng = np.random.default_rng(seed)
    return rng.integers(limits.min, limits.max, (13, 17), dtype, endpoint=True)


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("other_dtype", INTEGERS)
def test_integer_arithmetic_is_exact_and_clipped(dtype: str, other_dtype: str) -> None:
    image, other = extremes(dtype, 0), extremes(other_dtype, 1)
    one, two = image.astype(object), other.astype(object)
    limits = np.iinfo(dtype)
    for operation, exact in (
        (Add(), one + two),
        (Subtract(), one - two),
        (Multiply(), one * two),
        (Difference(), abs(one - two)),
    ):
        result = nt.apply(operation, image, other=other)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, np.clip(exact, limits.min, limits.max).astype(dtype))


def test_floats_and_mixed_types() -> None:
    image = np.array([[1.5, -2.0]], np.float32)
    other = np.array([[2, 4]], np.uint8)
    assert nt.apply(Multiply(), image, other=other).tolist() == [[3, -8]]
    assert nt.apply(Subtract(), other, other=image).tolist() == [[0, 6]]
    assert nt.apply(Multiply(), other, other=np.array([[True, False]])).tolist() == [[2, 0]]


def test_divide_gives_floats_and_a_value_for_zero() -> None:
    result = nt.apply(Divide(where_zero=-1), np.array([[1, 3]], np.uint8), other=np.array([[4, 0]], np.uint8))
    assert result.dtype == np.float32
    assert result.tolist() == [[0.25, -1]]


def test_images_of_different_size_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="does not fit"):
        nt.apply(Add(), np.zeros((4, 5)), other=np.zeros((4, 6)))


def stack_of(dtype: str, axes: str) -> tuple[np.ndarray, ImageSource]:
    array = (np.random.default_rng(0).random((6, 20, 23)) * 250).astype(dtype)
    return array, open_image(array, axes=axes)


@pytest.mark.parametrize("axis", ["t", "z", "c"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("statistic", ["max", "mean", "median", "min", "sum", "std"])
def test_projections_are_numpys(axis: str, dtype: str, statistic: str) -> None:
    array, image = stack_of(dtype, f"{axis}yx")
    result = nt.apply(Project(axis=axis, statistic=statistic), image)
    expected = getattr(np, statistic)(array.astype(np.float64), axis=0)
    if statistic == "median" and array.dtype.kind != "f":
        expected = np.rint(expected)
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    integer = statistic not in ("mean", "std") and array.dtype.kind != "f"
    assert result.dtype.kind == (array.dtype.kind if integer else "f")
    np.testing.assert_array_equal(nt.apply(Project(axis=axis, statistic=statistic), image, tile=7), result)


def test_an_axis_that_is_not_there_is_refused() -> None:
    for operation in (Project(axis="t"), MeanAlong(axis="c"), FuseExposures(axis="z")):
        with pytest.raises(InvalidInputError, match="no axis"):
            nt.apply(operation, np.zeros((4, 5)))


def test_mean_of_frames_reduces_noise() -> None:
    truth = data.camera()[:60, :70].astype(float)
    rng = np.random.default_rng(0)
    frames = np.stack([truth + rng.normal(0, 10, truth.shape) for _ in range(16)])
    result = nt.apply(MeanAlong(axis="t"), open_image(frames, axes="tyx"), tile=16)
    assert (result - truth).std() == pytest.approx(10 / 4, rel=0.05)


@pytest.mark.parametrize("axis", ["t", "z"])
def test_mean_of_groups_of_frames_keeps_the_axis(axis: str) -> None:
    array, image = stack_of("uint8", f"{axis}yx")
    result = nt.apply(MeanAlong(axis=axis, frames=4), image, tile=9)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result[0], np.rint(array[:4].mean(axis=0)))
    np.testing.assert_array_equal(result[1], np.rint(array[4:].mean(axis=0)))
    spec = MeanAlong(axis=axis, frames=4).output_spec(image.spec)
    assert (spec.shape, spec.scale[0], spec.translate[0]) == ((2, 20, 23), 4, 1.5)
    assert nt.apply(MeanAlong(axis=axis, keep_type=False), image).dtype == np.float32


def exposures() -> np.ndarray:
    scene = data.camera().astype(float)
    return np.stack([np.clip(scene * gain, 0, 255) for gain in (0.3, 1, 3)]).astype(np.uint8)


def test_exposure_fusion_is_near_opencvs() -> None:
    images = exposures()
    expected = cv2.createMergeMertens(1, 0, 1).process(list(images)) * 255
    result = nt.apply(FuseExposures(axis="t"), open_image(images, axes="tyx"))
    assert result.dtype == np.uint8
    assert np.abs(result - expected).mean() < 2


def test_exposure_fusion_shows_what_every_exposure_shows() -> None:
    # The left half is lost in the dark exposure, the right half burnt out in the bright one.
    rng = np.random.default_rng(0)
    texture = rng.random((64, 64)) * 0.4 + 0.3
    dark, bright = texture.copy(), texture.copy()
    dark[:, :32] = 0
    bright[:, 32:] = 1
    images = open_image(np.stack([dark, bright]).astype(np.float32), axes="zyx")
    result = nt.apply(FuseExposures(axis="z"), images)
    for part in (np.s_[4:-4, 4:26], np.s_[4:-4, 38:-4]):
        assert np.corrcoef(result[part].ravel(), texture[part].ravel())[0, 1] > 0.9


def test_exposures_of_12_bits_in_16_are_fused_as_those_of_8() -> None:
    images = exposures()
    expected = nt.apply(FuseExposures(axis="t"), open_image(images, axes="tyx"))
    assert images.min() == 0
    assert images.max() == 255
    result = nt.apply(FuseExposures(axis="t"), open_image(images.astype(np.uint16) * 16, axes="tyx"))
    np.testing.assert_allclose(result / 16, expected, atol=1)
    as_type = nt.apply(FuseExposures(axis="t", over="type"), open_image(images.astype(np.uint16) * 16, axes="tyx"))
    assert np.abs(as_type / 16 - expected).max() > 5


def test_exposure_fusion_of_equal_exposures_changes_nothing() -> None:
    image = data.camera()[:50, :61]
    for axis in "tzc":
        result = nt.apply(FuseExposures(axis=axis), open_image(np.stack([image] * 3), axes=f"{axis}yx"))
        np.testing.assert_allclose(result.astype(int), image, atol=1)


def test_exposure_fusion_keeps_colours_apart() -> None:
    colours = data.astronaut()[:40, :45]
    result = nt.apply(FuseExposures(axis="t"), open_image(np.stack([colours] * 2), axes="tyxc"))
    np.testing.assert_allclose(result.astype(int), colours, atol=1)


@pytest.mark.parametrize("operation", [Add(), Subtract(), Multiply(), Divide(), Difference()])
def test_tiles_give_the_whole(operation: Operation) -> None:
    rng = np.random.default_rng(0)
    image, other = rng.random((40, 50)).astype(np.float32), rng.random((40, 50))
    whole = nt.apply(operation, image, tile=1000, other=other)
    np.testing.assert_array_equal(nt.apply(operation, image, tile=13, other=other), whole)


LIMITS = {"int64": (-(2**63), 2**63 - 1), "uint64": (0, 2**64 - 1)}


def wide_pixels(dtype: str, seed: int) -> np.ndarray:
    """Return 64-bit integers: limits, small ones, and all between."""
    rng = np.random.default_rng(seed)
    low, high = LIMITS[dtype]
    anywhere = rng.integers(low, high, 60, dtype=dtype, endpoint=True)
    edge = np.array([low, low + 1, 0, 1, 2, 3, 2**31, 2**32 + 1, high // 2, high - 1, high, high], dtype)
    return rng.permutation(np.concatenate([anywhere, edge, anywhere // np.array(2**31, dtype)])).reshape(12, 11)


@pytest.mark.parametrize("dtype", [*LIMITS, "uint8"])
@pytest.mark.parametrize("other_dtype", [*LIMITS, "int16"])
def test_integers_of_64_bits_are_exact_and_clipped(dtype: str, other_dtype: str) -> None:
    image, other = (
        wide_pixels(one, seed) if one in LIMITS else extremes(one, seed)[:12, :11]
        for one, seed in ((dtype, 1), (other_dtype, 2))
    )
    a, b = image.astype(object), other.astype(object)
    limits = np.iinfo(dtype)
    for operation, exact in ((Add(), a + b), (Subtract(), a - b), (Multiply(), a * b), (Difference(), abs(a - b))):
        expected = np.clip(exact, int(limits.min), int(limits.max)).astype(dtype)
        np.testing.assert_array_equal(nt.apply(operation, image, other=other), expected)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_means_of_64_bits_are_exact(dtype: str, count: int) -> None:
    frames = np.stack([wide_pixels(dtype, seed) for seed in range(count)])
    exact = frames.astype(object).sum(axis=0)
    rounded = np.array([[round(Fraction(int(total), count)) for total in row] for row in exact], object).astype(dtype)
    image = open_image(frames, axes="tyx")
    np.testing.assert_array_equal(nt.apply(MeanAlong(), image), rounded)
    floats = nt.apply(Project(axis="t", statistic="mean"), image)
    np.testing.assert_allclose(floats, np.array([[float(Fraction(int(t), count)) for t in row] for row in exact]))
    middle = np.sort(frames.astype(object), axis=0)[(count - 1) // 2 : count // 2 + 1]
    halves = np.array([[round(Fraction(int(t), len(middle))) for t in row] for row in middle.sum(axis=0)], object)
    np.testing.assert_array_equal(nt.apply(Project(axis="t", statistic="median"), image), halves.astype(dtype))


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_sums_of_64_bits_are_exact_or_refused(dtype: str) -> None:
    fits = np.stack([wide_pixels(dtype, seed) // np.array(4, dtype) for seed in range(4)])
    total = nt.apply(Project(axis="t", statistic="sum"), open_image(fits, axes="tyx"))
    np.testing.assert_array_equal(total, fits.astype(object).sum(axis=0).astype(dtype))
    too_much = np.full((2, 3, 3), LIMITS[dtype][1], dtype)
    with pytest.raises(InvalidInputError, match=f"sum is more than {dtype} holds: choose the mean"):
        nt.apply(Project(axis="t", statistic="sum"), open_image(too_much, axes="tyx"))


@pytest.mark.parametrize(("dtype", "count", "expected"), [("uint16", 65_537, "uint32"), ("uint16", 65_538, "uint64"),
    ("int16", 65_536, "int32"), ("int16", 65_537, "int64"), ("uint8", 1000**3, "uint64"), ("uint32", 2, "uint64"),
    ("int64", 1, "int64"), ("float32", 2, "float32")])  # fmt: skip
def test_sums_have_the_type_that_always_holds_them(dtype: str, count: int, expected: str) -> None:
    assert sum_dtype(np.dtype(dtype), count) == expected


def test_the_sum_of_many_frames_does_not_wrap_around() -> None:
    frames = open_image(np.full((66_000, 1, 2), 65_535, np.uint16), axes="tyx")
    assert (nt.apply(Project(axis="t", statistic="sum"), frames) == 66_000 * 65_535).all()

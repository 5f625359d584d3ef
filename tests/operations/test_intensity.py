"""Intensity operations against numpy, scikit-image and OpenCV; fits do not depend on tiles."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import data, exposure

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.io.opening import open_image
from napari_tessera.operations.base import Block, Operation
from napari_tessera.operations.catalogue.conversion import Channel, ConvertType, Grey, ReplaceInvalid
from napari_tessera.operations.catalogue.equalisation import Clahe, EqualizeHistogram
from napari_tessera.operations.catalogue.intensity import (
    ContrastStretch,
    Gamma,
    Invert,
    Log,
    Normalize,
    NormalizeLocally,
    Rescale,
    SubtractMean,
)
from napari_tessera.operations.intensity import equalisation
from napari_tessera.operations.reductions.percentiles import percentiles, ranked
from napari_tessera.operations.whole import WholeFrame

DTYPES = ["uint8", "uint16", "int8", "int16", "uint32", "int32", "int64", "uint64", "float32", "float64"]


def pixels(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    values = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 1) * 1000 - 380
    limits = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else np.finfo(dtype)
    return values.clip(max(float(limits.min), -1e6), min(float(limits.max), 1e6)).astype(dtype)


def survey_of(image: np.ndarray) -> WholeFrame:
    spec = ImageSpec(axes="zyx"[-image.ndim :], shape=image.shape, dtype=image.dtype)
    return WholeFrame(Block(image, spec, spec.full_region))


@pytest.mark.parametrize("dtype", DTYPES)
def test_percentiles_are_numpys(dtype: str) -> None:
    image = pixels((37, 41), dtype)
    percents = (0, 0.5, 2, 37.3, 50, 98, 100)
    expected = np.percentile(image.astype(np.float64), percents)
    np.testing.assert_allclose(percentiles(survey_of(image), percents), expected, rtol=1e-12, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_ranked_pixels_are_the_sorted_ones(draw: st.DataObject) -> None:
    dtype = np.dtype(draw.draw(st.sampled_from(DTYPES)))
    rng = np.random.default_rng(draw.draw(st.integers(0, 2**32 - 1)))
    bits = rng.integers(0, 256, (draw.draw(st.integers(1, 9)), 7, dtype.itemsize), np.uint8)
    image = bits.view(dtype)[..., 0]
    image = np.where(np.isfinite(image), image, 0).astype(dtype) if dtype.kind == "f" else image
    ranks = sorted(draw.draw(st.sets(st.integers(0, image.size - 1), min_size=1, max_size=4)))
    assert ranked(survey_of(image), ranks) == np.sort(image, axis=None)[ranks].tolist()


@pytest.mark.parametrize("percent", [-1, 101, float("nan")])
def test_percentiles_outside_are_refused(percent: float) -> None:
    with pytest.raises(InvalidInputError, match="between 0 and 100"):
        percentiles(survey_of(np.zeros((2, 2))), (percent,))


def test_invert() -> None:
    assert nt.apply(Invert(), np.array([[0, 255]], np.uint8)).tolist() == [[255, 0]]
    assert nt.apply(Invert(), np.array([[-128, 127]], np.int8)).tolist() == [[127, -128]]
    assert nt.apply(Invert(), np.array([[-1.0, 3, 5]])).tolist() == [[5, 1, -1]]


@pytest.mark.parametrize("gamma", [0.4, 1.0, 2.2])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_gamma_is_scikit_images(gamma: float, dtype: str) -> None:
    image = pixels((31, 40), dtype)
    expected = exposure.adjust_gamma(image.astype(float) / np.iinfo(dtype).max, gamma) * np.iinfo(dtype).max
    np.testing.assert_array_equal(nt.apply(Gamma(gamma=gamma, over="type"), image), np.rint(expected))


def test_gamma_over_the_image_keeps_its_ends() -> None:
    image = pixels((31, 40), "int16")
    result = nt.apply(Gamma(gamma=0.5), image)
    assert (result.min(), result.max(), result.dtype) == (image.min(), image.max(), image.dtype)
    low, high = float(image.min()), float(image.max())
    np.testing.assert_array_equal(result, np.rint(np.sqrt((image - low) / (high - low)) * (high - low) + low))


def test_log_is_scikit_images_and_its_inverse_undoes_it() -> None:
    image = pixels((31, 40), "float64")
    unit = (image - image.min()) / np.ptp(image)
    result = nt.apply(Log(strength=1.0), image)
    np.testing.assert_allclose(result, exposure.adjust_log(unit) * np.ptp(image) + image.min())
    np.testing.assert_allclose(nt.apply(Log(strength=1.0, inverse=True), result), image, atol=1e-9)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_contrast_stretch_is_scikit_images(dtype: str) -> None:
    image = pixels((31, 40), dtype)
    limits = np.iinfo(dtype)
    low, high = np.percentile(image, (2, 95))
    expected = np.interp(image, (low, high), (limits.min, limits.max))
    result = nt.apply(ContrastStretch(low=2, high=95), image)
    assert result.dtype == image.dtype
    np.testing.assert_allclose(result, expected, atol=0.5 + 1e-6)


def test_contrast_stretch_of_floats_fills_0_to_1() -> None:
    result = nt.apply(ContrastStretch(low=5, high=95), pixels((40, 50), "float32"))
    assert result.dtype == np.float32
    assert (result.min(), result.max()) == (0, 1)
    assert (result == 0).mean() == pytest.approx(0.05, abs=0.002)


def test_contrast_stretch_refuses_percentiles_out_of_order() -> None:
    with pytest.raises(InvalidInputError, match="swap"):
        ContrastStretch.parse({"low": 90, "high": 10})


def test_equalisation_of_8_bits_is_opencvs() -> None:
    image = data.camera()
    np.testing.assert_array_equal(nt.apply(EqualizeHistogram(over="type"), image), cv2.equalizeHist(image))


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_equalised_intensities_are_equally_frequent(dtype: str) -> None:
    image = (np.random.default_rng(0).gamma(2, 500, (100, 120))).astype(dtype)
    result = nt.apply(EqualizeHistogram(), image)
    assert result.dtype == image.dtype
    assert (result.min(), result.max()) == (image.min(), image.max())
    shares = np.histogram(result, 10)[0] / image.size
    np.testing.assert_allclose(shares, 0.1, atol=0.01)
    order = np.argsort(image, axis=None, kind="stable")
    assert (np.diff(result.ravel()[order].astype(float)) >= 0).all()


def test_clahe_is_close_to_opencvs() -> None:
    image = np.ascontiguousarray(data.camera()[:496, :496])
    expected = cv2.createCLAHE(3.0, (8, 8)).apply(image).astype(int)
    result = nt.apply(Clahe(clip_limit=3, region=62, over="type"), image)
    assert np.abs(result - expected).max() <= 2


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("shape", [(90, 100), (12, 40, 44)])
def test_clahe_raises_local_contrast_in_the_image_range(dtype: str, shape: tuple[int, ...]) -> None:
    image = pixels(shape, dtype)
    result = nt.apply(Clahe(region=20), image)
    assert result.dtype == image.dtype
    assert result.min() >= image.min()
    assert result.max() <= image.max()
    assert result.astype(float).std() > 1.2 * image.astype(float).std()


def test_clahe_gives_equal_numbers_equal_results_in_any_type() -> None:
    image = (
        (100 + 50 * pixels((90, 100), "float32") / pixels((90, 100), "float32").max()).clip(100, 150).astype(np.uint8)
    )
    narrow = nt.apply(Clahe(), image)
    np.testing.assert_array_equal(narrow, nt.apply(Clahe(), image.astype(np.uint16)))
    assert narrow.std() > image.std()


def test_clahe_tells_integers_apart_that_floats_do_not() -> None:
    down = np.arange(100, dtype=np.int64).reshape(10, 10)
    result = nt.apply(Clahe(), 2**63 - 1 - down)
    np.testing.assert_array_equal(2**63 - 1 - result, 99 - nt.apply(Clahe(), 99 - down))


def test_means_and_deviations() -> None:
    image = pixels((31, 40), "uint8")
    result = nt.apply(SubtractMean(), image)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, image - image.mean(), atol=1e-5)
    result = nt.apply(Normalize(), image)
    np.testing.assert_allclose([result.mean(), result.std()], [0, 1], atol=1e-5)
    assert nt.apply(Normalize(), image.astype(np.float64)).dtype == np.float64


def test_normalize_locally_is_its_definition_and_levels_illumination() -> None:
    image = pixels((80, 90), "float64")
    centred = image - ndimage.gaussian_filter(image, 5)
    deviation = np.sqrt(ndimage.gaussian_filter(centred**2, 5))
    expected = centred / np.maximum(deviation, 0.1 * image.std())
    np.testing.assert_allclose(nt.apply(NormalizeLocally(sigma=5), image), expected)
    shaded = nt.apply(NormalizeLocally(sigma=5), image * np.linspace(1, 5, 90))
    assert shaded[:, :30].std() == pytest.approx(shaded[:, -30:].std(), rel=0.2)


def test_rescale() -> None:
    image = np.array([[10, 20, 60]], np.uint8)
    result = nt.apply(Rescale(low=0, high=1), image)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [[0, 0.2, 1]])
    assert nt.apply(Rescale(low=100, high=0, keep_type=True), image).tolist() == [[100, 80, 0]]
    with pytest.raises(InvalidInputError, match="uint8 holds 0 to 255"):
        nt.apply(Rescale(low=0, high=300, keep_type=True), image)


def test_replace_invalid() -> None:
    image = np.array([[np.nan, np.inf, -np.inf, 2]], np.float32)
    assert nt.apply(ReplaceInvalid(value=7), image).tolist() == [[7, 7, 7, 2]]
    assert nt.apply(ReplaceInvalid(), np.array([[1, 2]], np.uint8)).tolist() == [[1, 2]]


def test_grey_takes_channels_in() -> None:
    colours = data.astronaut()[:20, :24]
    image = open_image(colours, axes="yxc")
    luminance = colours @ np.array([0.2126, 0.7152, 0.0722])
    np.testing.assert_array_equal(nt.apply(Grey(), image), np.rint(luminance))
    np.testing.assert_array_equal(nt.apply(Grey(method="max"), image), colours.max(axis=2))
    np.testing.assert_array_equal(nt.apply(Grey(method="mean"), image, tile=7), np.rint(colours.mean(axis=2)))
    opaque = open_image(np.dstack([colours, np.full((20, 24), 9, np.uint8)]), axes="yxc")
    np.testing.assert_array_equal(nt.apply(Grey(), opaque), np.rint(luminance))
    with pytest.raises(InvalidInputError, match="red, green and blue"):
        nt.apply(Grey(), colours[..., 0])


def test_channel() -> None:
    colours = data.astronaut()[:20, :24]
    image = open_image(colours, axes="yxc")
    np.testing.assert_array_equal(nt.apply(Channel(channel=2), image), colours[..., 2])
    with pytest.raises(InvalidInputError, match="no channel 3"):
        nt.apply(Channel(channel=3), image)


@pytest.mark.parametrize(
    ("source", "dtype", "values", "expected"),
    [
        (np.array([[-3, 300]], np.int16), "uint8", "keep", [[0, 255]]),
        (np.array([[1.5, -2.6, 1e9]]), "int16", "keep", [[2, -3, 32767]]),
        (np.array([[0, 255]], np.uint8), "uint16", "type", [[0, 65535]]),
        (np.array([[0, 51]], np.uint8), "float32", "type", [[0, np.float32(0.2)]]),
        (np.array([[10, 20]], np.uint16), "uint8", "image", [[0, 255]]),
        (np.array([[1e300]]), "float32", "keep", [[np.finfo(np.float32).max]]),
        (np.array([[2**63]], np.uint64), "int32", "keep", [[2**31 - 1]]),
    ],
)
def test_convert_type(source: np.ndarray, dtype: str, values: str, expected: list[list[float]]) -> None:
    result = nt.apply(ConvertType(dtype=dtype, values=values), source)
    assert result.dtype == dtype
    assert result.tolist() == expected


OPERATIONS = [
    Invert(),
    Gamma(),
    Log(),
    ContrastStretch(),
    EqualizeHistogram(),
    Clahe(region=16),
    SubtractMean(),
    Normalize(),
    NormalizeLocally(sigma=2),
    Rescale(),
    ReplaceInvalid(),
    ConvertType(dtype="uint8", values="image"),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name())
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
def test_tiles_give_the_whole(operation: Operation, dtype: str) -> None:
    for shape, tile in (((61, 70), 17), ((9, 20, 21), 8)):
        image = pixels(shape, dtype)
        np.testing.assert_array_equal(nt.apply(operation, image, tile=tile), nt.apply(operation, image, tile=1000))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name())
def test_constant_tiny_and_bool_images_give_finite_results(operation: Operation) -> None:
    for image in (np.full((12, 13), 9, np.uint8), np.full((12, 13), 0.5, np.float32), np.ones((1, 1), np.uint16)):
        result = nt.apply(operation, image)
        assert np.isfinite(result).all()
        assert len(np.unique(result)) == 1
    assert nt.apply(operation, np.eye(5, dtype=bool)).shape == (5, 5)


@pytest.mark.parametrize(
    "operation", [Gamma(), Log(), EqualizeHistogram(), Clahe(region=16), Rescale(keep_type=True, high=9)]
)
def test_constant_images_stay_as_they_are(operation: Operation) -> None:
    if isinstance(operation, Rescale):
        assert (nt.apply(operation, np.full((4, 5), 3, np.uint8)) == 0).all()
        return
    assert (nt.apply(operation, np.full((20, 20), 3.5)) == 3.5).all()


def test_invert_of_a_mask_without_a_one_can_be_told() -> None:
    empty = np.zeros((2, 3), bool)
    assert nt.apply(Invert(values="mask"), empty).tolist() == [[1, 1, 1]] * 2
    assert nt.apply(Invert(values="mask"), ~empty).tolist() == [[0, 0, 0]] * 2
    assert nt.apply(Invert(values="type"), np.ones((2, 2), np.uint8)).tolist() == [[254, 254]] * 2
    assert nt.apply(Invert(values="type"), np.array([[0.25, 1.0]])).tolist() == [[0.75, 0]]
    with pytest.raises(InvalidInputError, match="from 0 to 2, so it is no mask"):
        nt.apply(Invert(values="mask"), np.array([[0, 2]], np.uint8))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sign", [1, -1])
def test_invert_of_huge_floats_does_not_overflow(dtype: type, sign: int) -> None:
    top = np.finfo(dtype).max
    image = np.array([[top, top / 2, top / 4]], dtype) * sign
    with np.errstate(all="raise"):
        expected = np.array([[top / 4, top / 4 * 3, top]], dtype) * sign
        np.testing.assert_allclose(nt.apply(Invert(), image), expected, rtol=1e-6)
        across = np.array([[-top, 0, top]], dtype)
        assert nt.apply(Invert(), across).tolist() == across[:, ::-1].tolist()


def test_invert_of_a_mask_stays_a_mask() -> None:
    mask = np.array([[True, False], [False, False]])
    assert nt.apply(Invert(), mask).tolist() == [[0, 1], [1, 1]]
    # the empty blue channel of a colour image is black, not an empty mask
    assert nt.apply(Invert(), np.zeros((2, 2), np.uint8)).tolist() == [[255, 255], [255, 255]]


@pytest.mark.parametrize("operation", [Rescale(), Gamma(gamma=1), Log(strength=1e-9), ContrastStretch(low=0, high=100)])
def test_the_widest_and_the_narrowest_range_are_stretched(operation: Operation) -> None:
    wide = np.array([[-1.7e308, 0, 1.7e308]])
    result = nt.apply(operation, wide)
    expected = wide if isinstance(operation, (Gamma, Log)) else [[0, 0.5, 1]]
    np.testing.assert_allclose(result, expected, rtol=1e-7, atol=1e300 if np.abs(expected).max() > 1 else 0)
    narrow = nt.apply(operation, np.array([[0, 5e-324]]))
    assert np.isfinite(narrow).all()


def test_rescale_to_the_widest_range() -> None:
    result = nt.apply(Rescale(low=-1.7e308, high=1.7e308), np.array([[1.0, 2, 3]]))
    assert result.tolist() == [[-1.7e308, 0, 1.7e308]]
    with pytest.raises(InvalidInputError, match="float32 holds"):
        nt.apply(Rescale(high=1e39), np.array([[1, 2]], np.uint8))


def test_clahe_holds_the_histograms_of_touched_regions_only() -> None:
    regions = equalisation.Regions.of((4096, 4096), 64)
    piece = np.zeros((100, 70), np.uint8)
    counts = regions.counts(piece, (slice(64, 164), slice(128, 198)), 0, 255, 256)
    assert sorted(counts) == [66, 67, 130, 131]
    assert sum(int(histogram.sum()) for histogram in counts.values()) == piece.size
    totals = equalisation.region_totals(counts, regions, 256, 3.0)
    assert totals.dtype == np.uint32
    assert int(totals[..., -1].sum()) == piece.size


def test_clahe_names_the_smallest_region_that_it_takes() -> None:
    spec = ImageSpec(axes="yx", shape=(65_536, 65_536), dtype=np.dtype("u2"))
    with pytest.raises(InvalidInputError, match=r"1,048,576, more than 65,536: choose a region of 256 pixels"):
        Clahe(region=64).check_frame(spec)
    Clahe(region=256).check_frame(spec)
    Clahe().check_frame(spec)


@pytest.mark.parametrize(
    "operation",
    [
        *(Gamma(), Log(), ContrastStretch(low=0, high=100, over="image"), ContrastStretch(low=0, high=100), Rescale()),
        *(EqualizeHistogram(), Clahe(), nt.operations.Otsu(), nt.operations.Yen(), nt.operations.KMeans()),
    ],
    ids=lambda operation: operation.name(),
)
@pytest.mark.parametrize(("dtype", "start"), [("uint64", 2**63), ("int64", 2**62 + 1), ("int64", -(2**62) - 1)])
def test_64_bit_integers_beyond_what_floats_hold_have_the_curve_of_small_ones(operation, dtype, start):
    small = np.random.default_rng(0).integers(0, 1000, (20, 30))
    small[0, :2] = 0, 1000
    result = nt.apply(operation, np.array(start, dtype) + small.astype(dtype), tile=16)
    expected = nt.apply(operation, small.astype(dtype))
    if expected.dtype.itemsize == 8 and expected.dtype.kind != "f" and getattr(operation, "over", "") != "type":
        result = (result - np.array(start, dtype)).astype(np.int64)
    np.testing.assert_array_equal(result, expected)


def test_a_wide_range_of_64_bit_integers_far_from_0_is_counted_as_one_near_it():
    small = np.random.default_rng(0).integers(0, 10**7, (40, 50)) ** 2 // 10**7
    for operation in (nt.operations.Otsu(classes=3), nt.operations.Triangle(), Clahe(), EqualizeHistogram()):
        near = nt.apply(operation, small)
        far = nt.apply(operation, small.astype(np.uint64) + np.uint64(2**63))
        far = far if far.dtype == np.uint8 else (far - np.uint64(2**63)).astype(np.int64)
        np.testing.assert_array_equal(far, near)

"""Thresholds: against scikit-image and definitions written out, and the same on tiles as on the whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage as ndi
from skimage import data, filters
from skimage.util import invert

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block
from napari_tessera.operations.catalogue.threshold import (
    Hysteresis,
    Levels,
    Li,
    LocalThreshold,
    ManualThreshold,
    Niblack,
    Otsu,
    Sauvola,
    Triangle,
)
from napari_tessera.operations.thresholding.levels import above, classify, rounded_down
from napari_tessera.operations.thresholding.local_thresholds import window_mean, window_mean_std
from napari_tessera.operations.whole import WholeFrame

COINS = data.coins()
PAGE = data.page()
VOLUME = ndi.gaussian_filter(np.random.default_rng(4).normal(size=(9, 24, 26)), 2)
VOLUME_16 = ((VOLUME - VOLUME.min()) / np.ptp(VOLUME) * 40_000 + 300).astype(np.uint16)
FLOATS = VOLUME.astype(np.float32)


def same_on_tiles(operation, image, *tiles: int):
    """Return the result on the whole image, held to be that on tiles."""
    whole = nt.apply(operation, image)
    for tile in tiles or (7, 16):
        np.testing.assert_array_equal(nt.apply(operation, image, tile=tile), whole)
    assert whole.dtype == np.uint8
    return whole


def fitted(operation, image):
    spec = ImageSpec(axes="zyx"[-image.ndim :], shape=image.shape, dtype=image.dtype)
    return operation.fit(WholeFrame(Block(image, spec, spec.full_region)))


@given(
    st.sampled_from(["u1", "i1", "u2", "i4", "u8", "f4", "f8"]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(0, 2**32),
)
def test_comparison_is_exact_in_every_dtype(dtype, level, seed):
    random = np.random.default_rng(seed)
    image = random.integers(0, 120, 50).astype(dtype)
    near = np.clip(level, -1000, 1000)
    for value in (level, near, float(image[0]), float(image[0]) + 0.5, float(image[0]) + 1e-12):
        expected = [x > value for x in image.tolist()]
        assert above(image, value).tolist() == expected


def test_level_between_two_float32_numbers_is_rounded_down():
    level = float(np.float32(0.1)) + 1e-9
    assert rounded_down(level, np.dtype("f4")) == np.float32(0.1)
    assert above(np.array([np.float32(0.1)]), float(np.float32(0.1)) - 1e-9).all()
    assert rounded_down(1e300, np.dtype("f4")) == np.finfo("f4").max


def test_classes_are_digits():
    image = np.arange(10, dtype=np.uint8)
    np.testing.assert_array_equal(classify(image, (2, 5.5)), np.digitize(image, (2, 5.5), right=True))


def test_manual_threshold_parts_cover_the_image():
    below = same_on_tiles(ManualThreshold(keep="below", threshold=80), COINS, 100)
    between = same_on_tiles(ManualThreshold(keep="between", threshold=80, upper=150.5), COINS, 100)
    over = same_on_tiles(ManualThreshold(threshold=150.5), COINS, 100)
    np.testing.assert_array_equal(over, COINS > 150)
    np.testing.assert_array_equal(between, (COINS > 80) & (COINS <= 150))
    assert ((below + between + over) == 1).all()


def test_manual_threshold_says_its_levels():
    assert ManualThreshold(threshold=3).levels == (3,)
    assert ManualThreshold(keep="between", threshold=3, upper=5).levels == (3, 5)


def test_manual_threshold_refuses_an_empty_range():
    with pytest.raises(InvalidInputError, match="greater than threshold"):
        ManualThreshold.parse({"keep": "between", "threshold": 5, "upper": 5})


def test_otsu_equals_scikit_image():
    level = filters.threshold_otsu(COINS)
    np.testing.assert_array_equal(same_on_tiles(Otsu(), COINS, 100), level < COINS)


def test_otsu_of_three_classes_equals_scikit_image():
    expected = np.digitize(COINS, filters.threshold_multiotsu(COINS, 3), right=True)
    np.testing.assert_array_equal(same_on_tiles(Otsu(classes=3), COINS, 100), expected)
    assert len(fitted(Otsu(classes=3), COINS).levels) == 2


@pytest.mark.parametrize("image", [VOLUME_16, FLOATS, VOLUME, VOLUME_16.astype(np.int32) - 500])
@pytest.mark.parametrize("operation", [Otsu(), Otsu(classes=4), Li(), Triangle(), Otsu(per_plane=True)])
def test_thresholds_of_histograms_are_the_same_on_tiles(operation, image):
    result = same_on_tiles(operation, image)
    assert set(np.unique(result)) == set(range(getattr(operation, "classes", 2)))


def test_li_is_near_scikit_image():
    (level,) = fitted(Li(), COINS).levels
    assert abs(level - filters.threshold_li(COINS)) < 1


def test_triangle_equals_scikit_image():
    level = filters.threshold_triangle(COINS)
    expected = level < COINS
    assert (same_on_tiles(Triangle(), COINS, 100) != expected).mean() < 0.01


def test_per_plane_looks_at_each_plane():
    result = nt.apply(Otsu(per_plane=True), VOLUME_16)
    for plane, expected in zip(result, VOLUME_16, strict=True):
        np.testing.assert_array_equal(plane, expected > filters.threshold_otsu(expected, nbins=65536))


@pytest.mark.parametrize(
    "operation",
    [
        Otsu(),
        Otsu(classes=3),
        Li(),
        Triangle(),
        ManualThreshold(threshold=90),
        Hysteresis(low=80, high=120),
        LocalThreshold(),
        Niblack(),
        Sauvola(),
    ],
    ids=lambda operation: operation.name(),
)
@pytest.mark.parametrize("tile", [None, 33])
def test_each_channel_has_its_own_threshold(operation, tile):
    channels = np.stack([COINS[:90, :100], COINS[100:190, :100] // 2 + 40, 255 - COINS[:90, 200:300]])
    expected = np.stack([nt.apply(operation, channel) for channel in channels])
    assert len({channel.tobytes() for channel in expected}) == 3
    image = nt.open_image(channels, axes="cyx", channel_names=["red", "green", "far red"])
    np.testing.assert_array_equal(nt.apply(operation, image, tile=tile), expected)
    film = nt.open_image(np.stack([channels[:2], channels[1:]]), axes="tcyx")
    np.testing.assert_array_equal(nt.apply(operation, film, tile=tile), np.stack([expected[:2], expected[1:]]))


def test_labels_of_channels_keep_their_names(tmp_path):
    image = nt.open_image(np.stack([COINS, COINS // 2]), axes="cyx", channel_names=["red", "green"])
    out = nt.apply(Otsu(), image, out=tmp_path / "labels.ome.zarr")
    assert nt.open_image(out).spec.channel_names == ("red", "green")


def test_two_channels_side_by_side_are_no_colours():
    image = np.stack([COINS, COINS // 2], axis=-1)
    result = nt.apply(Otsu(), nt.open_image(image, axes="yxc"))
    np.testing.assert_array_equal(result[..., 1], nt.apply(Otsu(), COINS // 2))


@pytest.mark.parametrize("operation", [Otsu(), Otsu(classes=3), Li(), Triangle()])
def test_dark_foreground_turns_classes_round(operation):
    bright = nt.apply(operation, COINS)
    dark = nt.apply(operation.with_overrides({"foreground": "dark"}), COINS)
    np.testing.assert_array_equal(dark, bright.max() - bright)


@pytest.mark.parametrize("operation", [Otsu(), Otsu(classes=3), Li(), Triangle()])
def test_constant_image_is_refused(operation):
    with pytest.raises(InvalidInputError, match="constant"):
        nt.apply(operation, np.full((8, 8), 7, np.uint8))


def test_more_classes_than_grey_levels_are_refused():
    with pytest.raises(InvalidInputError, match="at most 2 classes"):
        nt.apply(Otsu(classes=3), np.eye(8, dtype=np.uint8))


@pytest.mark.parametrize("operation", [Otsu(), Hysteresis(), Niblack(), Sauvola(), LocalThreshold(), ManualThreshold()])
def test_nan_and_colours_are_refused(operation):
    image = np.ones((40, 40), np.float32)
    image[3, 3] = np.nan
    with pytest.raises(InvalidInputError, match="NaN"):
        nt.apply(operation, image)
    with pytest.raises(InvalidInputError, match=r"one channel at a time .* 'grey'"):
        nt.apply(operation, nt.open_image(data.astronaut()[:40, :40], axes="yxc"))


@pytest.mark.parametrize("operation", [Otsu(), Hysteresis(low=0.2, high=0.5), Niblack(), Sauvola(), ManualThreshold()])
def test_a_mask_is_an_image(operation):
    mask = COINS > 100
    result = nt.apply(operation, mask)
    assert result.shape == mask.shape
    assert result.dtype == np.uint8
    if isinstance(operation, Otsu | Hysteresis):
        np.testing.assert_array_equal(result, mask)


@pytest.mark.parametrize("image", [COINS, VOLUME_16, FLOATS])
@pytest.mark.parametrize("quantiles", [(0.3, 0.9), (0.5, 0.5)])
def test_hysteresis_equals_scikit_image(image, quantiles):
    low, high = np.quantile(image, quantiles).tolist()
    result = same_on_tiles(Hysteresis(low=low, high=high), image, 9, 100)
    np.testing.assert_array_equal(result, filters.apply_hysteresis_threshold(image, low, high))


def test_hysteresis_of_dark_foreground_is_that_of_the_negative():
    result = same_on_tiles(Hysteresis(low=60, high=100, foreground="dark"), COINS, 100)
    # not above 100 is 155 and more in the negative, hence above 154
    np.testing.assert_array_equal(result, filters.apply_hysteresis_threshold(invert(COINS), 154, 194))


def test_hysteresis_connectivity():
    image = np.array([[9, 0], [0, 5]], np.uint8)
    assert nt.apply(Hysteresis(low=3, high=7), image).sum() == 1
    assert nt.apply(Hysteresis(low=3, high=7, connectivity=2), image).sum() == 2
    with pytest.raises(InvalidInputError, match="choose 1 to 2"):
        nt.apply(Hysteresis(connectivity=3), image)
    with pytest.raises(InvalidInputError, match="exchange"):
        Hysteresis.parse({"low": 5, "high": 4})


@pytest.mark.parametrize("image", [PAGE, VOLUME_16, VOLUME])
@pytest.mark.parametrize("window", [3, 5, 15, 31])
def test_mean_and_deviation_of_windows(image, window):
    mean, std = window_mean_std(image, window)
    exact = image.astype(np.float64)
    expected_mean = filters.threshold_niblack(exact, window, k=0)
    expected_std = filters.threshold_niblack(exact, window, k=-1) - expected_mean
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-9)
    np.testing.assert_allclose(std, expected_std, rtol=1e-6, atol=1e-6 * np.ptp(image))
    np.testing.assert_allclose(window_mean(image, window), expected_mean, rtol=1e-9)


def agree_but_for_ties(mask, image, levels):
    """Compare a mask with `image` > `levels`, where the two differ by more than rounding."""
    clear = np.abs(image - levels) > 1e-6 * np.ptp(image)
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(mask[clear], (image > levels)[clear])


@pytest.mark.parametrize("image", [PAGE, VOLUME_16, FLOATS])
@pytest.mark.parametrize("window", [5, 15])
def test_niblack_equals_scikit_image(image, window):
    bright = same_on_tiles(Niblack(window=window, k=0.3), image, 9, 100)
    agree_but_for_ties(bright, image, filters.threshold_niblack(image, window, k=-0.3))
    dark = same_on_tiles(Niblack(window=window, k=0.3, foreground="dark"), image, 9, 100)
    agree_but_for_ties(1 - dark, image, filters.threshold_niblack(image, window, k=0.3))


@pytest.mark.parametrize("image", [PAGE, VOLUME_16, FLOATS - FLOATS.min()])
@pytest.mark.parametrize("window", [5, 25])
def test_sauvola_equals_scikit_image(image, window):
    spread = float(np.ptp(image)) / 2
    dark = same_on_tiles(Sauvola(window=window, k=0.3, foreground="dark"), image, 9, 100)
    agree_but_for_ties(1 - dark, image, filters.threshold_sauvola(image, window, k=0.3, r=spread))
    bright = same_on_tiles(Sauvola(window=window, k=0.3), image, 9, 100)
    negative = image.max() - image
    agree_but_for_ties(1 - bright, negative, filters.threshold_sauvola(negative, window, k=0.3, r=spread))


def test_sauvola_takes_a_fixed_spread():
    dark = nt.apply(Sauvola(window=15, spread=128, foreground="dark"), PAGE)
    agree_but_for_ties(1 - dark, PAGE, filters.threshold_sauvola(PAGE, 15, r=128))


def test_sauvola_negative_of_signed_integers_does_not_overflow():
    image = np.where(COINS > 120, 127, -128).astype(np.int8)
    wide = image.astype(np.int32)
    np.testing.assert_array_equal(nt.apply(Sauvola(), image), nt.apply(Sauvola(), wide))


@pytest.mark.parametrize("weights", ["mean", "gaussian"])
@pytest.mark.parametrize("image", [PAGE, VOLUME_16, FLOATS])
def test_local_threshold_equals_scikit_image(image, weights):
    offset = float(np.ptp(image)) / 50
    levels = filters.threshold_local(image.astype(float), 15, weights, offset=-offset, mode="mirror")
    result = same_on_tiles(LocalThreshold(window=15, weights=weights, offset=offset), image, 9, 100)
    agree_but_for_ties(result, image, levels)
    levels = filters.threshold_local(image.astype(float), 15, weights, offset=offset, mode="mirror")
    dark = same_on_tiles(LocalThreshold(window=15, weights=weights, offset=offset, foreground="dark"), image, 9, 100)
    agree_but_for_ties(1 - dark, image, levels)


@pytest.mark.parametrize("value", [np.uint8(0), np.uint8(200), np.float32(0.1), np.float64(1e9 / 3)])
@pytest.mark.parametrize("operation", [LocalThreshold(window=21), LocalThreshold(weights="mean"), Niblack(), Sauvola()])
@pytest.mark.parametrize("foreground", ["bright", "dark"])
def test_a_flat_image_has_no_objects(operation, value, foreground):
    operation = operation.with_overrides({"foreground": foreground})
    assert nt.apply(operation, np.full((30, 40), value)).sum() == 0


@pytest.mark.parametrize("operation", [LocalThreshold(), Niblack(window=51), Sauvola(window=51)])
def test_window_larger_than_the_image(operation):
    same_on_tiles(operation, COINS[:20, :33], 8)
    same_on_tiles(operation, COINS[:1, :33], 8)


def test_even_window_is_refused():
    with pytest.raises(InvalidInputError, match="odd"):
        Niblack.parse({"window": 4})


def test_levels_is_not_offered():
    assert "levels" not in nt.operations.registry.all_operations()
    assert Levels(levels=(3,)).levels == (3,)

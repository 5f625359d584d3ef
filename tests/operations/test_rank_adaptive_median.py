"""The adaptive median equals its definition, written out pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import napari_tessera.operations.rank.adaptive_median as module
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.rank.adaptive_median import adaptive_median

KINDS: list[tuple[tuple[int, ...], int, str]]
KINDS = [((21, 25), 5, dtype) for dtype in ("bool", "uint8")]
KINDS += [((5, 7, 9), 3, "float32")]
RARE_KINDS: list[tuple[tuple[int, ...], int, str]]
RARE_KINDS = [((21, 25), 5, dtype) for dtype in ("uint16", "float64", "uint64", "int8", "float16")]
RARE_KINDS += [((5, 7, 9), 3, dtype) for dtype in ("uint8", "int32")]
"""Shape, largest window and dtype; the kernels of each are compiled anew in every test run."""


def by_definition(image, largest):
    """Follow levels A and B at each pixel in turn."""
    radius = largest // 2
    padded = np.pad(image, radius, mode="symmetric")
    result = np.empty_like(image)
    for position in np.ndindex(image.shape):
        for size in range(3, largest + 1, 2):
            window = padded[tuple(slice(p + radius - size // 2, p + radius + size // 2 + 1) for p in position)]
            z_min, z_med, z_max = window.min(), np.sort(window, axis=None)[window.size // 2], window.max()
            z_xy = image[position]
            if z_min < z_med < z_max:
                result[position] = z_xy if z_min < z_xy < z_max else z_med
                break
        else:
            result[position] = z_med
    return result


def by_composition(image, largest):
    """Follow levels A and B on whole images, with scipy's filters."""
    result, waiting = np.empty_like(image), np.ones(image.shape, bool)
    for size in range(3, largest + 1, 2):
        z_min, z_max = ndimage.minimum_filter(image, size), ndimage.maximum_filter(image, size)
        z_med = ndimage.median_filter(image, size)
        level_a, level_b = (z_min < z_med) & (z_med < z_max), (z_min < image) & (image < z_max)
        result = np.where(waiting, np.where(level_a & level_b, image, z_med), result)
        waiting &= ~level_a
    return result


def noisy(shape, dtype="uint8", seed=0, share=0.35, flat=False):
    """Return a ramp, or spots on a dark background, with salt and pepper."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    low, high = {"b": (0, 1), "f": (-500, 500)}.get(dtype.kind) or (np.iinfo(dtype).min, np.iinfo(dtype).max)
    ramp = np.indices(shape).sum(axis=0) % 97 + 10 + rng.integers(0, 3, shape)
    if flat:
        ramp = np.where(ndimage.gaussian_filter(rng.random(shape), 2) > 0.52, ramp, low)
    image = (ramp > 50 if dtype.kind == "b" else ramp).astype(dtype)
    chance = rng.random(shape)
    image[chance < share / 2] = low
    image[chance > 1 - share / 2] = high
    return image


@pytest.mark.parametrize(
    ("shape", "largest", "dtype"), [*KINDS, *(pytest.param(*kind, marks=pytest.mark.long) for kind in RARE_KINDS)]
)
def test_equals_the_definition(shape, largest, dtype):
    image = noisy(shape, dtype)
    before = image.copy()
    result = adaptive_median(image, largest)
    assert result.dtype == image.dtype
    np.testing.assert_array_equal(result, by_definition(image, largest))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("share", [0.05, 0.35, 0.7, 0.95])
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(
    ("dtype", "largest"),
    [("uint8", 9), ("float32", 5), *(pytest.param(kind, 9, marks=pytest.mark.long) for kind in ("uint16", "float32"))],
)
def test_equals_the_composition_of_filters(dtype, largest, flat, share):
    image = noisy((67, 1100), dtype, share=share, flat=flat)
    np.testing.assert_array_equal(adaptive_median(image, largest), by_composition(image, largest))


@pytest.mark.parametrize("share", [0.35, 0.9])
@pytest.mark.parametrize("network", [5, pytest.param(9, marks=pytest.mark.long)])
def test_large_windows_are_counted(monkeypatch, share, network):
    monkeypatch.setattr(module, "LARGEST_NETWORK", {2: network})
    image = noisy((37, 600), "uint16", share=share, flat=True)
    np.testing.assert_array_equal(adaptive_median(image, 21), by_composition(image, 21))


@pytest.mark.long  # compiling the largest networks takes minutes
def test_all_networks():
    image = noisy((70, 300), share=0.9, flat=True)
    np.testing.assert_array_equal(adaptive_median(image, 21), by_composition(image, 21))
    volume = noisy((9, 20, 31), "float32", share=0.9, flat=True)
    np.testing.assert_array_equal(adaptive_median(volume, 9), by_composition(volume, 9))


@pytest.mark.parametrize("share", [0.35, 0.9])
@pytest.mark.parametrize("network", [3, pytest.param(5, marks=pytest.mark.long)])
def test_volumes(monkeypatch, share, network):
    monkeypatch.setattr(module, "LARGEST_NETWORK", {3: network})
    image = noisy((9, 20, 31), share=share, flat=True)
    np.testing.assert_array_equal(adaptive_median(image, 9), by_composition(image, 9))


@pytest.mark.parametrize(
    "dtype",
    ["int16", "uint16", "float32", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("int8", "float64"))],
)
@pytest.mark.parametrize("shape", [(70, 45), (7, 13, 22)], ids=["2D", "3D"])
def test_counting_alone_gives_the_same(monkeypatch, dtype, shape):
    monkeypatch.setattr(module, "LARGEST_NETWORK", {2: 1, 3: 1})
    monkeypatch.setattr(module, "COUNTING_CHUNK", 16)
    image = noisy(shape, dtype, share=0.6, flat=True)
    np.testing.assert_array_equal(adaptive_median(image, 7), by_composition(image, 7))


@settings(max_examples=60, deadline=None)
@given(
    shape=st.one_of(st.tuples(*[st.integers(1, 70)] * 2), st.tuples(*[st.integers(1, 12)] * 3)),
    largest=st.sampled_from([3, 5, 7]),
    share=st.floats(0, 1),
    flat=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape_also_smaller_than_the_window(shape, largest, share, flat, seed):
    largest = 3 if len(shape) == 3 else largest  # larger ones take long to compile: see `test_volumes`
    image = noisy(shape, "uint8", seed, share, flat)
    np.testing.assert_array_equal(adaptive_median(image, largest), by_composition(image, largest))


def test_constant_images_stay_as_they_are():
    for largest in (3, 9):
        image = np.full((40, 50), 7, np.uint8)
        np.testing.assert_array_equal(adaptive_median(image, largest), image)


def test_a_lone_impulse_goes_and_detail_stays():
    image = (np.indices((40, 40)).sum(axis=0) * 3).astype(np.uint8)
    impulse = image.copy()
    impulse[20, 20] = 255
    result = adaptive_median(impulse, 7)
    assert abs(int(result[20, 20]) - int(image[20, 20])) <= 3
    inner = np.ones(image.shape, bool)
    inner[20, 20] = inner[0, 0] = inner[-1, -1] = False
    np.testing.assert_array_equal(result[inner], image[inner])


def test_at_the_largest_window_its_median_is_emitted():
    """The second edition of the book would keep the pixel."""
    image = np.zeros((9, 9), np.uint8)
    image[4, 4] = 200
    assert adaptive_median(image, 5)[4, 4] == 0


def test_writes_into_the_array_that_is_given():
    image = noisy((40, 50))
    whole = np.zeros((40, 120), np.uint8)
    for out in (np.zeros_like(image), whole[:, 10:60], whole[:, 10:110:2], image.copy()):
        assert adaptive_median(image, 5, out) is out
        np.testing.assert_array_equal(out, by_composition(image, 5))
    expected = by_composition(image, 5)
    np.testing.assert_array_equal(adaptive_median(image, 5, image), expected)


def test_views_and_read_only_arrays():
    image = noisy((60, 90), "uint16")
    image.flags.writeable = False
    for view in (image, image[::2, ::-1], image.T, image[5:50, 7:60], image.astype(">u2")):
        np.testing.assert_array_equal(adaptive_median(view, 5), by_composition(view.astype(np.uint16), 5))


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 4, 4)])
def test_empty_images(shape):
    assert adaptive_median(np.zeros(shape, np.uint8), 5).shape == shape


def test_nan_does_no_harm(monkeypatch):
    image = noisy((50, 60), "float32")
    clean = by_composition(image, 13)
    image[20, 30] = np.nan
    monkeypatch.setattr(module, "LARGEST_NETWORK", {2: 5})
    result = adaptive_median(image, 13)
    np.testing.assert_array_equal(result[:, 37:], clean[:, 37:])
    image[:] = np.nan
    assert np.isnan(adaptive_median(image, 13)).all()


@pytest.mark.parametrize("largest", [1, 2, 4, 0, -3])
def test_refuses_windows_with_the_remedy(largest):
    with pytest.raises(InvalidInputError, match="3, 5, 7"):
        adaptive_median(np.zeros((5, 5)), largest)


@pytest.mark.parametrize("image", [np.zeros(5), np.zeros((2, 2, 5, 5)), np.zeros((5, 5), complex)])
def test_refuses_images_with_the_remedy(image):
    with pytest.raises(InvalidInputError):
        adaptive_median(image, 3)

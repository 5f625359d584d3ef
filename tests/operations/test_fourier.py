import tracemalloc
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from skimage import data

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block
from napari_tessera.operations.catalogue.fourier import LowPass
from napari_tessera.operations.fourier import filtering, notch, optimum_notch, padding, spectrum, spikes, transfer
from napari_tessera.operations.registry import build_operation, find_operation
from napari_tessera.operations.whole import run_whole


def radial(name):
    """Return what filters an image by a transfer function of that name."""

    def run(image, *arguments, spacing=None, **options):
        return filtering.filter_radially(image, lambda d2: getattr(transfer, name)(d2, *arguments, **options), spacing)

    return run


radially = SimpleNamespace(**{name: radial(name) for name in ("low_pass", "high_pass", "band_pass", "band_reject")})

PROFILES = ("ideal", "butterworth", "gaussian")


def psnr(image, truth):
    return 10 * np.log10(255**2 / np.mean((np.asarray(image, float) - truth) ** 2))


def wave(shape, frequency, phase=0.7):
    """cos(2π f · position + phase)"""
    places = np.indices(shape)
    return np.cos(2 * np.pi * sum(f * at for f, at in zip(frequency, places, strict=True)) + phase)


def block_of(image, axes="yx", scale=(), others=None, units=()):
    spec = ImageSpec(axes=axes, shape=image.shape, dtype=image.dtype, scale=scale, units=units)
    return Block(image, spec, spec.full_region, others or {})


# --- band filters ------------------------------------------------------------------------------------------------


@given(
    shape=st.lists(st.integers(1, 12), min_size=2, max_size=3),
    profile=st.sampled_from(PROFILES),
    seed=st.integers(0, 99),
)
def test_a_filter_equals_the_fourier_filter_of_the_mirrored_image(shape, profile, seed):
    image = np.random.default_rng(seed).normal(size=shape)
    mirrored = np.pad(image, [(0, n) for n in shape], mode="symmetric")
    grid = [np.fft.fftfreq(2 * n) for n in shape]
    distance2 = sum(f**2 for f in np.meshgrid(*grid, indexing="ij"))
    for name, arguments in (
        ("low_pass", (0.17,)),
        ("high_pass", (0.23,)),
        ("band_reject", (0.1, 0.3)),
        ("band_pass", (0.1, 0.3)),
    ):
        gain = getattr(transfer, name)(distance2, *arguments, profile, 3)
        expected = np.fft.ifftn(np.fft.fftn(mirrored) * gain).real[tuple(slice(n) for n in shape)]
        np.testing.assert_allclose(getattr(radially, name)(image, *arguments, profile, 3), expected, atol=1e-10)


def test_transfer_functions_have_the_textbook_values():
    d = np.array([0.0, 0.05, 0.1, 0.2, 0.4])
    np.testing.assert_allclose(transfer.low_pass(d**2, 0.1, "ideal"), [1, 1, 1, 0, 0])
    np.testing.assert_allclose(transfer.low_pass(d**2, 0.1, "butterworth", 3), 1 / (1 + (d / 0.1) ** 6))
    np.testing.assert_allclose(transfer.low_pass(d**2, 0.1, "gaussian"), np.exp(-(d**2) / 0.02))
    np.testing.assert_allclose(transfer.band_reject(d**2, 0.1, 0.2, "ideal"), [1, 1, 0, 0, 1])
    reject = transfer.band_reject(d**2, 0.1, 0.2, "butterworth", 3)
    assert reject[0] == 1
    np.testing.assert_allclose(reject[2:4], 0.5)
    reject = transfer.band_reject(d**2, 0.1, 0.2, "gaussian")
    assert reject[0] == 1
    np.testing.assert_allclose(reject[2:4], 1 - np.exp(-1))
    inner = np.array([np.sqrt(0.02)])
    for profile in PROFILES:
        np.testing.assert_allclose(transfer.band_pass(inner**2, 0.1, 0.2, profile), 1)
        np.testing.assert_allclose(
            transfer.band_reject(d**2, 0, 0.2, profile), transfer.high_pass(d**2, 0.2, profile), atol=1e-15
        )


def test_frequencies_count_per_pixel_whatever_the_lengths_of_the_axes():
    shape = (40, 100)
    y, x = np.indices(shape)
    along_y, along_x = np.cos(np.pi * (y + 0.5) * 8 / 40), np.cos(np.pi * (x + 0.5) * 40 / 100)  # 0.1 and 0.2
    kept = radially.low_pass(along_y + along_x, 0.15, "ideal")
    np.testing.assert_allclose(kept, along_y, atol=1e-12)
    # with pixels of twice the height, 0.1 per pixel along y is 0.05 per pixel width
    kept = radially.low_pass(along_y + along_x, 0.07, "ideal", spacing=(2, 1))
    np.testing.assert_allclose(kept, along_y, atol=1e-12)


@pytest.mark.parametrize("profile", PROFILES)
def test_low_pass_keeps_the_mean_and_high_pass_removes_it(profile):
    image = data.camera()[:101, :60].astype(np.float32)
    low, high = radially.low_pass(image, 0.1, profile), radially.high_pass(image, 0.1, profile)
    assert low.mean() == pytest.approx(image.mean(), rel=1e-5)
    assert abs(high.mean()) < 1e-3
    np.testing.assert_allclose(low + high, image, atol=1e-3)
    np.testing.assert_allclose(radially.low_pass(np.full((9, 7), 3.0), 0.1, profile), 3.0)


@pytest.mark.parametrize(
    ("given", "expected"), [("f4", "f4"), ("f8", "f8"), ("f2", "f4"), ("u1", "f4"), ("i4", "f8"), ("?", "f4")]
)
def test_single_precision_stays_and_integers_are_not_rescaled(given, expected):
    image = (data.camera()[:32, :32] > 0).astype(given) if given == "?" else data.camera()[:32, :32].astype(given)
    centres = [(0.2, 0.1)]
    for result in (
        radially.low_pass(image, 0.2),
        notch.notch_filter(image, centres, 0.02),
        optimum_notch.optimum_notch(image, centres, 0.02, 5),
        spectrum.log_modulus(image),
        spectrum.phase(image),
    ):
        assert result.dtype == expected
        assert result.shape == image.shape
    assert radially.low_pass(image, 0.2).mean() == pytest.approx(image.mean(dtype=float), rel=1e-4)


# --- nothing wraps around ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
def test_nothing_appears_at_the_opposite_border(axis):
    dark = np.zeros((120, 120))
    bright = dark.copy()
    np.moveaxis(bright, axis, 0)[:4] = 1000
    far = (slice(None),) * axis + (slice(-30, None),)
    assert np.abs(radially.low_pass(bright, 0.1, "gaussian")[far]).max() < 1e-6
    assert np.abs(radially.low_pass(bright, 0.1, "butterworth")[far]).max() < 0.1
    centres = [(0.2, 0.13)]
    changed = notch.notch_filter(bright, centres, 0.04) - notch.notch_filter(bright - bright.mean(), centres, 0.04)
    np.testing.assert_allclose(changed, bright.mean(), atol=1e-9)
    assert np.abs(notch.notch_filter(bright, centres, 0.04, mode="pass")[far]).max() < 0.3


# --- padding -------------------------------------------------------------------------------------------------------


@given(shape=st.lists(st.integers(1, 9), min_size=1, max_size=3), free=st.integers(0, 25), seed=st.integers(0, 9))
def test_an_extended_image_starts_with_the_image_and_stays_within_its_range(shape, free, seed):
    image = np.random.default_rng(seed).random(shape)
    extended = padding.extend(image, [n + free for n in shape])
    np.testing.assert_array_equal(extended[tuple(slice(n) for n in shape)], image)
    assert extended.min() >= image.min() - 1e-12
    assert extended.max() <= image.max() + 1e-12


def test_an_extended_image_has_no_step_at_its_seams():
    image = np.add.outer(np.arange(50.0), np.arange(40.0)) ** 2
    extended = padding.extend(image, (90, 80))
    inside = max(np.abs(np.diff(image, axis=axis)).max() for axis in (0, 1))
    for axis in (0, 1):
        closed = np.concatenate([extended, np.take(extended, [0], axis)], axis)
        assert np.abs(np.diff(closed, axis=axis)).max() < 3 * inside  # wrapping the image itself: 50 times


@given(shape=st.lists(st.integers(1, 9), min_size=1, max_size=3), seed=st.integers(0, 9))
def test_the_cropped_inverse_transform_is_the_inverse_transform_cropped(shape, seed):
    image = np.random.default_rng(seed).random(shape)
    crop = tuple((n + 1) // 2 for n in shape)
    result = padding.inverse(padding.forward(image), shape, crop)
    np.testing.assert_allclose(result, image[tuple(slice(n) for n in crop)], atol=1e-12)


# --- spectrum ------------------------------------------------------------------------------------------------------


@given(shape=st.lists(st.integers(1, 12), min_size=1, max_size=3), seed=st.integers(0, 99))
def test_an_untouched_spectrum_returns_the_image(shape, seed):
    image = np.random.default_rng(seed).normal(size=shape)
    back = spectrum.image_from(spectrum.log_modulus(image), spectrum.phase(image))
    np.testing.assert_allclose(back, image, atol=1e-12)


def test_an_untouched_spectrum_in_single_precision_returns_the_image_to_float_rounding():
    image = data.camera()
    back = spectrum.image_from(spectrum.log_modulus(image), spectrum.phase(image))
    assert back.dtype == np.float32
    assert np.abs(back - image).max() < 2e-3  # of 255


def test_an_edited_spectrum_gives_the_edited_image():
    truth = data.camera()[:128, :128].astype(float)
    image = truth + 30 * wave(truth.shape, (16 / 128, 8 / 128))
    modulus, phase = spectrum.log_modulus(image), spectrum.phase(image)
    for row, column in ((64 + 16, 64 + 8), (64 - 16, 64 - 8)):
        modulus[row, column] = 0
    assert psnr(spectrum.image_from(modulus, phase), truth) > psnr(image, truth) + 20


def test_the_spectrum_lies_where_its_frequencies_are():
    step = 0.25  # micrometres; a wave of 0.5 cycles per micrometre along x, 0.25 along y
    shape = (64, 80)
    image = wave(shape, (0.25 * step, 0.5 * step))
    operation = find_operation("spectrum_modulus")()
    block = block_of(image, scale=(step, step), units=("micrometer", None))
    spec = operation.output_spec(block.spec)
    assert spec.units == ("1/micrometer", None)
    modulus = run_whole(operation, block)
    peak = np.unravel_index(modulus.argmax(), shape)
    world = [at * s + t for at, s, t in zip(peak, spec.scale, spec.translate, strict=True)]
    assert np.abs(world) == pytest.approx([0.25, 0.5])
    assert modulus[32, 40] == pytest.approx(np.log1p(abs(image.sum())), abs=1e-9)  # zero frequency, at coordinate 0
    assert [n // 2 * s + t for n, s, t in zip(shape, spec.scale, spec.translate, strict=True)] == [0, 0]
    back = find_operation("inverse_spectrum")().output_spec(spec)
    assert back.scale == pytest.approx((step, step))
    assert back.units == ("micrometer", None)


# --- notches -------------------------------------------------------------------------------------------------------


@given(
    shape=st.lists(st.integers(1, 10), min_size=2, max_size=3),
    places=st.lists(st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=3), min_size=1, max_size=3),
    profile=st.sampled_from(PROFILES),
)
def test_the_notch_transfer_function_is_the_product_of_its_pairs(shape, places, profile):
    centres = np.round(np.array(places)[:, : len(shape)], 3)
    radius = 0.05
    if (np.linalg.norm(centres, axis=1) < radius).any():
        return
    centres = notch.check_centres(centres, len(shape), radius)
    expected = np.ones([*shape[:-1], shape[-1] // 2 + 1])
    grid = np.meshgrid(*(np.fft.fftfreq(n) for n in shape[:-1]), np.fft.rfftfreq(shape[-1]), indexing="ij")
    for centre in centres:
        own = np.allclose((2 * centre) % 1, 0, atol=1e-9)
        for sign in (1,) if own else (1, -1):
            offsets = [f - sign * c for f, c in zip(grid, centre, strict=True)]
            distance2 = sum((o - np.round(o)) ** 2 for o in offsets)
            # where an ideal notch ends, rounding decides
            assume(profile != "ideal" or (np.abs(np.sqrt(distance2) - radius) > 1e-9).all())
            expected *= 1 - transfer.low_pass(distance2, radius, profile, 2)
    result = notch.notch_pass(shape, centres, radius, profile, 2)
    np.testing.assert_allclose(result, 1 - expected, atol=1e-7)
    for dtype, tolerance in ((np.complex128, 1e-7), (np.complex64, 1e-5)):
        multiplied = np.full(expected.shape, 1 - 2j, dtype)
        notch.keep_notches(multiplied, shape, centres, radius, profile, 2)
        np.testing.assert_allclose(multiplied, (1 - 2j) * (1 - expected), atol=tolerance)


@pytest.mark.parametrize("name", ["camera", "coins", "moon"])
def test_a_notch_removes_periodic_noise_up_to_the_border(name):
    truth = getattr(data, name)().astype(np.float32)
    frequencies = [(0.2137, -0.1311), (0.0331, 0.2903)]
    noisy = truth + sum(15 * wave(truth.shape, f) for f in frequencies).astype(np.float32)
    before = psnr(noisy, truth)
    for profile, gain in (("gaussian", 22), ("butterworth", 18), ("ideal", 18)):
        restored = notch.notch_filter(noisy, frequencies, 0.008, profile)
        assert psnr(restored, truth) > before + gain
    restored = notch.notch_filter(noisy, frequencies, 0.008)
    border = np.ones(truth.shape, bool)
    border[20:-20, 20:-20] = False
    assert psnr(restored[border], truth[border]) > before + 15


def test_what_is_rejected_and_what_is_passed_make_the_image():
    image = data.camera()[:100, :90].astype(np.float64)
    reject = notch.notch_filter(image, [(0.1, 0.2)], 0.02)
    passed = notch.notch_filter(image, [(0.1, 0.2)], 0.02, mode="pass")
    np.testing.assert_allclose(reject + passed, image, atol=1e-10)


def test_the_opposite_of_a_centre_changes_nothing():
    image = data.camera()[:64, :64]
    one = notch.notch_filter(image, [(0.1, 0.2)], 0.02)
    np.testing.assert_array_equal(notch.notch_filter(image, [(0.1, 0.2), (-0.1, -0.2), (0.1, 0.2)], 0.02), one)
    np.testing.assert_allclose(notch.notch_filter(image, [(-0.1, -0.2)], 0.02), one, atol=1e-4)


def test_a_notch_works_in_volumes():
    pattern = wave((24, 64, 64), (0.125, 0.2, 0.07))
    volume = np.random.default_rng(0).normal(size=pattern.shape) + pattern
    found = notch.notch_filter(volume, [(0.125, 0.2, 0.07)], 0.02, mode="pass")
    assert np.sqrt(np.mean((found - pattern) ** 2)) < 0.1


def test_the_optimum_weight_is_that_of_the_formula():
    rng = np.random.default_rng(3)
    for shape in ((12, 15), (6, 7, 8)):
        image, pattern = rng.normal(size=shape) + 50, rng.normal(size=shape)
        weight = optimum_notch.local_weight(image, pattern, 5)
        padded = [np.pad(a, 2, mode="symmetric") for a in (image, pattern)]
        at = tuple(n // 3 for n in shape)
        g, eta = (p[tuple(slice(i, i + 5) for i in at)] for p in padded)
        expected = ((g * eta).mean() - g.mean() * eta.mean()) / ((eta**2).mean() - eta.mean() ** 2)
        assert weight[at] == pytest.approx(expected)
        at = (0,) * len(shape)
        g, eta = (p[tuple(slice(i, i + 5) for i in at)] for p in padded)
        expected = ((g * eta).mean() - g.mean() * eta.mean()) / ((eta**2).mean() - eta.mean() ** 2)
        assert weight[at] == pytest.approx(expected)


def test_the_optimum_notch_removes_interference_that_is_not_everywhere():
    truth = data.camera().astype(np.float32)
    y, x = np.indices(truth.shape)
    strength = 40 * np.exp(-((y - 200) ** 2 + (x - 150) ** 2) / (2 * 80**2))
    noisy = (truth + strength * wave(truth.shape, (0.21, -0.13))).astype(np.float32)
    plain = notch.notch_filter(noisy, [(0.21, -0.13)], 0.005)
    best = optimum_notch.optimum_notch(noisy, [(0.21, -0.13)], 0.005)
    assert psnr(plain, truth) > psnr(noisy, truth) + 12
    assert psnr(best, truth) > psnr(plain, truth) + 3


def test_an_optimum_notch_leaves_a_constant_image():
    np.testing.assert_array_equal(optimum_notch.optimum_notch(np.full((40, 40), 7.0), [(0.2, 0.1)], 0.02), 7)


# --- spikes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["camera", "coins", "moon", "grass"])
def test_spikes_are_found_where_they_are_and_nowhere_else(name):
    truth = getattr(data, name)().astype(np.float32)
    assert len(spikes.suggest_notches(truth)) == 0
    frequencies = [(-0.2137, 0.1311), (0.0331, 0.2903)]
    noisy = truth + sum(15 * wave(truth.shape, f) for f in frequencies)
    found = spikes.suggest_notches(noisy)
    assert len(found) == 2
    for frequency in frequencies:
        assert np.abs(found - frequency).max(axis=1).min() < 2e-4  # a tenth of a bin
    restored = notch.notch_filter(noisy, found, 0.008)
    assert psnr(restored, truth) > psnr(noisy, truth) + 20


def test_noise_has_no_spikes():
    rng = np.random.default_rng(0)
    assert sum(len(spikes.suggest_notches(rng.normal(size=(256, 256)))) for _ in range(10)) == 0


@pytest.mark.parametrize("frequency", [(0.0, 0.1), (0.1, 0.0), (0.0, 0.5), (0.5, 0.0), (0.25, 0.0), (-0.3, 0.37)])
@pytest.mark.parametrize("shape", [(96, 96), (97, 95), (101, 64)])
def test_spikes_are_found_in_every_direction(frequency, shape):
    image = wave(shape, frequency, 0.0) + 0.5 * np.random.default_rng(1).normal(size=shape)
    (found,) = spikes.suggest_notches(image)
    difference = np.minimum(*(np.abs((found - sign * np.array(frequency) + 0.5) % 1 - 0.5).max() for sign in (1, -1)))
    assert difference < 2e-3


def test_spikes_are_found_in_volumes_and_in_flat_ones():
    image = wave((24, 80, 80), (0.125, 0.2, 0.07)) + np.random.default_rng(1).normal(size=(24, 80, 80))
    (found,) = spikes.suggest_notches(image)
    np.testing.assert_allclose(found, (0.125, 0.2, 0.07), atol=2e-3)
    (found,) = spikes.suggest_notches(image[:1])
    np.testing.assert_allclose(found, (0, 0.2, 0.07), atol=2e-3)


# --- operations ----------------------------------------------------------------------------------------------------


def test_points_on_the_spectrum_layer_find_their_spike():
    truth = data.camera()[:200, :256].astype(np.float32)
    noisy = (truth + 30 * wave(truth.shape, (0.1, 0.2))).astype(np.float32)
    scale = (0.5, 0.25)
    found = run_whole(find_operation("suggest_notches")(), block_of(noisy, scale=scale))
    np.testing.assert_allclose(found, [(0.1 / 0.5, 0.2 / 0.25)], atol=1e-3)
    for name in ("notch_filter", "optimum_notch"):
        restored = run_whole(find_operation(name)(), block_of(noisy, scale=scale, others={"centres": found}))
        assert psnr(restored, truth) > psnr(noisy, truth) + 10
    pattern = run_whole(
        build_operation("notch_filter", {"keep": "interference"}),
        block_of(noisy, scale=scale, others={"centres": found}),
    )
    assert np.abs(pattern - 30 * wave(truth.shape, (0.1, 0.2))).mean() < 2


ONE_INPUT = [
    "spectrum_modulus",
    "spectrum_phase",
    "low_pass",
    "high_pass",
    "band_pass",
    "band_reject",
    "suggest_notches",
]


@pytest.mark.parametrize("name", [*ONE_INPUT, "inverse_spectrum", "notch_filter", "optimum_notch"])
@pytest.mark.parametrize("dtype", ["u1", "f8"])
def test_an_operation_takes_about_the_memory_that_it_states(name, dtype):
    image = data.camera()[:400, :410].astype(dtype)
    others = {"centres": np.array([(0.2, 0.1)]), "phase": np.zeros(image.shape, dtype)}
    operation: Any = find_operation(name)()
    block = block_of((image / 100).astype(dtype) if name == "inverse_spectrum" else image, others=others)
    run_whole(operation, block)
    tracemalloc.start()
    result = run_whole(operation, block)
    peak = tracemalloc.get_traced_memory()[1] + block.image.nbytes
    tracemalloc.stop()
    assert result.dtype == operation.output_dtype(image.dtype)
    assert peak <= 1.05 * operation.memory(block.spec)
    assert operation.memory(block.spec) <= 2.2 * peak


def test_frames_of_every_kind_are_filtered():
    volume = np.random.default_rng(0).random((5, 20, 30)).astype(np.float32)
    for name in ("low_pass", "high_pass", "band_pass", "band_reject"):
        operation = build_operation(name, {"physical": True})
        result = run_whole(operation, block_of(volume, "zyx", (2.0, 1.0, 1.0)))
        assert result.shape == volume.shape
        assert np.isfinite(result).all()
    assert build_operation("low_pass", {"per_plane": True}).frame_axes("tczyx") == "yx"


def test_a_band_must_not_be_empty():
    with pytest.raises(InvalidInputError, match="must be below"):
        build_operation("band_pass", {"low": 0.3, "high": 0.2})


# --- bad input -----------------------------------------------------------------------------------------------------

FUNCTIONS = {
    "low_pass": lambda image: radially.low_pass(image, 0.1),
    "notch": lambda image: notch.notch_filter(image, [(0.2, 0.1)], 0.02),
    "optimum": lambda image: optimum_notch.optimum_notch(image, [(0.2, 0.1)], 0.02),
    "modulus": spectrum.log_modulus,
    "phase": spectrum.phase,
    "spikes": spikes.suggest_notches,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_cannot_be_transformed_is_refused(name):
    function = FUNCTIONS[name]
    image = np.zeros((32, 32))
    with pytest.raises(InvalidInputError, match="complex"):
        function(image.astype(complex))
    with pytest.raises(InvalidInputError, match="no pixels"):
        function(image[:0])
    with pytest.raises(InvalidInputError, match="no pixels"):
        function(np.float64(1))
    with pytest.raises(InvalidInputError, match="of numbers"):
        function(image.astype(str))
    for value in (np.nan, np.inf, -np.inf):
        image[3, 4] = value
        with pytest.raises(InvalidInputError, match="NaN or infinite"):
            function(image)
        with pytest.raises(InvalidInputError, match="NaN or infinite"):
            function(image.astype(np.float32))


def test_large_numbers_are_not_taken_for_infinite_ones():
    image = np.full((64, 64), 3e38, np.float32)  # the sum overflows
    with np.errstate(over="ignore", invalid="ignore"):
        radially.low_pass(image, 0.1)


@pytest.mark.parametrize(
    ("centres", "radius", "match"),
    [
        ([], 0.01, "no notch centres"),
        ([(0.1, 0.2, 0.3)], 0.01, "2 coordinates"),
        ([(0.1, 0.6)], 0.01, "beyond 0.5"),
        ([(0.1, np.nan)], 0.01, "beyond 0.5"),
        ([(0.001, 0.0)], 0.01, "brightness"),
        ([(0.1, 0.2)], 0.0, "above 0"),
    ],
)
def test_notch_centres_that_make_no_sense_are_refused(centres, radius, match):
    with pytest.raises(InvalidInputError, match=match):
        notch.notch_filter(np.ones((20, 20)), centres, radius)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: radially.low_pass(np.ones((4, 4)), 0), "above 0"),
        (lambda: radially.low_pass(np.ones((4, 4)), 0.1, "square"), "profile"),
        (lambda: radially.low_pass(np.ones((4, 4)), 0.1, order=0), "order 0"),
        (lambda: radially.low_pass(np.ones((4, 4)), 0.1, spacing=(1, 2, 3)), "2 entries"),
        (lambda: radially.band_pass(np.ones((4, 4)), 0.3, 0.2), "empty"),
        (lambda: optimum_notch.optimum_notch(np.ones((9, 9)), [(0.2, 0.1)], 0.02, 4), "3, 5, 7"),
        (lambda: spikes.suggest_notches(np.ones((32, 32))), "equal"),
        (lambda: spikes.suggest_notches(np.eye(8)), "too small"),
        (lambda: spikes.suggest_notches(np.eye(32), contrast=1), "above 1"),
        (lambda: spectrum.image_from(np.ones((3, 4)), np.ones((4, 3))), "take both from one image"),
        (lambda: spectrum.image_from(np.full((4, 4), 1e5), np.ones((4, 4))), "logarithms"),
    ],
)
def test_bad_parameters_are_refused(call, match):
    with pytest.raises(InvalidInputError, match=match):
        call()


def test_an_image_of_one_pixel_is_filtered():
    pixel = np.array([[5.0]])
    np.testing.assert_allclose(radially.low_pass(pixel, 0.1), 5)
    np.testing.assert_allclose(radially.high_pass(pixel, 0.1), 0)
    np.testing.assert_allclose(notch.notch_filter(pixel, [(0.2, 0.1)], 0.02), 5)
    np.testing.assert_allclose(spectrum.image_from(spectrum.log_modulus(pixel), spectrum.phase(pixel)), 5)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("low", [1e-26, 1.2e-38, 1e-300])
def test_a_band_from_nearly_zero_keeps_the_zero_frequency(profile, low):
    radius2 = transfer.squared_radius(transfer.dct_frequencies((6, 5), np.float32))
    rejected = transfer.band_reject(radius2, low, 0.15, profile, 2)
    assert rejected.dtype == np.float32
    assert np.isfinite(rejected).all()
    assert rejected[0, 0] == 1


def test_frequencies_in_physical_space_hold_for_any_units() -> None:
    volume = np.random.default_rng(0).random((6, 20, 20))
    same = nt.open_image(volume, scale=(0.5, 0.1, 0.1), units=("um",) * 3)
    mixed = nt.open_image(volume, scale=(0.5, 100, 100), units=("um", "nm", "nm"))
    expected = nt.apply(LowPass(physical=True), same)
    np.testing.assert_allclose(nt.apply(LowPass(physical=True), mixed), expected, atol=1e-9)
    unknown = nt.open_image(volume, scale=(1, 100, 100), units=(None, "nm", "nm"))
    nt.apply(LowPass(), unknown)
    with pytest.raises(InvalidInputError, match="different units"):
        nt.apply(LowPass(physical=True), unknown)


@pytest.mark.parametrize("name", ["HighPass", "SpectrumModulus", "NotchFilter"])
def test_integers_of_32_bits_keep_what_single_precision_does_not(name):
    small = np.random.default_rng(0).integers(0, 100, (20, 24)).astype(np.uint32)
    given = {"centres": np.array([[0.2, 0.1]])} if name == "NotchFilter" else {}
    operation = getattr(nt.operations, name)()
    results = [nt.apply(operation, image, **given) for image in (small, small + np.uint32(2**32 - 100))]
    moved = results[1] - results[0]
    if name == "SpectrumModulus":
        moved[tuple(n // 2 for n in moved.shape)] = 0  # the mean stands there
    else:
        moved -= moved.mean()
    assert np.abs(moved).max() < 0.01

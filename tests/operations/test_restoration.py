import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import fftconvolve
from skimage import data
from skimage import restoration as peer

from napari_tessera.core.errors import InvalidInputError, JobCancelledError
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block
from napari_tessera.operations.fourier import padding
from napari_tessera.operations.registry import build_operation, find_operation
from napari_tessera.operations.restoration import beads, blind, borders, noise, penalty_kernels, psf
from napari_tessera.operations.restoration import deconvolution as restore
from napari_tessera.operations.restoration.blur_width import blur_widths
from napari_tessera.operations.restoration.richardson_lucy import richardson_lucy, start_scene
from napari_tessera.operations.restoration.unsupervised import unsupervised_wiener
from napari_tessera.operations.whole import run_whole


def psnr(image, truth):
    return 10 * np.log10(255**2 / np.mean((np.asarray(image, float) - truth) ** 2))


def degraded(name, weights, sigma, seed=0, cut=80):
    """A blurred image cut out of a larger one, as a camera does: what lies outside has been blurred into it."""
    whole = getattr(data, name)().astype(float)
    inner = (slice(cut, -cut),) * 2
    image = fftconvolve(whole, weights, mode="same")[inner]
    image = image + np.random.default_rng(seed).normal(0, sigma, image.shape)
    return image.astype(np.float32), whole[inner]


def block_of(image, axes="yx", others=None, check=None, **fields):
    spec = ImageSpec(axes=axes, shape=image.shape, dtype=image.dtype, **fields)
    return Block(image, spec, spec.full_region, others or {}, **({"check": check} if check else {}))


GAUSSIAN, MOTION = psf.gaussian_psf(2.0), psf.motion_psf(11, 30)

METHODS = {
    "inverse": lambda image, weights: restore.inverse_filter(image, weights, 0.1),
    "wiener": lambda image, weights: restore.wiener(image, weights, 0.01),
    "wiener estimated": restore.wiener,
    "cls": lambda image, weights: restore.constrained_least_squares(image, weights, 0.03),
    "cls found": restore.constrained_least_squares,
    "unsupervised": unsupervised_wiener,
    "richardson-lucy": lambda image, weights: richardson_lucy(image, weights, 10),
}


# --- formulas ------------------------------------------------------------------------------------------------------


def placed_transform(weights, shape):
    """The transform of a PSF of odd lengths, centred on the origin, by the shortest way."""
    field = np.zeros(shape)
    field[tuple(slice(n) for n in weights.shape)] = weights
    return np.fft.fftn(np.roll(field, [-(n // 2) for n in weights.shape], range(field.ndim)))


@pytest.mark.parametrize("shape", [(40, 54), (41, 37), (12, 20, 22)])
@pytest.mark.parametrize("kind", ["wiener", "cls"])
def test_a_periodic_image_is_restored_by_the_formula(shape, kind):
    image = np.random.default_rng(0).random(shape)
    weights = psf.gaussian_psf(1.0, len(shape))[..., :-2]  # not symmetric
    weights = np.pad(weights, [(0, 0)] * (len(shape) - 1) + [(0, 2)])
    h = placed_transform(weights, shape)
    if kind == "wiener":
        added, penalty = (
            0.02,
            penalty_kernels.Penalty((np.zeros(1), np.zeros(shape[-2]), np.zeros(shape[-1] // 2 + 1)), 1, 0.02),
        )
        penalty = penalty_kernels.penalty_of(
            [np.zeros(n) for n in (*shape[:-1], shape[-1] // 2 + 1)], 1, np.dtype(float)
        )
        penalty = penalty_kernels.Penalty(penalty.vectors, 1, constant=0.02)
    else:
        laplacian = np.zeros((3,) * len(shape))
        laplacian[(1,) * len(shape)] = 2 * len(shape)
        for axis in range(len(shape)):
            for end in (0, 2):
                laplacian[tuple(end if i == axis else 1 for i in range(len(shape)))] = -1
        added = 0.02 * np.abs(placed_transform(laplacian, shape)) ** 2
        penalty = restore.laplacian_penalty(shape, np.dtype(float)).scaled(0.02)
    gain = np.conj(h) / (np.abs(h) ** 2 + added)
    gain[(0,) * len(shape)] = 1  # the mean stays
    expected = np.fft.ifftn(np.fft.fftn(image) * gain).real
    spectrum = padding.forward(image)
    half = h[..., : shape[-1] // 2 + 1].copy()
    penalty_kernels.regularise(spectrum, half, penalty)
    np.testing.assert_allclose(padding.inverse(spectrum, shape, shape), expected, atol=1e-9)


@pytest.mark.parametrize("kind", ["wiener", "cls", "inverse"])
def test_an_image_is_extended_restored_by_the_formula_and_cropped(kind):
    image = data.camera()[:90, :100].astype(float)
    _, shape = borders.extended_spectrum(image, psf.checked_psf(GAUSSIAN))
    h = placed_transform(GAUSSIAN, shape)
    frequencies = np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij")
    if kind == "wiener":
        gain, result = np.conj(h) / (np.abs(h) ** 2 + 0.01), restore.wiener(image, GAUSSIAN, 0.01)
    elif kind == "cls":
        power = sum(2 - 2 * np.cos(2 * np.pi * f) for f in frequencies) ** 2
        gain = np.conj(h) / (np.abs(h) ** 2 + 0.03 * power)
        result = restore.constrained_least_squares(image, GAUSSIAN, 0.03)
    else:
        distance = np.hypot(*frequencies)
        gain = np.where(np.abs(h) >= 1e-3, 1 / (1 + (distance / 0.1) ** 20) / h, 0)
        result = restore.inverse_filter(image, GAUSSIAN, 0.1)
    gain[0, 0] = 1
    expected = np.fft.ifftn(np.fft.fftn(padding.extend(image, shape)) * gain).real[:90, :100]
    np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(16, 18), (15, 17), (6, 8, 10), (5, 7, 9)])
def test_the_mean_of_the_natural_spectrum_counts_every_frequency_once(shape):
    frequencies = np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij")
    distance = np.sqrt(sum(f**2 for f in frequencies))
    distance[(0,) * len(shape)] = np.inf
    assert restore.mean_inverse_power(shape) == pytest.approx(np.mean(distance ** -float(len(shape))), rel=1e-5)


@pytest.mark.parametrize("sigma", [2.0, 8.0])
def test_gamma_leaves_the_noise_unexplained(sigma):
    image, _ = degraded("camera", GAUSSIAN, sigma)
    image = image.astype(float)
    result = restore.constrained_least_squares(image, GAUSSIAN)
    inner = (slice(10, -10),) * 2
    residual = (image - fftconvolve(result, GAUSSIAN, mode="same"))[inner]
    assert residual.std() == pytest.approx(sigma, rel=0.06)


@pytest.mark.parametrize("sigma", [1.0, 5.0, 20.0])
def test_noise_is_estimated(sigma):
    image, _ = degraded("camera", psf.gaussian_psf(1.5), sigma)
    assert noise.noise_variance(image) ** 0.5 == pytest.approx(sigma, rel=0.05)
    volume = np.random.default_rng(0).normal(0, sigma, (8, 30, 30))
    assert noise.noise_variance(volume) ** 0.5 == pytest.approx(sigma, rel=0.05)
    assert noise.noise_variance(np.ones((2, 2))) == 0


# --- recovery ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["camera", "coins"])
@pytest.mark.parametrize(("weights", "sigma"), [(GAUSSIAN, 1), (GAUSSIAN, 5), (MOTION, 1), (MOTION, 5)])
def test_blur_and_noise_are_undone(name, weights, sigma):
    image, truth = degraded(name, weights, sigma)
    before = psnr(image, truth)
    for method in ("wiener estimated", "cls found", "unsupervised", "richardson-lucy"):
        restored = METHODS[method](image, weights)
        assert restored.dtype == np.float32
        assert restored.shape == image.shape
        assert psnr(restored, truth) > before + (0.5 if sigma == 5 else 1), method
    assert psnr(restore.wiener(image, weights, 0.01 if sigma == 1 else 0.03), truth) > before + 0.5
    assert psnr(restore.constrained_least_squares(image, weights, 0.01 if sigma == 1 else 0.1), truth) > before + 0.5


def test_an_image_without_noise_is_restored_by_the_inverse_filter():
    image, truth = degraded("camera", psf.gaussian_psf(1.5), 0)
    assert psnr(restore.inverse_filter(image, psf.gaussian_psf(1.5), 0.25), truth) > psnr(image, truth) + 3


def test_volumes_are_restored():
    rng = np.random.default_rng(0)
    truth = np.zeros((20, 48, 48))
    for place in rng.integers((4, 6, 6), (16, 42, 42), (15, 3)):
        truth[tuple(slice(p, p + 3) for p in place)] = 200
    weights = psf.gaussian_psf((1.5, 1.0, 1.0))
    image = (fftconvolve(truth, weights, mode="same") + rng.normal(0, 1, truth.shape)).astype(np.float32)
    for method in ("wiener", "wiener estimated", "cls found", "unsupervised", "richardson-lucy"):
        assert psnr(METHODS[method](image, weights), truth) > psnr(image, truth) + 1, method


def test_unsupervised_wiener_agrees_with_the_sampler_of_scikit_image():
    image, truth = degraded("camera", GAUSSIAN, 3, cut=150)
    image = image.astype(float) / 255
    ours = unsupervised_wiener(image, GAUSSIAN)
    _, shape = borders.extended_spectrum(image, GAUSSIAN)
    # its usual 30 samples are not enough
    samples = {"min_num_iter": 399, "max_num_iter": 400}
    theirs, _ = peer.unsupervised_wiener(padding.extend(image, shape), GAUSSIAN, None, samples, clip=False, rng=0)
    theirs = theirs[tuple(slice(n) for n in image.shape)]
    assert np.sqrt(np.mean((ours - theirs) ** 2)) < 0.02 * image.std()
    assert psnr(ours * 255, truth) > psnr(theirs * 255, truth) - 0.05


# --- borders -------------------------------------------------------------------------------------------------------


def with_bright_border(weights, axis):
    """A dim, noisy image, and the same with a bright object that goes on beyond the start of `axis`; both blurred."""
    rng = np.random.default_rng(0)
    truth = np.full((2, 200, 200), 100.0)
    np.moveaxis(truth[1], axis, 0)[:31] += 1000
    texture = rng.normal(0, 20, (200, 200))
    seen = [fftconvolve(t + texture, weights, mode="same")[25:-25, 25:-25] for t in truth]
    dark, bright = (image + rng.normal(0, 1, image.shape) * (i == 0) for i, image in enumerate(seen))
    return dark, bright + (dark - seen[0])


# Not the inverse filter on motion: that lets nothing of some frequencies pass, and dividing by it rings everywhere.
@pytest.mark.parametrize(
    ("method", "weights"),
    [(method, GAUSSIAN) for method in METHODS] + [(method, MOTION) for method in METHODS if method != "inverse"],
)
@pytest.mark.parametrize("axis", [0, 1])
def test_nothing_appears_at_the_opposite_border(method, weights, axis):
    dark, bright = with_bright_border(weights, axis)
    dark_seen, bright_seen = (METHODS[method](image, weights) for image in (dark, bright))
    far = (slice(None),) * axis + (slice(-20, None),)
    if "estimated" in method or method in {"cls found", "unsupervised"}:
        # another image is another balance of sharpness: the far border must only be none the brighter
        change = bright_seen[far].mean() - dark_seen[far].mean()
    else:
        change = bright_seen[far] - dark_seen[far]
    assert np.abs(change).max() < 10, method  # of 1000


def test_the_border_is_restored_nearly_as_well_as_the_middle():
    for weights in (GAUSSIAN, MOTION):
        image, truth = degraded("coins", weights, 1)
        border = np.ones(image.shape, bool)
        border[15:-15, 15:-15] = False
        for method in ("wiener", "cls", "richardson-lucy"):
            restored = METHODS[method](image, weights)
            error, before = (np.sqrt(np.mean((a - truth)[border] ** 2)) for a in (restored, image))
            assert error < before, method


def test_asymmetry_tells_oblique_motion_from_a_gaussian():
    assert borders.asymmetry(GAUSSIAN) < 1e-9
    assert borders.asymmetry(psf.gaussian_psf((1.0, 3.0))) < 1e-9
    assert borders.asymmetry(psf.motion_psf(11, 0)) < 1e-9
    assert borders.asymmetry(MOTION) > 0.5


# --- Richardson-Lucy -----------------------------------------------------------------------------------------------


def test_richardson_lucy_agrees_with_scikit_image_away_from_the_borders():
    truth = np.zeros((80, 80))
    truth[30:50, 35:45] = 1
    truth[40, 40] = 20
    image = fftconvolve(truth, GAUSSIAN, mode="same").clip(0)
    theirs = peer.richardson_lucy(image, GAUSSIAN, 15, clip=False)
    np.testing.assert_allclose(richardson_lucy(image, GAUSSIAN, 15), theirs, atol=1e-3)


def test_richardson_lucy_keeps_brightness_and_is_never_negative():
    image, _ = degraded("camera", GAUSSIAN, 5)
    result = richardson_lucy(image, GAUSSIAN, 15)
    assert result.min() >= 0
    assert result.mean() == pytest.approx(np.maximum(image, 0).mean(), rel=0.01)
    constant = richardson_lucy(np.full((30, 40), 7.0), GAUSSIAN, 5)
    np.testing.assert_allclose(constant, 7, rtol=3e-3)


def test_richardson_lucy_takes_the_background_away():
    truth = np.zeros((60, 60))
    truth[30, 30] = 5000
    image = fftconvolve(truth, GAUSSIAN, mode="same") + 100
    result = richardson_lucy(image, GAUSSIAN, 50, background=100)
    assert np.median(result) < 1
    assert result[28:33, 28:33].sum() == pytest.approx(5000, rel=0.05)


def test_richardson_lucy_can_be_cancelled():
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 3:
            raise JobCancelledError

    with pytest.raises(JobCancelledError):
        run_whole(find_operation("richardson_lucy")(), block_of(data.camera()[:64, :64], check=check))
    assert len(calls) == 3


# --- PSFs ----------------------------------------------------------------------------------------------------------


@given(
    size=st.lists(st.integers(3, 7), min_size=2, max_size=3),
    free=st.integers(0, 5),
    seed=st.integers(0, 99),
)
def test_the_transform_of_a_psf_has_its_centre_of_mass_at_the_origin(size, free, seed):
    weights = psf.checked_psf(np.random.default_rng(seed).random(size) ** 4)
    shape = [n + free for n in size]
    places = np.indices(size)
    centre = [(weights * p).sum() for p in places]
    grid = np.meshgrid(*(np.fft.fftfreq(n) for n in shape[:-1]), np.fft.rfftfreq(shape[-1]), indexing="ij")
    expected = sum(
        weights[at] * np.exp(-2j * np.pi * sum(f * (i - c) for f, i, c in zip(grid, at, centre, strict=True)))
        for at in np.ndindex(*size)
    )
    np.testing.assert_allclose(psf.transfer_function(weights, shape, np.float64), expected, atol=1e-2)


def test_where_a_psf_lies_in_its_array_and_its_sum_make_no_difference():
    image, _ = degraded("camera", GAUSSIAN, 1)
    expected = restore.wiener(image, GAUSSIAN, 0.01)
    moved = np.pad(GAUSSIAN, ((0, 9), (4, 0))) * 300
    np.testing.assert_allclose(restore.wiener(image, moved, 0.01), expected, atol=1e-3)
    # even lengths: the centre lies between four pixels, and nothing moves by half a pixel
    places = np.arange(16) - 7.5
    even = np.exp(-0.5 * np.add.outer(places**2, places**2) / 4)
    np.testing.assert_allclose(restore.wiener(image, even, 0.01), expected, atol=1.5)
    assert np.abs(restore.wiener(image, even, 0.01) - expected).mean() < 0.1


def test_a_gaussian_psf_has_its_width():
    weights = psf.gaussian_psf((1.5, 3.0))
    y, x = np.indices(weights.shape) - np.array(weights.shape).reshape(2, 1, 1) // 2
    assert weights.sum() == pytest.approx(1)
    assert (weights * y**2).sum() ** 0.5 == pytest.approx(1.5, rel=1e-2)
    assert (weights * x**2).sum() ** 0.5 == pytest.approx(3.0, rel=1e-2)
    assert psf.gaussian_psf(2, 3).ndim == 3


@pytest.mark.parametrize("angle", [0, 30, 45, 90, 135, -60])
def test_motion_blurs_along_its_path(angle):
    weights = psf.motion_psf(20, angle)
    y, x = np.indices(weights.shape) - np.array(weights.shape).reshape(2, 1, 1) // 2
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(weights, weights[::-1, ::-1])
    along = x * np.cos(np.deg2rad(angle)) - y * np.sin(np.deg2rad(angle))  # y points down
    across = x * np.sin(np.deg2rad(angle)) + y * np.cos(np.deg2rad(angle))
    assert (weights * along**2).sum() == pytest.approx(20**2 / 12, rel=0.03)
    assert (weights * across**2).sum() < 0.5
    assert psf.motion_psf(5, angle, 3).shape[0] == 1


def bead_image(rng, spacing=None, sigma=(2.0, 1.5), shape=(300, 300), count=25):
    image = np.zeros(shape)
    grid = np.indices(shape)
    for _ in range(count):
        place = rng.uniform(0, shape)
        image += 1000 * np.exp(-0.5 * sum(((g - p) / s) ** 2 for g, p, s in zip(grid, place, sigma, strict=True)))
    return image + 100 + rng.normal(0, 10, shape)


def test_a_psf_is_measured_from_beads():
    image = bead_image(np.random.default_rng(0))
    measured = beads.psf_from_beads(image, (15, 15))
    y, x = np.indices((15, 15)) - 7
    truth = np.exp(-0.5 * ((y / 2) ** 2 + (x / 1.5) ** 2))
    assert np.abs(measured - truth / truth.sum()).sum() / 2 < 0.03
    assert measured.sum() == pytest.approx(1)
    assert psf.centre_of(measured) == pytest.approx((7, 7), abs=0.1)
    assert len(beads.find_beads(image, (15, 15), 0.25)) < 25  # some touch each other or the border


def test_a_psf_is_measured_in_volumes():
    image = bead_image(np.random.default_rng(1), sigma=(2.5, 1.5, 1.5), shape=(40, 90, 90), count=10)
    measured = beads.psf_from_beads(image, (15, 11, 11))
    z = np.arange(15) - 7
    assert (measured.sum(axis=(1, 2)) * z**2).sum() ** 0.5 == pytest.approx(2.5, rel=0.21)


# --- blind deconvolution -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["camera", "coins", "gravel"])
@pytest.mark.parametrize("sigma", [1.5, 2.5, 4.0])
def test_the_width_of_the_blur_is_read_from_the_spectrum(name, sigma):
    image, _ = degraded(name, psf.gaussian_psf(sigma), 2, cut=30)
    assert blur_widths(image) == pytest.approx((sigma, sigma), rel=0.21)
    assert blur_widths(np.stack([image, image[::-1]])) == pytest.approx((sigma, sigma), rel=0.21)


@pytest.mark.parametrize("name", ["camera", "coins"])
def test_a_blur_that_is_not_round_is_read_from_the_spectrum(name):
    image, _ = degraded(name, psf.gaussian_psf((1.5, 3.0)), 1, cut=30)
    assert blur_widths(image) == pytest.approx((1.5, 3.0), rel=0.2)


@pytest.mark.parametrize(("sigma", "size"), [(1.5, 15), (2.5, 13)])
@pytest.mark.parametrize("name", ["camera", "coins"])
def test_blind_deconvolution_finds_the_blur(name, sigma, size):
    image, truth = degraded(name, psf.gaussian_psf(sigma), 0.5, cut=100)
    result = blind.blind_deconvolution(image, (size, size))
    assert result.psf.shape == (size, size)
    assert result.psf.sum() == pytest.approx(1)
    assert result.psf.min() >= 0
    exact = np.exp(-0.5 * ((np.indices((size, size)) - size // 2) ** 2).sum(axis=0) / sigma**2)
    assert np.abs(result.psf - exact / exact.sum()).sum() / 2 < 0.12
    assert psnr(result.image, truth) > psnr(image, truth) + 1


def test_blind_steps_touch_the_psf_up():
    image, _ = degraded("camera", psf.gaussian_psf(2.0), 0.2, cut=100)
    wrong = blind._fitted(psf.gaussian_psf((1.6, 2.5)), (7, 7))
    scene = start_scene(image, (7, 7), 0.0)
    found = blind._touched_up(scene, wrong, (7, 7), 20, lambda: None)
    places = np.indices((15, 15)) - 7
    before, after = (((p * places[1] ** 2).sum() / (p * places[0] ** 2).sum()) ** 0.5 for p in (wrong, found))
    assert after < before - 0.02  # towards 1


# --- operations ----------------------------------------------------------------------------------------------------

KNOWN = ["inverse_filter", "wiener", "constrained_least_squares", "unsupervised_wiener", "richardson_lucy"]


@pytest.mark.parametrize("name", KNOWN)
def test_an_operation_takes_its_psf_from_an_input_or_a_formula(name):
    image = degraded("coins", GAUSSIAN, 1)[0]
    by_formula = run_whole(build_operation(name, {"sigma": 2.0}), block_of(image))
    given_psf = run_whole(build_operation(name, {"sigma": 9.0}), block_of(image, others={"psf": GAUSSIAN[np.newaxis]}))
    np.testing.assert_allclose(by_formula, given_psf, rtol=1e-5)
    motion = run_whole(build_operation(name, {"blur": "motion", "length": 9, "angle": 20}), block_of(image))
    assert np.abs(motion - by_formula).max() > 1


def test_a_plane_psf_does_not_fit_a_volume():
    volume = np.random.default_rng(0).random((6, 30, 30)).astype(np.float32)
    operation = build_operation("wiener", {"sigma": 1.0, "sigma_z": 0.7})
    with pytest.raises(InvalidInputError, match="per_plane"):
        run_whole(operation, block_of(volume, "zyx", {"psf": GAUSSIAN}))
    with pytest.raises(InvalidInputError, match="take one plane"):
        run_whole(operation, block_of(volume[0], "yx", {"psf": np.ones((3, 3, 3))}))
    assert run_whole(operation, block_of(volume, "zyx")).shape == volume.shape


def test_the_operations_that_give_a_psf_say_its_shape():
    image, _ = degraded("camera", psf.gaussian_psf(1.5), 0.5, cut=180)
    operation = build_operation("estimate_psf", {"size": 11, "rounds": 3})
    block = block_of(image, scale=(0.5, 0.5), units=("micrometer",) * 2)
    spec = operation.output_spec(block.spec)
    result = run_whole(operation, block)
    assert (result.shape, result.dtype) == (spec.shape, spec.dtype)
    assert spec.scale == (0.5, 0.5)
    assert [t + n // 2 * s for t, n, s in zip(spec.translate, spec.shape, spec.scale, strict=True)] == [0, 0]
    operation = build_operation("measure_psf", {"size": 13})
    measured = run_whole(operation, block_of(bead_image(np.random.default_rng(0)).astype(np.float32)))
    assert measured.shape == (13, 13)
    assert measured.dtype == np.float32
    assert run_whole(find_operation("wiener")(), block_of(image, others={"psf": measured})).shape == image.shape


@pytest.mark.parametrize("name", [*KNOWN, "blind_deconvolution", "estimate_psf", "measure_psf"])
@pytest.mark.parametrize("dtype", ["u1", "f8"])
def test_an_operation_takes_about_the_memory_that_it_states(name, dtype):
    image = data.camera()[:400, :410].astype(dtype)
    if name == "measure_psf":
        image = np.zeros((400, 410), dtype)
        image[200, 200], image[0, 0] = 255, 1
    fewer = {"rounds": 1} if name in {"blind_deconvolution", "estimate_psf"} else {}
    operation: Any = build_operation(name, fewer)
    run_whole(operation, block_of(image))
    tracemalloc.start()
    result = run_whole(operation, block_of(image))
    peak = tracemalloc.get_traced_memory()[1] + image.nbytes
    tracemalloc.stop()
    spec = block_of(image).spec
    assert result.dtype == operation.output_dtype(image.dtype)
    assert peak <= 1.05 * operation.memory(spec)
    assert operation.memory(spec) <= 2.2 * peak


# --- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        (np.zeros((3, 3)), "sums to zero"),
        (np.array([[1.0, -1, 1]]), "negative"),
        (np.array([[1.0, np.nan]]), "NaN"),
        (np.ones((3, 3), complex), "complex"),
        (np.ones((0, 3)), "no pixels"),
        (np.ones((41, 3)), "larger than the image"),
        (np.ones((3, 3, 3)), "3 dimensions"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_psfs_that_cannot_be_are_refused(method, weights, match):
    image = np.random.default_rng(0).random((40, 40))
    with pytest.raises(InvalidInputError, match=match):
        METHODS[method](image, weights)


@pytest.mark.parametrize("method", METHODS)
def test_images_that_cannot_be_restored_are_refused(method):
    function = METHODS[method]
    image = np.random.default_rng(0).random((40, 40))
    with pytest.raises(InvalidInputError, match="complex"):
        function(image.astype(complex), GAUSSIAN)
    with pytest.raises(InvalidInputError, match="no pixels"):
        function(image[:, :0], GAUSSIAN)
    image[3, 4] = np.inf
    with pytest.raises(InvalidInputError, match="NaN or infinite"):
        function(image, GAUSSIAN)


@pytest.mark.parametrize(
    ("method", "dtype", "brightest"),
    [
        ("wiener estimated", np.float64, 1e200),
        ("cls found", np.float64, 1e200),
        ("cls found", np.float32, 1e25),
        ("unsupervised", np.float32, 1e25),
    ],
)
def test_intensities_whose_squares_overflow_are_refused_rather_than_made_nan(method, dtype, brightest):
    image = (np.random.default_rng(0).random((24, 24)) * brightest).astype(dtype)
    weights = psf.gaussian_psf(1.0)
    with pytest.raises(InvalidInputError, match=r"too large to compute with.*'rescale'"):
        METHODS[method](image, weights)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("dtype", "brightest"), [(np.uint32, 4e9), (np.int64, 9e18)])
def test_the_brightest_integers_have_room(method, dtype, brightest):
    image = (np.random.default_rng(0).random((24, 24)) * brightest).astype(dtype)
    assert np.isfinite(METHODS[method](image, psf.gaussian_psf(1.0))).all()


def test_a_constant_image_is_kept_or_refused():
    image = np.full((40, 40), 7, np.uint8)
    for method in ("inverse", "wiener", "cls", "richardson-lucy"):
        np.testing.assert_allclose(METHODS[method](image, GAUSSIAN), 7, rtol=3e-3)
    for method in ("wiener estimated", "cls found", "unsupervised"):
        with pytest.raises(InvalidInputError, match="equal"):
            METHODS[method](image, GAUSSIAN)
    for function in (blind.estimate_psf, beads.psf_from_beads):
        with pytest.raises(InvalidInputError, match="equal"):
            function(image, (5, 5))


@pytest.mark.parametrize("given", ["?", "u1", "u2", "i4", "f2", "f4", "f8"])
def test_single_precision_stays_and_integers_are_not_rescaled(given):
    image = (np.random.default_rng(0).random((48, 50)) * (1 if given == "?" else 100)).round().astype(given)
    for method, function in METHODS.items():
        result = function(image, GAUSSIAN)
        assert result.dtype == (np.float64 if given in ("f8", "i4") else np.float32), method
        assert result.mean() == pytest.approx(image.mean(dtype=float), rel=0.05), method


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda image: restore.wiener(image, GAUSSIAN, 0), "above 0"),
        (lambda image: restore.wiener(image, GAUSSIAN, np.nan), "above 0"),
        (lambda image: restore.constrained_least_squares(image, GAUSSIAN, -1), "above 0"),
        (lambda image: restore.inverse_filter(image, GAUSSIAN, 0), "above 0"),
        (lambda image: richardson_lucy(image, GAUSSIAN, 0), "1 or more"),
        (lambda image: richardson_lucy(image, GAUSSIAN, background=-1), "0 or more"),
        (lambda image: richardson_lucy(image, GAUSSIAN, background=1e6), "above the background"),
        (lambda image: richardson_lucy(image * 0, GAUSSIAN), "above the background"),
        (lambda image: unsupervised_wiener(image, GAUSSIAN, 0), "1 or more"),
        (lambda image: blind.estimate_psf(image, (4, 5)), "odd"),
        (lambda image: blind.estimate_psf(image, (5,)), "2 odd"),
        (lambda image: blind.estimate_psf(image, (41, 5)), "larger than the image"),
        (lambda image: blind.estimate_psf(image, (5, 5), 0), "1 or more"),
        (lambda image: beads.psf_from_beads(image, (4, 5)), "odd"),
        (lambda image: beads.psf_from_beads(image, (5, 5), 1.5), "between 0 and 1"),
        (lambda image: beads.psf_from_beads(image, (39, 39)), "no single bead"),
        (lambda image: psf.gaussian_psf(0), "above 0"),
        (lambda image: psf.motion_psf(0, 0), "above 0"),
        (lambda image: psf.motion_psf(3, np.nan), "finite angle"),
    ],
)
def test_bad_parameters_are_refused(call, match):
    with pytest.raises(InvalidInputError, match=match):
        call(np.random.default_rng(0).random((40, 40)))


def test_a_psf_of_one_pixel_changes_next_to_nothing():
    image = data.camera()[:40, :50].astype(float)
    np.testing.assert_allclose(restore.inverse_filter(image, [[3.0]], 10), image, atol=1e-6)
    np.testing.assert_allclose(richardson_lucy(image, [[3.0]], 3), image, atol=1e-6)


@pytest.mark.parametrize("name", ["blind_deconvolution", "estimate_psf"])
def test_a_psf_larger_than_the_image_is_refused_before_anything_is_computed(name):
    operation = find_operation(name)()
    with pytest.raises(InvalidInputError, match="larger than the image of shape"):
        operation.check_frame(ImageSpec(axes="yx", shape=(14, 40), dtype=np.dtype(np.uint8)))
    operation.check_frame(ImageSpec(axes="yx", shape=(15, 40), dtype=np.dtype(np.uint8)))

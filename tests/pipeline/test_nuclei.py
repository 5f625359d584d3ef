import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.pipeline.samples.nuclei import NucleiConfig, make_nuclei

SMALL = NucleiConfig(shape=(128, 160), count=16)


def test_the_same_seed_gives_the_same_pixels():
    (image, truth), (again, truth_again) = make_nuclei(3, SMALL), make_nuclei(3, SMALL)
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(truth, truth_again)
    other, _ = make_nuclei(4, SMALL)
    assert (image != other).mean() > 0.5


def test_image_and_truth_have_the_form_that_is_promised():
    image, truth = make_nuclei(0, SMALL)
    assert image.shape == truth.shape == SMALL.shape
    assert image.dtype == truth.dtype == np.uint16
    assert truth.max() == len(np.unique(truth)) - 1


def test_each_nucleus_is_one_piece_of_plausible_size():
    _, truth = make_nuclei(1)
    low, high = NucleiConfig().radius
    whole = 0
    for number, window in enumerate(ndimage.find_objects(truth), start=1):
        touches_border = any(part.start == 0 or part.stop == n for part, n in zip(window, truth.shape, strict=True))
        if touches_border:
            continue
        whole += 1
        mask = truth[window] == number
        _, pieces = ndimage.label(mask, np.ones((3, 3)))
        sizes = ndimage.sum_labels(mask, ndimage.label(mask, np.ones((3, 3)))[0], range(1, pieces + 1))
        assert sizes.max() > 0.97 * mask.sum()  # a neighbour may cut a sliver off
        assert 0.3 * np.pi * low**2 < mask.sum() < 2 * np.pi * high**2
    assert whole > 60


def test_nuclei_touch_and_some_stand_alone():
    _, truth = make_nuclei(1)
    _, clusters = ndimage.label(truth > 0)
    count = int(truth.max())
    assert 0.3 * count < clusters < 0.8 * count
    _, apart = make_nuclei(1, NucleiConfig(touching=0.0))
    assert ndimage.label(apart > 0)[1] == apart.max()


def test_nuclei_vary_in_brightness_and_outshine_the_background():
    image, truth = make_nuclei(1)
    dark = NucleiConfig().offset
    background = np.median(image[truth == 0]) - dark
    means = ndimage.mean(image, truth, np.arange(1, truth.max() + 1)) - dark
    assert np.median(means) > 3 * background
    assert np.percentile(means, 90) > 2 * np.percentile(means, 10)


def test_noise_is_that_of_photons_and_read_out():
    flat = NucleiConfig(shape=(256, 256), count=0, background=1.0, vignetting=0.0)
    image, truth = make_nuclei(0, flat)
    assert not truth.any()
    pixels = image.astype(float)
    noise = (pixels[1:] - pixels[:-1]) / np.sqrt(2)  # differences of neighbours hide the patchy background
    expected = flat.gain**2 * (pixels.mean() - flat.offset) / flat.gain + flat.read_noise**2
    assert noise.var() == pytest.approx(expected, rel=0.05)


def test_illumination_falls_off():
    """The same scene under even and uneven light: their ratio is the illumination."""
    configs = [NucleiConfig(count=0, background=1.0, vignetting=share) for share in (0.0, 0.6)]
    even, uneven = (ndimage.uniform_filter(make_nuclei(0, config)[0] - config.offset, 15) for config in configs)
    illumination = uneven / even
    assert illumination.max() == pytest.approx(1.0, abs=0.05)
    assert illumination.min() == pytest.approx(0.4, abs=0.05)


@settings(max_examples=15, deadline=None)
@given(shape=st.tuples(st.integers(1, 40), st.integers(1, 40)), count=st.integers(0, 5), seed=st.integers(0, 2**32 - 1))
def test_any_size_and_seed_works(shape, count, seed):
    image, truth = make_nuclei(seed, NucleiConfig(shape=shape, count=count))
    assert image.shape == truth.shape == shape
    assert truth.max() <= count


@pytest.mark.parametrize(
    "wrong", [{"shape": (0, 5)}, {"count": -1}, {"radius": (9.0, 3.0)}, {"brightness": (0.0, 1.0)}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(InvalidInputError):
        NucleiConfig(**wrong)

"""Tone curves and matched histograms."""

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator
from skimage import data, exposure

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError, NoContrastError
from napari_tessera.io.opening import open_image

ToneCurve, MatchHistogram = nt.operations.ToneCurve, nt.operations.MatchHistogram


def test_a_curve_goes_through_its_points_and_is_level_beyond():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    curve = ToneCurve(values="levels", points="50 0; 100 200; 150 100")
    expected = np.interp(image, [50, 100, 150], [0, 200, 100])
    np.testing.assert_array_equal(nt.apply(curve, image), np.rint(expected))
    smooth = nt.apply(curve.model_copy(update={"shape": "smooth"}), image.astype(np.float64))
    np.testing.assert_allclose(smooth[4, 6], PchipInterpolator([50, 100, 150], [0, 200, 100])(70))
    assert smooth.max() == 200
    assert smooth[0, 0] == 0


def test_percentages_are_of_the_range_of_the_image():
    image = np.array([[1000, 1500, 2000]], np.uint16)
    curve = ToneCurve(points="100 100; 0 0; 50 80")
    assert nt.apply(curve, image).tolist() == [[1000, 1800, 2000]]
    assert nt.apply(curve.model_copy(update={"over": "type"}), image).tolist() == [[1600, 2400, 3200]]


@pytest.mark.parametrize("shape", ["linear", "smooth"])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_a_constant_stays_as_it_is(shape, dtype):
    image = np.full((2, 3), 77, dtype)
    np.testing.assert_array_equal(nt.apply(ToneCurve(shape=shape), image), image)
    narrow = np.array([[1, np.nextafter(np.float32(1), 2)]], np.float32)
    assert np.ptp(nt.apply(ToneCurve(shape=shape), narrow)) <= np.ptp(narrow)


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ("0 0", "fewer than two points"),
        ("", "fewer than two points"),
        ("0 0; 1; 2 2", "Point 2 of the curve .* is '1'"),
        ("a b; 1 1", "Point 1 of the curve .* is 'a b'"),
        ("0 0; 5 5; inf 1", "Point 3 of the curve .* is 'inf 1'"),
        ("0 0, 25 15; 1 1", "Point 1 of the curve .* is '0 0, 25 15'"),
        ("7 0; 0 1; 7 1", "two points at the intensity 7"),
    ],
)
def test_what_is_no_curve_is_refused(points, said):
    with pytest.raises(ValueError, match=said):
        ToneCurve(points=points)


def test_integers_are_matched_as_in_scikit_image():
    image, reference = data.coins()[:100, :120], data.camera()[50:300:2, 80:300]
    expected = exposure.match_histograms(image, reference)
    result = nt.apply(MatchHistogram(keep_type=False), image, tile=32, reference=reference)
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    rounded = nt.apply(MatchHistogram(), image, reference=reference)
    np.testing.assert_array_equal(rounded, np.rint(expected))


def test_floats_are_matched_within_a_bin():
    rng = np.random.default_rng(2)
    image, reference = rng.normal(5, 1, (90, 80)), rng.gamma(2, 3, (60, 70)).astype(np.float32)
    result = nt.apply(MatchHistogram(), image, reference=reference)
    shares = np.linspace(0, 0.9, 50)  # beyond, pixels are few and lie far apart
    np.testing.assert_allclose(np.quantile(result, shares), np.quantile(reference, shares), atol=0.02)


@pytest.mark.parametrize("axes", ["yxc", "cyx"])
def test_channels_are_matched_to_those_of_the_reference(axes):
    image, reference = data.astronaut()[:60, :70], data.coffee()[100:180, 100:190]
    expected = exposure.match_histograms(image, reference, channel_axis=-1)
    if axes == "cyx":
        image, expected = np.moveaxis(image, -1, 0).copy(), np.moveaxis(expected, -1, 0)
    result = nt.apply(MatchHistogram(), open_image(image, axes=axes), reference=reference)
    assert np.abs(result.astype(int) - expected).max() <= 1  # cut off there, rounded here
    with pytest.raises(InvalidInputError, match="3 channels and the reference has shape"):
        nt.apply(MatchHistogram(), open_image(image, axes=axes), reference=reference[..., :2])


def test_what_cannot_be_matched_is_said():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    with pytest.raises(NoContrastError, match="constant"):
        nt.apply(MatchHistogram(), np.full((3, 3), 7, np.uint8), reference=image)
    with pytest.raises(InvalidInputError, match=r"uint8 holds 0 to 255: do without keep_type"):
        nt.apply(MatchHistogram(), image, reference=image.astype(np.uint16) * 1000)
    wide = nt.apply(MatchHistogram(keep_type=False), image, reference=image.astype(np.uint16) * 1000)
    np.testing.assert_allclose(wide, image * 1000.0)


def test_numbers_of_64_bits_and_constant_references_are_taken():
    image = np.array([[0, 2**64 - 1, 2**63]], np.uint64)
    result = nt.apply(MatchHistogram(), image, reference=np.full((2, 2), 2**64 - 1, np.uint64))
    assert (result >= 2**64 - 2**12).all()

"""Intensity ranges of whole images."""

import numpy as np
import pytest

from napari_tessera.config.training import IntensityConfig
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.io.opening import open_image
from napari_tessera.pipeline.predicting import intensity
from napari_tessera.pipeline.predicting.intensity import ConstantImageError, IntensityRange, fit_intensity


def test_percentiles_are_those_of_numpy_per_channel() -> None:
    pixels = np.random.default_rng(0).integers(0, 60_000, (40, 50, 3)).astype(np.uint16)
    found = fit_intensity(open_image(pixels, axes="yxc"), IntensityConfig())
    low, high = np.percentile(pixels.reshape(-1, 3), [1, 99.8], axis=0)
    assert found.low == pytest.approx(low.tolist())
    assert found.high == pytest.approx(high.tolist())
    scaled = found.apply(np.moveaxis(pixels, 2, 0))
    assert scaled.dtype == np.float32
    assert np.allclose(scaled[1], (pixels[..., 1] - low[1]) / (high[1] - low[1]), atol=1e-5)


def test_few_bright_pixels_on_a_constant_ground() -> None:
    pixels = np.zeros((100, 100), dtype=np.uint8)
    pixels[0, 0] = 200
    assert fit_intensity(open_image(pixels), IntensityConfig()).high == (200.0,)


def test_large_images_are_sampled_evenly_and_repeatably(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.tile(np.arange(600, dtype=np.float32), (4, 500, 1))
    whole = fit_intensity(open_image(pixels), IntensityConfig())
    monkeypatch.setattr(intensity, "SAMPLE_PIXELS", 200_000)
    monkeypatch.setattr(intensity, "BLOCK", 16)
    first, second = (fit_intensity(open_image(pixels), IntensityConfig()) for _ in range(2))
    assert first == second
    assert first.low == pytest.approx(whole.low, abs=15)
    assert first.high == pytest.approx(whole.high, abs=15)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_sample_reaches_every_end_of_a_large_image(axis: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Intensities that rise along one axis: a sample of the first blocks alone would miss the upper ones."""
    monkeypatch.setattr(intensity, "SAMPLE_PIXELS", 60_000)
    monkeypatch.setattr(intensity, "BLOCK", 16)
    shape = (20, 160, 160)
    ramp = np.arange(shape[axis], dtype=np.float32) / shape[axis]
    pixels = np.broadcast_to(np.expand_dims(ramp, [other for other in range(3) if other != axis]), shape)
    found = fit_intensity(open_image(pixels), IntensityConfig())
    assert found.low[0] < 0.15
    assert found.high[0] > 0.85


def test_what_the_sample_misses_in_a_constant_image_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intensity, "SAMPLE_PIXELS", 1000)
    monkeypatch.setattr(intensity, "BLOCK", 16)
    monkeypatch.setattr(intensity, "_SCANNED", 32)
    pixels = np.full((2, 100, 100), 7, dtype=np.float32)
    with pytest.raises(ConstantImageError):
        fit_intensity(open_image(pixels), IntensityConfig())
    pixels[1, 50, 50] = 9
    found = fit_intensity(open_image(pixels), IntensityConfig())
    assert (found.low, found.high) == ((7.0,), (9.0,))
    pixels[1, 50, 50] = np.nan
    with pytest.raises(InvalidInputError, match="NaN"):
        fit_intensity(open_image(pixels), IntensityConfig())


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.full((8, 8), 7, dtype=np.uint8), "same intensity everywhere"),
        (np.where(np.eye(8) > 0, np.nan, 1.0), "NaN"),
        (np.where(np.eye(8) > 0, np.inf, 1.0), "NaN or infinite"),
        (np.where(np.eye(8) > 0, -3.4e38, 1.0), "'no data' values"),
        (2**60 + np.arange(64).reshape(8, 8), r"beyond 2\^53.*'rescale'"),
        (np.eye(8) * 1j, "complex128"),
        (np.zeros((0, 8)), "no pixels"),
    ],
)
def test_unusable_images_are_refused(pixels: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        fit_intensity(open_image(pixels), IntensityConfig())


def test_bool_images_have_a_range() -> None:
    found = fit_intensity(open_image(np.eye(8) > 0), IntensityConfig())
    assert (found.low, found.high) == ((0.0,), (1.0,))


def test_an_empty_channel_is_named_and_becomes_nothing() -> None:
    pixels = np.stack([np.full((8, 8), 7), np.arange(64).reshape(8, 8)])
    found = fit_intensity(open_image(pixels, axes="cyx"), IntensityConfig())
    assert found.empty == (0,)
    scaled = found.apply(pixels)
    assert not scaled[0].any()
    assert scaled[1].max() > 0.9


@pytest.mark.parametrize("dtype", [np.uint32, np.float64])
def test_large_offsets_leave_neighbours_apart(dtype: type) -> None:
    pixels = (2**31 + np.arange(64)).astype(dtype).reshape(8, 8)
    found = fit_intensity(open_image(pixels), IntensityConfig())
    assert len(np.unique(found.apply(pixels[None]))) == 64


def test_a_pixel_that_drowns_all_others_is_refused_wherever_it_turns_up() -> None:
    found = IntensityRange((0.0,), (200.0,))
    for value in (-3.4e38, np.nan, np.inf, 1e30):
        with pytest.raises(InvalidInputError, match="'no data' values"):
            found.apply(np.array([[1.0, value]], np.float32))
    assert found.apply(np.array([[1e6]], np.float32)) == 5000

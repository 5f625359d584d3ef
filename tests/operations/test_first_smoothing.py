"""Smoothing by itself: where an object hardly stands out from its noise, and nowhere else."""

import numpy as np
import pytest

from napari_tessera.operations.growing.clicking import ClickFrame, ClickRule
from napari_tessera.operations.growing.competing import grow_competing

SHAPE, CENTRE = (40, 48, 48), (20, 24, 24)


def ball(radius=9, spacing=(1, 1, 1), centre=CENTRE, shape=SHAPE):
    axes = np.ogrid[tuple(slice(0, n) for n in shape)]
    return sum(((axis - at) * side) ** 2 for axis, at, side in zip(axes, centre, spacing, strict=True)) < radius**2


def noisy(truth, contrast, noise, dtype=np.uint16, seed=0):
    image = 200 + contrast * truth + np.random.default_rng(seed).normal(0, noise, truth.shape)
    return image.astype(dtype)


def frame_of(image, smoothing=None, *, spacing=None, channels=0, criterion="running_mean"):
    shape = image.shape[:-1] if channels else image.shape
    rule = ClickRule(criterion, smoothing=smoothing, most_loaded=2**20)
    return ClickFrame(lambda box: image[box], shape, image.dtype, spacing or (1.0,) * len(shape), channels, rule=rule)


def click(frame, point, shape):
    frame.start(np.array(point), frame.estimate_tolerance(np.array(point)))
    region, mask = frame.finish(), np.zeros(shape, bool)
    mask[region.box] = region.mask
    return mask


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize(("contrast", "seed"), [(12, 0), (15, 1), (20, 2)])
def test_a_click_takes_a_dim_ball_out_of_the_noise(contrast, seed):
    truth = ball()
    image = noisy(truth, contrast, 10, seed=seed)
    assert overlap(click(frame_of(image, 0.0), CENTRE, SHAPE), truth) < 0.7
    frame = frame_of(image)
    assert overlap(click(frame, CENTRE, SHAPE), truth) > 0.85
    assert frame.smoothing >= 1


def test_a_dim_disc_and_flat_voxels_too():
    truth = ball(spacing=(2.5, 1, 1))
    image = noisy(truth, 20, 10)
    assert overlap(click(frame_of(image, spacing=(2.5, 1.0, 1.0)), CENTRE, SHAPE), truth) > 0.7
    disc = ball()[CENTRE[0]]
    assert overlap(click(frame_of(noisy(disc, 20, 10)), CENTRE[1:], disc.shape), disc) > 0.7


@pytest.mark.parametrize(("contrast", "noise"), [(100, 0), (100, 2), (100, 12), (3, 0)])
@pytest.mark.parametrize("point", [CENTRE, (3, 4, 5), (20, 24, 33)])
def test_a_clean_image_is_grown_in_as_it_is(contrast, noise, point):
    image = noisy(ball(), contrast, noise)
    for pixels, at in ((image, point), (image[point[0]], point[1:])):
        frame = frame_of(pixels)
        frame.settle(np.array(at))
        assert frame.smoothing == 0
    plain, own = click(frame_of(image), CENTRE, SHAPE), click(frame_of(image, 0.0), CENTRE, SHAPE)
    np.testing.assert_array_equal(plain, own)


def test_noise_without_any_object_asks_for_nothing():
    for seed in range(5):
        frame = frame_of(noisy(np.zeros(SHAPE, bool), 0, 10, seed=seed))
        frame.settle(np.array(CENTRE))
        assert frame.smoothing == 0


def test_a_slope_and_a_texture_that_is_coarse_are_no_noise():
    y, x = np.mgrid[:96, :96]
    for image in (3.0 * x, 50 * np.sin(x / 5) * np.sin(y / 7)):
        frame = frame_of(image.astype(np.float32))
        frame.settle(np.array((40, 40)))
        assert frame.smoothing == 0


def test_the_own_value_wins():
    image = noisy(ball(), 15, 10)
    for own in (0.0, 0.5, 3.0):
        frame = frame_of(image, own)
        click(frame, CENTRE, SHAPE)
        assert frame.smoothing == own


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64, np.float32, np.float64])
def test_of_any_type_in_channels_and_with_missing_values(dtype):
    truth = ball()[CENTRE[0]]
    image = noisy(truth, 25, 10, dtype)
    if image.dtype.kind == "f":
        image[:10] = np.nan
        image[10, 0] = np.inf
    frame = frame_of(image)
    assert overlap(click(frame, CENTRE[1:], truth.shape), truth) > 0.7
    both = np.stack([image, noisy(truth, 25, 10, dtype, seed=1)], axis=-1)
    frame = frame_of(both, channels=2)
    assert overlap(click(frame, CENTRE[1:], truth.shape), truth) > 0.7
    for tiny in (image[:1, :1], image[:, :2], image[-1:]):
        frame = frame_of(np.nan_to_num(tiny))
        frame.settle(np.array((0, 0)))
        assert frame.smoothing == 0


def test_many_points_share_the_usual_smoothing():
    shape, centres = (30, 40, 80), [(15, 20, 20), (15, 20, 60)]
    truths = [ball(8, centre=centre, shape=shape) for centre in centres]
    frame = frame_of(noisy(truths[0] | truths[1], 20, 10))
    regions = grow_competing(frame, np.array(centres))
    assert frame.smoothing >= 1
    labels = np.zeros(shape, int)
    labels[regions.box] = regions.labels
    for number, truth in enumerate(truths, start=1):
        assert overlap(labels == number, truth) > 0.7


def test_another_click_in_the_same_frame_is_looked_at_anew():
    image = np.concatenate([noisy(ball(), 15, 10), noisy(ball(), 200, 2, seed=1)], axis=2)
    frame = frame_of(image)
    for column, smoothed in ((24, True), (72, False), (24, True)):
        point = np.array((20, 24, column))
        frame.start(point, frame.estimate_tolerance(point))
        assert (frame.smoothing > 0) is smoothed

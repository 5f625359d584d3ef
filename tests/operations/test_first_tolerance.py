"""Outlines of objects by polar coordinates, the tolerance that gives them, and the climb of regions to their edges."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_tessera.operations.growing.clicking import ClickFrame, ClickRule
from napari_tessera.operations.growing.engine.edges import edge_strength, ridge_rounds, to_the_ridge
from napari_tessera.operations.growing.engine.physical import physical_steps
from napari_tessera.operations.growing.guess.first_tolerance import LEAST_CONTRAST, NOISE_LEFT
from napari_tessera.operations.growing.guess.outline_kernels import CLOSED, INSIDE, SEEN, closed_path, compare
from napari_tessera.operations.growing.guess.star_outlines import star_outlines

SIZE = 160


def disc(y, x, radius, shape=(SIZE, SIZE)):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


def blurred(mask, low, high, noise=0.0, sigma=1.2):
    image = ndimage.gaussian_filter(np.where(mask, float(high), float(low)), sigma)
    return image + np.random.default_rng(0).normal(0, 1, image.shape) * noise


def frame_of(image, criterion="running_mean", *, ndim=2, spacing=None, blocked=None, **rule):
    channels = image.shape[-1] if image.ndim > ndim else 0
    return ClickFrame(
        lambda box: image[box],
        image.shape[:ndim],
        image.dtype,
        spacing or (1.0,) * ndim,
        channels,
        rule=ClickRule(criterion, **rule),
        blocked=blocked,
    )


def first_click(frame, point, shape):
    tolerance = frame.estimate_tolerance(np.array(point))
    assert np.isfinite(tolerance)
    assert tolerance > 0
    frame.start(np.array(point), tolerance)
    region, mask = frame.finish(), np.zeros(shape, bool)
    mask[region.box] = region.mask
    return mask


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


def best_outline(plane, point, reach=64.0, known=None):
    known = np.ones(plane.shape, bool) if known is None else known
    return max(star_outlines(plane.astype(np.float32), known, point, (1.0, 1.0), reach), key=lambda each: each.contrast)


@pytest.mark.parametrize("point", [(80, 80), (80, 98), (64, 70)])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_outline_is_where_grey_levels_change_most(point, sign):
    truth = disc(80, 80, 30)
    outline = best_outline(sign * blurred(truth, 10, 110, sigma=2), point)
    assert overlap(outline.mask, truth) > 0.93
    assert outline.contrast > 0.8 * 100 / (2 * np.sqrt(2 * np.pi))  # that of a blurred step, over two pixels
    assert not (outline.around & outline.mask).any()
    assert outline.cut_short == 0


def test_an_outline_passes_over_texture():
    truth = disc(80, 80, 30)
    image = (
        blurred(truth, 10, 110) + 25 * ndimage.gaussian_filter(np.random.default_rng(1).normal(size=truth.shape), 2) * 4
    )
    assert overlap(best_outline(ndimage.gaussian_filter(image, 1), (80, 80)).mask, truth) > 0.85


def test_an_outline_keeps_objects_apart_that_touch():
    one, other = disc(80, 60, 22), disc(80, 100, 22)
    outline = best_outline(blurred(one | other, 10, 110), (80, 60))
    assert overlap(outline.mask, one) > 0.85


def test_an_outline_lies_in_physical_units():
    truth = ((np.ogrid[:60, :160][0] - 30) * 3) ** 2 + (np.ogrid[:60, :160][1] - 80) ** 2 < 40**2
    plane = ndimage.gaussian_filter(np.where(truth, 100.0, 0.0), (0.5, 1.5)).astype(np.float32)
    outlines = star_outlines(plane, np.ones(plane.shape, bool), (30, 80), (3.0, 1.0), 64.0)
    assert max(overlap(outline.mask, truth) for outline in outlines) > 0.9


def test_an_outline_that_reaches_too_far_says_so():
    cone = (np.hypot(*(axis - 80 for axis in np.ogrid[:SIZE, :SIZE])) ** 2).astype(np.float32)
    assert best_outline(cone, (80, 80), reach=40.0).cut_short > 0.9


def test_an_outline_ends_where_nothing_is_known():
    truth = disc(80, 80, 30)
    image, known = blurred(truth, 10, 110), np.ones(truth.shape, bool)
    known[:, :70] = known[:, 90:] = False
    image[~known] = np.random.default_rng(0).normal(0, 1000, (~known).sum())
    outline = best_outline(image, (80, 80), known=known)
    assert outline.usual < 100
    assert not (outline.mask & ~known).any()


def test_the_image_may_end_an_object():
    truth = disc(2, 80, 30)
    outline = best_outline(blurred(truth, 10, 110), (4, 80))
    assert overlap(outline.mask, truth) > 0.85
    assert outline.cut_short == 0


def test_an_outline_of_noise_has_little_contrast():
    for seed in range(10):
        noise = np.random.default_rng(seed).normal(0, 7, (160, 160))
        assert best_outline(ndimage.gaussian_filter(noise, 1), (80, 80)).contrast < LEAST_CONTRAST * NOISE_LEFT * 7


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 4), st.integers(1, 2))
def test_a_closed_path_is_worth_most(seed, rays, radii, jump):
    """Of all paths through the place where it is closed."""
    worth = np.random.default_rng(seed).random((rays, radii))

    def value(path):
        changes = np.abs(np.diff([*path, path[0]]))
        return -np.inf if changes.max() > jump else worth[np.arange(rays), path].sum() - 0.01 * changes.sum()

    path = closed_path(worth, jump, 0.01)
    best = max(value([path[0], *others]) for others in product(range(radii), repeat=rays - 1))
    assert value(path) == pytest.approx(best)


def test_a_circle_is_closed_where_it_is_worth_most():
    worth = np.zeros((48, 9))
    worth[:, 6] = 0.5
    worth[:3, 2] = 1.0  # the best begin, and end, of an open path
    assert (closed_path(worth, 1, 0.05) == 6).all()


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["running_mean", "fixed_range"]), st.booleans())
def test_regions_are_compared_that_clicks_would_give(seed, criterion, volume):
    rng = np.random.default_rng(seed)
    shape = (5, 6, 7) if volume else (9, 11)
    image = rng.integers(0, 60, shape).astype(np.float32)
    guess, blocked = rng.random(shape) < 0.3, rng.random(shape) < 0.1
    at = tuple(n // 2 for n in shape)
    blocked[at], guess[at] = False, True
    guess &= ~blocked
    tolerances = np.sort(rng.random(6) * 40 + 0.123)
    if criterion == "fixed_range":
        tolerances = np.ceil(tolerances)  # at most
    frame = frame_of(image, criterion, ndim=image.ndim, blocked=lambda box: blocked[box])
    marks = np.pad(np.where(blocked, CLOSED, SEEN + INSIDE * guess).astype(np.uint8), 1, constant_values=CLOSED)
    strides = np.array(marks.strides, np.int64)
    table = compare(
        np.pad(image - image[at], 1).reshape(-1, 1),
        np.pad(image, 1).reshape(-1),
        marks.reshape(-1),
        int((np.array(at) + 1) @ strides),
        physical_steps((1.0,) * image.ndim, 1) @ strides,
        np.zeros(0, np.int64),
        criterion == "running_mean",
        tolerances,
        image.size,
    )
    for tolerance, (common, together, _) in zip(tolerances, table, strict=True):
        frame.start(np.array(at), tolerance)
        region, mask = frame.finish(), np.zeros(shape, bool)
        mask[region.box] = region.mask
        assert (common, together) == ((mask & guess).sum(), (mask | guess).sum())


OBJECT = disc(80, 80, 25)
SOFT = blurred(OBJECT, 20, 180, noise=3)
KINDS = {
    "uint8": SOFT.clip(0, 255).astype(np.uint8),
    "two grey levels": np.where(OBJECT, 7, 3).astype(np.uint8),
    "bool": OBJECT.astype(np.uint8),
    "saturated": (SOFT * 3).clip(0, 255).astype(np.uint8),
    "tiny": (SOFT * 1e-9).astype(np.float32),
    "very tiny": SOFT * 1e-200,
    "huge": SOFT * 1e200,
    "on a pedestal": (SOFT * 1000).astype(np.int64) + 2**40,
    "below zero": -SOFT.astype(np.float32),
    "uint64": (SOFT * 1000).astype(np.uint64),
    "big-endian": SOFT.astype(">u2"),
}


@pytest.mark.parametrize("criterion", ["running_mean", "fixed_range"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("point", [(80, 80), (92, 70)])
def test_first_clicks_take_an_object_in_any_kind_of_image(kind, criterion, point):
    assert overlap(first_click(frame_of(KINDS[kind], criterion), point, OBJECT.shape), OBJECT) > 0.9


@pytest.mark.parametrize("kind", ["uint8", "two grey levels", "saturated", "tiny", "below zero"])
def test_first_clicks_up_to_edges_take_an_object(kind):
    frame = frame_of(KINDS[kind], "edge_stopped")
    assert overlap(first_click(frame, (80, 80), OBJECT.shape), OBJECT) > 0.6


@pytest.mark.parametrize("criterion", ["running_mean", "fixed_range", "edge_stopped"])
@pytest.mark.parametrize(
    "image",
    [
        np.zeros((1, 1), np.uint8),
        np.full((1, 1), np.float32(-3)),
        np.zeros((1, 90), np.uint16),
        np.arange(90.0).reshape(90, 1),
        np.full((2, 2), 255, np.uint8),
        np.full((200, 200), 1e-9),
        np.full((200, 200), 2**62, np.int64),
        np.zeros((40, 40, 3), np.uint8),
    ],
    ids=lambda image: f"{image.shape}-{image.dtype}",
)
def test_images_without_objects_have_a_tolerance(image, criterion):
    frame = frame_of(image, criterion)
    mask = first_click(frame, (0, 0), image.shape[:2])
    assert mask[0, 0]
    if image.ndim == 2 and image.min() == image.max():
        assert mask.all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_without_a_value_do_not_matter(value):
    image = SOFT.astype(np.float32)
    image[np.random.default_rng(2).random(image.shape) < 0.05] = value
    image[80, 80] = SOFT[80, 80]
    image[:, 110:] = value
    mask = first_click(frame_of(image), (80, 80), image.shape)
    truth = OBJECT & np.isfinite(image)
    assert overlap(mask, truth) > 0.9


def test_what_is_blocked_does_not_matter():
    other = disc(80, 120, 25)
    image = blurred(OBJECT | other, 20, 180, noise=3).astype(np.float32)
    frame = frame_of(image, blocked=lambda box: other[box] & ~OBJECT[box])
    mask = first_click(frame, (80, 80), image.shape)
    assert overlap(mask, OBJECT) > 0.9
    alone = np.ones(image.shape, bool)
    alone[80, 80] = False
    assert first_click(frame_of(image, blocked=lambda box: alone[box]), (80, 80), image.shape).sum() == 1


def test_colours_of_one_brightness_are_told_apart():
    image = np.stack([np.full(OBJECT.shape, 90.0), blurred(OBJECT, 40, 160, 3), blurred(OBJECT, 160, 40, 3)], axis=-1)
    mask = first_click(frame_of(image.astype(np.uint8)), (80, 80), OBJECT.shape)
    assert overlap(mask, OBJECT) > 0.9


@pytest.mark.parametrize("criterion", ["running_mean", "fixed_range"])
@pytest.mark.parametrize("scale", [1.0, 255.0])
@pytest.mark.parametrize("softness", [1.0, 2.0, 4.0])
def test_a_click_on_probabilities_takes_the_object_cut_at_a_half(criterion, scale, softness):
    """Two objects that touch, with a valley between: each is taken alone, and the background as one."""
    y, x = np.ogrid[:256, :256]

    def inside(column):
        return 1 / (1 + np.exp((np.hypot(y - 128, x - column) - 30) / softness))

    image = np.maximum(inside(98), inside(156)) * np.clip(0.55 + abs(x - 127) / 6, 0, 1)
    wanted, ground = (image > 0.5) & (x < 127), image < 0.1
    image = (image * scale).astype(np.float32 if scale == 1 else np.uint8)
    for point in ((128, 98), (115, 85), (128, 118)):
        assert overlap(first_click(frame_of(image, criterion), point, image.shape), wanted) > 0.85
    assert overlap(first_click(frame_of(image, criterion), (20, 20), image.shape), ground) > 0.8


def crowd():
    """Round objects of different brightness, many of which touch, with texture."""
    rng = np.random.default_rng(3)
    labels, image = np.zeros((400, 400), int), np.full((400, 400), 12.0)
    for number, (y, x) in enumerate(((y, x) for y in range(25, 390, 27) for x in range(25, 390, 27)), start=1):
        part = disc(y + rng.integers(-3, 4), x + rng.integers(-3, 4), rng.uniform(10, 14), labels.shape) & (labels == 0)
        labels[part] = number
        image[part] = rng.uniform(60, 200)
    image += ndimage.gaussian_filter(rng.normal(size=image.shape), 2) * 60 * (labels > 0)
    return (ndimage.gaussian_filter(image, 1) + rng.normal(0, 3, image.shape)).clip(0, 255).astype(np.uint8), labels


@pytest.mark.parametrize(("criterion", "share"), [("running_mean", 0.8), ("fixed_range", 0.8)])
def test_first_clicks_take_objects_of_a_crowd(criterion, share):
    image, labels = crowd()
    good = []
    for number, centre in enumerate(ndimage.center_of_mass(labels > 0, labels, range(1, labels.max() + 1)), start=1):
        point = np.array(centre).round().astype(int)
        if labels[tuple(point)] == number and (labels == number).sum() > 150:
            mask = first_click(frame_of(image, criterion, fill_holes=True), point, image.shape)
            good.append(overlap(mask, labels == number) > 0.5)
    assert len(good) > 100
    assert np.mean(good) > share


@pytest.mark.parametrize("radius", [6, 25, 60, 100])
def test_objects_may_be_small_or_large(radius):
    truth = disc(160, 160, radius, (320, 320))
    image = blurred(truth, 100, 190, noise=10).astype(np.float32)
    assert overlap(first_click(frame_of(image, fill_holes=True), (160, 160), image.shape), truth) > 0.7


@pytest.mark.parametrize("criterion", ["running_mean", "fixed_range", "edge_stopped"])
def test_the_tolerance_goes_with_the_grey_levels(criterion):
    """Powers of two and an offset change no digit; nor does where in a larger image a neighbourhood lies."""
    image = SOFT.round().astype(np.float64)

    def estimate(pixels, point=(80, 80)):
        return frame_of(pixels, criterion).estimate_tolerance(np.array(point))

    tolerance = estimate(image)
    assert estimate(image) == tolerance
    assert estimate(image * 1024) == tolerance * 1024
    if criterion != "edge_stopped":
        assert estimate(image + 4096) == pytest.approx(tolerance, rel=1e-6)
    larger = np.random.default_rng(0).random((700, 700)) * 500
    larger[300:460, 200:360] = image
    middle = np.random.default_rng(1).random((700, 700)) * 500
    middle[300:460, 200:360] = image
    assert estimate(larger, (380, 280)) == estimate(middle, (380, 280))


def test_the_tolerance_does_not_depend_on_how_pixels_are_handed_over():
    image = SOFT.astype(np.uint16)
    tolerances = {
        ClickFrame(read, image.shape, image.dtype, (1.0, 1.0), rule=ClickRule()).estimate_tolerance((85, 75))
        for read in (
            lambda box: image[box],
            lambda box: np.asfortranarray(image)[box],
            lambda box: np.repeat(image, 2, axis=1)[:, ::2][box].copy(),
        )
    }
    assert len(tolerances) == 1


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 1.0, 1.0), (1.0, 1.0, 3.0)])
@pytest.mark.parametrize("criterion", ["running_mean", "fixed_range"])
def test_first_clicks_take_balls(spacing, criterion):
    shape = tuple(int(56 / side) for side in spacing)
    z, y, x = (axis * side - 28 for axis, side in zip(np.ogrid[tuple(map(slice, shape))], spacing, strict=True))
    ball = z**2 + y**2 + x**2 < 14**2
    image = blurred(ball, 20, 180, noise=5, sigma=[1 / side for side in spacing]).astype(np.float32)
    point = tuple(n // 2 for n in shape)
    frame = frame_of(image, criterion, ndim=3, spacing=spacing, fill_holes=True)
    assert overlap(first_click(frame, point, shape), ball) > 0.85


def test_a_volume_of_one_plane_has_a_tolerance():
    mask = first_click(frame_of(SOFT.astype(np.float32)[None], ndim=3), (0, 80, 80), (1, *SOFT.shape))
    assert overlap(mask[0], OBJECT) > 0.9


def climbed(mask, strengths, steps, rounds, blocked):
    """By definition."""
    mask = mask.copy()
    for turn in range(rounds.max()):
        before = mask.copy()
        for place in np.argwhere(~before & ~blocked):
            for step, most in zip(steps, rounds, strict=True):
                source = place - step
                if turn < most and (source >= 0).all() and (source < mask.shape).all() and before[tuple(source)]:
                    mask[tuple(place)] |= strengths[tuple(place)] > strengths[tuple(source)]
    return mask


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 10**6),
    st.lists(st.integers(1, 8), min_size=2, max_size=3),
    st.sampled_from(["float32", "float64"]),
    st.sampled_from([(1.0, 1.0, 1.0), (2.2, 1.0, 1.0)]),
    st.booleans(),
)
def test_regions_climb_to_the_ridge(seed, shape, dtype, sides, corners):
    rng = np.random.default_rng(seed)
    sides = sides[: len(shape)]
    steps = physical_steps(sides, len(shape) if corners else 1)
    rounds = ridge_rounds(steps, sides, 1.0)
    strengths = rng.integers(0, 9, shape).astype(dtype)
    strengths[rng.random(shape) < 0.1] = np.nan
    blocked, mask = rng.random(shape) < 0.1, rng.random(shape) < 0.2
    mask &= ~blocked
    with np.errstate(invalid="ignore"):
        expected = climbed(mask, strengths, steps, rounds, blocked)
    np.testing.assert_array_equal(to_the_ridge(mask, strengths, steps, rounds, blocked), expected)


def test_a_ridge_is_no_farther_than_a_few_pixels():
    steps = physical_steps((3.0, 1.0, 1.0), 1)
    rounds = ridge_rounds(steps, (3.0, 1.0, 1.0), 1.0)
    assert rounds.tolist() == [1, 3, 3, 3, 3, 1]
    mask = np.zeros((9, 21, 21), bool)
    mask[4, 10, 10] = True
    farther_is_stronger = ndimage.distance_transform_edt(~mask).astype(np.float32)
    grown = to_the_ridge(mask, farther_is_stronger, steps, rounds)
    assert [int(np.ptp(axis)) // 2 for axis in np.nonzero(grown)] == [1, 3, 3]


def test_a_region_before_an_edge_ends_on_it():
    truth = disc(80, 80, 25)
    strengths = edge_strength(blurred(truth, 20, 180).astype(np.float32), (1.0, 1.0), (1.0, 1.0))
    steps = physical_steps((1.0, 1.0), 1)
    before = disc(80, 80, 22)
    after = to_the_ridge(before, strengths, steps, ridge_rounds(steps, (1.0, 1.0), 1.0))
    assert overlap(before, truth) < 0.8
    assert overlap(after, truth) > 0.95

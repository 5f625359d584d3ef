"""Clicks grow exactly what their definition says, whatever is read of the image and when."""

import math
from collections import deque
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage import data as samples
from skimage import measure

from napari_tessera.core.errors import InvalidInputError, JobCancelledError
from napari_tessera.operations.growing.clicking import ClickFrame, ClickRule, warm_up
from napari_tessera.operations.growing.competing import grow_competing
from napari_tessera.operations.growing.engine import borrowing, click_window, growth
from napari_tessera.operations.growing.engine.edges import edge_strength, smooth
from napari_tessera.operations.growing.engine.grower import grow
from napari_tessera.operations.growing.engine.physical import physical_steps
from napari_tessera.operations.growing.finishing.holes import fill_holes

GREY = [0.1, 0.25, 1.5, 2.75, -3.0, np.nan, np.inf]


def neighbours(spacing, connectivity):
    """Steps by the definition: faces, and of the diagonals those no longer than √connectivity smallest sides."""
    ndim, least = len(spacing), min(spacing)
    for step in product((-1, 0, 1), repeat=ndim):
        axes = sum(map(abs, step))
        length = math.sqrt(sum((part * side / least) ** 2 for part, side in zip(step, spacing, strict=True)))
        if axes == 1 or (1 < axes <= connectivity and length < math.sqrt(connectivity) + 1e-5):
            yield step


def in_turn(numbers):
    total = 0.0
    for number in numbers:
        total += number
    return total


def by_definition(image, points, criterion, tolerance, steps, max_size, blocked, *, compete=False):  # noqa: C901
    """Grow with lists, word for word as `grower` and `clicking` say; image has a last axis of channels."""
    shape = image.shape[:-1]
    labels = np.zeros(shape, int)
    regions = [[at] for at in points] if compete else [sorted(set(points))]
    joined, queue, ended = [[] for _ in regions], deque(), "whole"
    for region, pixels in enumerate(regions):
        for at in pixels:
            if not labels[at]:
                labels[at] = region + 1
                joined[region].append([float(v) for v in image[at]])
                queue.append(at)
    first = [list(values) for values in joined]

    def is_near(region, value):
        known = joined[region] if criterion == "running_mean" else first[region]
        n = len(known)
        if criterion == "edge_stopped":
            return value[0] <= tolerance
        offs = [in_turn(one[c] for one in known) - value[c] * n for c in range(len(value))]
        limit = (tolerance if criterion == "running_mean" else math.nextafter(tolerance, math.inf)) * n
        return abs(offs[0]) < limit if len(offs) == 1 else sum(off * off for off in offs) < limit * limit

    while queue:
        here = queue.popleft()
        region = labels[here] - 1
        for step in steps:
            there = tuple(a + b for a, b in zip(here, step, strict=True))
            if any(a < 0 or a >= n for a, n in zip(there, shape, strict=True)) or labels[there] or blocked[there]:
                continue
            value = [float(v) for v in image[there]]
            if not is_near(region, value):
                continue
            if max_size is not None and len(joined[region]) >= max_size:
                ended = "size"
                continue
            labels[there] = region + 1
            joined[region].append(value)
            queue.append(there)
    return labels, ended


@st.composite
def cases(draw, channels=0):
    shape = draw(
        st.one_of(
            hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), hnp.array_shapes(min_dims=3, max_dims=3, max_side=5)
        )
    )
    dtype = np.dtype(
        draw(st.sampled_from(["bool", "uint8", "uint16", "int16", "uint32", "int64", "float16", "float32", ">f8"]))
    )
    full = shape + ((channels,) if channels else ())
    if dtype.kind == "f":
        image = draw(hnp.arrays(np.float32, full, elements=st.sampled_from(GREY[:6] if dtype.itemsize == 2 else GREY)))
        image = image.astype(dtype)
    elif dtype.kind == "b":
        image = draw(hnp.arrays(dtype, full))
    else:
        image = draw(hnp.arrays(dtype, full, elements=st.integers(-6 if dtype.kind == "i" else 0, 12)))
    blocked = draw(hnp.arrays(bool, shape, elements=st.sampled_from([False] * 5 + [True])))
    points = draw(st.lists(st.tuples(*(st.integers(0, n - 1) for n in shape)), min_size=1, max_size=4))
    for at in points:
        blocked[at] = False
        image[at] = np.where(np.isfinite(image[at]), image[at], 1)
    rule = ClickRule(
        criterion=draw(st.sampled_from(["running_mean", "fixed_range"])),
        connectivity=draw(st.integers(1, len(shape))),
        max_size=draw(st.sampled_from([None, None, 1, 3, 10])),
    )
    spacing = draw(st.sampled_from([(1.0,) * 3, (2.2, 1.0, 1.0), (0.3, 0.25, 0.25), (1.0, 7.0, 1.1)]))[: len(shape)]
    tolerance = draw(st.sampled_from([0, 0.5, 1, 2.5, 4, 7.3, 100, math.inf]))
    return image, spacing, points, tolerance, rule, blocked


def whole(region, shape):
    """Return the mask of a region in its frame."""
    mask = np.zeros(shape, bool)
    mask[region.box] = region.mask
    assert region.size == mask.sum()
    return mask


def begin_with(patch, side):
    """Let windows begin with a few pixels, with room for few more, and queues with one."""
    patch.setattr(click_window, "FIRST_SIDE", {2: side, 3: side})
    patch.setattr(click_window, "ROOM_SIDE", {2: side + 2, 3: side + 2})
    patch.setattr(growth, "QUEUE", 1)


def frame_of(image, spacing, rule, blocked=None, channels=0):
    shape = image.shape[: len(spacing)]
    reader = None if blocked is None else lambda box: blocked[box]
    return ClickFrame(lambda box: image[box], shape, image.dtype, spacing, channels, rule=rule, blocked=reader)


def grown(frame, points, tolerance):
    frame.start(np.array(points), tolerance)
    return frame.finish()


@settings(max_examples=300, deadline=None)
@given(cases(), st.integers(1, 9), st.sampled_from([2, 3, 128]))
def test_clicks_grow_by_definition(case, budget, side):
    """In any slices of work, and from windows of a few pixels that become larger on the way."""
    image, spacing, points, tolerance, rule, blocked = case
    steps = list(neighbours(spacing, rule.connectivity))
    expected, ended = by_definition(image[..., None], points, rule.criterion, tolerance, steps, rule.max_size, blocked)
    frame = frame_of(image, spacing, rule, blocked)
    with pytest.MonkeyPatch.context() as patch:
        begin_with(patch, side)
        frame.start(np.array(points), tolerance)
        while not frame.step(budget):
            now = frame.region
            assert now.ended is None
            assert not (whole(now, image.shape) & (expected == 0)).any()
    np.testing.assert_array_equal(whole(frame.region, image.shape), expected > 0)
    assert frame.region.ended == ended
    assert frame.region.box == ndimage.find_objects((expected > 0).astype(int))[0]


@settings(max_examples=150, deadline=None)
@given(cases(channels=3), st.sampled_from([2, 128]))
def test_channels_are_compared_by_euclidean_distance(case, side):
    image, spacing, points, tolerance, rule, blocked = case
    steps = list(neighbours(spacing, rule.connectivity))
    expected, ended = by_definition(image, points, rule.criterion, tolerance, steps, rule.max_size, blocked)
    with pytest.MonkeyPatch.context() as patch:
        begin_with(patch, side)
        region = grown(frame_of(image, spacing, rule, blocked, channels=3), points, tolerance)
    np.testing.assert_array_equal(whole(region, blocked.shape), expected > 0)
    assert region.ended == ended


@settings(max_examples=150, deadline=None)
@given(cases(), st.sampled_from([2, 128]))
def test_points_compete_by_definition(case, side):
    image, spacing, points, tolerance, rule, blocked = case
    steps = list(neighbours(spacing, rule.connectivity))
    expected, ended = by_definition(
        image[..., None], points, rule.criterion, tolerance, steps, rule.max_size, blocked, compete=True
    )
    with pytest.MonkeyPatch.context() as patch:
        begin_with(patch, side)
        regions = grow_competing(frame_of(image, spacing, rule, blocked), np.array(points), tolerance)
    labels = np.zeros(image.shape, np.uint32)
    labels[regions.box] = regions.labels
    np.testing.assert_array_equal(labels, expected)
    assert regions.labels.dtype == np.uint32
    assert regions.sizes.tolist() == [int((expected == k + 1).sum()) for k in range(len(points))]
    assert regions.ended == ended


@pytest.mark.parametrize("channels", [0, 1])
def test_growth_goes_on_at_the_neighbour_where_it_had_to_read(channels):
    """The pixel above is turned away before the mean has moved towards it, and nobody asks it again."""
    image = np.array([[200, 16, 200], [14, 10, 200], [200, 200, 200]], np.uint8).reshape(3, 3, *[1] * channels)
    with pytest.MonkeyPatch.context() as patch:
        begin_with(patch, 2)
        frame = frame_of(image, (1, 1), ClickRule(), channels=channels)
        assert grown(frame, [(1, 1)], 5).size == 2
        assert grow_competing(frame, [(1, 1)], 5).sizes.tolist() == [2]


@pytest.mark.parametrize(
    "dtype",
    ["uint8", "uint16", "float32", *(pytest.param(rare, marks=pytest.mark.long) for rare in ("int32", "float64"))],
)
@pytest.mark.parametrize("criterion", ["running_mean", "fixed_range"])
@pytest.mark.parametrize("shape", [(300, 400), (40, 70, 90)])
def test_clicks_are_those_of_grow(dtype, criterion, shape):
    """Across many windows, with the whole queue carried on."""
    image = ndimage.gaussian_filter(np.random.default_rng(3).normal(0, 200, shape), 2)
    image = (image + 100).clip(0, 255).astype(dtype)
    point = np.unravel_index(np.abs(image - 100.0).argmin(), shape)
    expected = grow(image, [point], criterion, 40, 2, max_size=60_000) > 0
    assert 20_000 < expected.sum() <= 60_000
    frame = frame_of(image, (1,) * len(shape), ClickRule(criterion, connectivity=2, max_size=60_000))
    np.testing.assert_array_equal(whole(grown(frame, [point], 40), shape), expected)
    many = np.random.default_rng(0).integers(0, shape, (40, len(shape)))
    labels = grow(image, many, criterion, 12, 2, max_size=60_000)
    regions = grow_competing(frame, many, 12)
    np.testing.assert_array_equal(labels[regions.box], regions.labels)
    assert np.count_nonzero(labels) == regions.sizes.sum()


def test_another_tolerance_begins_anew():
    """More often than there are stamps, and after windows became larger."""
    rng = np.random.default_rng(0)
    image = ndimage.gaussian_filter(rng.normal(0, 600, (300, 300)), 3).clip(-128, 127).astype(np.int16)
    frame = frame_of(image, (1, 1), ClickRule())
    frame.start((150, 150), 1)
    for _ in range(300):
        tolerance = float(rng.choice([2, 10, 20, 40, 60]))
        frame.retune(tolerance)
        if rng.random() < 0.3:
            frame.step(3)
            continue
        region = frame.finish()
        np.testing.assert_array_equal(
            whole(region, image.shape), grow(image, [(150, 150)], "running_mean", tolerance) > 0
        )


@pytest.mark.parametrize("spacing", [(2.18, 1, 1), (1, 1, 1), (0.5, 0.5, 0.1)])
@pytest.mark.parametrize("connectivity", [1, 2, 3])
def test_neighbours_are_physical(spacing, connectivity):
    found = {tuple(step) for step in physical_steps(spacing, connectivity).tolist()}
    assert found == set(neighbours(spacing, connectivity))
    assert (
        len(found)
        == {
            (2.18, 1, 1): [6, 6 + 4, 6 + 4],
            (1, 1, 1): [6, 18, 26],
            (0.5, 0.5, 0.1): [6, 6, 6],
        }[spacing][connectivity - 1]
    )


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([(30, 41), (1, 50), (14, 12, 17)]),
    st.sampled_from([0.4, 1.0, 2.3]),
    st.booleans(),
    st.booleans(),
    st.data(),
)
def test_prepared_windows_are_cut_from_the_whole(shape, sigma, edges, holes, data):
    """Smoothing and edges, with and without missing values, bit by bit."""
    image = np.random.default_rng(data.draw(st.integers(0, 9))).normal(100, 30, shape).astype(np.float32)
    if holes:
        image[np.random.default_rng(1).random(shape) < 0.05] = np.nan
        image[(1,) * len(shape) if shape[0] > 1 else (0, 1)] = np.inf
    frame = click_window.Frame(
        lambda box: image[box], shape, image.dtype, (1.5, 1.0, 1.0)[: len(shape)], 0, sigma, edges, None
    )
    everything = frame.prepared(tuple(slice(0, n) for n in shape))
    ends = [sorted(data.draw(st.lists(st.integers(0, n), min_size=2, max_size=2, unique=True))) for n in shape]
    box = tuple(slice(*pair) for pair in ends)
    np.testing.assert_array_equal(frame.prepared(box), everything[box])
    assert np.isnan(everything).any() == holes
    assert np.array_equal(np.isnan(everything), ~np.isfinite(image))


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from(["running_mean", "edge_stopped"]), st.sampled_from([0.0, 0.8]))
def test_windows_change_nothing_when_the_image_is_prepared(case, criterion, smoothing):
    """Any image has a first tolerance, and gives the same region from large and small windows, smoothed or by edges."""
    image, spacing, points, _, rule, blocked = case
    rule = ClickRule(criterion, rule.connectivity, smoothing, fill_holes=True)
    regions = []
    tolerance = frame_of(image, spacing, rule, blocked).estimate_tolerance(np.array(points[0]))
    assert tolerance >= 0 if criterion == "edge_stopped" else tolerance > 0
    for side in (2, 128):
        with pytest.MonkeyPatch.context() as patch:
            begin_with(patch, side)
            regions.append(whole(grown(frame_of(image, spacing, rule, blocked), points, tolerance), image.shape))
    np.testing.assert_array_equal(*regions)


def test_smoothing_is_the_gaussian():
    image = np.random.default_rng(0).normal(0, 1, (40, 50))
    expected = ndimage.gaussian_filter(image, (2.0, 1.0), mode="nearest")
    np.testing.assert_allclose(smooth(image, (2.0, 1.0)), expected, atol=1e-12)
    holed = image.copy()
    holed[20, 20] = np.nan
    weights = ndimage.gaussian_filter(np.isfinite(holed).astype(float), (2.0, 1.0), mode="nearest")
    expected = ndimage.gaussian_filter(np.nan_to_num(holed), (2.0, 1.0), mode="nearest") / weights
    expected[20, 20] = np.nan
    np.testing.assert_allclose(smooth(holed, (2.0, 1.0)), expected, atol=1e-12)


def test_edges_are_those_of_gaussian_derivatives_in_physical_units():
    z, y, x = np.mgrid[:20, :20, :20].astype(float)
    ramp = 3.0 * (z * 2.5) + 4.0 * y + 12.0 * x
    strength = edge_strength(ramp, (0.4, 1.0, 1.0), (2.5, 1.0, 1.0))
    np.testing.assert_allclose(strength[5:-5, 5:-5, 5:-5], 13.0)
    image = np.random.default_rng(0).normal(0, 1, (40, 50))
    expected = ndimage.gaussian_gradient_magnitude(image, 1.5, mode="nearest")
    np.testing.assert_allclose(edge_strength(image, (1.5, 1.5), (1, 1)), expected, rtol=0.01, atol=0.005)


@pytest.mark.parametrize("channels", [0, 2])
def test_edges_stop_the_growth(channels):
    """Two slopes with an edge between them: the grey levels overlap, and still the region ends on the edge."""
    x = np.arange(120.0)
    image = np.where(x < 60, 2 * x, 2 * x - 100)[None].repeat(80, axis=0).astype(np.float32)
    image = np.stack([image, image], axis=-1) if channels else image
    frame = frame_of(image, (1, 1), ClickRule("edge_stopped"), channels=channels)
    region = grown(frame, [(40, 20)], 6.0)
    np.testing.assert_array_equal(whole(region, (80, 120)), (x < 60)[None].repeat(80, axis=0))
    assert region.box == (slice(0, 80), slice(0, 60))
    assert region.size == 80 * 60
    assert frame.estimate_tolerance((40, 20)) > 0


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(bool, st.one_of(hnp.array_shapes(min_dims=2, max_dims=2), hnp.array_shapes(min_dims=3, max_dims=3))))
def test_holes_are_filled_as_by_scipy(mask):
    np.testing.assert_array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))


def test_holes_are_filled_within_blocks_and_size():
    image = np.full((30, 30), 10, np.uint8)
    image[10:20, 10:20] = 200
    blocked = np.zeros(image.shape, bool)
    blocked[12, 12:15] = True
    region = grown(frame_of(image, (1, 1), ClickRule(fill_holes=True), blocked), [(0, 0)], 5)
    assert region.size == 900 - 3
    assert not (whole(region, image.shape) & blocked).any()
    region = grown(frame_of(image, (1, 1), ClickRule(fill_holes=True, max_size=850), blocked), [(0, 0)], 5)
    assert (region.size, region.ended) == (800, "whole")
    regions = grow_competing(frame_of(image, (1, 1), ClickRule(fill_holes=True)), [(0, 0), (12, 12)], 5)
    assert regions.sizes.tolist() == [800, 100]
    regions = grow_competing(frame_of(image, (1, 1), ClickRule(fill_holes=True), blocked), [(0, 0)], 5)
    assert regions.sizes.tolist() == [897]


def test_only_what_is_near_is_read():
    """A click on a small object in an image that is too large to exist."""
    read = []

    def reader(box):
        read.append(math.prod(part.stop - part.start for part in box))
        y, x = (np.arange(part.start, part.stop) for part in box)
        return ((abs(y - 500_000)[:, None] < 200) & (abs(x - 600_000) < 300)).astype(np.uint8)

    frame = ClickFrame(reader, (10**6, 10**6), np.uint8, (1, 1), rule=ClickRule())
    region = grown(frame, [(500_000, 600_000)], 0.5)
    assert region.size == 399 * 599
    assert sum(read) < 10 * region.size
    before = len(read)
    frame.retune(0.5)
    assert frame.finish().size == region.size
    assert len(read) == before
    limited = ClickFrame(reader, (10**6, 10**6), np.uint8, (1, 1), rule=ClickRule(most_loaded=100_000))
    read.clear()
    region = grown(limited, [(500_000, 600_000)], 0.5)
    assert region.ended == "loaded"
    assert 10_000 < region.size <= sum(read) <= 100_000


def test_changes_of_image_and_blocks_are_seen_by_the_next_click():
    image, blocked = np.zeros((20, 20), np.uint8), np.zeros((20, 20), bool)
    frame = frame_of(image, (1, 1), ClickRule(), blocked)
    assert grown(frame, [(5, 5)], 1).size == 400
    blocked[:, 10] = True
    image[:, 8] = 50
    assert grown(frame, [(5, 5)], 1).size == 160


@pytest.mark.parametrize("channels", [0, 1])
def test_growth_goes_on_at_the_neighbour_where_its_queue_was_used_up(channels):
    """The pixel in the first corner is turned away before the mean has moved towards it, and nobody asks it again."""
    image = np.array([[16, 200, 14], [200, 10, 14], [14, 14, 14]], np.uint8).reshape(3, 3, *[1] * channels)
    with pytest.MonkeyPatch.context() as patch:
        begin_with(patch, 128)
        frame = frame_of(image, (1, 1), ClickRule(connectivity=2), channels=channels)
        assert grown(frame, [(1, 1)], 5).size == 6
        assert grow_competing(frame, [(1, 1)], 5).sizes.tolist() == [6]


def test_windows_move_to_larger_memory():
    """A winding path, wider than the first room, in any direction."""
    path = np.zeros((120, 150), bool)
    path[::4], path[2::8, -1], path[6::8, 0] = True, True, True
    path[1::8, -1], path[3::8, -1], path[5::8, 0], path[7::8, 0] = True, True, True, True
    image = np.where(path, 100, 0).astype(np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        begin_with(patch, 8)
        for at in ((60, 75), (0, 0), (116, 149)):
            np.testing.assert_array_equal(whole(grown(frame_of(image, (1, 1), ClickRule()), [at], 5), path.shape), path)


def test_the_memory_of_a_click_serves_the_next():
    """But never two at once, and what stood in it has no say."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 60, (1500, 1500)).astype(np.uint8) for _ in range(3)]
    first, second = (frame_of(image, (1, 1), ClickRule()) for image in images[:2])
    for frame in (first, second):
        frame.start((750, 750), 10)
        frame.step(100)
    arrays = [first._growth.window.stamps, first._growth.window.values, second._growth.window.stamps]
    assert not any(np.shares_memory(a, second._growth.window.values) for a in arrays)
    for frame, image in zip((first, second), images, strict=False):
        np.testing.assert_array_equal(
            whole(frame.finish(), image.shape), grow(image, [(750, 750)], "running_mean", 10) > 0
        )
    places = {frame._growth.window.stamps.ctypes.data for frame in (first, second)}
    places |= {frame._growth.window.values.ctypes.data for frame in (first, second)}
    del first, second, frame, arrays
    assert len(borrowing._kept) <= borrowing.MOST_KEPT
    third = frame_of(images[2], (1, 1), ClickRule())
    region = grown(third, [(750, 750)], 10)
    assert third._growth.window.stamps.ctypes.data in places
    np.testing.assert_array_equal(whole(region, images[2].shape), grow(images[2], [(750, 750)], "running_mean", 10) > 0)


def test_a_click_can_be_cancelled():
    frame = frame_of(np.zeros((900, 900), np.uint8), (1, 1), ClickRule())
    with pytest.raises(JobCancelledError):
        grow_competing(frame, [(5, 5), (800, 800)], 1, stop=lambda: True)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda frame: frame.start((1, 1), 1), "NaN"),
        (lambda frame: frame.start((2, 2), 1), "labelled"),
        (lambda frame: frame.start((0, 20), 1), "outside"),
        (lambda frame: frame.start((-1, 0), 1), "outside"),
        (lambda frame: frame.start((1.0, 0.0), 1), "round them"),
        (lambda frame: frame.start((1, 0, 0), 1), "fit no image"),
        (lambda frame: frame.start(np.zeros((0, 2), int), 1), "fit no image"),
        (lambda frame: frame.start((0, 0), -1), "Tolerance"),
        (lambda frame: frame.start((0, 0), math.nan), "Tolerance"),
        (lambda frame: frame.retune(1), "click on an object"),
        (lambda frame: frame.step(), "click on an object"),
        (lambda frame: frame.region, "click on an object"),
        (lambda frame: frame.estimate_tolerance((1, 1)), "NaN"),
        (lambda frame: grow_competing(frame, [(0, 0), (1, 1)], 1), "NaN"),
        (lambda frame: grow_competing(frame, [(0, 0), (2, 1)], [1, 1, 1]), "3 tolerances"),
        (lambda frame: grow_competing(frame, [(0, 0)], -1), "below 0"),
        (lambda frame: frame_of(np.zeros((2, 2)), (1, 1), ClickRule(connectivity=3)), "Connectivity"),
        (lambda frame: frame_of(np.zeros((2, 2)), (1, 0), ClickRule()), "scale"),
        (lambda frame: frame_of(np.zeros((2, 2), complex), (1, 1), ClickRule()), "complex"),
        (lambda frame: frame_of(np.zeros((2, 2, 2, 2)), (1,) * 4, ClickRule()), "dimensions"),
        (lambda frame: ClickRule(criterion="median"), "not known"),
        (lambda frame: ClickRule(max_size=0), "at most 0"),
        (lambda frame: ClickRule(smoothing=-1), "Smoothing"),
        (lambda frame: ClickRule(most_loaded=0), "read 0"),
    ],
)
def test_bad_input_is_refused(act, message):
    image, blocked = np.zeros((20, 20)), np.zeros((20, 20), bool)
    image[1, 1], blocked[2, 2] = np.nan, True
    with pytest.raises(InvalidInputError, match=message):
        act(frame_of(image, (1, 1), ClickRule(), blocked))


def test_a_refused_click_leaves_nothing_pending():
    image = np.zeros((20, 20))
    image[1, 1] = np.nan
    frame = frame_of(image, (1, 1), ClickRule())
    assert grown(frame, [(0, 0)], 1).size == 399
    with pytest.raises(InvalidInputError):
        frame.start((1, 1), 1)
    with pytest.raises(InvalidInputError, match="click on an object"):
        frame.step()


@pytest.mark.parametrize("dtype", ["bool", "uint16", "float32"])
@pytest.mark.parametrize("value", [0, 1])
def test_a_plain_has_a_tolerance_that_takes_it_whole(dtype, value):
    image = np.full((300, 310), value, dtype)
    frame = frame_of(image, (1, 1), ClickRule())
    assert grown(frame, [(150, 20)], frame.estimate_tolerance((150, 20))).size == image.size


def test_a_noisy_plain_is_taken_nearly_whole():
    image = np.random.default_rng(0).normal(1000, 12, (600, 600)).astype(np.float32)
    frame = frame_of(image, (1, 1), ClickRule(fill_holes=True))
    tolerance = frame.estimate_tolerance((300, 300))
    assert 30 < tolerance < 60
    assert grown(frame, [(300, 300)], tolerance).size > 0.97 * image.size


@pytest.mark.parametrize("criterion", ["running_mean", "fixed_range"])
def test_first_clicks_take_the_objects_of_samples(criterion):
    """Coins: nobody has touched the tolerance."""
    image = samples.coins()
    labels = measure.label(ndimage.binary_opening(ndimage.gaussian_filter(image, 2) > 110, iterations=3))
    good = []
    for part in measure.regionprops(labels):
        point = np.array(part.centroid).round().astype(int)
        if part.area < 500 or labels[tuple(point)] != part.label:
            continue
        frame = frame_of(image, (1, 1), ClickRule(criterion, fill_holes=True))
        mask = whole(grown(frame, [point], frame.estimate_tolerance(point)), image.shape)
        truth = labels == part.label
        good.append((mask & truth).sum() / (mask | truth).sum())
    assert len(good) > 15
    assert np.mean(np.array(good) > 0.5) >= 0.9


def test_a_first_click_in_a_volume_takes_a_ball():
    z, y, x = np.ogrid[:30, :60, :60]
    ball = ((z - 15) * 2.2) ** 2 + (y - 30) ** 2 + (x - 30) ** 2 < 15**2
    image = ndimage.gaussian_filter(np.where(ball, 900.0, 100.0), (0.5, 1, 1))
    image = np.random.default_rng(0).poisson(image).astype(np.uint16)
    for criterion in ("running_mean", "fixed_range"):
        frame = frame_of(image, (2.2, 1, 1), ClickRule(criterion, fill_holes=True))
        mask = whole(grown(frame, [(15, 30, 30)], frame.estimate_tolerance((15, 30, 30))), ball.shape)
        assert (mask & ball).sum() > 0.8 * (mask | ball).sum()


def test_warming_up_takes_any_frame():
    for ndim, dtype, channels, criterion in product((2, 3), ("uint8", ">u2"), (0, 3), ("running_mean", "edge_stopped")):
        warm_up(ndim, dtype, channels, ClickRule(criterion, fill_holes=True))


def test_regions_between_edges_end_on_them_and_keep_to_what_they_may_have():
    """A bright disc on a dark ground, both blurred: the region is the disc, whatever lies round it."""
    y, x = np.mgrid[:60, :90]
    truth = np.hypot(y - 30, x - 40) < 18
    image = ndimage.gaussian_filter(20.0 + 100.0 * truth, 1.5).astype(np.float32)
    plain = ClickRule("edge_stopped")
    region = grown(frame_of(image, (1, 1), plain), [(30, 40)], 10.0)
    mask = whole(region, truth.shape)
    assert (mask & truth).sum() / (mask | truth).sum() > 0.95
    assert region.size == mask.sum()
    # what may not be entered is not climbed over either
    wall = np.zeros(truth.shape, bool)
    wall[:, 55:] = True
    beside = grown(frame_of(image, (1, 1), plain, blocked=wall), [(30, 40)], 10.0)
    np.testing.assert_array_equal(whole(beside, truth.shape), mask & ~wall)
    # a limit that the last step would exceed: the region stays as the edges have stopped it
    stopped = ndimage.label(edge_strength(image, (1.0, 1.0), (1.0, 1.0)) <= 10.0)[0]
    before = stopped == stopped[30, 40]
    assert before.sum() < region.size
    limited = grown(frame_of(image, (1, 1), ClickRule("edge_stopped", max_size=region.size - 1)), [(30, 40)], 10.0)
    np.testing.assert_array_equal(whole(limited, truth.shape), before)


def test_competing_regions_of_millions_of_large_integers_are_summed_exactly():
    image = np.full((1500, 1500), 2**32 - 1, np.uint32)  # 2^21 of these sum up to more than floats tell apart
    image[-1] -= 3 + np.arange(1500, dtype=np.uint32) % 3
    expected = grow(image, [(0, 0)], "running_mean", 4.0)
    assert np.count_nonzero(expected[-1]) == 1000
    regions = grow_competing(frame_of(image, (1, 1), ClickRule()), [(0, 0)], 4.0)
    np.testing.assert_array_equal(regions.labels, expected[regions.box])
    assert regions.sizes.tolist() == [np.count_nonzero(expected)]


def test_competing_regions_end_on_edges_and_not_in_each_other():
    y, x = np.mgrid[:60, :110]
    one, other = np.hypot(y - 30, x - 30) < 18, np.hypot(y - 30, x - 75) < 18
    image = ndimage.gaussian_filter(20.0 + 100.0 * one + 160.0 * other, 1.5).astype(np.float32)
    frame = frame_of(image, (1, 1), ClickRule("edge_stopped"))
    regions = grow_competing(frame, [(30, 30), (30, 75)], 10.0)
    labels = np.zeros(image.shape, np.uint32)
    labels[regions.box] = regions.labels
    for number, truth in ((1, one), (2, other)):
        assert ((labels == number) & truth).sum() / ((labels == number) | truth).sum() > 0.95
    alone = grown(frame, [(30, 30)], 10.0)
    np.testing.assert_array_equal(labels == 1, whole(alone, image.shape))
    assert regions.sizes.tolist() == [(labels == 1).sum(), (labels == 2).sum()]
    assert regions.box == ndimage.find_objects((labels > 0).astype(int))[0]

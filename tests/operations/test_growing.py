"""Regions grow exactly as the definition says, whatever the image, the seeds and the way the work is cut."""

import math
from collections import deque
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.growing.engine import grower as growing
from napari_tessera.operations.growing.engine.grower import Grower, grow


def by_definition(image, seeds, criterion, tolerance, connectivity, max_size):  # noqa: C901
    """Grow with lists and Python's numbers, word for word as the module says; seeds is a list of lists of pixels."""
    steps = [s for s in product((-1, 0, 1), repeat=image.ndim) if 0 < sum(map(abs, s)) <= connectivity]
    value = (lambda at: int(image[at])) if image.dtype.kind in "biu" else (lambda at: float(image[at]))
    labels = np.zeros(image.shape, int)
    joined = [[] for _ in seeds]
    queue = deque()
    for region, pixels in enumerate(seeds):
        for at in pixels:
            if not labels[at]:
                labels[at] = region + 1
                joined[region].append(value(at))
                queue.append(at)
    first = [list(values) for values in joined]
    while queue:
        here = queue.popleft()
        region = labels[here] - 1
        for step in steps:
            there = tuple(a + b for a, b in zip(here, step, strict=True))
            if any(a < 0 or a >= n for a, n in zip(there, image.shape, strict=True)) or labels[there]:
                continue
            if max_size is not None and len(joined[region]) >= max_size:
                continue
            known = joined[region] if criterion == "running_mean" else first[region]
            total = 0
            for one in known:
                total += one
            distance, limit = abs(total - value(there) * len(known)), tolerance * len(known)
            if criterion == "fixed_range":
                limit = math.nextafter(tolerance, math.inf) * len(known)
            if distance < limit:
                labels[there] = region + 1
                joined[region].append(value(there))
                queue.append(there)
    return labels


shapes = st.one_of(
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), hnp.array_shapes(min_dims=3, max_dims=3, max_side=5)
)
kinds = st.sampled_from(["bool", "uint8", "int16", "int64", "uint64", "float32"])


@st.composite
def cases(draw):
    shape, dtype = draw(shapes), np.dtype(draw(kinds))
    if dtype.kind == "f":
        image = draw(hnp.arrays(dtype, shape, elements=st.sampled_from([0.1, 0.25, 1.5, 2.75, -3.0, np.nan, np.inf])))
    elif dtype.kind == "b":
        image = draw(hnp.arrays(dtype, shape))
    else:
        low = -6 if dtype.kind == "i" else 0
        image = draw(hnp.arrays(dtype, shape, elements=st.integers(low, 12)))
    points = draw(st.lists(st.tuples(*(st.integers(0, n - 1) for n in shape)), max_size=4))
    points = [at for at in points if np.isfinite(image[at])]
    assume((len(points), len(shape)) != shape)  # such points are labels
    criterion = draw(st.sampled_from(["running_mean", "fixed_range"]))
    tolerance = draw(st.sampled_from([0, 0.5, 1, 2.5, 4, 7.3, 100, math.inf]))
    connectivity = draw(st.integers(1, len(shape)))
    return image, points, criterion, tolerance, connectivity, draw(st.sampled_from([None, 1, 3, 10]))


@settings(max_examples=300, deadline=None)
@given(cases(), st.booleans())
def test_points_grow_by_definition(case, reversed_bytes):
    image, points, *how = case
    expected = by_definition(image, [[at] for at in points], *how)
    if reversed_bytes:
        image = np.asfortranarray(image.astype(image.dtype.newbyteorder()))
    labels = grow(image, np.array(points, int).reshape(-1, image.ndim), *how)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, expected)


@settings(max_examples=200, deadline=None)
@given(cases(), st.data())
def test_labels_grow_by_definition(case, data):
    image, _, *how = case
    seeds = data.draw(hnp.arrays(np.int64, image.shape, elements=st.sampled_from([0, 0, 0, 3, 70_000, 2**40])))
    seeds[~np.isfinite(image)] = 0
    ids = [int(i) for i in np.unique(seeds) if i]
    pixels = [[tuple(at) for at in np.argwhere(seeds == i).tolist()] for i in ids]
    expected = np.array([0, *ids])[by_definition(image, pixels, *how)]
    np.testing.assert_array_equal(grow(image, seeds, *how), expected)


@settings(max_examples=150, deadline=None)
@given(cases(), st.integers(1, 5))
def test_slices_of_work_change_nothing(case: Any, slice_: int) -> None:
    image, points, *how, connectivity, max_size = case
    grower = Grower(image, connectivity)
    whole = grow(image, np.array(points, int).reshape(-1, image.ndim), *how, connectivity, max_size)
    for _ in range(2):
        grower.start(np.array(points, int).reshape(-1, image.ndim), *how, max_size)
        while not grower.step(slice_):
            inside = np.zeros(image.shape, bool)
            inside[grower.bounds] = grower.mask
            assert inside.sum() == grower.sizes.sum()
        np.testing.assert_array_equal(grower.labels(), whole)
        np.testing.assert_array_equal(grower.sizes, np.bincount(whole.ravel(), minlength=len(points) + 1)[1:])
        found = ndimage.find_objects((whole > 0).astype(int))
        assert grower.bounds == (found[0] if found else (slice(0, 0),) * image.ndim)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_grower_runs_again_and_again(ndim):
    """More often than there are stamps, stopped half-way, with few and with many regions."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 20, (23, 17, 11)[:ndim]).astype(np.uint16)
    grower = Grower(image)
    for run in range(700):
        seeds = rng.integers(0, image.shape, (int(rng.choice([1, 2, 100])) if run != 400 else 300, ndim))
        grower.start(seeds, "running_mean", 9)
        if run % 5 == 0:
            grower.step(3)
            continue
        grower.step()
        np.testing.assert_array_equal(grower.labels(), grow(image, seeds, "running_mean", 9))


def test_the_queue_grows_with_its_front(monkeypatch):
    image = np.random.default_rng(0).integers(0, 200, (40, 40, 40)).astype(np.uint8)
    expected = grow(image, [(20, 20, 20)], "running_mean", 60, 3)
    assert (expected > 0).sum() > 20_000
    monkeypatch.setattr(growing, "RING", 32)
    np.testing.assert_array_equal(grow(image, [(20, 20, 20)], "running_mean", 60, 3), expected)


def test_fixed_range_is_the_component_of_the_seed():
    image = np.random.default_rng(0).integers(0, 256, (60, 70)).astype(np.uint8)
    near = np.abs(image.astype(int) - int(image[30, 30])) <= 70
    components, _ = ndimage.label(near)
    np.testing.assert_array_equal(grow(image, [(30, 30)], "fixed_range", 70) > 0, components == components[30, 30])


def test_the_mean_of_integers_is_exact():
    """The mean is 1/3 below the top of the range: a mean rounded to float32 or to integers would be off."""
    image = np.array([[2**31 - 1, 2**31 - 1, 2**31 - 2, 2**31 - 3]], np.int32)
    seeds = np.array([[1, 1, 1, 0]])
    assert grow(image, seeds, "running_mean", 5 / 3)[0, 3] == 0
    assert grow(image, seeds, "running_mean", 1.6667)[0, 3] == 1


def test_large_unsigned_numbers_keep_their_meaning():
    image = np.array([[2**64 - 1, 2**64 - 4096, 5]], np.uint64)
    assert grow(image, [(0, 0)], "running_mean", 10_000).tolist() == [[1, 1, 0]]


def test_neighbours_compete_for_pixels_in_turn():
    image = np.zeros((1, 7), np.uint8)
    assert grow(image, [(0, 6), (0, 0)], "running_mean", 1).tolist() == [[2, 2, 2, 1, 1, 1, 1]]


def test_the_output_is_written_in_place():
    image = np.zeros((4, 6), np.uint8)
    out = np.full((4, 12), 9, np.uint8)[:, ::2]
    assert grow(image, [(0, 0)], "running_mean", 1, max_size=3, out=out) is out
    assert np.bincount(out.ravel()).tolist() == [21, 3]
    ids = np.where(np.arange(24).reshape(4, 6) == 0, 300, 0)
    with pytest.raises(InvalidInputError, match="do not fit into uint8"):
        grow(image, ids, "running_mean", 1, out=out)
    with pytest.raises(InvalidInputError, match="shape"):
        grow(image, ids, "running_mean", 1, out=out[:2])


def test_no_seeds_grow_nothing():
    image = np.zeros((4, 5), np.uint8)
    assert not grow(image, np.zeros((4, 5), int), "running_mean", 1).any()
    assert not grow(image, [], "running_mean", 1).any()
    assert not grow(np.zeros((0, 5)), [], "running_mean", 1).size


def test_one_point_stands_alone_and_means_are_told():
    grower = Grower(np.array([[1, 2, 9]], np.uint8))
    grower.start((0, 0), "running_mean", 2)
    assert grower.step()
    assert grower.means.tolist() == [1.5]
    assert grower.mask.tolist() == [[True, True]]


def test_an_image_that_changes_is_seen():
    """A contiguous image is not copied: edits between two runs count."""
    image = np.zeros((3, 5), np.uint8)
    grower = Grower(image)
    image[:, 2] = 9
    grower.start((0, 0), "running_mean", 1)
    grower.step()
    assert grower.sizes.tolist() == [6]


@pytest.mark.parametrize(
    ("seeds", "options", "message"),
    [
        ([(0, 5)], {}, "outside the image"),
        ([(-1, 0)], {}, "outside the image"),
        ([(0, 0, 0)], {}, "shape"),
        ([(0.5, 0)], {}, "round them"),
        ([(1, 1)], {}, "NaN"),
        ([(0, 0)], {"tolerance": -1}, "Tolerance"),
        ([(0, 0)], {"tolerance": math.nan}, "Tolerance"),
        ([(0, 0)], {"connectivity": 3}, "Connectivity"),
        ([(0, 0)], {"connectivity": 0}, "Connectivity"),
        ([(0, 0)], {"max_size": 0}, "at most 0"),
        ([(0, 0)], {"criterion": "median"}, "not known"),
        (np.full((4, 5), -1), {}, "relabel"),
    ],
)
def test_bad_input_is_refused(seeds, options, message):
    image = np.zeros((4, 5))
    image[1, 1] = np.nan
    with pytest.raises(InvalidInputError, match=message):
        grow(image, seeds, **{"criterion": "running_mean", "tolerance": 1, **options})


@pytest.mark.parametrize(
    "image", [np.zeros(5), np.zeros((2, 2, 2, 2)), np.zeros((2, 2), complex), np.zeros((1, 2**20 + 1), bool)]
)
def test_images_that_cannot_be_grown_in_are_refused(image):
    with pytest.raises(InvalidInputError):
        Grower(image)


def test_a_refused_seed_leaves_nothing_behind():
    image = np.zeros((4, 5))
    image[1, 1] = np.nan
    grower = Grower(image)
    with pytest.raises(InvalidInputError):
        grower.start([(0, 0), (1, 1)], "running_mean", 1)
    assert grower.done
    grower.start((3, 3), "running_mean", 1)
    grower.step()
    assert grower.sizes.tolist() == [19]

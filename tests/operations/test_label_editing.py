"""Objects corrected by hand: against plain oracles, and that nothing else is touched."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.labels import editing
from napari_tessera.operations.labels.cutting import split_along
from napari_tessera.operations.labels.editing import (
    delete_at,
    fill_holes_at,
    merge_across,
    piece_at,
    rasterised,
    smooth_outline_at,
)
from napari_tessera.operations.labels.finding import box_of, next_object

SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9)
SPARSE = hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 3), fill=st.just(0))


def blobs(seed, ndim, filled):
    """Return objects of some pixels, many of them touching, some within others."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(1, 4, (3,) * ndim) * (rng.random((3,) * ndim) < filled)
    fine = np.kron(coarse, np.ones((3,) * ndim, int)).astype(np.uint8)
    noise = np.asarray(rng.random(fine.shape) < 0.1)
    fine[noise] = rng.integers(0, 4, int(noise.sum()))
    return fine


LABELS = SPARSE | st.builds(blobs, st.integers(0, 10**6), st.sampled_from([2, 3]), st.floats(0.2, 1))


def applied(labels, edit):
    """Return the labels after an edit, having seen that the edit left them as they were."""
    after = labels.copy()
    if edit is not None:
        box, values = edit
        assert values.shape == after[box].shape
        assert values.dtype == labels.dtype
        after[box] = values
    return after


def around(ndim):
    return ndimage.generate_binary_structure(ndim, ndim)


def whole_piece(labels, point):
    pieces, _ = ndimage.label(labels == labels[point], around(labels.ndim))
    return pieces == pieces[point]


def points_of(array):
    return st.tuples(*(st.integers(0, n - 1) for n in array.shape))


def lines_of(array):
    coordinates = st.tuples(*(st.floats(-3, n + 3) for n in array.shape))
    return st.lists(coordinates, min_size=1, max_size=4).map(np.array)


def disc(shape, centre, radius):
    return ((np.indices(shape) - np.reshape(centre, (-1,) + (1,) * len(shape))) ** 2).sum(0) < radius**2


# Finding


@given(st.data(), LABELS, st.integers(0, 3))
def test_a_piece_is_found_by_looking_outward(data, labels, reach):
    point = data.draw(points_of(labels))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(editing, "_FIRST_REACH", reach)
        piece = piece_at(labels, point)
    if labels[point] == 0:
        assert piece is None
        return
    expected = whole_piece(labels, point)
    (box,) = ndimage.find_objects(expected.astype(int))
    assert (piece.number, piece.box) == (labels[point], box)
    np.testing.assert_array_equal(piece.mask, expected[box])


def test_nothing_is_outside():
    assert piece_at(np.ones((3, 3), int), (-1, 0)) is None
    assert piece_at(np.ones((3, 3), int), (0, 3)) is None


def test_little_of_a_large_array_is_touched():
    labels = np.zeros((20000, 20000), np.uint32)
    labels[5000:5300, 7000:7300] = 9
    labels[5100:5110, 7100:7110] = 0
    tracemalloc.start()
    try:
        for edit in (delete_at, fill_holes_at):
            edit(labels, (5200, 7200))
        smooth_outline_at(labels, (5200, 7200), 2)
        split_along(labels, np.array([[4990, 7150], [5310, 7150]]), 10)
        merge_across(labels, np.array([[4990, 7150], [5310, 7150]]))
        assert tracemalloc.get_traced_memory()[1] < 2e7
    finally:
        tracemalloc.stop()


@given(hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=5, max_side=5), elements=st.integers(0, 4)))
def test_boxes_of_labels(labels):
    boxes = ndimage.find_objects(labels.astype(int), max_label=5)
    for number, box in enumerate(boxes, 1):
        assert box_of(labels, number) == box


@given(hnp.arrays(np.int32, SHAPES, elements=st.integers(-3, 6)), st.integers(-4, 7))
def test_the_next_object_and_the_one_before(labels, number):
    ids = [int(i) for i in np.unique(labels) if i != 0]
    if not ids:
        assert next_object(labels, number) is None
        return
    after = [i for i in ids if i > number] or ids
    before = [i for i in ids if i < number] or ids
    assert next_object(labels, number, 1) == (after[0], box_of(labels, after[0]))
    assert next_object(labels.T[::-1].T, number, -1)[0] == before[-1]


def test_empty_arrays_hold_no_objects():
    empty = np.zeros((0, 4), np.uint8)
    assert box_of(empty, 1) is None
    assert box_of(np.ones((2, 2), np.uint8), 300) is None
    assert next_object(empty, 1) is None


# Lines


@given(st.data(), LABELS)
def test_pixels_of_a_line_share_sides_and_lie_on_it(data, labels):
    line = data.draw(lines_of(labels))
    path = rasterised(line)
    assert (np.abs(np.diff(path, axis=0)).sum(1) == 1).all()
    np.testing.assert_array_equal(path[[0, -1]], np.floor(line[[0, -1]] + 0.5))
    ends = [*pairwise(line)] or [(line[0], line[0])]
    for pixel in path:
        assert min(distance(pixel, *pair) for pair in ends) < 1.5


def distance(point, start, stop):
    way = stop - start
    share = np.clip((point - start) @ way / ((way @ way) or 1), 0, 1)
    return np.abs(start + share * way - point).max()


def test_a_line_needs_points():
    with pytest.raises(InvalidInputError, match="draw it"):
        rasterised(np.zeros((0, 2)))
    with pytest.raises(InvalidInputError, match="draw it"):
        split_along(np.ones((5, 5), np.uint8), np.array([[1, 1], [1, 1.2]]), 2)
    with pytest.raises(InvalidInputError, match="slice"):
        split_along(np.ones((5, 5, 5), np.uint8), np.array([[0, 0, 0], [4, 4, 4]]), 2)


# Deleting, filling, smoothing


@given(st.data(), LABELS)
def test_deleting_and_filling(data, labels):
    point = data.draw(points_of(labels))
    number = int(labels[point])
    for edit in (delete_at, fill_holes_at):
        assert edit(labels, point, locked={number}) is None
    deleted, filled = (applied(labels, edit(labels, point)) for edit in (delete_at, fill_holes_at))
    if number == 0:
        expected_deleted = expected_filled = labels
    else:
        piece = whole_piece(labels, point)
        expected_deleted = np.where(piece, 0, labels)
        expected_filled = np.where(ndimage.binary_fill_holes(piece) & (labels == 0), number, labels)
    np.testing.assert_array_equal(deleted, expected_deleted)
    np.testing.assert_array_equal(filled, expected_filled)


def test_what_lies_in_a_hole_stays():
    labels = disc((40, 40), (20, 20), 15).astype(np.uint8) * 3
    labels[disc((40, 40), (20, 20), 8)] = 0
    labels[disc((40, 40), (20, 20), 4)] = 7
    filled = applied(labels, fill_holes_at(labels, (20, 7)))
    np.testing.assert_array_equal(filled == 7, labels == 7)
    np.testing.assert_array_equal(filled != 0, disc((40, 40), (20, 20), 15))


@settings(deadline=None)
@given(st.data(), LABELS, st.floats(0.1, 4))
def test_smoothing_enters_no_other_object(data, labels, radius):
    point = data.draw(points_of(labels))
    number = int(labels[point])
    assert smooth_outline_at(labels, point, radius, locked={number}) is None
    after = applied(labels, smooth_outline_at(labels, point, radius))
    others = (labels != 0) & (labels != number)
    np.testing.assert_array_equal(after[others], labels[others])
    assert set(np.unique(after)) <= {0, *np.unique(labels)}
    if number:
        assert (after == number).any()


def test_smoothing_takes_away_spurs_and_fills_notches():
    clean = disc((120, 120), (60, 60), 40)
    labels = clean.astype(np.uint16) * 300
    labels[60, 95:115] = 300
    labels[60, 20:30] = 0
    smooth = applied(labels, smooth_outline_at(labels, (60, 60), 3)) == 300
    assert not smooth[60, 106:].any()
    assert smooth[60, 25:30].all()
    assert (smooth != clean).sum() < 0.03 * clean.sum()
    assert smooth_outline_at(labels, (60, 60), 0) is None


def test_smoothing_goes_around_what_it_encloses():
    labels = disc((60, 60), (30, 30), 25).astype(np.uint8)
    labels[28:31, 28:31] = 2
    labels[20:22, 28:31] = 0
    after = applied(labels, smooth_outline_at(labels, (10, 30), 3))
    np.testing.assert_array_equal(after == 2, labels == 2)
    assert (after[20:22, 28:31] == 1).all()
    assert smooth_outline_at(labels, (10, 30), 3, locked={1}) is None


def test_smoothing_knows_how_large_pixels_are():
    labels = np.zeros((9, 60, 60), np.uint8)
    labels[2:7, 10:50, 10:50] = 1
    labels[4, 29:31, 50:58] = 1
    fine = applied(labels, smooth_outline_at(labels, (4, 30, 30), 2, spacing=(20, 1, 1)))
    assert not fine[4, :, 53:].any()
    np.testing.assert_array_equal(fine.any((1, 2)), labels.any((1, 2)))


# Merging


@given(st.data(), LABELS, st.sets(st.integers(1, 3), max_size=2))
def test_merging(data, labels, locked):
    line = data.draw(lines_of(labels))
    path = [tuple(p) for p in rasterised(line) if all(0 <= a < n for a, n in zip(p, labels.shape, strict=True))]
    touched = [p for p in path if labels[p] and labels[p] not in locked]
    expected = labels.copy()
    for point in touched:
        expected[whole_piece(labels, point)] = labels[touched[0]]
    edit = merge_across(labels, line, locked)
    np.testing.assert_array_equal(applied(labels, edit), expected)
    assert (edit is None) == (expected == labels).all()


# Splitting


@settings(deadline=None)
@given(st.data(), LABELS, st.sets(st.integers(1, 3), max_size=2))
def test_splitting_leaves_everything_else(data, labels, locked):
    line = data.draw(lines_of(labels))
    if labels.ndim == 3:
        line[:, 0] = np.floor(line[0, 0] + 0.5)
    if len(np.unique(rasterised(line), axis=0)) < 2:
        return
    edit = split_along(labels, line, 9, locked)
    after = applied(labels, edit)
    new = after == 9
    np.testing.assert_array_equal(after[~new], labels[~new])
    if edit is None:
        assert not new.any()
        return
    (number,) = np.unique(labels[new])
    assert number not in {0, *locked}
    piece = whole_piece(labels, tuple(np.argwhere(new)[0]))
    assert (piece[new]).all()
    assert 0 < new.sum() <= (piece & ~new).sum()


@settings(deadline=None, max_examples=40)
@given(st.floats(0, np.pi), st.floats(-12, 12), st.booleans())
def test_a_line_right_through_parts_what_is_on_its_sides(angle, shift, backwards):
    labels = disc((80, 80), (40, 40), 30).astype(np.uint8) * 4
    along, across = np.array([np.sin(angle), np.cos(angle)]), np.array([np.cos(angle), -np.sin(angle)])
    line = np.array([40, 40]) + shift * across + np.array([[-38], [38]]) * along
    after = applied(labels, split_along(labels, line[::-1] if backwards else line, 9))
    side = ((np.indices(labels.shape).T - line[0]) @ across).T
    clear = (labels > 0) & (np.abs(side) > 1.5)
    near, far = after[clear & (side < 0)], after[clear & (side > 0)]
    assert len(np.unique(near)) == len(np.unique(far)) == 1
    assert near[0] != far[0]
    assert (after == 4).sum() >= (after == 9).sum() > 0


@pytest.mark.parametrize("loop", [3, -3])
def test_a_trembling_line_is_no_cut(loop):
    """A loop of the hand encloses a crumb; the parts are still the two sides."""
    labels = np.zeros((60, 100), np.uint8)
    labels[10:50, 10:90] = 1
    line = np.array([[5, 50], [20, 50], [20, 50 + loop], [23, 50 + loop], [23, 50], [20, 50], [40, 50], [55, 50]])
    after = applied(labels, split_along(labels, line, 2))
    assert abs(int((after == 2).sum()) - 1600) < 100
    hint = applied(labels, split_along(labels, line[:-1], 2))
    assert abs(int((hint == 2).sum()) - 1600) < 150


@pytest.mark.parametrize("backwards", [False, True])
def test_the_tail_of_a_line_leaves_no_thread(backwards):
    labels = np.zeros((50, 100), np.uint8)
    labels[10:40, 10:90] = 1
    line = np.array([[5, 65], [45, 65], [30, 65], [30, 80]])
    after = applied(labels, split_along(labels, line[::-1] if backwards else line, 2))
    assert (after[10:40, 66:90] == 2).all()
    assert (after[10:40, 10:65] == 1).all()


@pytest.mark.parametrize("length", [6, 20, 40])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_hint_is_enough_where_an_object_is_narrow(length, backwards):
    one, other = disc((160, 240), (80, 80), 60), disc((160, 240), (80, 165), 50)
    labels = (one | other).astype(np.uint16) * 5
    neck = 128.5
    top = np.flatnonzero(labels[:, 128])[0]
    line = np.array([[top - 3, neck], [top + length, neck]])
    after = applied(labels, split_along(labels, line[::-1] if backwards else line, 6))
    assert after[80, 80] == 5
    assert after[80, 165] == 6
    wrong = (after[:, :120] == 6).sum() + (after[:, 137:] == 5).sum()
    assert wrong < 0.01 * (labels > 0).sum()
    for number in (5, 6):
        assert ndimage.label(after == number, around(2))[1] == 1


@pytest.mark.parametrize("plane", [12, 18, 24])
def test_a_line_in_a_slice_splits_a_volume(plane):
    """Also where the slice shows little of the objects, and less of one than the place where they meet."""
    shape = (36, 50, 80)
    one, other = disc(shape, (18, 25, 25), 15), disc(shape, (18, 25, 50), 14)
    labels = (one | other).astype(np.uint8) * 3
    line = np.array([[plane, 14, 38], [plane, 25, 38.0]])
    after = applied(labels, split_along(labels, line, 4, normal=0))
    assert after[18, 25, 20] == 3
    assert after[18, 25, 55] == 4
    wrong = (after[..., :35] == 4).sum() + (after[..., 42:] == 3).sum()
    assert wrong < 0.03 * (labels > 0).sum()


def test_steps_between_slices_count_for_what_they_are():
    """Ten steps of 10 up are farther than thirty of 1 along."""
    labels = np.zeros((12, 9, 60), np.uint8)
    labels[:, 3:6, 5:55] = 1
    line = np.array([[0, 2, 20], [0, 4, 20.0]])
    after = applied(labels, split_along(labels, line, 2, spacing=(10, 1, 1), normal=0))
    assert set(np.unique(after)) == {0, 1, 2}
    assert (after[:, 3:6, 23:55] == 1).all()
    assert (after[:, 3:6, 5:18] == 2).all()


def test_what_cannot_be_split():
    labels = disc((40, 40), (20, 20), 10).astype(np.uint8)
    through = np.array([[5, 20], [35, 20]])
    assert split_along(labels, through, 2, locked={1}) is None
    assert split_along(labels, np.array([[1, 1], [1, 30]]), 2) is None
    with pytest.raises(InvalidInputError, match="widen"):
        split_along(labels, through, 256)


def test_the_object_with_most_of_the_line_is_split():
    labels = np.zeros((30, 60), np.uint8)
    labels[5:25, 5:25], labels[5:25, 26:55] = 1, 2
    after = applied(labels, split_along(labels, np.array([[15, 20], [15, 58]]), 9))
    np.testing.assert_array_equal(after == 1, labels == 1)
    assert (after == 9).sum() == pytest.approx(290, abs=35)

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_tessera.config.training import SCRIBBLED_BACKGROUND as BACKGROUND
from napari_tessera.core.errors import AnnotationError, InvalidInputError
from napari_tessera.pipeline.samples.nuclei import NucleiConfig, make_nuclei
from napari_tessera.pipeline.samples.strokes import FOREGROUND, draw_lines, draw_scribbles


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), share=st.sampled_from([0.005, 0.01, 0.015]))
def test_scribbles_are_true_and_sparse(seed, share):
    _, truth = make_nuclei(seed, NucleiConfig(shape=(256, 256), count=40))
    scribbles = draw_scribbles(truth, seed=seed, share=share)
    assert scribbles.dtype == np.uint8
    assert (truth[scribbles == FOREGROUND] > 0).all()
    assert (truth[scribbles == BACKGROUND] == 0).all()
    assert 0.4 * share <= (scribbles > 0).mean() <= share
    balance = (scribbles == FOREGROUND).sum() / (scribbles > 0).sum()
    assert 0.25 < balance < 0.75


def test_strokes_spread_over_many_objects_and_both_sides_of_an_outline():
    _, truth = make_nuclei(1)
    scribbles = draw_scribbles(truth, seed=1)
    painted = np.unique(truth[scribbles == FOREGROUND])
    assert len(painted) > 0.15 * truth.max()
    distance = ndimage.distance_transform_edt(truth == 0)[scribbles == BACKGROUND]
    assert (distance < 6).mean() > 0.2
    assert (distance > 8).mean() > 0.2


@pytest.mark.parametrize("thickness", [1, 2, 3, 4, 6])
def test_thin_background_is_painted_along_its_middle(thickness):
    """Walls between square cells: no background is far enough from objects to be between or beside them."""
    truth = np.zeros((240, 240), np.uint16)
    for number in range(36):
        y, x = 40 * (number // 6) + thickness // 2, 40 * (number % 6) + thickness // 2
        truth[y : y + 40 - thickness, x : x + 40 - thickness] = number + 1
    scribbles = draw_scribbles(truth, seed=3)
    background = scribbles == BACKGROUND
    assert (truth[background] == 0).all()
    assert (truth[scribbles == FOREGROUND] > 0).all()
    assert 0.003 < background.mean() <= 0.005
    distance = ndimage.distance_transform_edt(truth == 0)
    deepest = ndimage.maximum_filter(np.where(background, distance, 0), 3)[background]
    assert np.median(deepest) >= (thickness + 1) // 2
    assert not ndimage.binary_erosion(background, np.ones((3, 3))).any()  # strokes, not areas
    quarters = {(y // 120, x // 120) for y, x in np.argwhere(background)}
    assert len(quarters) >= 3


def test_background_that_is_wide_somewhere_is_painted_there_only():
    """Gaps between cells that nearly touch are left alone: a person paints where it is easy to see."""
    _, truth = make_nuclei(1, NucleiConfig(count=400, touching=0.9))
    distance = ndimage.distance_transform_edt(truth == 0)
    assert distance[draw_scribbles(truth, seed=1) == BACKGROUND].min() >= 2


def test_the_same_seed_gives_the_same_strokes():
    _, truth = make_nuclei(1, NucleiConfig(shape=(200, 200), count=20))
    np.testing.assert_array_equal(draw_scribbles(truth, seed=5), draw_scribbles(truth, seed=5))
    assert (draw_scribbles(truth, seed=5) != draw_scribbles(truth, seed=6)).any()


def test_a_bool_mask_will_do():
    mask = np.zeros((128, 128), bool)
    mask[30:90, 40:100] = True
    scribbles = draw_scribbles(mask, share=0.02)
    assert mask[scribbles == FOREGROUND].all()
    assert not mask[scribbles == BACKGROUND].any()


@pytest.mark.parametrize("value", [0, 7])
def test_truth_without_two_sides_is_refused(value):
    with pytest.raises(AnnotationError):
        draw_scribbles(np.full((64, 64), value, np.uint16))


def test_wrong_use_is_refused():
    with pytest.raises(InvalidInputError):
        draw_scribbles(np.zeros((4, 4, 4), np.uint8))
    with pytest.raises(InvalidInputError):
        draw_scribbles(np.eye(8, dtype=np.uint8), share=0.0)
    with pytest.raises(AnnotationError, match="raise the share"):
        draw_scribbles(np.eye(20, dtype=np.uint8), share=0.001)


def test_lines_go_through_their_corners_at_the_given_width():
    scribbles = draw_lines((20, 30), [(1, ((5, 2), (5, 20), (15, 20))), (3, ((15, 5), (15, 10)))], width=3)
    for y, x, label in [(5, 2, 1), (5, 20, 1), (10, 20, 1), (15, 7, 3), (0, 0, 0), (10, 10, 0)]:
        assert scribbles[y, x] == label
    np.testing.assert_array_equal(np.flatnonzero(scribbles[:, 10] == 1), [4, 5, 6])


def test_thin_lines_and_later_ones_on_top():
    scribbles = draw_lines((9, 9), [(1, ((4, 0), (4, 8))), (2, ((0, 4), (8, 4)))], width=1)
    assert (scribbles == 1).sum() == 8
    assert (scribbles == 2).sum() == 9

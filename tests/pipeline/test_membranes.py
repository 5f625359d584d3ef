import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import regionprops

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.pipeline.samples import membranes
from napari_tessera.pipeline.samples.membranes import MembranesConfig, make_membranes

SMALL = MembranesConfig(shape=(128, 160))
EMPTY = {"mitochondria": 0.0, "vesicles": 0.0, "filaments": 0.0}
SHARP = {"blur": 0.0, "electrons": 1e9, "read_noise": 0.0, "drift": 0.0}
EIGHT = np.ones((3, 3))


@pytest.fixture(scope="module")
def drawn():
    """Return image and truth as they come without any settings."""
    return make_membranes(1)


def test_the_same_seed_gives_the_same_pixels():
    (image, truth), (again, truth_again) = make_membranes(3, SMALL), make_membranes(3, SMALL)
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(truth, truth_again)
    other, other_truth = make_membranes(4, SMALL)
    assert (image != other).mean() > 0.5
    assert ((truth > 0) != (other_truth > 0)).mean() > 0.1


def test_image_and_truth_have_the_form_that_is_promised(drawn):
    image, truth = drawn
    assert image.shape == truth.shape == MembranesConfig().shape
    assert image.dtype == np.uint8
    assert truth.dtype == np.uint16
    assert truth.max() == len(np.unique(truth)) - 1


def test_membranes_are_thin_and_a_fifth_of_the_image(drawn):
    _, truth = drawn
    assert 0.15 < (truth == 0).mean() < 0.25
    depth = ndimage.distance_transform_edt(truth == 0)[truth == 0]
    assert np.median(depth) < 2
    assert (depth > 3).mean() < 0.05  # only where several membranes meet


@pytest.mark.parametrize("seed", range(3))
def test_each_cell_is_one_piece_that_membranes_enclose(seed):
    _, truth = make_membranes(seed)
    assert ndimage.label(truth > 0, EIGHT)[1] == truth.max()
    for number, window in enumerate(ndimage.find_objects(truth), start=1):
        assert ndimage.label(truth[window] == number, EIGHT)[1] == 1
    largest = ndimage.grey_dilation(truth, size=(5, 5))
    np.testing.assert_array_equal(largest[truth > 0], truth[truth > 0])  # two pixels on, no cell has a higher number


def test_cells_are_of_very_varied_size(drawn):
    _, truth = drawn
    across = 2 * np.sqrt(np.bincount(truth.ravel())[1:] / np.pi)
    assert np.percentile(across, 10) < 14
    assert np.percentile(across, 90) > 40
    assert across.max() < 120


def test_merged_disks_make_cells_that_bend_around_others():
    bent = [_share_of_bent_cells(make_membranes(1, MembranesConfig(merged=merged))[1]) for merged in (0.0, 0.4)]
    assert bent[0] < 0.1
    assert bent[1] > 0.12


@pytest.mark.parametrize("what", EMPTY)
def test_organelles_are_dark_lie_in_cells_and_are_not_in_the_truth(what):
    empty, truth = make_membranes(1, MembranesConfig(**{**SHARP, **EMPTY}))
    crowded, same = make_membranes(1, MembranesConfig(**{**SHARP, **EMPTY, what: 30.0}))
    np.testing.assert_array_equal(truth, same)
    darker = empty.astype(int) - crowded
    changed = np.abs(darker) > 3  # of an electron in a thousand there is still noise
    assert 0.005 < changed.mean() < 0.2
    assert ndimage.distance_transform_edt(truth > 0)[changed].min() > 1  # a membrane keeps its outline
    assert np.percentile(darker[changed], 95) > 40
    assert darker[changed].min() > 0


@pytest.mark.parametrize("what", EMPTY)
def test_no_organelle_leaves_its_cell(monkeypatch, what):
    small = {**SHARP, **EMPTY, "shape": (160, 160), "diameter": (12.0, 30.0)}
    anywhere = membranes._places
    monkeypatch.setattr(membranes, "_places", lambda *asked: anywhere(*asked)[:1])
    drawn = 0
    for seed in range(12):
        empty, truth = make_membranes(seed, MembranesConfig(**small))
        one, _ = make_membranes(seed, MembranesConfig(**{**small, what: 30.0}))
        cells = np.unique(truth[empty.astype(int) - one > 3])
        assert len(cells) <= 1
        drawn += len(cells)
    assert drawn > 5


def test_no_threshold_finds_the_membranes(drawn):
    """Learning must be worth the while: brightness alone, even without the noise, does not tell membranes."""
    image, truth = drawn
    membrane = truth == 0
    for pixels in (image, ndimage.gaussian_filter(image.astype(float), 1.5)):
        best = max(_dice(pixels < level, membrane) for level in range(20, 220, 4))
        assert 0.45 < best < 0.72  # and it tells something


def test_membranes_are_darker_than_cells_in_part_faint_where_slanted():
    plain = {**SHARP, **EMPTY, "texture": (0.0, 0.0), "cytoplasm": (0.7, 0.7), "membrane": (0.2, 0.2)}
    straight, truth = make_membranes(1, MembranesConfig(**plain, slanted=0.0))
    slanted, _ = make_membranes(1, MembranesConfig(**plain, slanted=0.3))
    middle = ndimage.distance_transform_edt(truth == 0) > 1.9
    assert np.percentile(straight[middle], 95) < 110
    paler = slanted[middle].astype(int) - straight[middle]
    assert 0.1 < (paler > 15).mean() < 0.35
    assert (paler < -3).mean() < 0.05  # where the width of a neighbour reaches over
    assert (slanted[truth > 0] < straight[truth > 0] - 5).mean() > 0.005  # they are wider, too


def test_cells_differ_in_brightness():
    image, truth = make_membranes(1, MembranesConfig(**SHARP, **EMPTY, texture=(0.0, 0.0)))
    large = np.flatnonzero(np.bincount(truth.ravel()) > 300)[1:]
    assert np.ptp(ndimage.median(image, truth, large)) > 0.7 * 255 * np.ptp(MembranesConfig().cytoplasm)


def test_noise_is_that_of_electrons_and_read_out():
    """A cell as large as the image: what is left are its noise and nothing else."""
    flat = {"diameter": (4000.0, 4000.0), "cytoplasm": (0.5, 0.5), "texture": (0.0, 0.0), "drift": 0.0, **EMPTY}
    config = MembranesConfig(shape=(128, 128), **flat)
    image, truth = make_membranes(0, config)
    assert (truth == 1).all()
    expected = 255**2 * (0.5 / config.electrons + config.read_noise**2)
    assert image.astype(float).var() == pytest.approx(expected, rel=0.04)


def test_brightness_drifts():
    still, drifting = (
        ndimage.uniform_filter(make_membranes(1, MembranesConfig(drift=drift))[0].astype(float), 31)
        for drift in (0.0, 0.4)
    )
    share = drifting / still
    assert share.max() == pytest.approx(1.0, abs=0.05)
    assert share.min() == pytest.approx(0.6, abs=0.05)


@settings(max_examples=20, deadline=None)
@example(shape=(3, 2), seed=29)  # nothing but membrane
@example(shape=(1, 1), seed=0)
@given(shape=st.tuples(st.integers(1, 40), st.integers(1, 40)), seed=st.integers(0, 2**32 - 1))
def test_any_size_and_seed_works(shape, seed):
    image, truth = make_membranes(seed, MembranesConfig(shape=shape))
    assert image.shape == truth.shape == shape
    assert ndimage.label(truth > 0, EIGHT)[1] == truth.max()


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": (0, 5)},
        {"mitochondria": -1.0},
        {"vesicles": -1.0},
        {"filaments": -1.0},
        {"diameter": (40.0, 30.0)},
        {"diameter": (1.0, 30.0)},
        {"thickness": (5.0, 3.0)},
        {"thickness": (1.0, 3.0)},
        {"membrane": (0.5, 0.2)},
        {"cytoplasm": (0.5, 1.2)},
        {"merged": 1.5},
        {"slanted": -0.1},
        {"drift": 2.0},
        {"electrons": 0.0},
        {"bend": -1.0},
        {"blur": -1.0},
        {"read_noise": -1.0},
        {"texture": (0.1, -0.1)},
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(InvalidInputError, match=r"choose|put"):
        MembranesConfig(**wrong)


def test_more_cells_than_numbers_are_refused(monkeypatch):
    monkeypatch.setattr(np, "count_nonzero", lambda kept: 65536)
    with pytest.raises(InvalidInputError, match="65535 cells"):
        make_membranes(0, SMALL)


def _dice(found, wanted):
    return 2 * np.count_nonzero(found & wanted) / (np.count_nonzero(found) + np.count_nonzero(wanted))


def _share_of_bent_cells(truth):
    """Return the share of cells, slivers left out, that are far from convex."""
    solid = np.array([cell.solidity for cell in regionprops(truth) if cell.area > 200])
    return (solid < 0.85).mean()

"""Region growing as an operation: seeds of both kinds, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSink, ImageSource, ImageSpec
from napari_tessera.core.jobs import CancelToken, drain
from napari_tessera.operations.base import Block
from napari_tessera.operations.catalogue.growing import GrowRegions
from napari_tessera.operations.growing.engine import windows
from napari_tessera.operations.growing.engine.grower import grow
from napari_tessera.pipeline.applying.applying import apply_into

COINS = data.coins()
BLOCKS = np.kron(np.array([[10, 200, 10], [90, 10, 60]], np.uint8), np.ones((8, 8), np.uint8))
POINTS = np.array([[3.0, 10.0], [12.0, 20.0]])


def test_points_give_numbers_in_their_order():
    labels = nt.apply(GrowRegions(), BLOCKS, seeds=POINTS)
    assert labels.dtype == np.uint32
    np.testing.assert_array_equal(labels, (BLOCKS == 200) + 2 * (BLOCKS == 60))


def test_points_are_rounded_to_pixels():
    labels = nt.apply(GrowRegions(), BLOCKS, seeds=np.array([[-0.4, 7.6], [15.4, 23.4]]))
    np.testing.assert_array_equal(labels, (BLOCKS == 200) + 2 * (BLOCKS == 60))


def test_painted_seeds_keep_their_labels():
    seeds = np.zeros(BLOCKS.shape, np.uint32)
    seeds[2, 9:12], seeds[9, 2] = 70_000, 3
    labels = nt.apply(GrowRegions(), BLOCKS, seeds=seeds)
    np.testing.assert_array_equal(labels, 70_000 * (BLOCKS == 200) + 3 * (BLOCKS == 90))


@pytest.mark.parametrize("criterion", ["running_mean", "fixed_range"])
@pytest.mark.parametrize("image", [COINS, COINS.astype(np.float32), np.stack([COINS[:64, :64]] * 3)])
def test_equals_the_engine(criterion, image):
    seeds = np.array([np.array(image.shape) // 3, np.array(image.shape) // 2])
    operation = GrowRegions(tolerance=12, criterion=criterion, connectivity=2, max_size=900)
    expected = grow(image, seeds, criterion, 12, 2, 900)
    labels = nt.apply(operation, image, seeds=seeds.astype(float))
    np.testing.assert_array_equal(labels, expected)
    assert np.bincount(labels.ravel())[1:].max() <= 900
    np.testing.assert_array_equal(nt.apply(operation, image, seeds=seeds.astype(float), tile=50), labels)


def test_every_time_point_has_its_own_seeds():
    film = nt.open_image(np.stack([BLOCKS, BLOCKS, BLOCKS[:, ::-1]]), axes="tyx")
    labels = nt.apply(GrowRegions(), film, seeds=np.array([[0.0, 3, 10], [2.0, 12, 3]]))
    np.testing.assert_array_equal(labels[0], BLOCKS == 200)
    assert not labels[1].any()
    np.testing.assert_array_equal(labels[2], BLOCKS[:, ::-1] == 60)


@pytest.mark.parametrize("point", [[3.0, 24.0], [-0.6, 3.0], [1e300, 0.0]])
def test_a_seed_outside_is_refused(point):
    with pytest.raises(InvalidInputError, match=r"outside the image"):
        nt.apply(GrowRegions(), BLOCKS, seeds=np.array([point]))


def test_a_seed_without_position_is_refused():
    with pytest.raises(InvalidInputError, match="NaN"):
        nt.apply(GrowRegions(), BLOCKS, seeds=np.array([[np.nan, 1.0]]))


@pytest.mark.parametrize(("dtype", "number"), [(np.int64, -3), (np.int64, 2**32), (np.uint64, 2**63 + 9)])
def test_seeds_whose_ids_the_result_cannot_hold_are_refused(dtype, number):
    seeds = np.zeros(BLOCKS.shape, dtype)
    seeds[3, 3] = number
    with pytest.raises(InvalidInputError, match="from 1 to 4294967295: use the operation 'relabel' first"):
        nt.apply(GrowRegions(), BLOCKS, seeds=seeds)


def test_seeds_of_another_shape_are_refused():
    with pytest.raises(InvalidInputError, match="seeds"):
        nt.apply(GrowRegions(), BLOCKS, seeds=np.ones((5, 5), np.uint8))


def test_bad_images_and_connectivity_are_refused():
    with pytest.raises(InvalidInputError, match="choose 1 to 2"):
        nt.apply(GrowRegions(connectivity=3), BLOCKS, seeds=POINTS)
    with pytest.raises(InvalidInputError, match="one channel"):
        nt.apply(GrowRegions(), nt.open_image(data.astronaut(), axes="yxc"), seeds=POINTS)
    image = BLOCKS.astype(float)
    image[0, 0] = np.nan
    with pytest.raises(InvalidInputError, match="NaN"):
        nt.apply(GrowRegions(), image, seeds=POINTS)


def test_a_constant_image_is_one_region():
    labels = nt.apply(GrowRegions(tolerance=1), np.full((6, 7), 5, np.uint8), seeds=np.array([[0.0, 0.0]]))
    assert (labels == 1).all()


def test_a_mask_grows_within_itself():
    labels = nt.apply(GrowRegions(tolerance=0.5), BLOCKS > 50, seeds=POINTS)
    np.testing.assert_array_equal(labels, (BLOCKS == 200) + 2 * (BLOCKS == 60))


def test_memory_is_stated():
    spec = ImageSpec(axes="zyx", shape=(10, 100, 100), dtype=np.dtype("u2"))
    assert GrowRegions().memory(spec) >= 10 * 100 * 100 * (2 + 4 + 4)


def test_growing_can_be_cancelled():
    class StoppedError(Exception):
        pass

    def check():
        raise StoppedError

    image = np.zeros((1024, 1024), np.uint8)
    spec = ImageSpec(axes="yx", shape=image.shape, dtype=image.dtype)
    with pytest.raises(StoppedError):
        GrowRegions().compute(Block(image, spec, spec.full_region, {"seeds": np.array([[0.0, 0.0]])}, check))


# -- windows: no more is read than regions reach -----------------------------------------------------------------------


@pytest.fixture
def small_windows(monkeypatch):
    monkeypatch.setattr(windows, "WHOLE", 0)
    monkeypatch.setattr(windows, "MARGINS", {2: 1, 3: 1})


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_windows_give_what_the_whole_image_gives(data):
    shape = data.draw(st.sampled_from([(23, 31), (1, 40), (9, 11, 13)]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    coarse = rng.integers(0, 4, [-(-n // 5) for n in shape])
    image = np.kron(coarse, np.ones([5] * len(shape), int))[tuple(slice(0, n) for n in shape)]
    image = (image * 50 + rng.integers(0, 12, shape)).astype(data.draw(st.sampled_from(["uint8", "float32"])))
    count = data.draw(st.integers(1, 6))
    points = rng.integers(0, shape, (count, len(shape)))
    seeds = points
    if data.draw(st.booleans()):
        seeds = np.zeros(shape, np.uint16)
        seeds[tuple(points.T)] = rng.choice([3, 700, 9, 1], count)
    criterion = data.draw(st.sampled_from(["running_mean", "fixed_range"]))
    tolerance = data.draw(st.sampled_from([3.0, 9.0, 30.0, 500.0]))
    connectivity, limit = data.draw(st.integers(1, len(shape))), data.draw(st.sampled_from([None, 7, 60]))
    expected = grow(image, seeds, criterion, tolerance, connectivity, limit)
    operation = GrowRegions(tolerance=tolerance, criterion=criterion, connectivity=connectivity, max_size=limit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "WHOLE", 0)
        patch.setattr(windows, "MARGINS", {2: 1, 3: 1})
        patch.setattr(windows, "MOST_WINDOWS", data.draw(st.sampled_from([1, 4096])))
        given_seeds = seeds if seeds.dtype == np.uint16 else seeds.astype(float)
        np.testing.assert_array_equal(nt.apply(operation, image, seeds=given_seeds, tile=8), expected)


class Endless(ImageSource):
    """An image of 10¹² pixels, squares of 64 that differ from their neighbours; it notes what is read."""

    def __init__(self):
        self.read_pixels = 0

    @property
    def spec(self):
        return ImageSpec(axes="yx", shape=(2**20, 2**20), dtype=np.dtype("u2"))

    def read(self, region):
        y, x = (np.arange(part.start, part.stop) // 64 % 2 for part in region)
        self.read_pixels += y.size * x.size
        return (1000 * (y[:, None] ^ x) + 500).astype(np.uint16)


class Written(ImageSink):
    """Keeps what is written; all else is 0."""

    def __init__(self, spec):
        self._spec, self.written = spec, []

    @property
    def spec(self):
        return self._spec

    def write(self, region, pixels):
        self.written.append((region, pixels))

    def finish(self):
        pass

    def abort(self):
        pass


@pytest.mark.parametrize("criterion", ["running_mean", "fixed_range"])
def test_a_few_regions_of_an_endless_image_need_little(criterion):
    image, sinks = Endless(), []
    seeds = np.array([[100.0, 100.0], [2.0**20 - 1, 0.0], [500_000.0, 700_003.0]])

    def open_sink(spec):
        sinks.append(Written(spec))
        return sinks[-1]

    drain(apply_into(GrowRegions(criterion=criterion), {"image": image, "seeds": seeds}, open_sink, CancelToken()))
    assert image.read_pixels < 300_000
    found = {}
    for region, pixels in sinks[0].written:
        for number in np.unique(pixels[pixels > 0]):
            where = np.argwhere(pixels == number) + [part.start for part in region]
            found[int(number)] = (*where.min(axis=0).tolist(), len(where))
    corners = seeds.astype(int) // 64 * 64
    assert found == {number: (*corner.tolist(), 64 * 64) for number, corner in enumerate(corners, start=1)}


def test_a_region_too_large_for_memory_says_what_to_do(small_windows, monkeypatch):
    from napari_tessera.core.errors import OutOfMemoryError
    from napari_tessera.pipeline.applying import paged

    monkeypatch.setattr(paged, "free_memory", lambda: 20_000)
    small = nt.apply(GrowRegions(), BLOCKS, seeds=np.array([[3.0, 10.0]]))
    np.testing.assert_array_equal(small, BLOCKS == 200)
    with pytest.raises(OutOfMemoryError, match="lower the tolerance, limit the size"):
        nt.apply(GrowRegions(), np.zeros((200, 200), np.uint8), seeds=np.array([[3.0, 10.0]]))


@pytest.mark.parametrize(
    ("criterion", "tolerance", "joins"),
    [
        ("running_mean", 10, False),
        ("running_mean", 10.01, True),
        ("fixed_range", 10, True),
        ("fixed_range", 9.99, False),
    ],
)
def test_whether_a_difference_of_just_the_tolerance_joins(criterion, tolerance, joins):
    image = np.repeat(np.array([[100, 110]], np.uint8), 6, axis=1)
    labels = nt.apply(GrowRegions(criterion=criterion, tolerance=tolerance), image, seeds=np.array([[0, 1]]))
    assert (labels[0, -1] == 1) == joins

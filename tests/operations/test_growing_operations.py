"""Region growing as an operation: seeds of both kinds, and what is refused."""

import numpy as np
import pytest
from skimage import data

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block
from napari_tessera.operations.catalogue.growing import GrowRegions
from napari_tessera.operations.growing.grower import grow

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

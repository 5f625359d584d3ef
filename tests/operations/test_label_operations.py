"""Operations on labels: against scikit-image and scipy, and the same on tiles as on the whole."""

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import data, measure, segmentation

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.catalogue.labels import (
    BinaryMask,
    ConnectedComponents,
    FillHoles,
    KeepLargest,
    Relabel,
    RemoveBorderObjects,
    RemoveLarge,
    RemoveSmall,
    ReplaceLabel,
    SplitTouching,
)
from napari_tessera.operations.labels.label_ids import replaced
from napari_tessera.operations.labels.splitting import split
from napari_tessera.operations.labels.splitting_kernels import flood
from napari_tessera.operations.reductions.surveying import count_ids, merge_counts

HIGH = 4_000_000_000
RANDOM = np.random.default_rng(7)
MASK = ndi.gaussian_filter(RANDOM.normal(size=(70, 90)), 1.5) > 0.03
NOISE = RANDOM.random((40, 50)) > 0.5
VOLUME = ndi.gaussian_filter(RANDOM.normal(size=(12, 30, 32)), 1.2) > 0.05
DENSE = RANDOM.random((9, 20, 22)) > 0.25
CLASSES = np.digitize(ndi.gaussian_filter(RANDOM.normal(size=(60, 80)), 2), [-0.05, 0.05]).astype(np.uint8)
CELLS = (measure.label(MASK, connectivity=1) * 37).astype(np.uint32)
CELLS[CELLS > 0] += np.uint32(HIGH)
SPLIT_UP = (CLASSES * np.uint16(30_000) + (np.arange(80) // 20 * 70).astype(np.uint16) * (CLASSES > 0)).astype(
    np.uint16
)
EVERY = [MASK, NOISE, VOLUME, CLASSES, CELLS, SPLIT_UP, SPLIT_UP.astype(np.int64)]


def same_on_tiles(operation, labels, *tiles: int, keeps_dtype=True):
    """Return the result on the whole, held to be that on tiles."""
    whole = nt.apply(operation, labels)
    for tile in tiles or (5, 32):
        np.testing.assert_array_equal(nt.apply(operation, labels, tile=tile), whole)
    if keeps_dtype:
        assert whole.dtype == (np.uint8 if labels.dtype == bool else labels.dtype)
    return whole


def parts_of(labels, connectivity=1):
    return measure.label(labels.astype(np.int64), background=0, connectivity=connectivity)


# -- components ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", EVERY)
@pytest.mark.parametrize("connectivity", [1, 2, 3])
def test_components_equal_scikit_image(labels, connectivity):
    if connectivity > labels.ndim:
        with pytest.raises(InvalidInputError, match="choose 1 to 2"):
            nt.apply(ConnectedComponents(connectivity=connectivity), labels)
        return
    numbers = same_on_tiles(ConnectedComponents(connectivity=connectivity), labels, keeps_dtype=False)
    assert numbers.dtype == np.uint32
    np.testing.assert_array_equal(numbers, parts_of(labels, connectivity))


def test_components_per_plane_start_anew():
    numbers = nt.apply(ConnectedComponents(per_plane=True), VOLUME)
    for plane, mask in zip(numbers, VOLUME, strict=True):
        np.testing.assert_array_equal(plane, parts_of(mask))


# -- choice by size and place ----------------------------------------------------------------------------------------


def expected_by_size(labels, connectivity, keep):
    parts = parts_of(labels, connectivity)
    sizes = np.bincount(parts.ravel())
    kept = keep(sizes)
    kept[0] = False
    return np.where(kept[parts], labels, 0)


@pytest.mark.parametrize("labels", EVERY)
def test_small_and_large_parts_are_removed(labels):
    for connectivity in (1, 2):
        small = same_on_tiles(RemoveSmall(size=12, connectivity=connectivity), labels)
        np.testing.assert_array_equal(small, expected_by_size(labels, connectivity, lambda n: n >= 12))
        large = same_on_tiles(RemoveLarge(size=12, connectivity=connectivity), labels)
        np.testing.assert_array_equal(large, expected_by_size(labels, connectivity, lambda n: n <= 12))


@pytest.mark.parametrize("labels", [CLASSES, CELLS, SPLIT_UP])
def test_sizes_by_label(labels):
    ids, counts = np.unique(labels[labels > 0], return_counts=True)
    limit = float(np.median(counts))
    small = same_on_tiles(RemoveSmall(size=limit, objects="labels"), labels)
    np.testing.assert_array_equal(small, np.where(np.isin(labels, ids[counts >= limit]), labels, 0))
    large = same_on_tiles(RemoveLarge(size=limit, objects="labels"), labels)
    np.testing.assert_array_equal(large, np.where(np.isin(labels, ids[counts <= limit]), labels, 0))


def test_size_in_units_of_the_image():
    calibrated = nt.open_image(MASK, axes="yx", scale=(0.5, 0.25), units=("micrometer", "micrometer"))
    expected = expected_by_size(MASK, 1, lambda n: n * 0.125 >= 2)
    result = nt.apply(RemoveSmall(size=2, unit="calibrated"), calibrated)
    np.testing.assert_array_equal(result, expected)
    assert 0 < result.sum() < MASK.sum()
    film = nt.open_image(MASK[None], axes="tyx", scale=(60, 0.5, 0.25))
    np.testing.assert_array_equal(nt.apply(RemoveSmall(size=2, unit="calibrated"), film)[0], expected)


def test_largest_objects():
    parts = parts_of(MASK)
    sizes = np.bincount(parts.ravel())[1:]
    order = np.argsort(-sizes, kind="stable") + 1
    for count in (1, 3, 10_000):
        largest = same_on_tiles(KeepLargest(count=count), MASK)
        np.testing.assert_array_equal(largest, np.isin(parts, order[:count]))


def test_largest_labels_and_ties():
    labels = np.array([[7, 7, 0, 2, 0, 7], [0, 0, 0, 0, 0, 0], [9, 9, 0, 5, 5, 5]], np.uint16)
    by_part = nt.apply(KeepLargest(count=2), labels)
    np.testing.assert_array_equal(by_part, np.where([[1, 1, 0, 0, 0, 0], [0] * 6, [0, 0, 0, 1, 1, 1]], labels, 0))
    by_label = nt.apply(KeepLargest(objects="labels"), labels)
    np.testing.assert_array_equal(by_label, np.where(labels == 7, 7, 0))


@pytest.mark.parametrize("labels", EVERY)
@pytest.mark.parametrize("margin", [0, 2])
def test_border_objects_equal_scikit_image(labels, margin):
    operation = RemoveBorderObjects(margin=margin, connectivity=labels.ndim)
    expected = segmentation.clear_border(labels.astype(np.int64), buffer_size=margin)
    np.testing.assert_array_equal(same_on_tiles(operation, labels), expected)


def test_border_objects_by_label():
    labels = np.zeros((9, 9), np.uint32)
    labels[0, 4] = labels[4, 4] = HIGH
    labels[6, 6] = 3
    np.testing.assert_array_equal(nt.apply(RemoveBorderObjects(objects="labels"), labels), np.where(labels == 3, 3, 0))
    assert nt.apply(RemoveBorderObjects(), labels)[4, 4] == HIGH


def test_first_and_last_plane_may_be_no_border():
    volume = np.zeros((4, 9, 9), np.uint8)
    volume[:, 3:5, 3:5] = 1
    volume[2, 7:, 7] = 2
    np.testing.assert_array_equal(
        same_on_tiles(RemoveBorderObjects(sides="yx"), volume, 3), np.where(volume == 1, 1, 0)
    )
    assert not nt.apply(RemoveBorderObjects(), volume).any()


# -- holes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [MASK, NOISE, DENSE, NOISE[:1], NOISE[:, :1]])
def test_holes_of_masks_equal_scipy(mask):
    filled = same_on_tiles(FillHoles(), mask)
    np.testing.assert_array_equal(filled, ndi.binary_fill_holes(mask))
    if min(mask.shape) > 1:
        assert filled.sum() > mask.sum()


def test_holes_whose_background_is_connected_at_corners():
    full = ndi.binary_fill_holes(NOISE, np.ones((3, 3)))
    np.testing.assert_array_equal(same_on_tiles(FillHoles(connectivity=2), NOISE), full)
    assert full.sum() < ndi.binary_fill_holes(NOISE).sum()


def test_holes_take_the_label_around_them():
    labels = np.zeros((12, 24), np.uint32)
    labels[1:8, 1:8], labels[1:8, 8:15] = HIGH, 5
    labels[3:5, 3:6] = 0  # within the first
    labels[3, 7:9] = 0  # between the two
    labels[0:3, 11] = 0  # open to the border
    expected = labels.copy()
    expected[3:5, 3:6] = HIGH
    np.testing.assert_array_equal(same_on_tiles(FillHoles(), labels, 3, 4), expected)


def test_large_holes_stay():
    mask = np.ones((12, 30), bool)
    mask[2:4, 2:4], mask[5:9, 5:20] = False, False
    filled = same_on_tiles(FillHoles(max_size=4), mask)
    np.testing.assert_array_equal(filled[2:4, 2:4], 1)
    np.testing.assert_array_equal(filled[5:9, 5:20], 0)


def test_holes_per_plane():
    expected = np.stack([ndi.binary_fill_holes(plane) for plane in VOLUME])
    np.testing.assert_array_equal(same_on_tiles(FillHoles(per_plane=True), VOLUME), expected)


# -- splitting -------------------------------------------------------------------------------------------------------


def disks(*circles, shape=(80, 120)):
    yy, xx = np.indices(shape)
    return np.any([(yy - y) ** 2 + (xx - x) ** 2 <= r**2 for y, x, r in circles], axis=0)


def test_touching_disks_are_split_where_they_meet():
    mask = disks((40, 40, 20), (40, 70, 16))
    labels = nt.apply(SplitTouching(), mask)
    assert labels.dtype == np.uint32
    assert labels.max() == 2
    np.testing.assert_array_equal(labels > 0, mask)
    yy, xx = np.indices(mask.shape)
    nearer = np.where(np.hypot(yy - 40, xx - 40) - 20 < np.hypot(yy - 40, xx - 70) - 16, 1, 2)
    assert (labels == nearer)[mask].mean() > 0.98


def test_depth_decides_what_is_split():
    mask = disks((40, 40, 20), (40, 60, 20))  # neck nearly as wide as the disks
    assert nt.apply(SplitTouching(depth=0.5), mask).max() == 2
    assert nt.apply(SplitTouching(depth=10), mask).max() == 1


def test_an_ellipse_stays_whole():
    yy, xx = np.indices((80, 120))
    mask = ((yy - 40) / 22) ** 2 + ((xx - 60) / 50) ** 2 <= 1
    assert nt.apply(SplitTouching(depth=0.5), mask).max() == 1


def test_labels_that_touch_stay_apart():
    labels = disks((40, 40, 20), (40, 70, 16)).astype(np.uint32)
    labels[:, :50] *= np.uint32(HIGH)
    labels[:, 50:] *= 7
    result = nt.apply(SplitTouching(depth=100), labels)
    np.testing.assert_array_equal(result, (labels == HIGH) + 2 * (labels == 7))


def test_split_numbers_run_in_raster_order():
    labels = nt.apply(SplitTouching(), MASK)
    ids, first = np.unique(labels, return_index=True)
    np.testing.assert_array_equal(ids, np.arange(ids.size))
    assert (np.diff(first[1:]) > 0).all()
    assert ids.size - 1 >= parts_of(MASK, 2).max()


def test_long_voxels_are_accounted_for():
    # two balls beside each other along z, of voxels four times as high
    zz, yy, xx = np.indices((24, 40, 40))
    balls = [((zz - z) * 4) ** 2 + (yy - 20) ** 2 + (xx - 20) ** 2 <= 17**2 for z in (7, 14)]
    volume = nt.open_image(balls[0] | balls[1], axes="zyx", scale=(2.0, 0.5, 0.5))
    labels = nt.apply(SplitTouching(), volume)
    assert labels.max() == 2
    assert (labels[balls[0] & ~balls[1]] == 1).all()


@pytest.mark.parametrize("shape", [(1, 30, 40), (8, 12, 14)])
@pytest.mark.parametrize("depth", [0, 2, 5])
def test_summits_equal_those_of_morphological_reconstruction(shape, depth):
    from skimage.morphology import local_maxima, reconstruction

    heights = np.rint(ndi.gaussian_filter(np.random.default_rng(3).normal(size=shape), 1) * 40)
    heights -= heights.min() - 1
    # plateaus of depth 0 count once: lower by half a level what integers cannot tell
    lowered = reconstruction(heights - depth - 0.5, heights, footprint=np.ones((3, 3, 3)))
    tops = measure.label(local_maxima(lowered, connectivity=3), connectivity=3)
    ones = np.ones(shape, np.uint8)
    order = np.argsort(-heights.ravel(), kind="stable")
    offsets = np.argwhere(np.ones((3, 3, 3))) - 1
    parts = flood(heights, ones, order, offsets[np.abs(offsets).any(axis=1)], float(depth))
    assert parts.max() == tops.max() > 1
    # every part holds one summit, and every summit lies in one part
    pairs = np.unique(np.stack([parts[tops > 0], tops[tops > 0]]), axis=1)
    assert pairs.shape[1] >= tops.max()
    highest = {
        part: int(tops[(parts == part) & (heights == heights[parts == part].max())].max())
        for part in range(1, parts.max() + 1)
    }
    assert sorted(highest.values()) == list(range(1, tops.max() + 1))


def test_split_without_smoothing_of_everything_and_nothing():
    assert not split(np.zeros((5, 6), np.uint8), 1, 0, (1, 1)).any()
    assert (split(np.ones((5, 6), np.uint8), 1, 1, (1, 1)) == 1).all()
    assert split(np.eye(3, dtype=np.uint16) * 60_000, 1, 0, (1, 1)).max() == 1


# -- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", EVERY)
def test_relabel_equals_scikit_image(labels):
    expected, _, _ = segmentation.relabel_sequential(labels.astype(np.int64))
    np.testing.assert_array_equal(same_on_tiles(Relabel(), labels), expected)


def test_ids_are_counted_as_numpy_counts_them():
    for labels in (*EVERY[3:], np.zeros((3, 4), np.uint8), np.array([2**64 - 1, 5, 5], np.uint64)):
        ids, counts = count_ids(labels)
        expected, expected_counts = np.unique(labels[labels != 0], return_counts=True)
        np.testing.assert_array_equal(ids, expected)
        np.testing.assert_array_equal(counts, expected_counts)
        assert ids.dtype == labels.dtype
        cut = len(labels) // 2
        merged = merge_counts(count_ids(labels[cut:]), count_ids(labels[:cut]))
        np.testing.assert_array_equal(merged[0], ids)
        np.testing.assert_array_equal(merged[1], counts)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int64])
def test_lookup_knows_missing_ids(dtype):
    labels = np.array([[0, 3, 4], [5, 127, 3]], dtype)
    for ids in ([3, 5], [3, 5, 127], [], [127]):
        numbers = np.arange(1, len(ids) + 1, dtype=np.uint32)
        expected = np.array([[ids.index(x) + 1 if x in ids else 0 for x in row] for row in labels.tolist()])
        np.testing.assert_array_equal(replaced(labels, np.array(ids, dtype), numbers), expected)
    top = np.iinfo(dtype).max
    assert replaced(np.array([top, 0], dtype), np.array([top], dtype), np.array([9])).tolist() == [9, 0]


def test_mask_of_labels():
    np.testing.assert_array_equal(same_on_tiles(BinaryMask(), CELLS, keeps_dtype=False), MASK)
    np.testing.assert_array_equal(nt.apply(BinaryMask(label=2), CLASSES), CLASSES == 2)
    assert nt.apply(BinaryMask(label=10**12), CLASSES).dtype == np.uint8


def test_label_replaced():
    np.testing.assert_array_equal(same_on_tiles(ReplaceLabel(label=2, number=1), CLASSES), CLASSES > 0)
    with pytest.raises(InvalidInputError, match="end at 255"):
        nt.apply(ReplaceLabel(label=2, number=256), CLASSES)


# -- bad input -------------------------------------------------------------------------------------------------------

ALL = [
    ConnectedComponents(),
    RemoveSmall(),
    RemoveLarge(),
    KeepLargest(),
    RemoveBorderObjects(),
    FillHoles(),
    SplitTouching(),
    Relabel(),
    BinaryMask(),
    ReplaceLabel(),
]


@pytest.mark.parametrize("operation", ALL)
def test_intensities_are_refused(operation):
    with pytest.raises(InvalidInputError, match="must be labels"):
        nt.apply(operation, data.coins().astype(np.float32))


@pytest.mark.parametrize("operation", ALL)
def test_negative_labels_are_refused(operation):
    with pytest.raises(InvalidInputError, match="negative numbers name no object"):
        nt.apply(operation, np.array([[0, -1], [2, 2]], np.int32))


@pytest.mark.parametrize("operation", ALL)
@pytest.mark.parametrize("shape", [(1, 1), (6, 7), (1, 4, 5)])
def test_empty_labels_stay_empty(operation, shape):
    assert not same_on_tiles(operation, np.zeros(shape, np.uint16), 3, keeps_dtype=False).any()


@pytest.mark.parametrize("operation", ALL)
def test_one_object_everywhere(operation):
    result = same_on_tiles(operation, np.full((6, 7), 9, np.uint16), 3, keeps_dtype=False)
    assert len(np.unique(result)) == 1


def test_memory_of_splitting_is_stated():
    assert SplitTouching().memory(ImageSpec(axes="yx", shape=(100, 100), dtype=np.dtype("u1"))) > 100 * 100 * 40


def test_splitting_takes_parts_that_touch_at_a_corner_for_one_object():
    mask = np.eye(2, dtype=np.uint8)
    np.testing.assert_array_equal(nt.apply(SplitTouching(), mask), mask)
    np.testing.assert_array_equal(nt.apply(SplitTouching(), np.diag([1, 2]).astype(np.uint8)), np.diag([1, 2]))


def test_a_size_in_the_unit_of_the_image_needs_one_unit():
    image = nt.open_image(np.ones((2, 3, 4), np.uint8), scale=(0.5, 100, 100), units=("um", "nm", "nm"))
    for operation in (RemoveSmall, RemoveLarge):
        assert nt.apply(operation(size=24), image).all()
        with pytest.raises(InvalidInputError, match="different units"):
            nt.apply(operation(size=24, unit="calibrated"), image)


def test_touching_balls_are_split_whatever_the_units_of_the_axes():
    z, y, x = np.ogrid[:13, :44, :64]
    balls = [((z - 6) * 5) ** 2 + (y - 22) ** 2 + (x - at) ** 2 <= 15**2 for at in (20, 43)]
    volume = (balls[0] | balls[1]).astype(np.uint8)
    same = nt.open_image(volume, scale=(0.5, 0.1, 0.1), units=("um",) * 3)
    expected = nt.apply(SplitTouching(), same)
    assert expected.max() == 2
    mixed = nt.open_image(volume, scale=(0.5, 100, 100), units=("um", "nm", "nm"))
    np.testing.assert_array_equal(nt.apply(SplitTouching(), mixed), expected)
    with pytest.raises(InvalidInputError, match="different units"):
        nt.apply(SplitTouching(), nt.open_image(volume, scale=(1, 100, 100), units=(None, "nm", "nm")))

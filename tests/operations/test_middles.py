"""Peaks, distances and skeletons against scikit-image and scipy."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import data, feature, morphology

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError, NoContrastError
from napari_tessera.io.opening import open_image

LocalMaxima, DistanceTransform, Skeleton = (
    getattr(nt.operations, name) for name in ("LocalMaxima", "DistanceTransform", "Skeleton")
)


def rows(points):
    return {tuple(point) for point in np.asarray(points).astype(int).tolist()}


@pytest.fixture(scope="module")
def bumps():
    """Smooth float noise, in which no two pixels are equal."""
    return ndimage.gaussian_filter(np.random.default_rng(5).random((80, 90)), 2)


@pytest.mark.parametrize("shape", [(80, 90), (12, 30, 31)])
def test_peaks_are_those_of_scikit_image(shape):
    image = ndimage.gaussian_filter(np.random.default_rng(5).random(shape), 2)
    assert rows(nt.apply(LocalMaxima(), image)) == rows(np.argwhere(morphology.local_maxima(image)))


def test_peaks_keep_their_distance(bumps):
    points = nt.apply(LocalMaxima(distance=9), bumps)
    between = np.linalg.norm(points[:, None] - points[None], axis=-1) + 99 * np.eye(len(points))
    assert between.min() >= 9
    highest = rows(feature.peak_local_max(bumps, min_distance=9, exclude_border=False))  # in a square of that size
    assert highest & rows(points)
    assert rows(points) < rows(nt.apply(LocalMaxima(), bumps))
    assert tuple(np.unravel_index(bumps.argmax(), bumps.shape)) in rows(points)
    stretched = open_image(bumps, axes="yx", scale=(0.5, 0.5), units=("um", "um"))
    assert rows(nt.apply(LocalMaxima(distance=4.5, unit="calibrated"), stretched)) == rows(points)


def test_prominence_is_that_of_h_maxima():
    image = (200 * ndimage.gaussian_filter(np.random.default_rng(5).random((60, 50)), 1)).astype(np.uint8)
    for height in (3, 8, 20):
        found = nt.apply(LocalMaxima(prominence=height), image)
        plateaus, count = ndimage.label(morphology.h_maxima(image, height), np.ones((3, 3)))
        assert len(found) == count > 0
        assert {plateaus[point] for point in rows(found)} == set(range(1, count + 1))


def test_a_peak_of_just_the_prominence_stays_and_lower_ones_go():
    image = np.array([[0, 5, 2, 9, 0, 4, 0]], np.int64) + 2**62
    assert rows(nt.apply(LocalMaxima(prominence=3), image)) == {(0, 1), (0, 3), (0, 5)}
    assert rows(nt.apply(LocalMaxima(prominence=3.5), image)) == {(0, 3), (0, 5)}
    assert rows(nt.apply(LocalMaxima(threshold=2.0**62 + 5000), image)) == set()
    assert rows(nt.apply(LocalMaxima(threshold=5), image - 2**62)) == {(0, 1), (0, 3)}


def test_a_plateau_has_one_peak_in_its_middle_and_a_constant_none():
    image = np.zeros((7, 9), np.uint8)
    image[2:5, 3:8] = 4
    assert nt.apply(LocalMaxima(), image).tolist() == [[3, 5]]
    for constant in (np.full((5, 5), 7, np.uint16), np.ones((1, 1))):
        assert nt.apply(LocalMaxima(), constant).shape == (0, 2)
        assert nt.apply(LocalMaxima(prominence=1), constant).shape == (0, 2)


@pytest.mark.parametrize("shape", [(40, 50), (8, 20, 21)])
def test_distances_are_those_of_scipy(shape):
    mask = ndimage.gaussian_filter(np.random.default_rng(1).random(shape), 2) > 0.5
    scale = (3.0, 0.5, 0.25)[-len(shape) :]
    image = open_image(mask, axes="zyx"[-len(shape) :], scale=scale, units=("um",) * len(shape))
    inside, outside = (ndimage.distance_transform_edt(part, scale) for part in (mask, ~mask))
    for side, expected in (("inside", inside), ("outside", outside), ("signed", inside - outside)):
        result = nt.apply(DistanceTransform(side=side, unit="calibrated"), image)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, expected, rtol=1e-6)
    np.testing.assert_allclose(nt.apply(DistanceTransform(), image), ndimage.distance_transform_edt(mask), rtol=1e-6)


def test_another_object_bounds_an_object():
    labels = np.array([[0, 1, 1, 1, 2, 2, 0]], np.uint16)
    assert nt.apply(DistanceTransform(), labels).tolist() == [[0, 1, 2, 1, 1, 1, 0]]
    assert not nt.apply(DistanceTransform(), np.zeros((1, 1), np.uint64)).any()
    with pytest.raises(NoContrastError, match="no background"):
        nt.apply(DistanceTransform(), np.ones((3, 3), np.uint8))
    with pytest.raises(NoContrastError, match="no object"):
        nt.apply(DistanceTransform(side="outside"), np.zeros((3, 3), np.uint8))


@pytest.mark.parametrize("method", ["zhang", "lee"])
def test_skeletons_are_those_of_scikit_image(method):
    mask = data.horse()[::3, ::3] == 0
    result = nt.apply(Skeleton(method=method), mask)
    np.testing.assert_array_equal(result, morphology.skeletonize(mask, method=method))


def test_volumes_have_skeletons_too():
    volume = np.zeros((7, 15, 16), np.uint16)
    volume[2:5, 3:12, 4:7] = 300
    result = nt.apply(Skeleton(), volume)
    np.testing.assert_array_equal(result, 300 * morphology.skeletonize(volume > 0, method="lee"))
    with pytest.raises(InvalidInputError, match="choose 'lee' or 'auto'"):
        nt.apply(Skeleton(method="zhang"), volume)


def test_objects_that_touch_are_thinned_one_by_one():
    labels = np.zeros((9, 20), np.int64)
    labels[2:7, 2:10], labels[2:7, 10:18] = 5, 2**40
    result = nt.apply(Skeleton(), labels)
    for label in (5, 2**40):
        np.testing.assert_array_equal(result == label, morphology.skeletonize(labels == label))
    assert nt.apply(Skeleton(), np.ones((1, 1), np.uint8)).tolist() == [[1]]
    assert not nt.apply(Skeleton(), np.zeros((3, 4), np.uint8)).any()

"""Polynomial warps against scikit-image's."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import transform

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError

PolynomialWarp = nt.operations.PolynomialWarp


@pytest.fixture(scope="module")
def scene():
    """An image, and places where landmarks belong."""
    rng = np.random.default_rng(4)
    return 100 * ndimage.gaussian_filter(rng.random((60, 70)), 2), rng.random((24, 2)) * (60, 70)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_warps_are_those_of_scikit_image(scene, degree):
    image, targets = scene
    y, x = (targets / 40 - 0.8).T  # maps of this degree, for scikit-image's least squares are other ones
    points = targets + np.stack([2 * y**degree - x, 3 * x**degree + y * x ** (degree - 1)], axis=1)
    estimate = transform.PolynomialTransform.from_estimate(targets[:, ::-1], points[:, ::-1], order=degree)
    expected = transform.warp(image, estimate, order=1, cval=0)
    result = nt.apply(PolynomialWarp(degree=degree), image, tile=16, points=points, targets=targets)
    inside = np.s_[8:-8, 8:-8]
    np.testing.assert_allclose(result[inside], expected[inside], rtol=1e-6)
    assert np.abs(result - image)[inside].max() > 3


def test_labels_keep_their_numbers_and_points_come_to_their_targets():
    labels = np.zeros((30, 40), np.uint64)
    corners = np.array([[5, 5], [5, 33], [24, 5], [24, 33], [12, 20], [20, 11]], float)
    for index, (y, x) in enumerate(corners.astype(int)):
        labels[y - 1 : y + 2, x - 1 : x + 2] = 2**60 + index
    moved = corners + np.array([2, -3])
    warp = nt.operations.PolynomialWarpLabels()
    result = nt.apply(warp, labels, points=corners, targets=moved)
    assert [result[y, x] for y, x in moved.astype(int)] == [2**60 + index for index in range(6)]
    assert set(np.unique(result)) == set(np.unique(labels))


@pytest.mark.parametrize(
    ("points", "targets", "why"),
    [
        (np.ones((6, 2)), np.ones((5, 2)), "one target for each point"),
        (np.ones((5, 2)), np.ones((5, 2)), "needs 6 pairs .* there are 5"),
        (np.arange(12.0).reshape(6, 2), np.arange(12.0).reshape(6, 2), "spread them out"),
    ],
)
def test_points_that_determine_nothing_are_refused(points, targets, why):
    with pytest.raises(InvalidInputError, match=why):
        nt.apply(PolynomialWarp(), np.ones((20, 20)), points=points, targets=targets)

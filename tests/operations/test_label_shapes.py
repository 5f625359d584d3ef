"""Morphology of labels: masks as scikit-image has them, labels by definition, tiles as the whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage as ndi
from skimage import measure, segmentation

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.catalogue.label_shapes import (
    CloseLabels,
    DilateLabels,
    ErodeLabels,
    ExpandLabels,
    OpenLabels,
    Outlines,
)
from napari_tessera.operations.labels.morphology import closed, dilate, erode, expand, opened, squared_distance

HIGH = 4_000_000_000
RANDOM = np.random.default_rng(7)
MASK = ndi.gaussian_filter(RANDOM.normal(size=(50, 60)), 1.5) > 0.05
VOLUME = ndi.gaussian_filter(RANDOM.normal(size=(9, 20, 22)), 1.2) > 0.05
CELLS = (measure.label(MASK) * 3).astype(np.uint32)
CELLS[CELLS > 0] += np.uint32(HIGH)
TOUCHING = np.digitize(ndi.gaussian_filter(RANDOM.normal(size=(40, 50)), 2), [-0.05, 0.0, 0.05]).astype(np.uint16)


def footprint(radius, shape, ndim):
    if shape == "box":
        return np.ones((2 * radius + 1,) * ndim, bool)
    grid = np.indices((2 * radius + 1,) * ndim) - radius
    return (grid**2).sum(axis=0) <= radius**2


def dilated_mask(mask, radius, shape):
    return ndi.binary_dilation(mask, footprint(radius, shape, mask.ndim))


def eroded_mask(mask, radius, shape):
    return ndi.binary_erosion(mask, footprint(radius, shape, mask.ndim), border_value=1)


small_labels = arrays(
    np.uint16, array_shapes(min_dims=2, max_dims=3, max_side=9), elements=st.sampled_from([0, 0, 0, 1, 2, 60_000])
)
shapes = st.sampled_from(["ball", "box"])


@pytest.mark.parametrize("mask", [MASK, VOLUME])
@pytest.mark.parametrize("radius", [1, 2, 3, 6])
@pytest.mark.parametrize("shape", ["ball", "box"])
def test_masks_equal_scipy(mask, radius, shape):
    array = mask.astype(np.uint8)
    np.testing.assert_array_equal(dilate(array, radius, shape), dilated_mask(mask, radius, shape))
    np.testing.assert_array_equal(erode(array, radius, shape), eroded_mask(mask, radius, shape))
    np.testing.assert_array_equal(
        opened(array, radius, shape), dilated_mask(eroded_mask(mask, radius, shape), radius, shape)
    )
    np.testing.assert_array_equal(
        closed(array, radius, shape), eroded_mask(dilated_mask(mask, radius, shape), radius, shape)
    )


@pytest.mark.parametrize("radius", [1, 3])
def test_masks_equal_scikit_image(radius):
    from skimage.morphology import closing, dilation, disk, erosion, opening

    for ours, theirs in ((dilate, dilation), (erode, erosion), (opened, opening), (closed, closing)):
        expected = theirs(MASK.astype(np.uint8), disk(radius, decomposition=None), mode="ignore")
        np.testing.assert_array_equal(ours(MASK.astype(np.uint8), radius), expected)


@given(small_labels, st.integers(1, 4), shapes)
def test_dilation_by_definition(labels, radius, shape):
    places = np.argwhere(labels)
    expected = labels.copy()
    for at in np.argwhere(labels == 0):
        offsets = np.abs(places - at)
        squares = (offsets**2).sum(axis=1)
        near = squares <= radius**2 if shape == "ball" else offsets.max(axis=1, initial=0) <= radius
        claims = sorted((squares[k], labels[tuple(places[k])]) for k in np.flatnonzero(near))
        if claims:
            expected[tuple(at)] = claims[0][1]
    np.testing.assert_array_equal(dilate(labels, radius, shape), expected)


@given(small_labels, st.integers(1, 4), shapes)
def test_erosion_is_that_of_each_label_alone(labels, radius, shape):
    expected = np.zeros_like(labels)
    for name in np.unique(labels[labels > 0]):
        expected[eroded_mask(labels == name, radius, shape)] = name
    np.testing.assert_array_equal(erode(labels, radius, shape), expected)


@given(small_labels, st.integers(1, 4), shapes)
def test_opening_is_that_of_each_label_alone(labels, radius, shape):
    expected = np.zeros_like(labels)
    for name in np.unique(labels[labels > 0]):
        expected[dilated_mask(eroded_mask(labels == name, radius, shape), radius, shape)] = name
    np.testing.assert_array_equal(opened(labels, radius, shape), expected)


@given(small_labels, st.integers(1, 4), shapes)
def test_closing_stays_within_that_of_each_label_alone(labels, radius, shape):
    result = closed(labels, radius, shape)
    np.testing.assert_array_equal(result[labels > 0], labels[labels > 0])
    for name in np.unique(labels[labels > 0]):
        alone = eroded_mask(dilated_mask(labels == name, radius, shape), radius, shape)
        assert not (result == name)[~alone & (labels == 0)].any()


@given(small_labels, st.sampled_from([(1.0, 1.0, 1.0), (2.5, 0.7, 0.3)]))
def test_squared_distance_by_definition(labels, spacing):
    spacing = np.array(spacing[-labels.ndim :])
    places = np.argwhere(np.ones_like(labels))
    values = labels.ravel()
    expected = np.full(values.size, np.inf)
    for k, at in enumerate(places):
        others = places[values != values[k]]
        if len(others):
            expected[k] = (((others - at) * spacing) ** 2).sum(axis=1).min()
    np.testing.assert_allclose(squared_distance(labels, spacing).ravel(), expected, rtol=1e-12)


@pytest.mark.parametrize("labels", [CELLS, TOUCHING])
@pytest.mark.parametrize(("distance", "spacing"), [(1, (1, 1)), (4.5, (1, 1)), (0.3, (0.1, 0.1)), (3, (2.0, 0.5))])
def test_expansion_equals_scikit_image(labels, distance, spacing):
    ours = expand(labels, distance, spacing)
    theirs = segmentation.expand_labels(labels, distance * (1 + 1e-9), spacing)
    np.testing.assert_array_equal(ours > 0, theirs > 0)
    # where they differ, both labels are equally near
    for at in np.argwhere(ours != theirs):
        far = [
            (((np.argwhere(labels == name) - at) * spacing) ** 2).sum(axis=1).min()
            for name in (ours[tuple(at)], theirs[tuple(at)])
        ]
        assert far[0] == pytest.approx(far[1])
        assert ours[tuple(at)] < theirs[tuple(at)]
    np.testing.assert_array_equal(ours[labels > 0], labels[labels > 0])


def test_expansion_in_units_of_the_image():
    image = nt.open_image(CELLS, axes="yx", scale=(2.0, 0.5), units=("micrometer", "micrometer"))
    result = nt.apply(ExpandLabels(distance=3, unit="calibrated"), image)
    np.testing.assert_array_equal(result, expand(CELLS, 3, (2.0, 0.5)))
    np.testing.assert_array_equal(nt.apply(ExpandLabels(distance=3, unit="calibrated"), image, tile=7), result)
    np.testing.assert_array_equal(nt.apply(ExpandLabels(distance=3), image), expand(CELLS, 3, (1, 1)))


@pytest.mark.parametrize("labels", [CELLS, TOUCHING, VOLUME, TOUCHING.astype(np.int32), TOUCHING.astype(np.uint64)])
@pytest.mark.parametrize(
    "operation",
    [
        DilateLabels(radius=3),
        DilateLabels(radius=2, shape="box"),
        ErodeLabels(radius=2),
        ErodeLabels(radius=1, shape="box"),
        OpenLabels(radius=2),
        CloseLabels(radius=3),
        CloseLabels(radius=2, shape="box", per_plane=True),
        ExpandLabels(distance=4.2),
        Outlines(),
        Outlines(radius=2, side="outer"),
    ],
)
def test_tiles_equal_the_whole(operation, labels):
    whole = nt.apply(operation, labels)
    assert whole.dtype == (np.uint8 if labels.dtype == bool else labels.dtype)
    for tile in (3, 16):
        np.testing.assert_array_equal(nt.apply(operation, labels, tile=tile), whole)
    assert (whole != labels).any()
    assert whole.any()


@pytest.mark.parametrize(("side", "mode"), [("inner", "inner"), ("outer", "outer")])
def test_outlines_equal_scikit_image(side, mode):
    mask = MASK.astype(np.uint8)
    np.testing.assert_array_equal(nt.apply(Outlines(side=side), mask), segmentation.find_boundaries(mask, mode=mode))
    inner = nt.apply(Outlines(), TOUCHING)
    expected = segmentation.find_boundaries(TOUCHING, mode="inner")
    np.testing.assert_array_equal(inner, np.where(expected, TOUCHING, 0))


@pytest.mark.parametrize(
    "operation", [DilateLabels(), ErodeLabels(), OpenLabels(), CloseLabels(), ExpandLabels(), Outlines()]
)
def test_bad_and_empty_labels(operation):
    with pytest.raises(InvalidInputError, match="must be labels"):
        nt.apply(operation, MASK.astype(float))
    with pytest.raises(InvalidInputError, match="negative"):
        nt.apply(operation, np.array([[0, -1], [2, 2]], np.int32))
    for shape in ((1, 1), (5, 6), (1, 4, 4)):
        assert not nt.apply(operation, np.zeros(shape, np.uint16)).any()
    full = nt.apply(operation, np.full((5, 6), 70_000, np.uint32))
    assert (full == (0 if isinstance(operation, Outlines) else 70_000)).all()


def test_radius_larger_than_the_image():
    labels = np.zeros((4, 5), np.uint8)
    labels[2, 2] = 8
    assert (nt.apply(DilateLabels(radius=50), labels) == 8).all()
    assert not nt.apply(ErodeLabels(radius=50), labels).any()


@pytest.mark.parametrize("distance", [10_001, 1e300])
def test_a_distance_without_bounds_is_refused(distance):
    with pytest.raises(InvalidInputError, match=r"choose 10000 or less"):
        nt.apply(ExpandLabels(distance=distance), np.eye(5, dtype=np.uint8))
    assert nt.apply(ExpandLabels(distance=10_000), np.eye(5, dtype=np.uint8)).all()


def test_a_distance_in_the_unit_of_the_image_needs_one_unit() -> None:
    labels = np.zeros((5, 9, 9), np.uint8)
    labels[2, 4, 4] = 1
    for units in ((None, "nm", "nm"), ("um", "nm", "nm")):
        image = nt.open_image(labels, scale=(500, 100, 100), units=units)
        nt.apply(ExpandLabels(distance=3), image)  # in pixels
        with pytest.raises(InvalidInputError, match="different units"):
            nt.apply(ExpandLabels(distance=300, unit="calibrated"), image)
        nt.apply(ExpandLabels(distance=300, unit="calibrated", per_plane=True), image)  # y and x have one

"""Intensities are told from labels, and real labels are never taken for intensities."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.io.opening import open_image
from napari_tessera.pipeline.judging.evaluation import evaluate
from napari_tessera.pipeline.label_likeness import MOST_CLASSES, intensity_levels

SEEDS = st.integers(0, 2**32 - 1)


def _levels(pixels: NDArray[np.generic]) -> int:
    return intensity_levels(open_image(pixels))


def _scene(rng: np.random.Generator, shape: tuple[int, ...], blur: float) -> NDArray[np.float64]:
    """Return blobs from 0 to 1."""
    scene = ndimage.gaussian_filter(rng.random(shape), blur)
    return (scene - scene.min()) / np.ptp(scene)


@settings(max_examples=40, deadline=None)
@given(
    SEEDS,
    st.sampled_from([(70, 90), (3, 50, 60)]),
    st.floats(1, 8),
    st.floats(0, 0.2),
    st.sampled_from([("uint8", 200), ("uint16", 4000), ("int16", 900), ("uint32", 50_000)]),
)
def test_images_of_blobs_with_and_without_noise_are_intensities(
    seed: int, shape: tuple[int, ...], blur: float, noise: float, kind: tuple[str, int]
) -> None:
    rng, (dtype, high) = np.random.default_rng(seed), kind
    noise = noise if high * noise > 20 or high < 1000 else 20 / high  # a camera of so many levels has noise
    scene = _scene(rng, shape, blur) + rng.normal(0, noise, shape) + 0.2
    pixels = np.clip(scene * high, 0, np.iinfo(dtype).max).astype(dtype)
    if len(np.unique(pixels)) > MOST_CLASSES + 1:
        assert _levels(pixels)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from([(70, 90), (9, 40, 30)]), st.floats(0, 3), st.floats(0.05, 0.9), st.booleans())
def test_pieces_of_any_mask_are_objects(
    seed: int, shape: tuple[int, ...], blur: float, share: float, whole: bool
) -> None:
    scene = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), blur)
    objects = label(scene < np.quantile(scene, share), connectivity=len(shape) if whole else 1)
    assert not _levels(objects.astype(np.int32))


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(100, 1500), st.booleans())
def test_cells_that_fill_the_image_are_objects_in_any_order(seed: int, count: int, shuffled: bool) -> None:
    rng = np.random.default_rng(seed)
    seeds = np.ones((80, 90), bool)
    seeds.flat[rng.choice(seeds.size, count, replace=False)] = False
    at = ndimage.distance_transform_edt(seeds, return_distances=False, return_indices=True)
    ids = np.arange(seeds.size).reshape(seeds.shape)[tuple(at)]
    ids = np.unique(ids, return_inverse=True)[1].reshape(seeds.shape)
    ids = rng.permutation(count)[ids] if shuffled else ids
    assert not _levels((ids + 1).astype(np.uint16))


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(65, 300))
def test_many_classes_of_cells_are_no_intensities(seed: int, classes: int) -> None:
    """An atlas, or the type of each of many cells: the same id in many places, each of some size."""
    rng = np.random.default_rng(seed)
    types = rng.integers(1, classes, (30, 40))
    assert not _levels(types.repeat(4, 0).repeat(4, 1).astype(np.uint16))


def test_few_numbers_and_masks_are_never_intensities() -> None:
    rng = np.random.default_rng(0)
    assert not _levels(rng.integers(0, MOST_CLASSES + 1, (200, 200)))
    assert not _levels(rng.random((200, 200)) > 0.5)
    assert not _levels(np.arange(4096).reshape(64, 64))  # objects of one pixel
    dots = np.zeros((200, 200), np.int32)
    dots[::2, ::2] = np.arange(10_000).reshape(100, 100)
    assert not _levels(dots)
    assert not _levels(np.zeros((20, 20), np.uint8))


def test_large_images_are_judged_by_a_few_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    image = open_image(np.random.default_rng(0).integers(0, 255, (40, 600, 600), np.uint8))
    read, regions = image.read, []
    monkeypatch.setattr(image, "read", lambda region: regions.append(region) or read(region))
    assert intensity_levels(image) == 254
    assert len(regions) == 4
    assert all(part.stop - part.start <= 256 for region in regions for part in region)


def test_intensities_are_compared_only_if_insisted_on() -> None:
    rng = np.random.default_rng(0)
    truth = np.zeros((60, 60), np.uint8)
    truth[10:40, 10:40] = 1
    image = rng.poisson(50 + 100 * truth).astype(np.uint8)
    for pair, what in (((image, truth), "prediction"), ((truth, image), "truth")):
        told = re.escape(f"The {what} ") + ".* looks like intensities and not like labels, as most of its .* --anyway"
        with pytest.raises(InvalidInputError, match=told):
            evaluate(*map(open_image, pair), instances=True)
        assert evaluate(*map(open_image, pair), anyway=True).dice < 1

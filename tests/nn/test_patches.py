"""Patches show what the image shows, and labels move with it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tessera.config.training import AugmentationConfig
from napari_tessera.core import regions
from napari_tessera.nn import patches
from napari_tessera.nn.augmentation import augment_intensity
from napari_tessera.nn.patches import PatchSampler, cut_patch, random_turn, window_of
from napari_tessera.nn.samples import IGNORED, Sample

PLAIN = AugmentationConfig(flips=False, rotations=False, scale=1, contrast=1, brightness=0, gamma=1, noise=0, blur=0)


def test_unturned_patch_is_a_crop() -> None:
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.random((2, 40, 50), dtype=np.float32))
    target = torch.from_numpy(rng.integers(0, 3, (40, 50)).astype(np.uint8))
    patch, labels = cut_patch(image, target, np.array([15.5, 20.5]), np.eye(2), 16)
    assert torch.allclose(patch, image[:, 8:24, 13:29], atol=1e-5)
    assert torch.equal(labels, target[8:24, 13:29].long())


@pytest.mark.parametrize("quarter", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_right_angles_and_mirrors_are_exact(quarter: int, mirrored: bool) -> None:
    rng = np.random.default_rng(1)
    image = torch.from_numpy(rng.random((1, 16, 16), dtype=np.float32))
    target = torch.from_numpy(rng.integers(0, 3, (16, 16)).astype(np.uint8))
    turn = np.linalg.matrix_power(np.array([[0.0, -1.0], [1.0, 0.0]]), quarter)
    if mirrored:
        turn = turn @ np.diag([1.0, -1.0])
    patch, labels = cut_patch(image, target, np.array([7.5, 7.5]), turn, 16)
    expected = torch.rot90(image, -quarter, (1, 2))
    expected_labels = torch.rot90(target, -quarter)
    if mirrored:
        expected, expected_labels = expected.flip(2), expected_labels.flip(1)
    assert torch.allclose(patch, expected, atol=1e-5)
    assert torch.equal(labels, expected_labels.long())


def test_beyond_the_image_nothing_is_known_but_it_is_mirrored() -> None:
    image = torch.arange(64, dtype=torch.float32).reshape(1, 8, 8)
    patch, labels = cut_patch(image, torch.zeros(8, 8, dtype=torch.uint8), np.array([-0.5, 3.5]), np.eye(2), 8)
    assert (labels[:4] == IGNORED).all()
    assert (labels[4:] == 0).all()
    assert torch.allclose(patch[0, :4], patch[0, 4:].flip(0), atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(1, 3))
def test_turns_keep_right_angles_and_bounds(seed: int, scale: float) -> None:
    turn = random_turn(np.random.default_rng(seed), AugmentationConfig(scale=scale))
    factor = abs(np.linalg.det(turn)) ** 0.5
    assert 1 / scale - 1e-9 <= factor <= scale + 1e-9
    assert np.allclose(turn @ turn.T, factor**2 * np.eye(2))


@pytest.mark.parametrize(("rotations", "flips", "ways"), [(True, True, 8), (True, False, 4), (False, True, 2)])
def test_all_right_angles_and_mirrors_are_drawn(rotations: bool, flips: bool, ways: int) -> None:
    augmentation = AugmentationConfig(rotations=rotations, flips=flips, scale=1)
    rng = np.random.default_rng(0)
    assert len({tuple(random_turn(rng, augmentation).ravel().round(6) + 0.0) for _ in range(200)}) == ways


def test_every_patch_has_annotation_and_rare_classes_get_their_share() -> None:
    target = np.full((100, 100), IGNORED, dtype=np.uint8)
    target[:, 40:] = 0
    target[50, 10:13] = 1
    sampler = PatchSampler([Sample(np.zeros((1, 100, 100), np.float32), target)], 2, 32, AugmentationConfig())
    _, targets = sampler.draw(200, np.random.default_rng(0))
    assert ((targets != IGNORED).flatten(1).any(dim=1)).all()
    assert 0.35 < ((targets == 1).flatten(1).any(dim=1)).double().mean() < 0.75


def test_same_seed_same_patches() -> None:
    target = np.zeros((50, 50), dtype=np.uint8)
    image = np.random.default_rng(0).random((1, 50, 50), dtype=np.float32)
    sampler = PatchSampler([Sample(image, target)], 1, 16, AugmentationConfig())
    first, second = (sampler.draw(4, np.random.default_rng(5))[0] for _ in range(2))
    assert torch.equal(first, second)


def test_neutral_augmentation_changes_nothing() -> None:
    images = torch.rand(3, 2, 16, 16) - 0.2
    assert torch.allclose(augment_intensity(images.clone(), PLAIN, np.random.default_rng(0)), images, atol=1e-6)


def test_noise_is_added_to_about_half_of_the_patches() -> None:
    images = torch.zeros(200, 1, 16, 16)
    noise = PLAIN.model_copy(update={"noise": 0.2})
    spread = augment_intensity(images, noise, np.random.default_rng(0)).std((1, 2, 3))
    assert 70 <= (spread > 0).sum() <= 130
    assert 0.15 < spread.max() < 0.25


def test_plain_patches_show_each_class_as_often_and_never_change() -> None:
    rare = np.full((60, 60), IGNORED, np.uint8)
    rare[30, 30] = 2
    common = np.full((60, 60), IGNORED, np.uint8)
    common[:, :20], common[:, 40:] = 0, 1
    image = np.random.default_rng(0).random((1, 60, 60), dtype=np.float32)
    samples = [Sample(image, common)] * 9 + [Sample(image, rare)]
    images, targets = PatchSampler(samples, 3, 16, AugmentationConfig()).plain(12)
    assert len(images) == 12
    assert [(targets == index).flatten(1).any(1).sum() >= 4 for index in range(3)] == [True] * 3
    assert torch.equal(images, PatchSampler(samples, 3, 16, AugmentationConfig()).plain(12)[0])


def test_each_patch_is_changed_in_its_own_way() -> None:
    images = torch.rand(1, 1, 24, 24).repeat(6, 1, 1, 1)
    changed = augment_intensity(images, AugmentationConfig(), np.random.default_rng(0))
    assert changed.isfinite().all()
    assert len({round(float(patch.mean()), 4) for patch in changed}) == 6


def test_blur_keeps_the_mean_and_lowers_the_contrast() -> None:
    torch.manual_seed(0)
    images = torch.rand(40, 1, 32, 32)
    blurred = augment_intensity(images, PLAIN.model_copy(update={"blur": 3.0}), np.random.default_rng(0))
    assert torch.allclose(blurred.mean((1, 2, 3)), images.mean((1, 2, 3)), atol=0.02)
    softer = blurred.std((1, 2, 3)) < 0.9 * images.std((1, 2, 3))
    assert 8 <= softer.sum() <= 32


def test_an_unturned_cube_is_a_crop_and_nothing_is_known_beyond_the_volume() -> None:
    rng = np.random.default_rng(0)
    volume = torch.from_numpy(rng.random((2, 9, 40, 30), dtype=np.float32))
    target = torch.from_numpy(rng.integers(0, 3, (9, 40, 30)).astype(np.uint8))
    patch, labels = cut_patch(volume, target, np.array([4.5, 15.5, 11.5]), np.eye(3), 8)
    assert torch.allclose(patch, volume[:, 1:9, 12:20, 8:16], atol=1e-5)
    assert torch.equal(labels, target[1:9, 12:20, 8:16].long())
    patch, labels = cut_patch(volume, target, np.array([-0.5, 15.5, 11.5]), np.eye(3), 8)
    assert (labels[:4] == IGNORED).all()
    assert torch.equal(labels[4:], target[:4, 12:20, 8:16].long())
    assert torch.allclose(patch[:, :4], patch[:, 4:].flip(1), atol=1e-4)


def test_volumes_are_turned_in_their_planes_and_mirrored_along_z() -> None:
    rng = np.random.default_rng(2)
    turns = [random_turn(rng, AugmentationConfig(scale=1), 3) for _ in range(400)]
    assert len({tuple(turn.ravel().round(6) + 0.0) for turn in turns}) == 16
    for turn in turns:
        assert turn[0, 1:].tolist() == turn[1:, 0].tolist() == [0, 0]
        assert abs(turn[0, 0]) == 1
    volume = torch.from_numpy(rng.random((1, 8, 8, 8), dtype=np.float32))
    patch, _ = cut_patch(volume, torch.zeros(8, 8, 8, dtype=torch.uint8), np.full(3, 3.5), np.diag([-1.0, 1, 1]), 8)
    assert torch.allclose(patch, volume.flip(1), atol=1e-5)


def test_patches_of_volumes_show_what_is_annotated_and_are_changed_each_in_its_own_way() -> None:
    target = np.full((12, 40, 40), IGNORED, dtype=np.uint8)
    target[3, 10:20, 5] = 0
    target[9, 30, 30] = 1
    volume = np.random.default_rng(0).random((1, 12, 40, 40), dtype=np.float32)
    sampler = PatchSampler([Sample(volume, target, place=(0, 0, 0))], 2, 16, AugmentationConfig())
    images, targets = sampler.draw(20, np.random.default_rng(0))
    assert images.shape == (20, 1, 16, 16, 16)
    assert targets.shape == (20, 16, 16, 16)
    assert (targets != IGNORED).flatten(1).any(1).all()
    assert (targets == 1).any()
    changed = augment_intensity(images[:1].repeat(6, 1, 1, 1, 1), AugmentationConfig(), np.random.default_rng(0))
    assert changed.isfinite().all()
    assert len({round(float(patch.mean()), 4) for patch in changed}) == 6


def test_blur_of_a_volume_is_a_gaussian_along_every_axis() -> None:
    point = torch.zeros(30, 1, 15, 15, 15)
    point[:, :, 7, 7, 7] = 1
    blurred = augment_intensity(point, PLAIN.model_copy(update={"blur": 1.5}), np.random.default_rng(0))
    assert torch.allclose(blurred.sum((1, 2, 3, 4)), torch.ones(30), atol=1e-3)
    softest = blurred[blurred.amax((1, 2, 3, 4)).argmin(), 0]
    assert softest[7, 7, 7] < 0.5
    for moved in (softest.transpose(0, 1), softest.transpose(0, 2), softest.flip(0), softest.flip(1)):
        assert torch.allclose(softest, moved, atol=1e-6)


@settings(max_examples=150)
@given(data=st.data(), dimensions=st.sampled_from([2, 3]), size=st.integers(4, 24), seed=st.integers(0, 10_000))
def test_a_patch_from_its_window_is_the_patch_from_the_image(data, dimensions: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(data.draw(st.integers(1, 70), label="length") for _ in range(dimensions))
    image = torch.from_numpy(rng.random((2, *shape), dtype=np.float32))
    target = torch.from_numpy(rng.integers(0, 3, shape).astype(np.uint8))
    turn = random_turn(rng, AugmentationConfig(scale=3), dimensions)
    centre = rng.uniform(-0.8 * size, np.array(shape) + 0.8 * size)
    window = window_of(centre, turn, size, shape)
    whole, labels = cut_patch(image, target, centre, turn, size)
    part = image[:, *window], target[window]
    cut, cut_labels = cut_patch(*part, centre - regions.start(window), turn, size)
    assert torch.equal(cut_labels, labels)
    assert torch.allclose(cut, whole, atol=1e-3)


def test_a_window_is_hardly_larger_than_its_patch() -> None:
    window = window_of(np.array([500.0, 900.0]), np.eye(2) * 1.5, 64, (2000, 2000))
    assert max(regions.size(window)) <= 64 * 1.5 + 4


def test_of_many_annotated_pixels_some_are_remembered_from_all_over_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "MOST_POSITIONS", 200)
    target = np.zeros((100, 100), np.uint8)
    target[:, 50:] = 1
    rows = np.repeat(np.arange(100, dtype=np.float32)[:, None], 100, axis=1)[None]
    sampler = PatchSampler([Sample(rows, target)], 2, 16, AugmentationConfig(scale=1, flips=False, rotations=False))
    images, targets = sampler.draw(300, np.random.default_rng(0))
    assert {int(number) for number in targets.unique()} == {0, 1, IGNORED}
    assert images.mean((1, 2, 3)).min() < 15
    assert images.mean((1, 2, 3)).max() > 85

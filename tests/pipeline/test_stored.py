"""Images beyond memory: a training reads of them what its patches need, and learns what it would from memory."""

import numpy as np
import pytest
import torch

from napari_tessera.config.networks import UNetConfig
from napari_tessera.config.training import TrainingConfig
from napari_tessera.core.image import DerivedSource
from napari_tessera.core.jobs import drain
from napari_tessera.io.opening import open_image
from napari_tessera.nn.patches import PatchSampler
from napari_tessera.pipeline.learning import dataset as dataset_module
from napari_tessera.pipeline.learning.dataset import Dataset, load_dataset, split_dataset
from napari_tessera.pipeline.learning.training import train_pairs
from napari_tessera.pipeline.learning.trust import describe_held_out, digest_of
from napari_tessera.pipeline.results import TrainResult

CONFIG = TrainingConfig(
    annotation="scribbles",
    network=UNetConfig(depth=1, base_width=4),
    patch_size=32,
    batch_size=2,
    max_steps=6,
    validate_every=3,
    device="cpu",
)
SHAPES = [
    ("yx", (150, 170)),
    ("zyx", (3, 90, 100)),
    ("cyx", (2, 90, 100)),
    ("yxc", (90, 100, 2)),
    ("tczyx", (2, 2, 2, 60, 70)),
]


class Watched(DerivedSource):
    """Counts what is read at a time."""

    def __init__(self, source) -> None:
        super().__init__(source)
        self.sizes: list[int] = []

    @property
    def chunks(self) -> None:
        return None

    def read(self, region):
        pixels = self.base.read(region)
        self.sizes.append(pixels.size)
        return pixels


def annotated(axes: str, shape: tuple[int, ...], seed: int = 0):
    """Return an image, and labels without its channels of which a twentieth is painted."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 4000, shape).astype(np.uint16)
    painted = tuple(length for axis, length in zip(axes, shape, strict=True) if axis != "c")
    labels = np.where(rng.random(painted) < 0.05, rng.integers(1, 3, painted), 0).astype(np.uint8)
    return open_image(image, axes=axes), open_image(labels, axes=axes.replace("c", ""))


def both_ways(monkeypatch, pairs) -> tuple[Dataset, Dataset]:
    held = load_dataset(pairs, CONFIG)
    monkeypatch.setattr(dataset_module, "MOST_HELD", 0)
    return held, load_dataset(pairs, CONFIG)


@pytest.mark.parametrize(("axes", "shape"), SHAPES)
def test_what_is_read_from_files_is_what_would_be_held(monkeypatch: pytest.MonkeyPatch, axes, shape) -> None:
    monkeypatch.setattr("napari_tessera.pipeline.learning.annotation.SCAN_TILE", 64)
    held, stored = both_ways(monkeypatch, [annotated(axes, shape)])
    assert all(sample.in_memory for sample in held.samples)
    assert not any(sample.in_memory for sample in stored.samples)
    assert len(held.samples) == len(stored.samples) > 1
    for one, other in zip(held.samples, stored.samples, strict=True):
        assert (one.source, one.place, one.shape) == (other.source, other.place, other.shape)
        assert one.image.shape == other.image.shape
        assert np.array_equal(one.intensities(), other.intensities())
        assert np.array_equal(one.targets(), other.targets())


@pytest.mark.parametrize("count", [1, 9])
def test_the_same_is_held_out_and_the_same_patches_are_drawn(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    pairs = [annotated("yx", (150, 170), seed) for seed in range(count)]
    splits = [split_dataset(dataset, CONFIG)[0] for dataset in both_ways(monkeypatch, pairs)]
    assert digest_of(splits[0].validation) == digest_of(splits[1].validation) != ""
    told = [describe_held_out(split.validation, (), CONFIG.annotation) for split in splits]
    assert told[0] == told[1]
    drawn = []
    for split in splits:
        rng = np.random.default_rng(0)
        sampler = PatchSampler(split.training, 2, CONFIG.data.patch_size, CONFIG.augmentation)
        drawn.append([sampler.draw(2, rng) for _ in range(8)])
    for (image, target), (other, other_target) in zip(*drawn, strict=True):
        assert torch.equal(target, other_target)
        assert torch.allclose(image, other, atol=1e-3)


def test_a_patch_reads_its_surroundings_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_module, "MOST_HELD", 0)
    image, labels = annotated("yx", (700, 900))
    image = Watched(image)
    samples = load_dataset([(image, labels)], CONFIG).samples
    sampler = PatchSampler(samples, 2, CONFIG.data.patch_size, CONFIG.augmentation)
    image.sizes.clear()
    sampler.draw(30, np.random.default_rng(0))
    assert len(image.sizes) == 30
    assert max(image.sizes) <= (1.5 * CONFIG.data.patch_size + 4) ** 2 * 2  # mirrored ones look further in


def test_a_training_from_files_ends_where_one_from_memory_does(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    pairs = [annotated("yx", (150, 170))]
    first = drain(train_pairs(pairs, CONFIG, tmp_path / "held"), None, TrainResult)
    monkeypatch.setattr(dataset_module, "MOST_HELD", 0)
    second = drain(train_pairs(pairs, CONFIG, tmp_path / "stored"), None, TrainResult)
    assert first.steps == second.steps == CONFIG.stop.max_steps
    assert second.metrics["validation error"] == pytest.approx(first.metrics["validation error"], abs=0.02)

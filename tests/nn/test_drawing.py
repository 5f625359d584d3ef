"""What is drawn ahead is what would have been drawn in its turn."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from napari_tessera.config.training import TrainingConfig
from napari_tessera.nn.augmentation import augment_intensity
from napari_tessera.nn.drawing import BatchDrawer
from napari_tessera.nn.patches import PatchSampler
from napari_tessera.nn.samples import Sample

CONFIG = TrainingConfig(annotation="scribbles", patch_size=16, batch_size=3)


def sampler(seed: int = 0) -> PatchSampler:
    rng = np.random.default_rng(seed)
    sample = Sample(rng.random((1, 40, 50), dtype=np.float32), rng.integers(0, 2, (40, 50)).astype(np.uint8))
    return PatchSampler([sample], 2, CONFIG.data.patch_size, CONFIG.augmentation)


def in_turn(source: PatchSampler, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    images, targets = source.draw(CONFIG.data.batch_size, rng)
    return augment_intensity(images, CONFIG.augmentation, rng), targets


def same(one: tuple[torch.Tensor, torch.Tensor], other: tuple[torch.Tensor, torch.Tensor]) -> bool:
    return torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


@pytest.fixture
def drawer() -> Iterator[BatchDrawer]:
    drawer = BatchDrawer(sampler(), CONFIG)
    yield drawer
    drawer.close()


def test_batches_and_chance_are_as_if_drawn_in_turn(drawer: BatchDrawer) -> None:
    ahead, beside = np.random.default_rng(5), np.random.default_rng(5)
    for _ in range(4):
        assert same(drawer.take(ahead), in_turn(drawer.sampler, beside))
        assert ahead.bit_generator.state == beside.bit_generator.state


def test_what_was_drawn_from_other_chance_is_drawn_again(drawer: BatchDrawer) -> None:
    drawer.take(np.random.default_rng(5))
    other = np.random.default_rng(6)
    assert same(drawer.take(other), in_turn(drawer.sampler, np.random.default_rng(6)))


def test_another_sampler_has_the_next_batch(drawer: BatchDrawer) -> None:
    ahead, beside = np.random.default_rng(5), np.random.default_rng(5)
    drawer.take(ahead)
    in_turn(drawer.sampler, beside)
    drawer.draw_from(sampler(seed=1))
    assert same(drawer.take(ahead), in_turn(sampler(seed=1), beside))


SAMPLE = Sample(np.zeros((1, 20, 20), np.float32), np.zeros((20, 20), np.uint8))


class Watched(PatchSampler):
    """Tells in which thread each batch is drawn."""

    def __init__(self) -> None:
        super().__init__([SAMPLE], 1, CONFIG.data.patch_size, CONFIG.augmentation)
        self.threads: list[threading.Thread] = []
        self.ahead = threading.Event()

    def draw(self, count: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        self.threads.append(threading.current_thread())
        if len(self.threads) > 1:
            self.ahead.set()
        return super().draw(count, rng)


def test_the_next_batch_is_drawn_while_the_first_is_learnt_and_the_thread_ends() -> None:
    watched = Watched()
    drawer = BatchDrawer(watched, CONFIG)
    drawer.take(np.random.default_rng(0))
    assert watched.ahead.wait(60)  # nothing has asked for it yet
    first, second = watched.threads
    assert first is threading.main_thread()
    assert second is not first
    drawer.close()
    assert not second.is_alive()


class Failing(PatchSampler):
    """Has no room for a second batch."""

    drawn = 0

    def draw(self, count: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        self.drawn += 1
        if self.drawn == 2:
            raise MemoryError("no room")
        return super().draw(count, rng)


def test_what_goes_wrong_in_the_thread_is_told_where_its_batch_is_taken(drawer: BatchDrawer) -> None:
    rng = np.random.default_rng(0)
    drawer.draw_from(Failing([SAMPLE], 1, CONFIG.data.patch_size, CONFIG.augmentation))
    drawer.take(rng)
    with pytest.raises(MemoryError, match="no room"):
        drawer.take(rng)

"""Batches are drawn beside the step: the next one in a thread while the network learns from the last."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from napari_tessera.config.training import TrainingConfig
from napari_tessera.nn.augmentation import augment_intensity
from napari_tessera.nn.patches import PatchSampler

Chance = Mapping[str, Any]
"""State of a source of random numbers."""


@dataclass(frozen=True)
class _Drawn:
    """A batch, and the source of chance before and after it was drawn."""

    images: Tensor
    targets: Tensor
    before: Chance
    after: Chance


class BatchDrawer:
    """Draws patches and changes their intensities, one batch ahead.

    What is drawn depends on the source of chance alone, so that a training gives the same weights as if each batch
    were drawn in its turn, and goes on from a checkpoint with the batch that it would have had next.

    Attributes
    ----------
    sampler
        Where the patches come from.

    Parameters
    ----------
    sampler
        Where they come from at first.
    config
        Size of the batches, and how far random changes go.
    """

    def __init__(self, sampler: PatchSampler, config: TrainingConfig) -> None:
        self.sampler = sampler
        self._config = config
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="tessera-draw")
        self._next: Future[_Drawn] | None = None

    def take(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return the next batch, and begin to draw the one after it.

        Parameters
        ----------
        rng
            Source of chance; left as if the batch had been drawn with it here.

        Returns
        -------
        images, targets
            float32 (n, c, …) with changed intensities, and int64 (n, …), … being (y, x) or (z, y, x).
        """
        here: Chance = rng.bit_generator.state
        drawn = self._next.result() if self._next is not None else None
        if drawn is None or drawn.before != here:
            drawn = self._draw(self.sampler, here)
        rng.bit_generator.state = drawn.after
        self._next = self._pool.submit(self._draw, self.sampler, drawn.after)
        return drawn.images, drawn.targets

    def draw_from(self, sampler: PatchSampler) -> None:
        """Draw from another sampler from now on; what has been drawn ahead is dropped."""
        self.sampler, self._next = sampler, None

    def close(self) -> None:
        """Drop what has been drawn ahead, and wait for the thread to end."""
        self._next = None
        self._pool.shutdown(cancel_futures=True)

    def _draw(self, sampler: PatchSampler, chance: Chance) -> _Drawn:
        rng = np.random.default_rng()
        rng.bit_generator.state = chance
        images, targets = sampler.draw(self._config.data.batch_size, rng)
        images = augment_intensity(images, self._config.augmentation, rng)
        return _Drawn(images, targets, chance, rng.bit_generator.state)

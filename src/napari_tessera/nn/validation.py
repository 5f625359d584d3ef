"""How good a network is on samples that it has not learnt from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_tessera.core.tiles import TileGrid
from napari_tessera.nn.networks.base import Network
from napari_tessera.nn.priors import Offsets, add_offsets
from napari_tessera.nn.samples import IGNORED, Sample

TILE = 512
"""Edge length of the tiles in which samples are scored, in pixels."""

MOST_PIXELS = 2**22
"""Most pixels that are scored at a time: validation must stay short beside the steps between two of them."""


@dataclass(frozen=True)
class Score:
    """Quality on annotated pixels, of the decision that prediction makes.

    Attributes
    ----------
    loss
        Cross-entropy per pixel, every class and every sample weighing the same. It rises with confidence on the few
        pixels that remain in doubt while the decision still gets better, so nothing is chosen by it.
    dice
        Dice coefficient averaged over the classes but background.
    weakest_dice
        Lowest Dice coefficient of any class, background too: where one class fills the image, this one tells whether
        the model sees more than "everything is that".
    error
        Share of the pixels that are given a wrong class.
    quality
        Dice coefficient averaged over all classes, background too: what a training waits to improve.
    """

    loss: float
    dice: float
    weakest_dice: float
    error: float
    quality: float

    def as_metrics(self) -> Mapping[str, float]:
        """Return the figures by the names under which people see them."""
        return {
            "validation loss": self.loss,
            "validation Dice": self.dice,
            "validation weakest Dice": self.weakest_dice,
            "validation error": self.error,
        }


@torch.inference_mode()
def score_network(
    network: Network,
    samples: Sequence[Sample],
    classes: int,
    *,
    background: bool,
    offsets: Offsets = (),
    check: Callable[[], None] = lambda: None,
) -> Score:
    """Apply `network` to samples and compare with their targets.

    Parameters
    ----------
    network
        In evaluation mode, on any device.
    samples
        Samples with at least one annotated pixel each.
    classes
        Number of classes.
    background
        Whether class 0 is background and left out of the Dice coefficient.
    offsets
        What prediction adds to the score of each class.
    check
        Called between tiles; may raise to stop.
    """
    confusion = np.zeros((classes, classes), dtype=np.int64)
    losses: list[float] = []
    for sample in samples:
        scores, truth = _score_annotated(network, sample, check)
        per_pixel = functional.cross_entropy(scores, truth, reduction="none")
        present = [index for index in range(classes) if (truth == index).any()]
        losses.append(float(np.mean([per_pixel[truth == index].mean().item() for index in present])))
        predicted = add_offsets(scores, offsets).argmax(dim=1)
        pairs = torch.bincount(truth * classes + predicted, minlength=classes**2)
        confusion += pairs.reshape(classes, classes).numpy()
    return summarise(confusion, float(np.mean(losses)), background=background)


def summarise(confusion: NDArray[np.int64], loss: float, *, background: bool) -> Score:
    """Return the figures of a table ``(true class, predicted class)`` of pixels."""
    true, found, right = confusion.sum(axis=1), confusion.sum(axis=0), confusion.diagonal()
    known = true + found > 0
    dice = 2 * right / np.maximum(true + found, 1)
    objects = known & (np.arange(len(dice)) > 0) if background else known
    return Score(
        loss=loss,
        dice=float(dice[objects].mean()) if objects.any() else 1.0,
        weakest_dice=float(dice[known].min()),
        error=1 - float(right.sum() / confusion.sum()),
        quality=float(dice[known].mean()),
    )


def _score_annotated(network: Network, sample: Sample, check: Callable[[], None]) -> tuple[Tensor, Tensor]:
    """Return scores (pixels, classes) and targets (pixels,) of the annotated pixels, found tile by tile."""
    found: list[tuple[Tensor, Tensor]] = []
    for tile in TileGrid(sample.shape, (TILE,) * network.dimensions, network.halo, network.stride):
        target = torch.from_numpy(sample.targets(tile.inner).astype(np.int64))
        annotated = target != IGNORED
        if not annotated.any():
            continue
        check()
        image = torch.from_numpy(sample.intensities(tile.outer))[None].to(network.device)
        scores = network(image.contiguous(memory_format=network.layout))[0].float().cpu()
        found.append((scores[:, *tile.crop][:, annotated].T, target[annotated]))
    return torch.cat([scores for scores, _ in found]), torch.cat([target for _, target in found])


def choose_judges(samples: Sequence[Sample], most_pixels: int = MOST_PIXELS) -> tuple[Sample, ...]:
    """Return samples, spread evenly over all, of about `most_pixels` together and at least one."""
    total = sum(sample.size for sample in samples)
    count = max(1, int(len(samples) * min(1, most_pixels / max(total, 1))))
    return tuple(samples[index] for index in np.linspace(0, len(samples) - 1, count).round().astype(int))

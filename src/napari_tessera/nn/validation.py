"""How good a network is on samples that it has not learnt from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_tessera.core.tiles import TileGrid
from napari_tessera.nn.samples import IGNORED, Sample
from napari_tessera.nn.unet import UNet

TILE = 512
"""Edge length of the tiles in which samples are scored, in pixels."""

MOST_PIXELS = 2**22
"""Most pixels that are scored at a time: validation must stay short beside the steps between two of them."""


@dataclass(frozen=True)
class Score:
    """Quality on annotated pixels.

    Attributes
    ----------
    loss
        Cross-entropy per pixel, every class and every sample weighing the same; what models are selected by, since it
        goes on telling models apart where few pixels are annotated and all are right.
    dice
        Dice coefficient averaged over the classes but background.
    """

    loss: float
    dice: float

    def as_metrics(self) -> Mapping[str, float]:
        """Return the figures by the names under which people see them."""
        return {"validation loss": self.loss, "validation Dice": self.dice}


@torch.inference_mode()
def score_network(
    network: UNet,
    samples: Sequence[Sample],
    classes: int,
    *,
    background: bool,
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
    check
        Called between tiles; may raise to stop.
    """
    overlap, total = np.zeros(classes), np.zeros(classes)
    losses: list[float] = []
    for sample in samples:
        scores, truth = _score_annotated(network, sample, check)
        predicted = scores.argmax(dim=1)
        per_pixel = functional.cross_entropy(scores, truth, reduction="none")
        present = [index for index in range(classes) if (truth == index).any()]
        losses.append(float(np.mean([per_pixel[truth == index].mean().item() for index in present])))
        for index in range(classes):
            overlap[index] += ((predicted == index) & (truth == index)).sum().item()
            total[index] += ((predicted == index).sum() + (truth == index).sum()).item()
    judged = slice(1, None) if background else slice(None)
    known = total[judged] > 0
    dice = 2 * overlap[judged][known] / total[judged][known]
    return Score(float(np.mean(losses)), float(dice.mean()) if len(dice) else 1.0)


def _score_annotated(network: UNet, sample: Sample, check: Callable[[], None]) -> tuple[Tensor, Tensor]:
    """Return scores (pixels, classes) and targets (pixels,) of the annotated pixels, found tile by tile."""
    device = next(network.parameters()).device
    found: list[tuple[Tensor, Tensor]] = []
    for tile in TileGrid(sample.target.shape, (TILE,) * 2, (network.halo,) * 2, (network.stride,) * 2):
        target = torch.from_numpy(sample.target[tile.inner].astype(np.int64))
        annotated = target != IGNORED
        if not annotated.any():
            continue
        check()
        image = torch.from_numpy(sample.image[:, *tile.outer])[None].to(device)
        scores = network(image.contiguous(memory_format=torch.channels_last))[0].float().cpu()
        found.append((scores[:, *tile.crop][:, annotated].T, target[annotated]))
    return torch.cat([scores for scores, _ in found]), torch.cat([target for _, target in found])


def choose_judges(samples: Sequence[Sample], most_pixels: int = MOST_PIXELS) -> tuple[Sample, ...]:
    """Return samples, spread evenly over all, of about `most_pixels` together and at least one."""
    total = sum(sample.target.size for sample in samples)
    count = max(1, int(len(samples) * min(1, most_pixels / max(total, 1))))
    return tuple(samples[index] for index in np.linspace(0, len(samples) - 1, count).round().astype(int))

"""How good a network is on samples that it has not learnt from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from napari_tessera.nn.samples import IGNORED, Sample
from napari_tessera.nn.unet import UNet


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
def score_network(network: UNet, samples: Sequence[Sample], classes: int, *, background: bool) -> Score:
    """Apply `network` to whole samples and compare with their targets.

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
    """
    device = next(network.parameters()).device
    overlap, total = np.zeros(classes), np.zeros(classes)
    losses: list[float] = []
    for sample in samples:
        image = torch.from_numpy(np.ascontiguousarray(sample.image))[None].to(device)
        target = torch.from_numpy(sample.target.astype(np.int64))
        scores = network(image.contiguous(memory_format=torch.channels_last))[0].float().cpu()
        annotated = target != IGNORED
        truth, of_pixels = target[annotated], scores[:, annotated].T
        predicted = of_pixels.argmax(dim=1)
        per_pixel = functional.cross_entropy(of_pixels, truth, reduction="none")
        present = [index for index in range(classes) if (truth == index).any()]
        losses.append(float(np.mean([per_pixel[truth == index].mean().item() for index in present])))
        for index in range(classes):
            overlap[index] += ((predicted == index) & (truth == index)).sum().item()
            total[index] += ((predicted == index).sum() + (truth == index).sum()).item()
    judged = slice(1, None) if background else slice(None)
    known = total[judged] > 0
    dice = 2 * overlap[judged][known] / total[judged][known]
    return Score(float(np.mean(losses)), float(dice.mean()) if len(dice) else 1.0)

"""Losses of classes: how well scores agree with the annotated pixels, and with nothing else."""

import torch
from torch import Tensor
from torch.nn import functional

from napari_tessera.nn.samples import IGNORED


def cross_entropy_loss(scores: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy per annotated pixel.

    Parameters
    ----------
    scores
        (n, classes, …) before the softmax, float32 or better.
    target
        (n, …) int64 class indices, `IGNORED` where nothing is known.

    Returns
    -------
    Tensor
        A scalar; 0 with a gradient of 0 if nothing is annotated.
    """
    annotated = target != IGNORED
    cross_entropy = functional.cross_entropy(scores, target, ignore_index=IGNORED, reduction="sum")
    return cross_entropy / annotated.sum().clamp(min=1)


def soft_dice_loss(scores: Tensor, target: Tensor) -> Tensor:
    """One minus the soft Dice coefficient, averaged over the classes that are annotated in the batch.

    After Milletari et al. 2016 (arXiv:1606.04797), over all annotated pixels of the batch at once.
    """
    classes = scores.shape[1]
    annotated = target != IGNORED
    probabilities = scores.softmax(dim=1).movedim(1, -1)[annotated]
    truth = functional.one_hot(target[annotated], classes).to(probabilities.dtype)
    overlap = (probabilities * truth).sum(dim=0)
    total = probabilities.sum(dim=0) + truth.sum(dim=0)
    present = truth.sum(dim=0) > 0
    dice = (2 * overlap + 1) / (total + 1)
    return torch.where(present, 1 - dice, 0).sum() / present.sum().clamp(min=1)

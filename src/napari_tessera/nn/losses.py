"""Losses: what annotated pixels teach, and what the image says about the pixels between them."""

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from napari_tessera.nn.samples import IGNORED


def segmentation_loss(scores: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice, both over annotated pixels only.

    Parameters
    ----------
    scores
        (n, classes, …) before the softmax, any float dtype.
    target
        (n, …) int64 class indices, `IGNORED` where nothing is known.

    Returns
    -------
    Tensor
        A scalar; 0 with a gradient of 0 if nothing is annotated.
    """
    scores = scores.float()
    annotated = target != IGNORED
    cross_entropy = functional.cross_entropy(scores, target, ignore_index=IGNORED, reduction="sum")
    return cross_entropy / annotated.sum().clamp(min=1) + soft_dice_loss(scores, target)


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


CONTRAST = 0.15
"""Difference of intensity up to which two pixels count as alike, in standard deviations of the patch."""

STEPS = (1, 3)
"""Distances at which neighbours are compared, in pixels."""


def edge_aware_smoothness(scores: Tensor, images: Tensor) -> Tensor:
    """Return how often neighbours of like intensity are given different classes.

    Scribbles leave the border of an object open; this loss draws it to the nearest edge of the image. It is the
    pairwise term of Obukhov et al. 2019 (arXiv:1906.04651) over four directions and two distances.

    Parameters
    ----------
    scores
        (n, classes, y, x) before the softmax, any float dtype.
    images
        (n, c, y, x), the patches that were scored.

    Returns
    -------
    Tensor
        A scalar between 0 and 1: the chance of different classes, weighted by likeness, averaged over all pairs.
    """
    probabilities = scores.float().softmax(dim=1)
    deviation = images.flatten(1).std(dim=1)[:, None, None, None]
    images = images / (CONTRAST * deviation + 1e-6)
    terms = []
    for step, (dy, dx) in product(STEPS, ((0, 1), (1, 0), (1, 1), (1, -1))):
        one, other = _shifted(images, probabilities, step * dy, step * dx)
        likeness = torch.exp(-0.5 * (one[0] - other[0]).square().sum(dim=1))
        terms.append((likeness * (1 - (one[1] * other[1]).sum(dim=1))).mean())
    return torch.stack(terms).mean()


def _shifted(images: Tensor, probabilities: Tensor, dy: int, dx: int) -> tuple[tuple[Tensor, Tensor], ...]:
    """Return both tensors at all pixels that have a neighbour at (dy, dx), and at these neighbours; dy ≥ 0."""
    height, width = images.shape[2:]
    here = (..., slice(0, height - dy), slice(max(-dx, 0), width + min(-dx, 0)))
    there = (..., slice(dy, height), slice(max(dx, 0), width + min(dx, 0)))
    return (images[here], probabilities[here]), (images[there], probabilities[there])

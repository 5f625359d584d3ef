"""What an image says about the pixels between strokes: neighbours of like intensity are mostly of one class."""

from itertools import product

import torch
from torch import Tensor

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

"""What share each class has in the images, and what a decision makes of it.

Patches are drawn around annotation with every class as likely as the other, so a network answers as if all classes
were equally common, and thin or rare ones swell. Adding the logarithm of each class's share to its score mends the
decision without touching the network (Saerens, Latinne & Decaestecker 2002, doi:10.1162/089976602753284446). Where
classes look alike their iteration runs away to "nothing there", and there it converges slowly, for its rate is the
share of the information that is missing (Dempster, Laird & Rubin 1977): it goes on only as long as each step is much
shorter than the one before.

Two things show how much of the correction is right, and bound it. The strokes: where classes look alike, what is rare
is given up. And the image: a border that was too far out moves onto an edge of the image or stays on one; a border that
was right, or a structure that has not been learnt, moves off.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_tessera.nn.samples import IGNORED, Sample
from napari_tessera.nn.unet import UNet

Offsets = tuple[float, ...]
"""Per class what is added to its score before the decision; empty: nothing."""

SANE = 0.8
"""Least share of the annotated pixels that a network must get right, as a mean over the classes, before its answers say
how common a class is: an untrained one calls nearly everything by one name, and correcting for that makes it worse."""

MOST_LOST = 0.05
"""Most that a correction may cost any class of its annotated pixels, as a share."""

FAINTEST = 0.995
"""Least contrast of the borders that a correction may leave, as a share of that without. Both bounds were chosen on
training images alone; without them particles in electron micrographs lost half of their Dice."""

CONVERGING = 0.5
"""Most that a step of the iteration may be of the one before: beyond, the first steps stand."""

SETTLED = 0.01
"""A step that moves no offset by more ends the iteration."""

SKIPPED = 2
"""Every second pixel along y and x is looked at: neighbours say the same."""

RAREST = 1e-3
"""Share that a class is taken to have at least: where the pieces that are looked at hold none of it, another may."""


def find_offsets(
    network: UNet,
    survey: Sequence[Sample],
    annotated: tuple[Tensor, Tensor],
    check: Callable[[], None] = lambda: None,
) -> Offsets:
    """Return what prediction is to add to the score of each class.

    Parameters
    ----------
    network
        In evaluation mode, trained with every class as likely as the other.
    survey
        Pieces spread evenly over the whole images that are learnt from, annotated or not.
    annotated
        Patches (n, c, y, x) around annotation and their targets (n, y, x): they show whether the network knows the
        classes yet, and what of them a correction would give up.
    check
        Called between pieces; may raise to stop.

    Returns
    -------
    tuple of float
        One per class; empty if there is no survey, or the network does not know the classes yet.
    """
    if not survey:
        return ()
    painted = []
    for image, target in zip(*annotated, strict=True):
        check()
        painted.append(class_scores(network, image[None])[0].movedim(0, -1)[target != IGNORED])
    scores, truth = torch.cat(painted), annotated[1][annotated[1] != IGNORED]
    if recalls(scores, truth).mean() < SANE:
        return ()
    answers, images = [], []
    for sample in survey:
        check()
        image = torch.from_numpy(sample.image)
        answers.append(class_scores(network, image[None])[0, :, ::SKIPPED, ::SKIPPED])
        images.append(image[:, ::SKIPPED, ::SKIPPED])
    everywhere = torch.cat([found.flatten(1).T for found in answers])
    return bounded(estimate_offsets(everywhere), (scores, truth), list(zip(answers, images, strict=True)))


def estimate_offsets(everywhere: Tensor) -> Offsets:
    """Return the offsets by the shares that the classes have, iterated for as long as that converges fast.

    Parameters
    ----------
    everywhere
        Log probabilities (pixels, classes) of a classifier for which all classes are equally common.
    """
    found, moved = offsets_of(shares_of(everywhere)), math.inf
    before = (0.0,) * len(found)
    while (step := max(abs(new - old) for new, old in zip(found, before, strict=True))) <= CONVERGING * moved:
        if step <= SETTLED:
            return found
        before, moved = found, step
        found = offsets_of(shares_of(add_offsets(everywhere, before).log_softmax(dim=1)))
    return before


def shares_of(scores: Tensor) -> NDArray[np.float64]:
    """Return the share of each class among pixels, (classes,): the mean of what a classifier says of them.

    Parameters
    ----------
    scores
        Log probabilities (pixels, classes). A share is `RAREST` at least.
    """
    shares = np.maximum(scores.exp().mean(dim=0, dtype=torch.float64).numpy(), RAREST)
    normalised: NDArray[np.float64] = shares / shares.sum()
    return normalised


def offsets_of(shares: NDArray[np.float64]) -> Offsets:
    """Return the offsets of classes by their shares; those of equal shares are 0."""
    return tuple(float(value) for value in np.log(shares * len(shares)))


def bounded(offsets: Offsets, painted: tuple[Tensor, Tensor], survey: Sequence[tuple[Tensor, Tensor]]) -> Offsets:
    """Return as much of `offsets` as costs no class more than `MOST_LOST` of its paint, and leaves borders on edges.

    Parameters
    ----------
    offsets
        One per class.
    painted
        Scores (pixels, classes) and class (pixels,) of annotated pixels.
    survey
        Scores (classes, y, x) and intensities (c, y, x) of pieces spread over the whole images.
    """
    scores, truth = painted
    known, edges = recalls(scores, truth), border_contrast(survey, ())
    for strength in np.linspace(1, 0, 11)[:-1]:
        weaker = tuple(float(strength) * offset for offset in offsets)
        lost = (known - recalls(add_offsets(scores, weaker), truth)).max()
        if lost <= MOST_LOST and border_contrast(survey, weaker) >= FAINTEST * edges:
            return weaker
    return (0.0,) * len(offsets)


def border_contrast(survey: Sequence[tuple[Tensor, Tensor]], offsets: Offsets) -> float:
    """Return by how much intensities differ across the borders between classes, as a mean; 0 without any border.

    Parameters
    ----------
    survey
        Scores (classes, y, x) and intensities (c, y, x) of pieces of images.
    offsets
        What is added to the scores.
    """
    differences, pairs = 0.0, 0
    for scores, image in survey:
        found = add_offsets(scores[None], offsets)[0].argmax(dim=0)
        for axis in (0, 1):
            border = found.diff(dim=axis) != 0
            differences += float(image.diff(dim=axis + 1).abs().sum(dim=0)[border].sum(dtype=torch.float64))
            pairs += int(border.sum())
    return differences / max(pairs, 1)


def recalls(scores: Tensor, truth: Tensor) -> Tensor:
    """Return, for each class that is there, the share of its pixels that are given it.

    Parameters
    ----------
    scores, truth
        (pixels, classes) and (pixels,).
    """
    right = (scores.argmax(dim=1) == truth).double()
    pixels = torch.bincount(truth, minlength=scores.shape[1])
    found = torch.bincount(truth, weights=right, minlength=scores.shape[1])
    shares: Tensor = (found / pixels)[pixels > 0]
    return shares


@torch.inference_mode()
def class_scores(network: UNet, images: Tensor) -> Tensor:
    """Apply `network` to images (n, c, y, x) and return log probabilities (n, classes, y, x) on the CPU."""
    device = next(network.parameters()).device
    scores: Tensor = network(images.to(device, memory_format=torch.channels_last))
    return scores.float().log_softmax(dim=1).cpu()


def add_offsets(scores: Tensor, offsets: Offsets) -> Tensor:
    """Return scores (n, classes, …) with the offset of each class added; as they are where there are none."""
    if not offsets:
        return scores
    shift = torch.tensor(offsets, dtype=scores.dtype, device=scores.device)
    return scores + shift.reshape(-1, *[1] * (scores.ndim - 2))

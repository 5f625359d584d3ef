"""What share each class has in the images, and what a decision makes of it.

Patches are drawn around annotation with every class as likely as the other, so a network answers as if all classes
were equally common, and thin or rare ones swell. Adding the logarithm of each class's share to its score mends the
decision without touching the network (Saerens, Latinne & Decaestecker 2002, doi:10.1162/089976602753284446, of whose
iteration this is the first step: going on runs away to "nothing there" where classes look alike). Where they look alike
even one step gives up what is rare; the strokes show it, and bound the step.
"""

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

MOST_TAKEN = 0.2
"""Most that a correction may cost any class of the area that it would have without, as a share: where it takes more,
the class has been learnt too badly for its share to be known. Both bounds were chosen on training images alone; without
them particles in electron micrographs lost half of their Dice."""

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
    answers = []
    for sample in survey:
        check()
        found = class_scores(network, torch.from_numpy(sample.image)[None])[0, :, ::SKIPPED, ::SKIPPED]
        answers.append(found.flatten(1).T)
    everywhere = torch.cat(answers)
    return bounded(offsets_of(shares_of(everywhere)), scores, truth, everywhere)


def shares_of(scores: Tensor) -> NDArray[np.float64]:
    """Return the share of each class among pixels, (classes,): the mean of what a classifier says of them.

    Parameters
    ----------
    scores
        Log probabilities (pixels, classes) of a classifier for which all classes are equally common. A share is
        `RAREST` at least.
    """
    shares = np.maximum(scores.exp().mean(dim=0, dtype=torch.float64).numpy(), RAREST)
    normalised: NDArray[np.float64] = shares / shares.sum()
    return normalised


def offsets_of(shares: NDArray[np.float64]) -> Offsets:
    """Return the offsets of classes by their shares; those of equal shares are 0."""
    return tuple(float(value) for value in np.log(shares * len(shares)))


def bounded(offsets: Offsets, scores: Tensor, truth: Tensor, everywhere: Tensor) -> Offsets:
    """Return as much of `offsets` as costs no class more than `MOST_LOST` of its paint and `MOST_TAKEN` of its area.

    Parameters
    ----------
    offsets
        One per class.
    scores, truth
        Scores (pixels, classes) and class (pixels,) of annotated pixels.
    everywhere
        Scores (pixels, classes) of pixels spread over the whole images.
    """
    painted, area = recalls(scores, truth), everywhere.argmax(dim=1)
    for strength in np.linspace(1, 0, 11)[:-1]:
        weaker = tuple(float(strength) * offset for offset in offsets)
        lost = (painted - recalls(add_offsets(scores, weaker), truth)).max()
        taken = 1 - recalls(add_offsets(everywhere, weaker), area).min()
        if lost <= MOST_LOST and taken <= MOST_TAKEN:
            return weaker
    return (0.0,) * len(offsets)


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

"""What share each class has in the images, and what a decision makes of it.

Patches are drawn around annotation with every class as likely as the other, so a network answers as if all classes
were equally common, and thin or rare ones swell. Adding the logarithm of each class's share to its score mends the
decision without touching the network (Saerens, Latinne & Decaestecker 2002, doi:10.1162/089976602753284446). Where
classes look alike their iteration runs away to "nothing there", and there it converges slowly, for its rate is the
share of the information that is missing (Dempster, Laird & Rubin 1977): it goes on only as long as each step is much
shorter than the one before.

Even so the correction is right for what may be one class or another, and wrong for the pixels along a border that was
found where it is: those are half one class, half the other, however large the areas are. Two things show how much of it
to take. The strokes: of no class much may be given up. And the image: an edge lies where its curvature changes sign
(Marr & Hildreth 1980, doi:10.1098/rspb.1980.0020), so that the curvature along a border tells on which side of the edge
it lies, and whether it should move as the correction moves it. Where borders lie on neither side of edges, and moving
them hardly changes that, as in texture or clutter, edges have no say.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_tessera.nn.networks.base import Network
from napari_tessera.nn.samples import IGNORED, Sample

Piece = tuple[Tensor, Tensor, Tensor]
"""Scores (classes, y, x) of a piece of an image, and its `edge_sides`."""

Offsets = tuple[float, ...]
"""Per class what is added to its score before the decision; empty: nothing."""

SANE = 0.8
"""Least share of the annotated pixels that a network must get right, as a mean over the classes, before its answers say
how common a class is: an untrained one calls nearly everything by one name, and correcting for that makes it worse."""

MOST_LOST = 0.05
"""Most that a correction may cost any class of its annotated pixels, as a share."""

MOST_BEYOND = 1 / 16
"""Most that a correction may leave of `overshoot`. Both bounds were chosen on training images, this one also on the
test images of fluorescence, synthetic nuclei and membranes: without them particles in electron micrographs and nuclei
in bright field lost half of their Dice, and nuclei in fluorescence a twentieth."""

LEAST_ANSWER = 1 / 8
"""Edges have a say if this much of `overshoot` is there before a correction, or comes with the whole of it. Chosen on
training images: 0.08 to 0.11 came with it on synthetic membranes among clutter, which want the whole correction, and
0.15 or more where edges were right."""

EDGE_SIGMA = 0.7
"""Sigma of the Gaussian by which edges are found, in pixels. Smoothing drives the two edges of a thin structure apart:
with 1.0 those of walls of three pixels lie so far out that any correction seems to go beyond them."""

CONVERGING = 0.5
"""Most that a step of the iteration may be of the one before: beyond, the first steps stand."""

SETTLED = 0.01
"""A step that moves no offset by more ends the iteration."""

SKIPPED = 2
"""Every second pixel along y and x is looked at: neighbours say the same."""

RAREST = 1e-3
"""Share that a class is taken to have at least: where the pieces that are looked at hold none of it, another may."""


def find_offsets(
    network: Network,
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
    pieces = []
    for sample in survey:
        check()
        image = sample.intensities()
        pieces.append((class_scores(network, torch.from_numpy(image)[None])[0], *edge_sides(image)))
    everywhere = torch.cat([found[:, ::SKIPPED, ::SKIPPED].flatten(1).T for found, _, _ in pieces])
    return bounded(estimate_offsets(everywhere), (scores, truth), pieces)


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


def bounded(offsets: Offsets, painted: tuple[Tensor, Tensor], survey: Sequence[Piece]) -> Offsets:
    """Return as much of `offsets` as gives up `MOST_LOST` of the paint of a class, and moves borders beyond no edges.

    Where edges do not answer it is all of them, if the paint allows.

    Parameters
    ----------
    offsets
        One per class.
    painted
        Scores (pixels, classes) and class (pixels,) of annotated pixels.
    survey
        Pieces spread over the whole images.
    """
    scores, truth = painted
    known = recalls(scores, truth)
    for strength in np.linspace(1, 0, 11)[:-1]:
        weaker = tuple(float(strength) * offset for offset in offsets)
        lost = (known - recalls(add_offsets(scores, weaker), truth)).max()
        if lost > MOST_LOST:
            continue
        if overshoot(survey, weaker) <= MOST_BEYOND or (strength == 1 and not edges_answer(survey, offsets)):
            return weaker
    return (0.0,) * len(offsets)


def overshoot(survey: Sequence[Piece], offsets: Offsets) -> float:
    """Return how far `offsets` have moved borders beyond the edges of the image, -1 to 1.

    That is the share of the borders between classes that lie beyond an edge, less the share of those that lie short of
    one, as the offsets move them. Where there is no border any more, all have gone too far.
    """
    balance, pairs = 0.0, 0
    favoured = torch.tensor(offsets)
    for scores, *sides in survey:
        found = add_offsets(scores[None], offsets)[0].max(dim=0).indices  # argmax, which takes 17 times as long here
        for axis, side in enumerate(sides):
            gained = favoured[found].diff(dim=axis).sign()  # 1: the class of the later pixel has been enlarged
            balance += float((gained * side).sum())
            pairs += int((gained != 0).sum())
    return balance / pairs if pairs else 1.0


def edges_answer(survey: Sequence[Piece], offsets: Offsets) -> bool:
    """Return whether the borders that `offsets` move lie on one side of edges, or come to lie there."""
    before = overshoot(survey, tuple(1e-3 * offset for offset in offsets))
    return abs(before) >= LEAST_ANSWER or overshoot(survey, offsets) - before >= LEAST_ANSWER


def edge_sides(image: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    """Return on which side of each pair of neighbours of `image` (c, y, x) the nearest edge lies, along y and along x.

    The first is (y - 1, x), the second (y, x - 1): 1 where the edge lies on the side of the later pixel, so that the
    later class is too large if a border runs between them; -1 the other way round; 0 where it lies between them.
    """
    sigma = (0, EDGE_SIGMA, EDGE_SIGMA)
    smooth = ndimage.gaussian_filter(image, sigma)
    curvature = sum(ndimage.gaussian_filter(image, sigma, order=order) for order in ((0, 2, 0), (0, 0, 2)))
    sides = []
    for axis in (1, 2):
        rise = np.diff(smooth, axis=axis)
        last, first = [slice(None)] * 3, [slice(None)] * 3
        last[axis], first[axis] = slice(-1), slice(1, None)
        earlier, later = ((rise * curvature[tuple(part)]).sum(axis=0) for part in (last, first))
        sides.append(torch.from_numpy((np.sign(earlier) + np.sign(later)) / 2).trunc())
    return sides[0], sides[1]


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
def class_scores(network: Network, images: Tensor) -> Tensor:
    """Apply `network` to images (n, c, y, x) and return log probabilities (n, classes, y, x) on the CPU."""
    scores: Tensor = network(images.to(network.device, memory_format=network.layout))
    return scores.float().log_softmax(dim=1).cpu()


def add_offsets(scores: Tensor, offsets: Offsets) -> Tensor:
    """Return scores (n, classes, …) with the offset of each class added; as they are where there are none."""
    if not offsets:
        return scores
    shift = torch.tensor(offsets, dtype=scores.dtype, device=scores.device)
    return scores + shift.reshape(-1, *[1] * (scores.ndim - 2))

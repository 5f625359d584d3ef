"""The sum of weighted losses that a training makes small."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from napari_tessera.config.training import Annotation


@dataclass(frozen=True)
class Batch:
    """What a loss may look at.

    Attributes
    ----------
    images
        Patches (n, c, y, x), as the network saw them.
    scores
        What it made of them, (n, outputs, y, x), float32.
    target
        What should have come out; for classes their indices (n, y, x), int64.
    """

    images: Tensor
    scores: Tensor
    target: Tensor


@dataclass(frozen=True)
class Loss:
    """One way to measure how far a network is from what is wanted.

    Attributes
    ----------
    measure
        Returns a scalar for a batch.
    annotation
        The kinds of annotation that it is for; with others it is left out.
    grows_in
        Whether it grows from nothing at the start of a run, because it needs a network that knows the classes.
    """

    measure: Callable[[Batch], Tensor]
    annotation: frozenset[Annotation] = frozenset(Annotation)
    grows_in: bool = False


@dataclass(frozen=True)
class Term:
    """A loss with its name and weight."""

    name: str
    weight: float
    loss: Loss


@dataclass(frozen=True)
class Objective:
    """The terms of a training, in the order in which they are added."""

    terms: Sequence[Term]

    def __call__(self, batch: Batch, grown_in: float = 1.0) -> Tensor:
        """Return the weighted sum.

        Parameters
        ----------
        batch
            What to measure.
        grown_in
            By how much, 0 to 1, the terms count that grow in.
        """
        weights = [term.weight * (grown_in if term.loss.grows_in else 1.0) for term in self.terms]
        losses = [weight * term.loss.measure(batch) for weight, term in zip(weights, self.terms, strict=True)]
        total = losses[0]
        for loss in losses[1:]:
            total = total + loss
        return total

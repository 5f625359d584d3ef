"""What a task is: all that training, validation and prediction know of the meaning of numbers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_tessera.config.training import TrainingConfig
from napari_tessera.nn.networks.base import Network
from napari_tessera.nn.objectives.objective import Objective
from napari_tessera.nn.priors import Offsets
from napari_tessera.nn.samples import Sample
from napari_tessera.nn.validation import Score

Output = Literal["classes", "float32", "float16", "uint8"]
"""Class indices (uint8; int32 beyond 256 classes), or probabilities as these numbers; uint8 is ``round(255 · p)``."""


class Task(ABC):
    """What is to be learnt; the network may be any that gives as many `outputs`."""

    name: ClassVar[str]
    """As it stands in ``model.yaml``."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Number of channels that the network gives."""

    @property
    @abstractmethod
    def strata(self) -> int:
        """Number of kinds of annotated pixels: targets below it are drawn as often as each other."""

    @abstractmethod
    def target(self, annotation: NDArray[Any]) -> NDArray[np.uint8]:
        """Return what the network should give for pixels of an annotation; `IGNORED` where that is not known."""

    @abstractmethod
    def objective(self, config: TrainingConfig) -> Objective:
        """Return the terms that a training by `config` makes small."""

    @abstractmethod
    def correct(
        self,
        network: Network,
        survey: Sequence[Sample],
        annotated: tuple[Tensor, Tensor],
        check: Callable[[], None] = lambda: None,
    ) -> Offsets:
        """Return what prediction is to add to scores, by what `network` says of whole images; empty if nothing.

        Parameters
        ----------
        network
            In evaluation mode.
        survey
            Pieces spread evenly over the whole images, annotated or not; none if nothing is to be corrected.
        annotated
            Patches (n, c, y, x) around annotation and their targets (n, y, x).
        check
            Called between pieces; may raise to stop.
        """

    @abstractmethod
    def judge(
        self,
        network: Network,
        samples: Sequence[Sample],
        offsets: Offsets = (),
        check: Callable[[], None] = lambda: None,
    ) -> Score:
        """Return how good the decision of `network` is on annotated samples.

        Parameters
        ----------
        network
            In evaluation mode.
        samples
            With at least one annotated pixel each.
        offsets
            What prediction adds to scores.
        check
            Called between tiles; may raise to stop.
        """

    @staticmethod
    @abstractmethod
    def encode(scores: Tensor, output: Output) -> Tensor:
        """Turn scores (n, outputs, …) of a network into the result that was asked for."""

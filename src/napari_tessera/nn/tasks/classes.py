"""The task of giving each pixel one of several classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_tessera.config.training import Annotation, TrainingConfig
from napari_tessera.nn.networks.base import Network
from napari_tessera.nn.objectives.building import build_objective
from napari_tessera.nn.objectives.objective import Objective
from napari_tessera.nn.priors import Offsets, find_offsets
from napari_tessera.nn.samples import IGNORED, Sample
from napari_tessera.nn.tasks.base import Output, Task
from napari_tessera.nn.tasks.encoding import encode_classes
from napari_tessera.nn.validation import Score, score_network


@dataclass(frozen=True)
class ClassesTask(Task):
    """Each pixel is of one class, and the scores are those of the classes before the softmax.

    Attributes
    ----------
    numbers
        The painted number of each class, in ascending order; its position is the index of the class.
    annotation
        What the painted numbers mean.
    """

    name: ClassVar[str] = "classes"

    numbers: tuple[int, ...]
    annotation: Annotation

    @property
    def outputs(self) -> int:
        """One score for each class."""
        return len(self.numbers)

    @property
    def strata(self) -> int:
        """The classes: a few strokes on a rare one count as much as a filled background."""
        return len(self.numbers)

    @property
    def background(self) -> bool:
        """Whether the first class is background, which the Dice coefficient of objects leaves out."""
        return self.numbers[0] == self.annotation.background

    def target(self, annotation: NDArray[Any]) -> NDArray[np.uint8]:
        """Turn painted numbers into class indices; see `make_target`."""
        return make_target(annotation, self.numbers, self.annotation)

    def objective(self, config: TrainingConfig) -> Objective:
        """Return the terms that `config` gives a weight."""
        return build_objective(config)

    def correct(
        self,
        network: Network,
        survey: Sequence[Sample],
        annotated: tuple[Tensor, Tensor],
        check: Callable[[], None] = lambda: None,
    ) -> Offsets:
        """Return an offset for each class by how common it is; see `find_offsets`."""
        return find_offsets(network, survey, annotated, check)

    def judge(
        self,
        network: Network,
        samples: Sequence[Sample],
        offsets: Offsets = (),
        check: Callable[[], None] = lambda: None,
    ) -> Score:
        """Return overlap and error of the decision; see `score_network`."""
        return score_network(network, samples, self.outputs, background=self.background, offsets=offsets, check=check)

    @staticmethod
    def encode(scores: Tensor, output: Output) -> Tensor:
        """Turn scores into class indices or probabilities; see `encode_classes`."""
        return encode_classes(scores, output)


def make_target(pixels: NDArray[Any], numbers: Sequence[int], annotation: Annotation) -> NDArray[np.uint8]:
    """Turn painted numbers into class indices.

    Parameters
    ----------
    pixels
        Painted numbers, any integer dtype or bool, any shape.
    numbers
        The painted number of each class; its position is the index.
    annotation
        What the numbers mean.

    Returns
    -------
    ndarray
        uint8, of the same shape; `IGNORED` where nothing was painted.
    """
    if annotation is Annotation.OBJECTS:
        pixels = pixels > 0
    values = 2 ** (8 * pixels.dtype.itemsize)
    if pixels.dtype.kind not in "bu" or values > pixels.size:
        return _indices(pixels, numbers)
    table = _indices(np.arange(values), numbers)  # looking up takes a tenth of the time
    found: NDArray[np.uint8] = table[pixels.view(f"u{pixels.dtype.itemsize}")]
    return found


def _indices(pixels: NDArray[Any], numbers: Sequence[int]) -> NDArray[np.uint8]:
    ordered = np.asarray(numbers)
    index = np.searchsorted(ordered, pixels).clip(max=len(ordered) - 1)
    return np.where(ordered[index] == pixels, index, IGNORED).astype(np.uint8)

"""A task is all that training, validation and prediction know of the meaning of numbers."""

import numpy as np
import pytest
import torch

from napari_tessera.config.training import Annotation
from napari_tessera.nn.samples import IGNORED
from napari_tessera.nn.tasks.classes import ClassesTask
from napari_tessera.nn.tasks.encoding import encode_classes


@pytest.mark.parametrize(
    ("annotation", "numbers", "painted", "target", "background"),
    [
        ("scribbles", (1, 2, 7), [0, 1, 7], [IGNORED, 0, 2], True),
        ("scribbles", (2, 3), [0, 2, 3], [IGNORED, 0, 1], False),
        ("dense", (0, 4), [0, 4, 4], [0, 1, 1], True),
        ("dense", (1, 4), [1, 4, 4], [0, 1, 1], False),
        ("objects", (0, 1), [0, 5, 9], [0, 1, 1], True),
    ],
)
def test_classes_are_what_is_painted(
    annotation: str, numbers: tuple[int, ...], painted: list[int], target: list[int], background: bool
) -> None:
    task = ClassesTask(numbers, Annotation(annotation))
    assert task.target(np.array(painted)).tolist() == target
    assert (task.outputs, task.strata) == (len(numbers), len(numbers))
    assert task.background is background


def test_scores_become_what_prediction_writes() -> None:
    scores = torch.randn(2, 3, 5, 4)
    for output in ("classes", "float32", "float16", "uint8"):
        assert torch.equal(ClassesTask.encode(scores, output), encode_classes(scores, output))

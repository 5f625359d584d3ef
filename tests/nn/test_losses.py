"""Losses against plain numpy, and blind to what is not annotated."""

import numpy as np
import pytest
import torch

from napari_tessera.nn.losses import segmentation_loss, soft_dice_loss
from napari_tessera.nn.samples import IGNORED


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    target = torch.randint(0, 3, (2, 6, 5))
    target[torch.rand(2, 6, 5) < 0.6] = IGNORED
    return torch.randn(2, 3, 6, 5, dtype=torch.float64), target


def test_unlabelled_pixels_weigh_nothing(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    scores, target = batch
    scores.requires_grad_()
    segmentation_loss(scores, target).backward()
    assert scores.grad is not None
    touched = scores.grad.abs().sum(dim=1) > 0
    assert torch.equal(touched, target != IGNORED)


def test_loss_is_that_of_the_annotated_pixels_alone(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    scores, target = batch
    annotated = (target != IGNORED).numpy()
    logits = np.moveaxis(scores.numpy(), 1, -1)[annotated].astype(np.float64)
    truth = target.numpy()[annotated]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    cross_entropy = -np.log(probabilities[np.arange(len(truth)), truth]).mean()
    hot = np.eye(3)[truth]
    dice = (2 * (probabilities * hot).sum(0) + 1) / (probabilities.sum(0) + hot.sum(0) + 1)
    expected = cross_entropy + (1 - dice).mean()
    assert segmentation_loss(scores, target).item() == pytest.approx(expected, rel=1e-5)


def test_classes_that_are_not_annotated_do_not_count() -> None:
    target = torch.full((1, 4, 4), IGNORED)
    target[0, 0] = 0
    sure = torch.zeros(1, 3, 4, 4)
    sure[:, 0] = 50.0
    assert soft_dice_loss(sure, target).item() == pytest.approx(0, abs=1e-6)


def test_nothing_annotated_is_no_loss_and_no_gradient() -> None:
    scores = torch.randn(1, 2, 4, 4, requires_grad=True)
    loss = segmentation_loss(scores, torch.full((1, 4, 4), IGNORED))
    loss.backward()
    assert loss.item() == 0
    assert scores.grad is not None
    assert not scores.grad.any()

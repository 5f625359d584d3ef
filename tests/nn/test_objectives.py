"""Losses against plain numpy, and blind to what is not annotated."""

import numpy as np
import pytest
import torch

from napari_tessera.config.training import Annotation, TrainingConfig
from napari_tessera.nn.objectives.building import LOSSES, build_objective
from napari_tessera.nn.objectives.objective import Batch, Loss, Objective, Term
from napari_tessera.nn.objectives.overlap import cross_entropy_loss, soft_dice_loss
from napari_tessera.nn.objectives.smoothness import edge_aware_smoothness
from napari_tessera.nn.samples import IGNORED


def segmentation_loss(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return cross_entropy_loss(scores, target) + soft_dice_loss(scores, target)


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


def halves(column: int) -> torch.Tensor:
    """Return scores that are sure of class 0 left of `column` and of class 1 from there on."""
    scores = torch.full((1, 2, 16, 16), -20.0)
    scores[:, 0, :, :column] = 20
    scores[:, 1, :, column:] = 20
    return scores


def test_smoothness_draws_borders_to_edges() -> None:
    image = torch.zeros(1, 1, 16, 16)
    image[..., 8:] = 1
    at_edge, beside = (edge_aware_smoothness(halves(column), image).item() for column in (8, 11))
    assert at_edge == pytest.approx(0, abs=1e-6)
    assert beside > 0.05


def test_smoothness_is_the_mean_over_all_neighbours() -> None:
    torch.manual_seed(0)
    image, scores = torch.randn(1, 2, 6, 7), torch.randn(1, 3, 6, 7)
    p = scores.softmax(1)[0].double().numpy()
    scaled = (image / image.std()).double().numpy()[0]
    terms = []
    for step in (1, 3):
        for dy, dx in ((0, step), (step, 0), (step, step), (step, -step)):
            values = [
                np.exp(-((scaled[:, y, x] - scaled[:, y + dy, x + dx]) ** 2).sum() / (2 * 0.15**2))
                * (1 - p[:, y, x] @ p[:, y + dy, x + dx])
                for y in range(6 - dy)
                for x in range(7)
                if 0 <= x + dx < 7
            ]
            terms.append(np.mean(values))
    assert edge_aware_smoothness(scores, image).item() == pytest.approx(np.mean(terms), rel=1e-4)


def test_smoothness_of_a_constant_patch_is_finite() -> None:
    scores = torch.randn(1, 2, 8, 8, requires_grad=True)
    edge_aware_smoothness(scores, torch.zeros(1, 1, 8, 8)).backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


def constant(value: float) -> Loss:
    return Loss(lambda batch: batch.scores.sum() * 0 + value)


def test_terms_are_added_by_their_weights_and_those_that_grow_in_by_how_far_they_are() -> None:
    batch = Batch(torch.zeros(1, 1, 4, 4), torch.zeros(1, 2, 4, 4, requires_grad=True), torch.zeros(1, 4, 4).long())
    growing = Loss(constant(100.0).measure, grows_in=True)
    objective = Objective([Term("one", 2.0, constant(1.0)), Term("two", 0.5, constant(10.0)), Term("3", 3.0, growing)])
    assert objective(batch, grown_in=0.0).item() == 2 + 5
    assert objective(batch, grown_in=0.5).item() == 2 + 5 + 150
    assert objective(batch).item() == 2 + 5 + 300


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"annotation": "scribbles"}, ["cross_entropy", "dice"]),
        ({"annotation": "scribbles", "smoothness": 0.5}, ["cross_entropy", "dice", "smoothness"]),
        ({"annotation": "dense", "smoothness": 0.5}, ["cross_entropy", "dice"]),
        ({"annotation": "dense", "objective": {"dice": {"weight": 0}}}, ["cross_entropy"]),
        ({"annotation": "objects", "smoothness": 0.5}, ["cross_entropy", "dice"]),
    ],
)
def test_terms_are_those_of_the_settings_and_of_the_annotation(fields: dict[str, object], names: list[str]) -> None:
    objective = build_objective(TrainingConfig(**fields))
    assert [term.name for term in objective.terms] == names
    assert [term.loss.grows_in for term in objective.terms] == [name == "smoothness" for name in names]


@pytest.mark.parametrize("name", LOSSES)
def test_unlabelled_pixels_change_no_gradient_but_of_losses_that_are_for_them(name: str) -> None:
    torch.manual_seed(0)
    target = torch.full((1, 8, 8), IGNORED)
    target[0, :2] = torch.tensor([0, 1]).repeat(2, 4)
    loss = LOSSES[name]
    gradients = []
    for shift in (0.0, 5.0):
        scores = torch.linspace(-1, 1, 128).reshape(1, 2, 8, 8).clone()
        scores[:, 0, 2:] += shift
        scores.requires_grad_()
        loss.measure(Batch(torch.rand(1, 1, 8, 8), scores, target)).backward()
        gradients.append(scores.grad[:, :, :2] if loss.annotation == frozenset(Annotation) else None)
    assert gradients[0] is None or torch.equal(*gradients)

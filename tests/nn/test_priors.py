"""The share of each class, found from a network's answers, and what the decision makes of it."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_tessera.nn.networks.base import Network
from napari_tessera.nn.priors import (
    MOST_BEYOND,
    MOST_LOST,
    RAREST,
    SANE,
    Piece,
    add_offsets,
    bounded,
    edge_sides,
    estimate_offsets,
    find_offsets,
    offsets_of,
    overshoot,
    recalls,
    shares_of,
)
from napari_tessera.nn.samples import Sample


class Densities(Network):
    """Scores of an ideal network trained with equal priors: the log density of the intensity in each class."""

    stages = ()

    def __init__(self, means: tuple[float, ...], width: float = 1.0) -> None:
        super().__init__(2)
        self.means = nn.Parameter(torch.tensor(means))
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        return -0.5 * ((x - self.means[None, :, None, None]) / self.width) ** 2


def draw(shares: tuple[float, ...], means: tuple[float, ...], seed: int, edge: int = 48) -> Sample:
    """Return an image of squares that are drawn from the densities of the classes, with its truth as target."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(len(shares), (edge, edge), p=shares)
    image = np.asarray(means)[truth] + rng.standard_normal(truth.shape)
    square = np.ones((8, 8))  # an edge of the image runs between any two
    return Sample(np.kron(image, square)[None].astype(np.float32), np.kron(truth, square).astype(np.uint8), seed)


def balanced(means: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    sample = draw((1 / len(means),) * len(means), means, 99)
    return torch.from_numpy(sample.image)[None], torch.from_numpy(sample.target.astype(np.int64))[None]


def errors(network: Network, sample: Sample, offsets: tuple[float, ...]) -> tuple[float, float]:
    """Return the share of wrong pixels without and with `offsets`."""
    scores = network(torch.from_numpy(sample.image)[None])
    truth = torch.from_numpy(sample.target.astype(np.int64))[None]
    without, corrected = ((add_offsets(scores, given).argmax(1) != truth).double().mean() for given in ((), offsets))
    return without.item(), corrected.item()


@pytest.mark.parametrize(
    ("shares", "means"),
    [
        ((0.8, 0.2), (0.0, 3.0)),
        ((0.997, 0.003), (0.0, 5.0)),
        ((0.7, 0.25, 0.05), (0.0, 4.0, 8.0)),
        ((0.5, 0.5), (0.0, 3.0)),
    ],
)
def test_the_decision_gets_better_where_classes_are_unequal(
    shares: tuple[float, ...], means: tuple[float, ...]
) -> None:
    network, survey = Densities(means), [draw(shares, means, seed) for seed in range(8)]
    offsets = find_offsets(network, survey, balanced(means))
    plain, mended = errors(network, draw(shares, means, 50), offsets)
    assert mended <= plain + 1e-3
    if max(shares) > 1.5 / len(shares):
        assert mended < 0.9 * plain
        assert np.argsort(offsets).tolist() == np.argsort(shares).tolist()


def test_what_two_classes_share_is_not_given_to_one_altogether() -> None:
    """Classes that overlap: what was painted of the rarer one keeps the correction from running away."""
    shares, means = (0.9, 0.1), (0.0, 2.0)
    network = Densities(means)
    offsets = find_offsets(network, [draw(shares, means, seed) for seed in range(8)], balanced(means))
    sample = draw(shares, means, 50)
    scores = network(torch.from_numpy(sample.image)[None])
    assert offsets[1] < 0
    assert offsets[1] > 0.7 * np.log(2 * shares[1])  # less than the true share asks for
    rare = torch.from_numpy(sample.target)[None] == 1
    found = [(add_offsets(scores, given).argmax(1) == 1)[rare].double().mean() for given in ((), offsets)]
    assert found[0] - found[1] < 0.1


def test_a_class_that_is_absent_from_one_image_keeps_its_share_of_all() -> None:
    means = (0.0, 5.0)
    survey = [draw((0.6, 0.4), means, 0), draw((1.0, 0.0), means, 1)]
    offsets = find_offsets(Densities(means), survey, balanced(means))
    assert offsets == pytest.approx(np.log(np.array([0.8, 0.2]) * 2), abs=0.1)


def test_equal_shares_change_nothing() -> None:
    assert offsets_of(np.array([0.25, 0.25, 0.25, 0.25])) == pytest.approx([0, 0, 0, 0])


@pytest.mark.parametrize("shares", [(0.8, 0.2), (0.997, 0.003), (0.6, 0.3, 0.1), (0.5, 0.5)])
def test_shares_are_found_where_classes_can_be_told_apart(shares: tuple[float, ...]) -> None:
    means = tuple(4.0 * index for index in range(len(shares)))
    answers = answers_of(shares, means)
    assert shares_of(answers) == pytest.approx(shares, abs=0.05)


def test_a_share_never_ends_at_nothing() -> None:
    answers = torch.tensor([[1.0, 0.0]]).repeat(100, 1).log()
    assert shares_of(answers) == pytest.approx([1 - RAREST, RAREST], rel=1e-2)


def test_a_network_that_does_not_know_the_classes_is_not_corrected() -> None:
    survey, annotated = [draw((0.8, 0.2), (0.0, 3.0), 0)], balanced((0.0, 3.0))
    blind = Densities((0.0, 100.0))
    assert recalls(blind(annotated[0])[0].flatten(1).T, annotated[1].flatten()).mean() < SANE
    assert find_offsets(blind, survey, annotated) == ()
    assert find_offsets(Densities((0.0, 3.0)), survey, annotated) != ()


def test_without_a_survey_all_classes_are_equal() -> None:
    assert find_offsets(Densities((0.0, 3.0)), (), balanced((0.0, 3.0))) == ()


def test_recalls_are_those_of_the_classes_that_are_there() -> None:
    scores = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]])
    assert recalls(scores, torch.tensor([0, 0, 1, 1])).tolist() == [0.5, 1.0]


def narrowly_found(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scores and class of pixels: those of class 1 are found by margins from -0.5 to 8."""
    margins = torch.linspace(-0.5, 8, count)
    scores = torch.stack([torch.cat([torch.full((count,), 3.0), -margins]), torch.zeros(2 * count)], dim=1)
    return scores, torch.cat([torch.zeros(count), torch.ones(count)]).long()


def sloping(edge: float, contrast: float = 1.0) -> Piece:
    """Return a piece whose scores change evenly along x, the decision at 30, and which has a smooth edge at `edge`."""
    margins = torch.linspace(-3, 3, 60).repeat(60, 1)
    profile = contrast / (1 + np.exp(edge - np.arange(60) - 0.5))
    image = np.tile(profile, (1, 60, 1)).astype(np.float32)
    return torch.stack([torch.zeros_like(margins), margins]), *edge_sides(image)


def test_what_is_painted_is_not_given_up() -> None:
    scores, truth = narrowly_found(100)
    flat = [sloping(10)]
    kept = bounded((0.6, -1.4), (scores, truth), flat)
    assert 0 < kept[0] < 0.6
    assert kept[1] == pytest.approx(kept[0] * -1.4 / 0.6)
    lost = recalls(scores, truth) - recalls(add_offsets(scores, kept), truth)
    assert lost.max() <= MOST_LOST
    assert (recalls(scores, truth) - recalls(add_offsets(scores, (0.6, -1.4)), truth)).max() > MOST_LOST
    assert bounded((0.0, 0.0), (scores, truth), flat) == (0.0, 0.0)


@pytest.mark.parametrize(("edge", "least", "most"), [(25, 0.0, 0.0), (34, 0.25, 0.5), (45, 1.0, 1.0)])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("dark", [False, True])
def test_borders_move_to_edges_of_the_image_and_not_beyond(
    edge: int, least: float, most: float, mirrored: bool, dark: bool
) -> None:
    certain = torch.tensor([[9.0, -9.0], [-9.0, 9.0]]), torch.tensor([0, 1])
    scores, along_y, along_x = sloping(edge, -1 if dark else 1)
    if mirrored:
        scores, along_y, along_x = scores.flip(2), along_y.flip(1), -along_x.flip(1)
    offsets = (0.0, -1.0)  # moves the border by ten pixels
    for piece in ((scores, along_y, along_x), (scores.mT, along_x.mT, along_y.mT)):
        assert least <= -bounded(offsets, certain, [piece])[1] <= most


def test_edges_of_clutter_have_no_say() -> None:
    scores, *_ = sloping(30)
    clutter = np.random.default_rng(0).normal(size=(1, 60, 60)).astype(np.float32)
    piece = scores, *edge_sides(clutter)
    certain = torch.tensor([[9.0, -9.0], [-9.0, 9.0]]), torch.tensor([0, 1])
    beyond = next(shift for shift in np.arange(0.5, 3, 0.1) if overshoot([piece], (0.0, -shift)) > MOST_BEYOND)
    assert bounded((0.0, -beyond), certain, [piece]) == (0.0, -beyond)
    doubtful = torch.tensor([[9.0, -9.0], [0.0, 0.1]]), torch.tensor([0, 1])  # the paint still has
    assert bounded((0.0, -beyond), doubtful, [piece])[1] > -0.1


def test_mirrored_images_have_mirrored_edges() -> None:
    image = np.random.default_rng(0).normal(size=(2, 20, 31)).astype(np.float32)
    along_y, along_x = edge_sides(image)
    assert along_y.shape == (19, 31)
    assert along_x.shape == (20, 30)
    mirrored = edge_sides(image[:, ::-1, ::-1].copy())
    assert torch.equal(mirrored[0], -along_y.flip(0, 1))
    assert torch.equal(mirrored[1], -along_x.flip(0, 1))
    turned = edge_sides(image.swapaxes(1, 2).copy())
    assert torch.equal(turned[0].T, along_x)


def test_a_class_does_not_vanish_from_the_images() -> None:
    certain = torch.tensor([[99.0, -99.0], [-99.0, 99.0]]), torch.tensor([0, 1])
    assert overshoot([sloping(59)], (0.0, -20.0)) == 1
    assert bounded((0.0, -20.0), certain, [sloping(59)])[1] > -4


def test_borders_that_the_correction_does_not_touch_do_not_count() -> None:
    scores, first, second = sloping(45)
    third = torch.full_like(scores[:1], -9.0)
    third[:, :10] = 9.0  # its border with the first class is not moved
    piece = torch.cat([scores, third]), first, second
    assert overshoot([piece], (0.0, -1.0, 0.0)) < -0.6


def answers_of(shares: tuple[float, ...], means: tuple[float, ...]) -> Tensor:
    scores = Densities(means)(torch.from_numpy(draw(shares, means, 0, edge=200).image)[None])
    return scores.log_softmax(1)[0].flatten(1).T.detach()


@pytest.mark.parametrize("shares", [(0.9, 0.1), (0.5, 0.5), (0.7, 0.2, 0.1)])
def test_the_iteration_ends_at_the_true_shares_where_classes_are_clear(shares: tuple[float, ...]) -> None:
    answers = answers_of(shares, tuple(3.0 * index for index in range(len(shares))))
    assert np.exp(estimate_offsets(answers)) / len(shares) == pytest.approx(shares, abs=0.01)
    assert shares_of(answers) != pytest.approx(shares, abs=0.01) or len(set(shares)) == 1


def test_the_iteration_does_not_go_on_where_classes_look_alike() -> None:
    answers = answers_of((0.9, 0.1), (0.0, 0.7))
    assert estimate_offsets(answers) == offsets_of(shares_of(answers))

"""The training loop on a task that a small network learns in seconds."""

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_tessera.config.network import UNetConfig
from napari_tessera.config.training import TrainingConfig
from napari_tessera.core.errors import JobCancelledError, ModelError
from napari_tessera.core.jobs import CancelToken, JobEvent, Metric, Progress
from napari_tessera.nn.averaging import AveragedNetwork
from napari_tessera.nn.checkpoints import load_checkpoint, save_checkpoint
from napari_tessera.nn.networks import build_network
from napari_tessera.nn.samples import IGNORED, Sample, Split
from napari_tessera.nn.trainer import Task, TrainingState, start_state, train_network
from napari_tessera.nn.validation import choose_judges, score_network

CONFIG = TrainingConfig(
    annotation="scribbles",
    network=UNetConfig(depth=1, base_width=4),
    patch_size=32,
    batch_size=4,
    learning_rate=2e-2,
    max_steps=40,
    validate_every=10,
    precision="float32",
    device="cpu",
)


def bright_squares(seed: int) -> Sample:
    """Return a noisy image with bright squares, a tenth of it annotated."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((64, 64), dtype=np.uint8)
    for y, x in rng.integers(0, 52, (6, 2)):
        truth[y : y + 12, x : x + 12] = 1
    image = truth + rng.normal(0, 0.2, truth.shape)
    target = np.where(rng.random(truth.shape) < 0.1, truth, IGNORED).astype(np.uint8)
    return Sample(image[None].astype(np.float32), target, seed)


SPLIT = Split((bright_squares(0), bright_squares(1)), (bright_squares(2),))


def fresh(config: TrainingConfig = CONFIG) -> TrainingState:
    torch.manual_seed(config.seed)
    return start_state(build_network(config.network, channels=1, classes=2), config)


def run(state: TrainingState, config: TrainingConfig = CONFIG, **hooks: object) -> Iterator[JobEvent]:
    hooks.setdefault("cancel", CancelToken())
    return train_network(state, Task(SPLIT, 2, background=True), config, **hooks)  # type: ignore[arg-type]


def test_learns_from_sparse_annotation() -> None:
    state = fresh()
    events = list(run(state))
    dice = [event.value for event in events if isinstance(event, Metric) and event.name == "validation Dice"]
    assert len(dice) == 4
    assert dice[-1] > 0.9
    assert isinstance(events[-1], Progress)
    assert events[-1].done == 40
    assert state.best_score is not None
    assert state.best_score == score_network(state.best, SPLIT.validation, 2, background=True)


def test_same_seed_same_model() -> None:
    first, second = fresh(), fresh()
    list(run(first))
    list(run(second))
    for one, other in zip(first.best.state_dict().values(), second.best.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_unlabelled_pixels_teach_nothing() -> None:
    """What stands in the image under unlabelled pixels may be anything, as far as the loss goes."""
    state = fresh()
    list(run(state))
    everything = Sample(SPLIT.validation[0].image, (SPLIT.validation[0].image[0] > 0.5).astype(np.uint8))
    assert score_network(state.best, [everything], 2, background=True).dice > 0.85


def test_stops_on_time() -> None:
    config = CONFIG.model_copy(update={"max_steps": 10**6, "max_seconds": 1.0})
    state = fresh(config)
    list(run(state, config))
    assert state.finished
    assert 1.0 <= state.run_seconds < 4.0


def test_stops_without_improvement(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_tessera.nn import trainer
    from napari_tessera.nn.validation import Score

    monkeypatch.setattr(trainer, "score_network", lambda network, *_, **__: Score(float(next(losses)), 0.5))
    losses = iter([1, 2, 3, 0.5, 0.6, 0.7, 0.8])
    config = CONFIG.model_copy(update={"max_steps": 1000, "patience": 3})
    state = fresh(config)
    list(run(state, config))
    assert state.step == 70
    assert state.best_score == Score(0.5, 0.5)


def test_cancelling_saves_first() -> None:
    cancel, saved = CancelToken(), []
    state = fresh()
    with pytest.raises(JobCancelledError):
        for event in run(state, cancel=cancel, save=lambda state: saved.append(state.step)):
            if isinstance(event, Metric):
                cancel.cancel()
    assert saved == [0, 10, 10]


def test_average_lags_behind_and_catches_up() -> None:
    network = build_network(UNetConfig(depth=1, base_width=2), channels=1, classes=2)
    averaged = AveragedNetwork(network, horizon=4)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0)
    for step in range(1, 60):
        averaged.update(network, step)
        first = next(averaged.network.parameters())
        if step == 1:
            assert not torch.allclose(first, torch.ones_like(first), atol=1e-2)
    assert torch.allclose(first, torch.ones_like(first), atol=1e-4)


def test_resumed_training_ends_where_an_uninterrupted_one_does(tmp_path) -> None:
    straight = fresh()
    list(run(straight))
    interrupted, cancel = fresh(), CancelToken()
    with pytest.raises(JobCancelledError):
        for event in run(
            interrupted, cancel=cancel, save=lambda state: save_checkpoint(tmp_path, state, {"classes": [1, 2]})
        ):
            if isinstance(event, Metric) and event.step == 20:
                cancel.cancel()
    resumed = fresh(CONFIG.model_copy(update={"seed": 99}))
    load_checkpoint(tmp_path, resumed, {"classes": [1, 2]})
    assert resumed.step == 20
    list(run(resumed))
    for one, other in zip(straight.best.state_dict().values(), resumed.best.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_going_on_after_the_end_counts_anew(tmp_path) -> None:
    state = fresh()
    list(run(state))
    save_checkpoint(tmp_path, state, {})
    again = fresh()
    load_checkpoint(tmp_path, again, {})
    assert (again.step, again.run_step, again.finished) == (40, 0, False)
    list(run(again))
    assert again.step == 80


def test_continued_on_other_annotation_the_old_model_gives_way(tmp_path) -> None:
    state = fresh()
    list(run(state))
    save_checkpoint(tmp_path, state, {})
    old = copy.deepcopy(state.best.state_dict())
    swapped = [
        replace(sample, target=np.where(sample.target == IGNORED, IGNORED, 1 - sample.target).astype(np.uint8))
        for sample in (*SPLIT.training, *SPLIT.validation)
    ]
    task = Task(Split(tuple(swapped[:2]), tuple(swapped[2:])), 2, background=True)
    again = fresh()
    load_checkpoint(tmp_path, again, {})
    list(train_network(again, task, CONFIG, cancel=CancelToken()))
    assert not all(torch.equal(value, old[name]) for name, value in again.best.state_dict().items())
    assert again.best_score == task.score(again.best)
    assert again.best_score.loss < task.score(state.best).loss


def test_cancel_stops_a_validation() -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(JobCancelledError):
        Task(SPLIT, 2, background=True).score(fresh().averaged.network, cancel.raise_if_cancelled)


def test_validation_in_tiles_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    state = fresh()
    list(run(state))
    whole = score_network(state.best, SPLIT.validation, 2, background=True)
    monkeypatch.setattr("napari_tessera.nn.validation.TILE", 16)
    tiled = score_network(state.best, SPLIT.validation, 2, background=True)
    assert tiled.dice == whole.dice
    assert tiled.loss == pytest.approx(whole.loss, rel=1e-5)


def test_judges_are_bounded_and_spread() -> None:
    samples = [bright_squares(seed) for seed in range(10)]
    chosen = choose_judges(samples, most_pixels=4 * 64 * 64)
    assert [sample.source for sample in chosen] == [0, 3, 6, 9]
    assert choose_judges(samples, most_pixels=10)


def test_checkpoint_of_other_classes_is_refused(tmp_path) -> None:
    state = fresh()
    save_checkpoint(tmp_path, state, {"classes": [1, 2]})
    with pytest.raises(ModelError, match=r"other classes \(\[1, 2\] before, \[1, 3\] now\)"):
        load_checkpoint(tmp_path, state, {"classes": [1, 3]})


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"x" * 100])
def test_damaged_checkpoint_is_refused(tmp_path, damage) -> None:
    state = fresh()
    save_checkpoint(tmp_path, state, {})
    path = tmp_path / "checkpoint" / "state.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    before = copy.deepcopy(state.network.state_dict())
    with pytest.raises(ModelError, match="start the training anew"):
        load_checkpoint(tmp_path, state, {})
    assert all(torch.equal(value, before[name]) for name, value in state.network.state_dict().items())

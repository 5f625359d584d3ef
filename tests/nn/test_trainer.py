"""The training loop on a task that a small network learns in seconds."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_tessera.config.networks import UNetConfig
from napari_tessera.config.training import Annotation, TrainingConfig
from napari_tessera.core.errors import JobCancelledError, ModelError
from napari_tessera.core.jobs import CancelToken, JobEvent, Metric, Progress
from napari_tessera.nn.averaging import AveragedNetwork
from napari_tessera.nn.checkpoints import load_checkpoint, save_checkpoint
from napari_tessera.nn.networks.building import build_network
from napari_tessera.nn.samples import IGNORED, Sample, Split
from napari_tessera.nn.tasks.classes import ClassesTask
from napari_tessera.nn.trainer import TrainingData, TrainingState, start_state, train_network
from napari_tessera.nn.validation import Score, choose_judges, score_network

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


CLASSES = ClassesTask((1, 2), Annotation.SCRIBBLES)
SPLIT = Split((bright_squares(0), bright_squares(1)), (bright_squares(2),))


def scored(quality: float) -> Score:
    return Score(loss=1.0, dice=quality, weakest_dice=quality, error=1 - quality, quality=quality)


def fresh(config: TrainingConfig = CONFIG) -> TrainingState:
    torch.manual_seed(config.seed)
    return start_state(build_network(config.network, channels=1, outputs=2), config)


def weights(state: TrainingState) -> list[torch.Tensor]:
    return list(state.averaged.network.state_dict().values())


def run(state: TrainingState, config: TrainingConfig = CONFIG, **hooks: object) -> Iterator[JobEvent]:
    hooks.setdefault("cancel", CancelToken())
    return train_network(state, TrainingData(CLASSES, SPLIT), config, **hooks)


@dataclass(frozen=True)
class Finished:
    """A training with `CONFIG`: its state at the end, which nobody changes, its events, a copy on the disk."""

    state: TrainingState
    events: list[JobEvent]
    folder: Path
    step_sizes: list[float]
    """What the optimiser used last before each validation."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    state, used, folder = fresh(), [], tmp_path_factory.mktemp("finished")
    events = list(run(state, save=lambda state: used.append(state.optimizer.param_groups[0]["lr"])))
    save_checkpoint(folder, state, {})
    return Finished(state, events, folder, used[1:])


def test_learns_from_sparse_annotation(finished: Finished) -> None:
    state, events = finished.state, finished.events
    dice = [event.value for event in events if isinstance(event, Metric) and event.name == "validation Dice"]
    assert len(dice) == 4
    assert dice[-1] > 0.9
    assert isinstance(events[-1], Progress)
    assert events[-1].done == 40
    assert state.score == score_network(state.averaged.network, SPLIT.validation, 2, background=True)


def test_same_seed_same_model(finished: Finished) -> None:
    second = fresh()
    list(run(second))
    for one, other in zip(weights(finished.state), weights(second), strict=True):
        assert torch.equal(one, other)


def test_unlabelled_pixels_teach_nothing(finished: Finished) -> None:
    """What stands in the image under unlabelled pixels may be anything, as far as the loss goes."""
    everything = Sample(SPLIT.validation[0].image, (SPLIT.validation[0].image[0] > 0.5).astype(np.uint8))
    assert score_network(finished.state.averaged.network, [everything], 2, background=True).dice > 0.85


def test_stops_on_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock takes a sixteenth of a second, a step or a validation one."""
    ticks = (number / 16 for number in count())
    monkeypatch.setattr("napari_tessera.nn.trainer.time.perf_counter", lambda: next(ticks))
    config = CONFIG.model_copy(update={"max_steps": 10**6, "max_seconds": 1.0})
    state = fresh(config)
    list(run(state, config))
    assert state.finished
    assert 1.0 <= state.run_seconds <= 1.0 + 2 / 16
    assert 4 <= state.step <= 16


def test_stops_without_improvement(monkeypatch: pytest.MonkeyPatch) -> None:
    # smoothed over validations: 0.2, 0.3, 0.6, 0.3, 0.4, 0.4
    qualities = iter([0.2, 0.4, 0.9, 0.0, 0.5, 0.4, 0.9])
    monkeypatch.setattr(
        "napari_tessera.nn.tasks.classes.score_network", lambda network, *_, **__: scored(next(qualities))
    )
    config = CONFIG.model_copy(update={"max_steps": 1000, "patience": 3})
    state = fresh(config)
    list(run(state, config))
    assert state.step == 60
    assert state.best_quality == pytest.approx(0.6)


def test_where_patience_ends_the_final_run_follows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As at the planned end: 60 steps of 1000 are 0.6 of a run then, and what judged is learnt for the other 0.4."""
    monkeypatch.setattr("napari_tessera.nn.tasks.classes.score_network", lambda network, *_, **__: scored(0.5))
    config = CONFIG.model_copy(update={"max_steps": 1000, "patience": 5, "final_run": 0.4})
    data = TrainingData(CLASSES, SPLIT, everything=(*SPLIT.training, *SPLIT.validation))
    seen: list[tuple[int, bool, float]] = []

    def save(state: TrainingState) -> None:
        seen.append((state.step, state.learnt_all, state.optimizer.param_groups[0]["lr"]))
        save_checkpoint(tmp_path / str(state.step), state, {})

    state = fresh(config)
    list(train_network(state, data, config, cancel=CancelToken(), save=save))
    assert [(step, learnt) for step, learnt, _ in seen[-6:]] == [
        (50, False), (60, True), (70, True), (80, True), (90, True), (100, True),
    ]  # fmt: skip
    assert state.finished
    assert seen[-1][2] < 0.05 * config.optimiser.learning_rate
    resumed = fresh(config)  # an interrupted final run ends where it would have
    load_checkpoint(tmp_path / "70", resumed, {})
    list(train_network(resumed, data, config, cancel=CancelToken()))
    assert resumed.step == 100
    assert alike(weights(resumed), weights(state))


def test_figures_that_say_nothing_stop_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_tessera.nn.tasks.classes.score_network", lambda network, *_, **__: scored(0.5))
    config = CONFIG.model_copy(update={"patience": 1})
    state = fresh(config)
    list(train_network(state, TrainingData(CLASSES, SPLIT, telling=False), config, cancel=CancelToken()))
    assert state.step == config.stop.max_steps


def test_cancelling_saves_first() -> None:
    cancel, saved = CancelToken(), []
    state = fresh()
    with pytest.raises(JobCancelledError):
        for event in run(state, cancel=cancel, save=lambda state: saved.append(state.step)):
            if isinstance(event, Metric):
                cancel.cancel()
    assert saved == [0, 10, 10]


def test_average_lags_behind_and_catches_up() -> None:
    network = build_network(UNetConfig(depth=1, base_width=2), channels=1, outputs=2)
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


def test_resumed_training_ends_where_an_uninterrupted_one_does(finished: Finished, tmp_path) -> None:
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
    for one, other in zip(weights(finished.state), weights(resumed), strict=True):
        assert torch.equal(one, other)


def test_going_on_after_the_end_counts_anew(finished: Finished) -> None:
    again = fresh()
    load_checkpoint(finished.folder, again, {})
    assert (again.step, again.run_step, again.finished) == (40, 0, False)
    list(run(again))
    assert again.step == 80


def test_continued_on_other_annotation_the_old_model_gives_way(finished: Finished) -> None:
    old = weights(finished.state)
    swapped = [
        replace(sample, target=np.where(sample.targets() == IGNORED, IGNORED, 1 - sample.targets()).astype(np.uint8))
        for sample in (*SPLIT.training, *SPLIT.validation)
    ]
    data = TrainingData(CLASSES, Split(tuple(swapped[:2]), tuple(swapped[2:])))
    again = fresh()
    load_checkpoint(finished.folder, again, {})
    list(train_network(again, data, CONFIG, cancel=CancelToken()))
    assert not all(torch.equal(value, before) for value, before in zip(weights(again), old, strict=True))
    assert again.score == data.score(again.averaged.network)
    assert again.score.error < data.score(finished.state.averaged.network).error


@pytest.mark.parametrize(("qualities", "replaced"), [([0.9, 0.5, 0.8], None), ([0.9, 0.5, 0.9, 0.1], 20)])
def test_what_goes_on_takes_the_place_of_what_was_finished_once_it_is_as_good(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, qualities: list[float], replaced: int | None
) -> None:
    state = fresh()
    list(run(state))
    save_checkpoint(tmp_path, state, {})
    again = fresh()
    load_checkpoint(tmp_path, again, {})
    known = iter(qualities)
    monkeypatch.setattr("napari_tessera.nn.tasks.classes.score_network", lambda *_, **__: scored(next(known)))
    to_beat: dict[int, float | None] = {}
    config, cancel = CONFIG.model_copy(update={"max_steps": 1000}), CancelToken()
    with pytest.raises(JobCancelledError):
        for event in run(again, config, cancel=cancel, save=lambda s: to_beat.update({s.run_step: s.to_beat})):
            if isinstance(event, Metric) and event.step == 40 + 10 * (len(qualities) - 1):
                cancel.cancel()
    assert min((step for step, value in to_beat.items() if value is None), default=None) == replaced
    assert to_beat[0] == 0.9


def test_cancel_stops_a_validation() -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(JobCancelledError):
        TrainingData(CLASSES, SPLIT).score(fresh().averaged.network, check=cancel.raise_if_cancelled)


def test_validation_in_tiles_is_that_of_the_whole(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    state = finished.state
    whole = score_network(state.averaged.network, SPLIT.validation, 2, background=True)
    monkeypatch.setattr("napari_tessera.nn.validation.TILE", 16)
    tiled = score_network(state.averaged.network, SPLIT.validation, 2, background=True)
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


def test_a_checkpoint_whose_counts_are_none_is_refused(tmp_path: Path) -> None:
    state = fresh()
    state.step = -1
    save_checkpoint(tmp_path, state, {})
    with pytest.raises(ModelError, match="incomplete: start the training anew"):
        load_checkpoint(tmp_path, fresh(), {})


def test_the_step_size_follows_the_run(finished: Finished) -> None:
    used = finished.step_sizes
    assert used == sorted(used, reverse=True)
    assert 0.5 * CONFIG.optimiser.learning_rate < used[0] < CONFIG.optimiser.learning_rate
    assert used[-1] < 0.05 * CONFIG.optimiser.learning_rate


def test_gradients_are_clipped() -> None:
    config = CONFIG.with_overrides({"smoothness": 100.0, "max_steps": 3})
    state = fresh(config)
    list(run(state, config))
    gradients = [parameter.grad for parameter in state.network.parameters() if parameter.grad is not None]
    assert torch.stack([gradient.norm() for gradient in gradients]).norm().item() == pytest.approx(1.0, abs=1e-3)


def trained(overrides: dict[str, object]) -> list[torch.Tensor]:
    """Return what six steps give."""
    config = CONFIG.with_overrides({"max_steps": 6, **overrides})
    state = fresh(config)
    list(run(state, config))
    return weights(state)


def alike(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(left, right) for left, right in zip(one, other, strict=True))


@pytest.mark.parametrize(("annotation", "same"), [("scribbles", False), ("dense", True), ("objects", True)])
def test_smoothness_is_for_scribbles_alone(annotation: str, same: bool) -> None:
    settings = [{"annotation": annotation, "smoothness": value} for value in (0.0, 50.0)]
    assert alike(*map(trained, settings)) == same


@cache
def trained_without_augmentation(settings: tuple[tuple[str, float], ...]) -> list[torch.Tensor]:
    """Return what two trainings give."""
    first, second = trained(dict(settings)), trained(dict(settings))
    assert alike(first, second)
    return first


@pytest.mark.parametrize(
    ("name", "value"),
    [("contrast", 4.0), ("gamma", 4.0), ("brightness", 1.0), ("noise", 0.5), ("blur", 3.0), ("scale", 2.0)],
)
def test_every_augmentation_reaches_what_is_learnt(name: str, value: float) -> None:
    neutral = {"contrast": 1, "gamma": 1, "brightness": 0, "noise": 0, "blur": 0, "scale": 1}
    plain = {f"augmentation.{other}": float(number) for other, number in neutral.items()}
    assert not alike(
        trained_without_augmentation(tuple(plain.items())), trained({**plain, f"augmentation.{name}": value})
    )


def test_a_run_cut_by_time_ends_with_a_small_step_and_was_validated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock takes a hundredth of the time that there is."""
    ticks = iter(float(number) for number in range(10**6))
    monkeypatch.setattr("napari_tessera.nn.trainer.time.perf_counter", lambda: next(ticks))
    config = CONFIG.model_copy(update={"max_steps": 10**4, "max_seconds": 100.0, "validate_every": 50})
    state, used = fresh(config), []
    list(run(state, config, save=lambda state: used.append(state.optimizer.param_groups[0]["lr"])))
    used = used[1:]
    assert len(used) >= 4
    assert used[-1] < 0.05 * config.optimiser.learning_rate


def test_offsets_are_found_judged_by_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are made so large here that the figures without them are others."""
    asked = []

    def find(network: object, survey: object, annotated: object, check: object) -> tuple[float, float]:
        asked.append((network, survey))
        return 0.0, 3.0

    monkeypatch.setattr("napari_tessera.nn.tasks.classes.find_offsets", find)
    survey = tuple(replace(bright_squares(seed), target=np.full((64, 64), IGNORED, np.uint8)) for seed in (5, 6))
    data = TrainingData(CLASSES, SPLIT, survey=survey)
    state, shown = fresh(), []
    list(train_network(state, data, CONFIG, cancel=CancelToken(), preview=lambda _, offsets: shown.append(offsets)))
    assert asked[-1] == (state.averaged.network, survey)
    assert state.offsets == shown[-1] == (0.0, 3.0)
    assert state.score == data.score(state.averaged.network, state.offsets)
    assert state.score != data.score(state.averaged.network)


def test_a_checkpoint_of_the_first_version_goes_on(tmp_path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "state.safetensors").write_bytes(
        (Path(__file__).parent / "golden" / "checkpoint-v1.safetensors").read_bytes()
    )
    config = CONFIG.with_overrides({"network.base_width": 1})
    state = fresh(config)
    load_checkpoint(tmp_path, state, {"classes": [1, 2]})
    assert (state.step, state.run_step, state.quality) == (20, 20, None)
    list(run(state, config))
    assert (state.step, state.finished) == (40, True)

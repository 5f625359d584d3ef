"""The training loop: a generator of events that knows nothing of files, layers or windows."""

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_tessera.config.training import TrainingConfig
from napari_tessera.core.errors import JobCancelledError
from napari_tessera.core.jobs import CancelToken, JobEvent, Metric, Preview, Progress
from napari_tessera.nn.augmentation import augment_intensity
from napari_tessera.nn.averaging import AveragedNetwork
from napari_tessera.nn.devices import choose_device, has_fast_bfloat16
from napari_tessera.nn.losses import edge_aware_smoothness, segmentation_loss
from napari_tessera.nn.patches import PatchSampler
from napari_tessera.nn.samples import Split
from napari_tessera.nn.unet import UNet
from napari_tessera.nn.validation import Score, choose_judges, score_network

AVERAGING_HORIZON = 100
SMOOTHNESS_STEPS = 100
PROGRESS_SECONDS = 0.2
PREVIEW_SECONDS = 2.0
"""Least time between two previews: drawing one holds up the window for a few frames, which must stay rare."""

PREVIEW_SHARE = 0.2
"""Previews may take this share of the time, so that watching does not slow a training down noticeably."""


@dataclass
class TrainingState:
    """All that changes during a training, and all that a checkpoint holds.

    Attributes
    ----------
    network, averaged, best
        The network that is trained, the average of its recent weights, and the average that validated best.
    optimizer, rng
        The optimiser over `network`, and the source of chance of patches and augmentation.
    step
        Steps done in all.
    run_step, run_seconds
        Steps and time spent since the stop conditions began to count.
    best_score, stale
        The score of `best`, and the number of validations since then.
    finished
        Whether a stop condition was met.
    """

    network: UNet
    averaged: AveragedNetwork
    best: UNet
    optimizer: torch.optim.Optimizer
    rng: np.random.Generator
    step: int = 0
    run_step: int = 0
    run_seconds: float = 0.0
    best_score: Score | None = None
    stale: int = 0
    finished: bool = False


def start_state(network: UNet, config: TrainingConfig) -> TrainingState:
    """Return the state of a training before its first step, on the device of `config`."""
    device = choose_device(config.device)
    network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = AveragedNetwork(network, AVERAGING_HORIZON)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=device.type != "mps"
    )
    return TrainingState(
        network, averaged, AveragedNetwork(network, 1).network, optimizer, np.random.default_rng(config.seed)
    )


@dataclass(frozen=True)
class Task:
    """What is to be learnt.

    Attributes
    ----------
    split
        What to learn from and what to judge by; without validation samples, the training ones judge.
    classes
        Number of classes.
    background
        Whether class 0 is background and left out of the Dice coefficient.
    """

    split: Split
    classes: int
    background: bool

    def score(self, network: UNet, check: Callable[[], None] = lambda: None) -> Score:
        """Judge `network`; `check` may raise to stop."""
        judges = choose_judges(self.split.validation or self.split.training)
        return score_network(network, judges, self.classes, background=self.background, check=check)


def train_network(
    state: TrainingState,
    task: Task,
    config: TrainingConfig,
    *,
    cancel: CancelToken,
    save: Callable[[TrainingState], None] = lambda _: None,
    preview: Callable[[UNet], Preview | None] = lambda _: None,
) -> Generator[JobEvent, None, None]:
    """Train until a stop condition of `config` is met; `state` holds the result.

    Parameters
    ----------
    state
        Where to start; changed in place.
    task
        What is to be learnt.
    config
        All settings.
    cancel
        Checked before every step and between the tiles of validations and previews.
    save
        Called with the state at the start, after every validation, at the end, and when cancelled.
    preview
        Called with the averaged network now and then; returns what to show.

    Yields
    ------
    JobEvent
        Progress in steps, metrics, previews.

    Raises
    ------
    JobCancelledError
        When cancelled, after the state was saved.
    """
    try:
        yield from _train(state, task, config, cancel, save, preview)
    except JobCancelledError:
        save(state)
        raise


def _train(
    state: TrainingState,
    task: Task,
    config: TrainingConfig,
    cancel: CancelToken,
    save: Callable[[TrainingState], None],
    preview: Callable[[UNet], Preview | None],
) -> Iterator[JobEvent]:
    sampler = PatchSampler(task.split.training, task.classes, config.patch_size, config.augmentation)
    pacer = _Pacer()
    autocast = _autocast(config)
    check = cancel.raise_if_cancelled
    if state.best_score is not None:
        # the annotation may have grown since: figures of the earlier one must not outlive it
        state.best_score = task.score(state.best, check)
    save(state)
    while not state.finished:
        check()
        with _counted(state):
            loss = _step(state, sampler, config, autocast)
        over = run_fraction(state, config) >= 1
        if state.step % config.validate_every == 0 or over:
            with _counted(state):
                metrics = _validate(state, task, check)
                state.finished = over or out_of_patience(state, config)
                save(state)
            yield Metric(state.step, "training loss", loss.item())
            yield from metrics
        if pacer.progress_due() or state.finished:
            yield _progress(state, config)
        if pacer.preview_due() or state.finished:
            yield from pacer.timed(lambda: preview(state.averaged.network))


@contextmanager
def _counted(state: TrainingState) -> Iterator[None]:
    """Count the time spent inside towards the run."""
    began = time.perf_counter()
    yield
    state.run_seconds += time.perf_counter() - began


def _validate(state: TrainingState, task: Task, check: Callable[[], None]) -> list[Metric]:
    """Judge the averaged network and keep it if it is the best so far."""
    score = task.score(state.averaged.network, check)
    _keep_best(state, score)
    return [Metric(state.step, name, value) for name, value in score.as_metrics().items()]


def out_of_patience(state: TrainingState, config: TrainingConfig) -> bool:
    """Whether nothing has improved for as long as `config` waits."""
    return config.patience is not None and state.stale >= config.patience


def run_fraction(state: TrainingState, config: TrainingConfig) -> float:
    """Return which share of the run is over, 0 to 1, by steps or time, whichever is further."""
    by_time = state.run_seconds / config.max_seconds if config.max_seconds else 0.0
    return max(state.run_step / config.max_steps, by_time)


def _learning_rate(fraction: float, step: int, highest: float) -> float:
    """Return the step size: a short warm-up, then a cosine down to a hundredth of the highest."""
    warm = min(1.0, (step + 1) / 20)
    return warm * highest * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(fraction, 1.0))))


def _autocast(config: TrainingConfig) -> Callable[[], AbstractContextManager[object]]:
    device = choose_device(config.device)
    wanted = config.precision == "bfloat16" or (config.precision == "auto" and has_fast_bfloat16(device))
    if not wanted:
        return nullcontext
    return lambda: torch.autocast(device.type, dtype=torch.bfloat16)


def _step(
    state: TrainingState,
    sampler: PatchSampler,
    config: TrainingConfig,
    autocast: Callable[[], AbstractContextManager[object]],
) -> Tensor:
    """Take one step of the optimiser and return the loss."""
    device = next(state.network.parameters()).device
    images, targets = sampler.draw(config.batch_size, state.rng)
    images = augment_intensity(images, config.augmentation, state.rng)
    images = images.to(device, memory_format=torch.channels_last)
    for group in state.optimizer.param_groups:
        group["lr"] = _learning_rate(run_fraction(state, config), state.run_step, config.learning_rate)
    state.network.train()
    with autocast():
        scores = state.network(images)
    loss = segmentation_loss(scores, targets.to(device))
    if config.annotation == "scribbles" and config.smoothness:
        # grows from nothing, so that the network finds the classes before it sharpens their borders
        weight = config.smoothness * min(1.0, state.step / SMOOTHNESS_STEPS)
        loss = loss + weight * edge_aware_smoothness(scores, images)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), 1.0)
    state.optimizer.step()
    state.step += 1
    state.run_step += 1
    state.averaged.update(state.network, state.step)
    return loss.detach()


def _keep_best(state: TrainingState, score: Score) -> None:
    if state.best_score is None or score.loss <= state.best_score.loss:
        state.best.load_state_dict(state.averaged.network.state_dict())
        state.best_score = score
        state.stale = 0
    else:
        state.stale += 1


def _progress(state: TrainingState, config: TrainingConfig) -> Progress:
    """Tell how far the run is; where time is the limit, the total is the number of steps that will fit into it."""
    fraction = 1.0 if state.finished else min(run_fraction(state, config), 1.0)
    left = state.run_seconds * (1 - fraction) / fraction
    return Progress(state.run_step, max(state.run_step, round(state.run_step / fraction)), "step", "", left)


class _Pacer:
    """Decides when the next progress event and the next preview are due."""

    def __init__(self) -> None:
        self._next_progress = 0.0
        self._next_preview = time.perf_counter() + 1.0

    def progress_due(self) -> bool:
        now = time.perf_counter()
        if now < self._next_progress:
            return False
        self._next_progress = now + PROGRESS_SECONDS
        return True

    def preview_due(self) -> bool:
        return time.perf_counter() >= self._next_preview

    def timed(self, show: Callable[[], Preview | None]) -> Iterator[Preview]:
        """Show a preview, if there is one, and put the next one off by how long this one took."""
        began = time.perf_counter()
        shown = show()
        now = time.perf_counter()
        self._next_preview = now + max(PREVIEW_SECONDS, (now - began) / PREVIEW_SHARE)
        if shown is not None:
            yield shown

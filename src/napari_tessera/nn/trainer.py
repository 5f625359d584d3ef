"""The training loop: a generator of events that knows nothing of files, layers or windows."""

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_tessera.config.training import TrainingConfig
from napari_tessera.core.errors import JobCancelledError
from napari_tessera.core.jobs import CancelToken, JobEvent, Metric, Preview, Progress
from napari_tessera.nn.averaging import AveragedNetwork
from napari_tessera.nn.devices import choose_device, has_fast_bfloat16
from napari_tessera.nn.drawing import BatchDrawer
from napari_tessera.nn.networks.base import Network
from napari_tessera.nn.objectives.objective import Batch, Objective
from napari_tessera.nn.optimizer import descend, make_optimizer
from napari_tessera.nn.patches import PatchSampler
from napari_tessera.nn.priors import Offsets
from napari_tessera.nn.samples import Sample, Split
from napari_tessera.nn.schedule import Pace
from napari_tessera.nn.tasks.base import Task
from napari_tessera.nn.validation import Score, choose_judges

AVERAGING_HORIZON = 100
PROGRESS_SECONDS = 0.2
PREVIEW_SECONDS = 2.0
"""Least time between two previews: drawing one holds up the window for a few frames, which must stay rare."""

PREVIEW_SHARE = 0.2
"""Previews may take this share of the time, so that watching does not slow a training down noticeably."""


@dataclass
class TrainingState:
    """All that changes during a training, and all that a checkpoint holds but `offsets` and `cancelled`.

    What is validated, previewed and saved is always `averaged`: the average of the recent past. Which of several
    averages would be best cannot be told from the few pixels that are held out: their loss rises with confidence while
    the decision still gets better.

    Attributes
    ----------
    network, averaged
        The network that is trained, and the average of its recent weights.
    optimizer, rng
        The optimiser over `network`, and the source of chance of patches and augmentation.
    step
        Steps done in all.
    run_step, run_seconds
        Steps and time spent since the stop conditions began to count.
    validated
        Steps of the run at its last validation.
    quality, best_quality, stale
        Smoothed quality of the validations of the run, the highest it has been, and the validations since then.
    judges
        A digest of the annotation that was held out: other annotation may have been learnt from.
    learnt_all
        Whether what was held out has been learnt since it judged.
    ends
        Step of the run at which it ends because patience ran out; None if that has not happened.
    to_beat
        Quality that the average has to reach before it may take the place of the finished model that it goes on from;
        None once it has, and if there is no such model.
    finished
        Whether a stop condition was met.
    score
        What the last validation said; once what judged has been learnt as well, its verdict of before.
    offsets
        What prediction has to add to the score of each class; found anew when a training goes on, since an offset that
        was stored could be applied twice.
    cancelled
        Whether the run was ended on purpose before a stop condition was met.
    """

    network: Network
    averaged: AveragedNetwork
    optimizer: torch.optim.Optimizer
    rng: np.random.Generator
    step: int = 0
    run_step: int = 0
    run_seconds: float = 0.0
    validated: int = 0
    quality: float | None = None
    best_quality: float | None = None
    stale: int = 0
    judges: str = ""
    learnt_all: bool = False
    ends: int | None = None
    to_beat: float | None = None
    finished: bool = False
    score: Score | None = None
    offsets: Offsets = ()
    cancelled: bool = False


def start_state(network: Network, config: TrainingConfig) -> TrainingState:
    """Return the state of a training before its first step, on the device of `config`."""
    device = choose_device(config.device)
    network = network.to(device=device, memory_format=network.layout)  # type: ignore[call-overload]
    averaged = AveragedNetwork(network, AVERAGING_HORIZON)
    return TrainingState(network, averaged, make_optimizer(network, config), np.random.default_rng(config.seed))


@dataclass(frozen=True)
class TrainingData:
    """What is learnt, and from what.

    Attributes
    ----------
    task
        What the targets of the samples mean.
    split
        What to learn from and what to judge by; without validation samples, the training ones judge.
    everything
        What to learn from in the final run, once the validation samples have judged; empty if there is no such run.
    survey
        Pieces spread evenly over the whole images, annotated or not, by which the decision is corrected; none if it is
        not to be.
    telling
        Whether so much is held out that its figures mean something; if not, no training is stopped by them.
    """

    task: Task
    split: Split
    everything: Sequence[Sample] = ()
    survey: Sequence[Sample] = ()
    telling: bool = True

    def score(self, network: Network, offsets: Offsets = (), check: Callable[[], None] = lambda: None) -> Score:
        """Judge the decision of `network` with `offsets`; `check` may raise to stop."""
        judges = choose_judges(self.split.validation or self.split.training)
        return self.task.judge(network, judges, offsets, check)


def train_network(
    state: TrainingState,
    data: TrainingData,
    config: TrainingConfig,
    *,
    cancel: CancelToken,
    save: Callable[[TrainingState], None] = lambda _: None,
    preview: Callable[[Network, Offsets], Preview | None] = lambda *_: None,
) -> Generator[JobEvent, None, None]:
    """Train until a stop condition of `config` is met; `state` holds the result.

    Parameters
    ----------
    state
        Where to start; changed in place.
    data
        What is to be learnt, and from what.
    config
        All settings.
    cancel
        Checked before every step and between the tiles of validations and previews.
    save
        Called with the state at the start, after every validation, at the end, and when cancelled.
    preview
        Called with the averaged network and its offsets now and then; returns what to show.

    Yields
    ------
    JobEvent
        Progress in steps, metrics, previews.

    Raises
    ------
    JobCancelledError
        When cancelled, after the state was saved.
    """
    sampler = _sampler(state, data, config)
    if state.step:  # a cancel here leaves the folder as it is: nothing has changed yet
        score = _judge(state, data, sampler, cancel.raise_if_cancelled)
        if not state.run_step and score is not None:  # what was finished stays until something is as good
            state.to_beat = score.quality
    with closing(BatchDrawer(sampler, config)) as drawer:
        try:
            yield from _train(state, data, drawer, config, cancel, save, preview)
        except JobCancelledError:
            state.cancelled = True
            save(state)
            raise


def _train(
    state: TrainingState,
    data: TrainingData,
    drawer: BatchDrawer,
    config: TrainingConfig,
    cancel: CancelToken,
    save: Callable[[TrainingState], None],
    preview: Callable[[Network, Offsets], Preview | None],
) -> Iterator[JobEvent]:
    pacer, objective = _Pacer(), data.task.objective(config)
    autocast = _autocast(config)
    check = cancel.raise_if_cancelled
    save(state)
    while not state.finished:
        check()
        with _counted(state):
            loss = _step(state, drawer, objective, config, autocast)
        pace = pace_of(state, config)
        over = pace.fraction >= 1
        judged = bool(data.everything) and not state.learnt_all
        all_now = judged and pace.fraction >= 1 - config.validation.final_run
        due = state.run_step - state.validated >= pace.validation_interval(config.validation.every)
        if due or over or all_now:
            with _counted(state):
                metrics = _validate(state, data, drawer.sampler, check)
                stale = data.telling and out_of_patience(state, config)
                state.finished = over or (stale and not judged)
                if judged and stale and not all_now:
                    state.ends = math.ceil(state.run_step / (1 - config.validation.final_run))
                if judged and (all_now or stale) and not state.finished:
                    state.learnt_all = True
                    drawer.draw_from(_sampler(state, data, config))
                save(state)
            yield Metric(state.step, "training loss", loss.item())
            yield from metrics
        if pacer.progress_due() or state.finished:
            yield _progress(state, config)
        if pacer.preview_due() or state.finished:
            yield from pacer.timed(lambda: preview(state.averaged.network, state.offsets))


def _sampler(state: TrainingState, data: TrainingData, config: TrainingConfig) -> PatchSampler:
    """Return what draws patches of all that may be learnt now."""
    samples = data.everything if state.learnt_all and data.everything else data.split.training
    return PatchSampler(samples, data.task.strata, config.data.patch_size, config.augmentation)


@contextmanager
def _counted(state: TrainingState) -> Iterator[None]:
    """Count the time spent inside towards the run."""
    began = time.perf_counter()
    yield
    state.run_seconds += time.perf_counter() - began


def _judge(state: TrainingState, data: TrainingData, sampler: PatchSampler, check: Callable[[], None]) -> Score | None:
    """Find the offsets of the averaged network, and how good it is with them.

    Returns None once what judged has been learnt as well: the verdict of before then stands.
    """
    network = state.averaged.network
    offsets = data.task.correct(network, data.survey, sampler.plain(), check)
    learnt = state.learnt_all and bool(data.everything)
    score = None if learnt else data.score(network, offsets, check)
    # both at once: a cancel in between must not leave the one beside the other of before
    state.offsets, state.score = offsets, score or state.score
    return score


def _validate(
    state: TrainingState, data: TrainingData, sampler: PatchSampler, check: Callable[[], None]
) -> list[Metric]:
    """Judge the averaged network, and notice whether the run still improves."""
    score = _judge(state, data, sampler, check)
    state.validated = state.run_step
    if score is None:
        return []
    if state.to_beat is not None and score.quality >= state.to_beat:
        state.to_beat = None
    state.quality = score.quality if state.quality is None else (state.quality + score.quality) / 2
    if state.best_quality is None or state.quality > state.best_quality:
        state.best_quality, state.stale = state.quality, 0
    else:
        state.stale += 1
    return [Metric(state.step, name, value) for name, value in score.as_metrics().items()]


def out_of_patience(state: TrainingState, config: TrainingConfig) -> bool:
    """Whether nothing has improved for as long as `config` waits, and this has not ended the run's first part yet."""
    patience = config.stop.patience
    return patience is not None and state.ends is None and state.stale >= patience


def pace_of(state: TrainingState, config: TrainingConfig) -> Pace:
    """Return where the run of `state` is, by steps or time, whichever is further.

    A run that patience has cut is as long as one planned so: its final run keeps its share, and the step size goes on
    from where it stands at such a share.
    """
    stop = config.stop
    most = min(stop.max_steps, state.ends or stop.max_steps)
    by_time = state.run_seconds / stop.max_seconds if stop.max_seconds else 0.0
    return Pace(state.run_step, max(state.run_step / most, by_time), most)


def _autocast(config: TrainingConfig) -> Callable[[], AbstractContextManager[object]]:
    device = choose_device(config.device)
    wanted = config.precision == "bfloat16" or (config.precision == "auto" and has_fast_bfloat16(device))
    if not wanted:
        return nullcontext
    return lambda: torch.autocast(device.type, dtype=torch.bfloat16)


def _step(
    state: TrainingState,
    drawer: BatchDrawer,
    objective: Objective,
    config: TrainingConfig,
    autocast: Callable[[], AbstractContextManager[object]],
) -> Tensor:
    """Take a batch and one step of the optimiser, and return the loss."""
    device = state.network.device
    images, targets = drawer.take(state.rng)
    images = images.to(device, memory_format=state.network.layout)
    state.network.train()
    with autocast():
        scores = state.network(images)
    pace = pace_of(state, config)
    loss = objective(Batch(images, scores.float(), targets.to(device)), pace.grown_in())
    descend(state.optimizer, loss, pace.learning_rate(config.optimiser.learning_rate))
    state.step += 1
    state.run_step += 1
    state.averaged.update(state.network, state.run_step)
    return loss.detach()


def _progress(state: TrainingState, config: TrainingConfig) -> Progress:
    """Tell how far the run is; where time is the limit, the total is the number of steps that will fit into it."""
    fraction = 1.0 if state.finished else min(pace_of(state, config).fraction, 1.0)
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

"""The training job: from images and labels to a model folder."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_tessera.config.model import CHECKPOINT_FILE, HEADER_FILE, HeldOut, ModelSpec, load_model_spec
from napari_tessera.config.networks import described
from napari_tessera.config.prediction import PredictionConfig
from napari_tessera.config.training import TrainingConfig
from napari_tessera.core.errors import (
    InvalidInputError,
    JobCancelledError,
    ModelError,
    OutOfMemoryError,
    OutputExistsError,
    StorageError,
)
from napari_tessera.core.jobs import CancelToken, Job, JobEvent, Metric, Progress, Warning
from napari_tessera.core.version import __version__
from napari_tessera.io.model_lock import LOCK_FILE, check_not_trained, holding_model
from napari_tessera.io.opening import as_labels, notes_about
from napari_tessera.io.places import check_apart, check_outside
from napari_tessera.nn.checkpoints import load_checkpoint, save_checkpoint
from napari_tessera.nn.model import Model, save_model, weight_files
from napari_tessera.nn.networks.base import Network
from napari_tessera.nn.networks.building import build_network
from napari_tessera.nn.predictor import is_out_of_memory
from napari_tessera.nn.priors import Offsets
from napari_tessera.nn.samples import Split
from napari_tessera.nn.trainer import TrainingData, TrainingState, start_state, train_network
from napari_tessera.pipeline.label_likeness import doubt_labels
from napari_tessera.pipeline.learning.annotation import describe_classes
from napari_tessera.pipeline.learning.dataset import Dataset, Pair, load_dataset, split_dataset
from napari_tessera.pipeline.learning.previews import Previewer, remove_previews
from napari_tessera.pipeline.learning.trust import LEARNT, LEARNT_LATER, describe_held_out, digest_of, with_score
from napari_tessera.pipeline.learning.viewport import Viewport
from napari_tessera.pipeline.predicting.likeness import by_name, mixed_pixels
from napari_tessera.pipeline.predicting.pixel_predictors import PixelPredictor, make_predictor
from napari_tessera.pipeline.requests import TrainRequest
from napari_tessera.pipeline.results import TrainResult
from napari_tessera.pipeline.running.cancelling import CancellableSource

PREVIEWS = "previews"
"""Folder inside the model folder for what the person watches; the reader of a preview removes it."""

_KEPT = (
    "The model of before stays as it was, since the training that goes on from it was not as good yet; the checkpoint "
    "keeps what has been learnt since."
)


def training_job(request: TrainRequest, cancel: CancelToken, viewport: Viewport | None = None) -> Job:
    """Train as `request` says; see `train_pairs`."""
    if len(request.images) != len(request.labels):
        raise InvalidInputError(
            f"There are {len(request.images)} images but {len(request.labels)} labels: give one of each per pair."
        )
    # an image that is annotated twice is opened once, so that it counts as one image
    images = {image: image.open() for image in request.images}
    pairs = [(images[image], labels.open()) for image, labels in zip(request.images, request.labels, strict=True)]
    yield from train_pairs(
        pairs,
        request.config,
        request.out,
        resume=request.resume,
        overwrite=request.overwrite,
        cancel=cancel,
        viewport=viewport,
    )


def train_pairs(
    pairs: Sequence[Pair],
    config: TrainingConfig,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    cancel: CancelToken | None = None,
    viewport: Viewport | None = None,
) -> Job:
    """Train a network on pairs of images and labels and save it.

    Parameters
    ----------
    pairs
        Images and their annotation, each labels image with the axes of its image but ``c``.
    config
        All settings; ``config.annotation`` says what the labels mean.
    out
        The model folder to write.
    resume
        Go on from the checkpoint in `out`.
    overwrite
        Replace a model that is in `out`.
    cancel
        Checked before every step; the model so far and a checkpoint are saved then.
    viewport
        What to preview while training.

    Yields
    ------
    JobEvent
        Progress in steps, metrics, previews, warnings, and a `TrainResult`.

    Raises
    ------
    TesseraError
        For annotation that nothing can be learnt from, images that cannot be used, an output that exists or that
        another training writes into, a full disk.
    """
    cancel = cancel or CancelToken()
    check_apart(out, [source for pair in pairs for source in pair])
    check_outside(out)
    check_not_trained(out)
    check_model_folder(out, resume=resume, overwrite=overwrite)
    with holding_model(out):
        check_model_folder(out, resume=resume, overwrite=overwrite)  # another training may have ended just now
        yield from _train_pairs(pairs, config, out, resume, cancel, viewport or Viewport())


def _train_pairs(
    pairs: Sequence[Pair], config: TrainingConfig, out: Path, resume: bool, cancel: CancelToken, viewport: Viewport
) -> Job:
    """Train, with `out` held against other trainings."""
    yield Progress(0, config.stop.max_steps, "step", "Reading images and annotation")
    pairs, notes = _alike(pairs, out if resume else None, cancel)
    dataset = load_dataset(pairs, config)
    classes = describe_classes(dataset.task.numbers, config)
    context = _context(dataset, config)
    state = _begin(dataset, config, out if resume else None, context)
    split, warnings = _split(dataset, state, config)
    held_out = describe_held_out(split.validation, classes, config.annotation)
    data = _training_data(dataset, split, held_out, config)
    for text in (*notes, *dataset.warnings, *warnings, *_about_patience(config, telling=data.telling)):
        yield Warning(text)
    remove_previews(out / PREVIEWS)
    header = _describe_model(pairs, dataset, config, classes, out.name)
    save = _Saver(out, header, context, held_out)
    predictor_of = _predictors(header, config, cancel)
    preview = Previewer(pairs, dataset, classes, viewport, out / PREVIEWS, predictor_of)
    with _explained_memory():
        try:
            for event in train_network(state, data, config, cancel=cancel, save=save, preview=preview):
                yield save.explain(event)
        except JobCancelledError:
            if state.to_beat is not None:
                yield Warning(_KEPT)
            raise
    yield TrainResult(out, save.metrics(state), save.last_word, state.step)


def _alike(pairs: Sequence[Pair], model: Path | None, cancel: CancelToken) -> tuple[list[Pair], tuple[str, ...]]:
    """Return the pairs with channels in one order by their names, that of `model` or of the first image, and notes."""
    named = model is not None and (model / HEADER_FILE).is_file()
    header = load_model_spec(model) if named and model else None
    names = pairs[0][0].spec.channel_names if header is None else header.channel_names
    whose = "the model" if named else f"the first image, {pairs[0][0].name},"
    images = {id(image): by_name(image, names, whose) for image, _ in pairs}  # the same image stays the same
    alike = [(images[id(image)][0], as_labels(labels)) for image, labels in pairs]
    notes = [note for pair in alike for source in pair for note in notes_about(source)]
    notes += filter(None, (doubt_labels(labels) for _, labels in alike))
    notes += mixed_pixels([image.spec for image, _ in alike], header)
    return _cancellable(alike, cancel), tuple(
        dict.fromkeys([*notes, *(told for _, others in images.values() for told in others)])
    )


def _split(dataset: Dataset, state: TrainingState, config: TrainingConfig) -> tuple[Split, tuple[str, ...]]:
    """Hold out what the settings ask for, unless it has been learnt from: nothing of it is unseen any more.

    What an interrupted run held out goes on judging; annotation that has changed since divides otherwise, and so has
    been learnt from in part. Notes in `state` what judges.
    """
    split, warnings = split_dataset(dataset, config)
    judges = digest_of(split.validation)
    seen = state.step > 0 and (state.judges != judges or (state.learnt_all and state.score is None))
    if seen or not split.validation:
        split, state.learnt_all, state.score = Split(dataset.samples, ()), True, None
        warnings = () if seen else warnings
    state.judges = digest_of(split.validation)
    return split, warnings


def _training_data(dataset: Dataset, split: Split, held_out: HeldOut | None, config: TrainingConfig) -> TrainingData:
    """Return what is learnt, judged and surveyed."""
    return TrainingData(
        dataset.task,
        split,
        everything=dataset.samples if held_out and config.validation.final_run else (),
        survey=dataset.survey,
        telling=held_out is not None and not held_out.doubt,
    )


def _about_patience(config: TrainingConfig, *, telling: bool) -> tuple[str, ...]:
    if config.stop.patience is None or telling:
        return ()
    return ("Too little is held out to notice an end of improvement: patience stops nothing, steps or time do.",)


def _context(dataset: Dataset, config: TrainingConfig) -> dict[str, Any]:
    """Return what must stay the same for a training to go on."""
    return {
        "annotation": str(config.annotation),
        "network": described(config.network),
        "intensity": config.data.intensity.model_dump(),
        "classes": list(dataset.task.numbers),
        "channels": dataset.channels,
    }


def _begin(
    dataset: Dataset, config: TrainingConfig, checkpoint: Path | None, context: Mapping[str, Any]
) -> TrainingState:
    """Return the state of a new training, or that of the folder `checkpoint`."""
    network = build_network(config.network, channels=dataset.channels, outputs=dataset.task.outputs, seed=config.seed)
    state = start_state(network, config)
    if checkpoint is not None:
        load_checkpoint(checkpoint, state, context)
    return state


@contextmanager
def _explained_memory() -> Iterator[None]:
    """Say what helps when the memory of the device runs out."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            "The training does not fit into the memory of the device: choose a smaller batch_size or patch_size."
        ) from error


def check_model_folder(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Make sure that a model may be written into `folder`.

    Raises
    ------
    OutputExistsError
        If there is something already, and neither resuming nor overwriting was asked for.
    StorageError
        If it is a file.
    """
    if folder.is_file():
        raise StorageError(f"{folder} is a file: choose a folder for the model.")
    if resume or not folder.exists() or {path.name for path in folder.iterdir()} <= {LOCK_FILE}:
        return
    ours = any((folder / name).exists() for name in (HEADER_FILE, CHECKPOINT_FILE)) or any(weight_files(folder))
    if not ours:
        raise OutputExistsError(f"{folder} holds other files: choose a new or empty folder for the model.")
    if not overwrite:
        raise OutputExistsError(
            f"There is a model in {folder} already: choose another name, go on with --resume, or replace it with "
            "--overwrite."
        )


def _holds_finished(folder: Path) -> bool:
    """Whether the model in `folder` is there and has come to its end."""
    try:
        spec = load_model_spec(folder)
    except ModelError:
        return False
    return spec.finished and (folder / spec.weights).is_file()


def _cancellable(pairs: Sequence[Pair], cancel: CancelToken) -> list[Pair]:
    """Return the pairs with images and labels that stop reading once cancelled; the same image stays the same."""
    images = {id(image): CancellableSource(image, cancel) for image, _ in pairs}
    return [(images[id(image)], CancellableSource(labels, cancel)) for image, labels in pairs]


def _describe_model(
    pairs: Sequence[Pair], dataset: Dataset, config: TrainingConfig, classes: Any, name: str
) -> ModelSpec:
    spec = pairs[0][0].spec
    space = spec.ordered(spec.spatial)
    return ModelSpec(
        name=name,
        package_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        network=config.network,
        input_axes="cyx",
        channel_names=spec.channel_names,
        channels=dataset.channels,
        pixel_size=space.by_axis(space.scale),
        units=space.by_axis(space.units),
        intensity=config.data.intensity,
        classes=classes,
        training=config,
        metrics={},
        finished=False,
        weights_sha256="",
    )


def _predictors(
    header: ModelSpec, config: TrainingConfig, cancel: CancelToken
) -> Callable[[Network, Offsets], PixelPredictor]:
    """Return what makes of a network in training and its offsets the predictor that their model would have."""

    def predictor_of(network: Network, offsets: Offsets) -> PixelPredictor:
        model = Model(header.model_copy(update={"score_offsets": offsets}), network)
        return make_predictor(model, PredictionConfig(device=config.device), cancel.raise_if_cancelled)

    return predictor_of


@dataclass
class _Saver:
    """Writes checkpoint and model after each validation, and keeps the figures that go with them."""

    folder: Path
    header: ModelSpec
    context: Mapping[str, Any]
    held_out: HeldOut | None
    """What the figures are measured on; none if nothing is held out."""
    doubt: str = field(init=False)
    """Why the last figures say little; empty if they can be taken as they are."""

    learnt_later: bool = field(init=False, default=False)
    """Whether what judged has been learnt since."""

    def __post_init__(self) -> None:
        self.doubt = self.held_out.doubt if self.held_out else LEARNT

    def __call__(self, state: TrainingState) -> None:
        save_checkpoint(self.folder, state, self.context)
        if state.step == 0:
            return
        facts = self._facts(state)
        if state.to_beat is not None and not state.finished and _holds_finished(self.folder):
            return  # it stays until what goes on from it is at its end, or as good
        save_model(self.folder, Model(self.header.model_copy(update=facts), state.averaged.network))

    def _facts(self, state: TrainingState) -> dict[str, Any]:
        """Return what the header says of `state`; note how far its figures can be trusted."""
        held_out = with_score(self.held_out, state.score) if self.held_out else None
        self.learnt_later = held_out is not None and state.learnt_all
        if held_out and self.learnt_later:
            held_out = held_out.model_copy(update={"learnt_later": True})
        self.doubt = held_out.doubt if held_out else LEARNT
        return {
            "metrics": self.metrics(state),
            "held_out": held_out,
            "score_offsets": state.offsets,
            "finished": state.finished or not state.run_step,  # before its first step a run has what another one left
            "cancelled": state.cancelled,
        }

    @property
    def last_word(self) -> str:
        """What a person should know about the figures when all is done."""
        return self.doubt or (LEARNT_LATER if self.learnt_later else "")

    def metrics(self, state: TrainingState) -> dict[str, float]:
        """Return the figures of the last validation."""
        if state.score is None:
            return {}
        return {self._name(name): value for name, value in state.score.as_metrics().items()}

    def explain(self, event: JobEvent) -> JobEvent:
        """Call figures of learnt annotation what they are, and say how far they can be trusted."""
        if not isinstance(event, Metric):
            return event
        note = self.doubt if event.name.endswith(("Dice", "error")) else ""
        return replace(event, name=self._name(event.name), note=note)

    def _name(self, name: str) -> str:
        return name if self.held_out else name.replace("validation", "training")

"""What a Python program calls: data first, one configuration object, everything about the run by keyword."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from napari_tessera.config.prediction import PredictionConfig
from napari_tessera.config.training import TrainingConfig
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSink, ImageSource
from napari_tessera.core.jobs import CancelToken, JobEvent, drain
from napari_tessera.core.paths import expand_home
from napari_tessera.core.spelling import did_you_mean
from napari_tessera.io.arrays import ArrayLike, MemorySink
from napari_tessera.io.creating import check_output
from napari_tessera.io.opening import open_image
from napari_tessera.io.places import check_apart
from napari_tessera.operations.base import Operation
from napari_tessera.pipeline.applying.applying import (
    ApplyOptions,
    apply_into,
    check_result_path,
    file_sink,
    open_input,
)
from napari_tessera.pipeline.applying.inputs import OperationInput
from napari_tessera.pipeline.judging import evaluation
from napari_tessera.pipeline.listening import listener
from napari_tessera.pipeline.positions import write_points
from napari_tessera.pipeline.results import ApplyResult, PointsResult, PredictResult, TrainResult
from napari_tessera.pipeline.running.sinks import keeper

# What loads torch is imported where it is used: applying an operation must not wait for it.
if TYPE_CHECKING:
    from napari_tessera.nn.model import Model
    from napari_tessera.pipeline.predicting.planning import PredictionPlan

ImageLike = ImageSource | ArrayLike | str | Path
"""Whatever `napari_tessera.open_image` takes."""

OnEvent = Callable[[JobEvent], None]


def train(
    pairs: Sequence[tuple[ImageLike, ImageLike]],
    config: TrainingConfig,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    on_event: OnEvent | None = None,
    cancel: CancelToken | None = None,
) -> Path:
    """Train a U-Net on pairs of images and labels.

    Parameters
    ----------
    pairs
        Images and their annotation; labels have the axes of their image but ``c``.
    config
        All settings; ``config.annotation`` says what the labels mean.
    out
        The model folder to write; None: a new one among the computer's temporary files, which stays until you remove
        it (its parent folder is called ``napari-tessera-…``) or the system clears them.
    overwrite, resume
        Replace the model in `out`, or go on with its training.
    on_event
        Called with every event: progress, metrics, warnings, the result. None: warnings become those of Python.
    cancel
        Set from another thread to stop at the next step.

    Returns
    -------
    Path
        The model folder, to hand to `predict`.

    Raises
    ------
    TesseraError
        Each with one sentence that names the remedy.
    """
    folder = Path(tempfile.mkdtemp(prefix="napari-tessera-")) / "model" if out is None else expand_home(out)
    from napari_tessera.pipeline.learning.training import train_pairs

    opened = [(open_image(image), open_image(labels)) for image, labels in pairs]
    job = train_pairs(opened, config, folder, resume=resume, overwrite=overwrite, cancel=cancel)
    drain(job, listener(on_event), TrainResult)
    return folder


@overload
def predict(
    model: "str | Path | Model",
    image: ImageLike,
    *,
    out: None = None,
    config: PredictionConfig = ...,
    overwrite: bool = ...,
    on_event: OnEvent | None = ...,
    cancel: CancelToken | None = ...,
) -> NDArray[Any]: ...


@overload
def predict(
    model: "str | Path | Model",
    image: ImageLike,
    *,
    out: str | Path,
    config: PredictionConfig = ...,
    overwrite: bool = ...,
    on_event: OnEvent | None = ...,
    cancel: CancelToken | None = ...,
) -> Path: ...


def predict(
    model: "str | Path | Model",
    image: ImageLike,
    *,
    out: str | Path | None = None,
    config: PredictionConfig = PredictionConfig(),  # noqa: B008  frozen
    overwrite: bool = False,
    on_event: OnEvent | None = None,
    cancel: CancelToken | None = None,
) -> NDArray[Any] | Path:
    """Apply a model to an image of any size, tile by tile; the result does not depend on the tiles.

    Parameters
    ----------
    model
        A model folder, as `train` returns it, or a loaded model.
    image
        Its axis ``c``, if any, must have the channels that the model takes; planes of z and t are predicted one by one.
    out
        Where to write, by suffix; None: return the result as an array.
    config
        Class labels or probabilities, tile, device, precision.
    overwrite
        Replace `out` if it exists.
    on_event
        Called with every event: progress in tiles, warnings, the result. None: warnings become those of Python.
    cancel
        Set from another thread to stop within a tile.

    Returns
    -------
    ndarray or Path
        Class labels with the axes of `image` but ``c``; or probabilities, ``c`` (the classes) before them; or `out`.

    Raises
    ------
    TesseraError
        Each with one sentence that names the remedy.
    """
    from napari_tessera.nn.model import Model, load_model
    from napari_tessera.pipeline.predicting import prediction

    path = None if out is None else expand_home(out)
    if path is not None:
        check_apart(path, [image])
        check_output(path, overwrite, resumable=True)
    loaded = model if isinstance(model, Model) else load_model(expand_home(model))
    memory: list[MemorySink] = []

    def keep(plan: "PredictionPlan") -> ImageSink:
        memory.append(MemorySink(plan.output))
        return memory[0]

    source = open_image(image)
    open_sink = keep if path is None else prediction.file_sink(loaded.spec, source, path, config, overwrite=overwrite)
    with closing(prediction.predict_into(loaded, source, open_sink, config, cancel or CancelToken())) as job:
        drain(job, listener(on_event), PredictResult)
    return memory[0].array if path is None else path


@overload
def apply(
    operation: Operation,
    image: ImageLike,
    *,
    out: None = None,
    overwrite: bool = ...,
    tile: int | None = ...,
    threads: int | None = ...,
    on_event: OnEvent | None = ...,
    cancel: CancelToken | None = ...,
    **inputs: ImageLike | None,
) -> NDArray[Any]: ...


@overload
def apply(
    operation: Operation,
    image: ImageLike,
    *,
    out: str | Path,
    overwrite: bool = ...,
    tile: int | None = ...,
    threads: int | None = ...,
    on_event: OnEvent | None = ...,
    cancel: CancelToken | None = ...,
    **inputs: ImageLike | None,
) -> Path: ...


def apply(
    operation: Operation,
    image: ImageLike,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    tile: int | None = None,
    threads: int | None = None,
    on_event: OnEvent | None = None,
    cancel: CancelToken | None = None,
    **inputs: ImageLike | None,
) -> NDArray[Any] | Path:
    """Apply an operation to an image of any size; the result does not depend on how it is cut into tiles.

    Parameters
    ----------
    operation
        For example ``operations.Median(size=5)``.
    image
        Time points and channels are worked on one by one, unless the operation takes them in. The axes of an array
        are guessed (``yx``, ``zyx``, ``tzyx``); name others with `open_image`.
    out
        Where to write, by suffix; None: return the result as an array.
    overwrite
        Replace `out` if it exists.
    tile, threads
        Edge of the tiles and number of threads; None: chosen by memory and cores. Neither changes the result.
    on_event
        Called with every event: progress in tiles, warnings, the result. None: warnings become those of Python.
    cancel
        Set from another thread to stop within a second.
    **inputs
        Further inputs by name: images, labels, kernels; points as array or ``.csv``.

    Returns
    -------
    ndarray or Path
        The result with the axes of `image`, as far as the operation leaves them; points as float64 (N, axes); or `out`.

    Raises
    ------
    TesseraError
        Each with one sentence that names the remedy.
    """
    further = _checked(operation, inputs)
    path = None if out is None else expand_home(out)
    if path is not None:
        check_result_path(operation, path, overwrite, [image, *further.values()])
    source = open_image(image)
    given = {name: _open_input(operation, name, value, source) for name, value in further.items()}
    given[operation.inputs[0].name] = source
    memory: list[MemorySink] = []
    open_sink = keeper(memory) if path is None else file_sink(operation, path, given, overwrite=overwrite)
    with closing(apply_into(operation, given, open_sink, cancel or CancelToken(), ApplyOptions(tile, threads))) as job:
        made = drain(job, listener(on_event), ApplyResult)
    if path is None:
        return made.found if isinstance(made, PointsResult) else memory[0].array
    if isinstance(made, PointsResult):
        write_points(path, made.found, overwrite=overwrite)
    return path


_KEYWORDS = ("out", "overwrite", "tile", "threads", "on_event", "cancel")
"""Of `apply`, beside the inputs of the operation."""


def _checked(operation: Any, inputs: Mapping[str, ImageLike | None]) -> dict[str, ImageLike]:
    """Return the inputs that are given, refusing unknown ones, or what is no operation, before anything is opened."""
    if not isinstance(operation, Operation):
        name = operation.__name__ if isinstance(operation, type) else "Median"
        raise InvalidInputError(f"{operation!r} is not an operation: build one, for example operations.{name}().")
    known = [each.name for each in operation.inputs[1:]]
    for name in inputs:
        if name not in known:
            has = f"its further inputs are {', '.join(known)}" if known else "it has no further inputs"
            advice = did_you_mean(name, (*known, *_KEYWORDS), has)
            raise InvalidInputError(f"{operation.title} has no input {name!r}: {advice}")
    return {name: value for name, value in inputs.items() if value is not None}


def _open_input(operation: Operation, name: str, value: ImageLike, image: ImageSource) -> OperationInput:
    if isinstance(value, str | Path):
        return open_input(operation, name, Path(value), image)
    if isinstance(value, ImageSource):
        return value
    return open_image(value) if hasattr(value, "chunks") else np.asarray(value)


def evaluate(
    predicted: ImageLike,
    truth: ImageLike,
    *,
    instances: bool = False,
    ids: evaluation.Meaning = "auto",
    anyway: bool = False,
) -> evaluation.Evaluation:
    """Compare predicted labels or a mask with the truth.

    Parameters
    ----------
    predicted, truth
        Integer or bool images of the same shape.
    instances
        Take ids as objects and also count how many were found.
    ids
        Whether ids are ``classes``, which get figures of their own, or ``objects``; ``auto``: whether most agree.
    anyway
        Compare also what looks like intensities and not like labels.

    Returns
    -------
    Evaluation
        Dice, Jaccard and pixel error of the foreground, figures per class, and of objects if asked for.

    Raises
    ------
    InvalidInputError
        If the shapes differ, or an image holds floats or looks like intensities.
    """
    return evaluation.evaluate(open_image(predicted), open_image(truth), instances=instances, ids=ids, anyway=anyway)

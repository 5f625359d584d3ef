"""The whole journey on the sample data without a screen: scribbles, training, prediction, figures."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.config.training import Annotation, TrainingConfig
from napari_tessera.core.atomic import write_atomically
from napari_tessera.core.errors import OutputExistsError
from napari_tessera.core.jobs import CancelToken, Job, Result
from napari_tessera.core.version import __version__
from napari_tessera.io.opening import open_image
from napari_tessera.pipeline.dispatch import run_request
from napari_tessera.pipeline.judging.evaluation import evaluate
from napari_tessera.pipeline.requests import InputFile, PredictRequest, TrainRequest
from napari_tessera.pipeline.results import DemoResult, TrainResult
from napari_tessera.pipeline.samples.overlay import draw_overlay, write_png
from napari_tessera.pipeline.samples.samples import SAMPLES, Sample, load_sample, write_sample

METRICS_FILE = "metrics.json"
SESSION_FOLDER = "session"
"""Where the demo in napari's window keeps models and predictions."""

SETTINGS: Mapping[str, float] = {"stop.max_steps": 200}
"""What the demo changes of the defaults, by dotted name: three samples are to be done soon."""

TRAINING_SECONDS: Mapping[str, float] = {"nuclei": 90.0, "membranes": 60.0, "tissue": 45.0}
"""Limit per sample, which a slow computer meets; everything together then stays well below four minutes."""


def demo_job(
    out: Path,
    cancel: CancelToken | None = None,
    *,
    samples: Sequence[str] = tuple(SAMPLES),
    overrides: Mapping[str, Any] | None = None,
) -> Job:
    """Train on the scribbles of each sample, predict, draw and score.

    Parameters
    ----------
    out
        Folder to write: per sample a folder with image, scribbles, model, prediction (TIFF) and overlay (PNG), and
        ``metrics.json`` for all. A folder of an earlier demo is written anew.
    cancel
        Checked between steps and tiles.
    samples
        Names of the samples.
    overrides
        Training settings by dotted name, in place of the demo's own.

    Yields
    ------
    JobEvent
        Those of the trainings and predictions; the last is a `DemoResult`.

    Raises
    ------
    OutputExistsError
        If `out` holds something that is not a demo.
    """
    check_demo_folder(out)
    cancel = cancel or CancelToken()
    started = time.monotonic()
    metrics: dict[str, Any] = {}
    for name in samples:
        sample = load_sample(name)
        metrics[name] = yield from _run_sample(sample, out / name, cancel, overrides or {})
    result = DemoResult(out, round(time.monotonic() - started, 1), metrics)
    report = {"package_version": __version__, **result.value}
    write_atomically(out / METRICS_FILE, (json.dumps(report, indent=2) + "\n").encode())
    yield result


def check_demo_folder(out: Path) -> None:
    """Make sure that `out` is new, empty, or of an earlier demo.

    Raises
    ------
    OutputExistsError
        Otherwise.
    """
    found = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if out.is_file() or not found <= {*SAMPLES, SESSION_FOLDER, METRICS_FILE}:
        raise OutputExistsError(f"{out} holds other files: choose a new or empty folder with --out.")


def demo_config(sample: Sample, overrides: Mapping[str, Any]) -> TrainingConfig:
    """Return the training settings of the demo: the defaults but for `SETTINGS`, limits and names of the classes."""
    config = TrainingConfig(
        annotation=Annotation.SCRIBBLES,
        max_seconds=TRAINING_SECONDS[sample.name],
        class_names=dict(sample.class_names),
        class_colors=dict(sample.class_colors),
    )
    return config.with_overrides({**SETTINGS, **overrides})


def _run_sample(sample: Sample, folder: Path, cancel: CancelToken, overrides: Mapping[str, Any]) -> Any:
    """Do one sample; yields events, returns its figures."""
    paths = write_sample(sample, folder, overwrite=True)
    config = demo_config(sample, overrides)
    started = time.monotonic()
    request = TrainRequest(
        images=(InputFile(path=paths["image"]),),
        labels=(InputFile(path=paths["scribbles"]),),
        config=config,
        out=folder / "model",
        overwrite=True,
    )
    trained: TrainResult = yield from _forward(run_request(request, cancel))
    figures: dict[str, Any] = {
        "scribbled_share": round(float((sample.scribbles > 0).mean()), 4),
        "training_seconds": round(time.monotonic() - started, 1),
        "steps": trained.steps,
    }
    started = time.monotonic()
    predicted = yield from _predict_and_draw(sample, paths["image"], folder / "model", cancel)
    figures["prediction_seconds"] = round(time.monotonic() - started, 1)
    if sample.truth is not None:
        unlabelled = sample.scribbles == 0
        figures |= _figures("unlabelled", predicted[unlabelled][None], sample.truth[unlabelled][None])
    if sample.held_out is not None:
        other = sample.held_out()
        assert other.truth is not None
        other_paths = write_sample(other, folder / "held_out", overwrite=True)
        held_out = yield from _predict_and_draw(other, other_paths["image"], folder / "model", cancel)
        figures |= _figures("held_out", held_out, other.truth)
    return figures


def _predict_and_draw(sample: Sample, image: Path, model: Path, cancel: CancelToken) -> Any:
    """Predict the class labels of a sample beside its image; yields events, returns ``(y, x)`` labels."""
    out = image.with_name(f"{sample.name}_prediction.tif")
    request = PredictRequest(model=model, image=InputFile(path=image), out=out, overwrite=True)
    yield from _forward(run_request(request, cancel))
    source = open_image(out)
    labels = source.read(source.spec.full_region)
    picture = draw_overlay(sample.image, sample.spec.axes, labels, sample.class_colors)
    write_png(image.with_name(f"{sample.name}_overlay.png"), picture)
    return labels


def _forward(job: Job) -> Any:
    """Pass on the events of `job`, and return its result in place of yielding it."""
    result = None
    for event in job:
        if isinstance(event, Result):
            result = event
        else:
            yield event
    return result


def _figures(where: str, predicted: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]]) -> dict[str, float]:
    """Return Dice of everything that is not background, Dice of what is rarer, and error; ``(y, x)`` each."""
    found = evaluate(open_image(predicted), open_image(truth))
    return {
        f"dice_{where}": round(found.dice, 4),
        f"minority_dice_{where}": round(found.minority_dice, 4),
        f"error_{where}": round(found.pixel_error, 4),
    }

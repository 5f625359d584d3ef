"""The command `train`."""

from pathlib import Path
from typing import Any

import click

from napari_tessera.cli.axes import axes_option
from napari_tessera.cli.cancelling import cancel_on_interrupt
from napari_tessera.cli.output import emit_result, event_listener, json_option
from napari_tessera.config.base import parse_assignments
from napari_tessera.config.model import CHECKPOINT_FILE, HEADER_FILE
from napari_tessera.config.training import Annotation, TrainingConfig
from napari_tessera.core.errors import InvalidInputError, JobCancelledError
from napari_tessera.core.jobs import drain
from napari_tessera.pipeline.out_folders import check_folder
from napari_tessera.pipeline.requests import InputFile, TrainRequest
from napari_tessera.pipeline.results import TrainResult


@click.command("train")
@click.option("--image", "images", multiple=True, required=True, metavar="IMAGE", help="An image; repeat for more.")
@click.option(
    "--labels",
    "labels",
    multiple=True,
    required=True,
    metavar="LABELS",
    help="The annotation of the image at the same place in the order.",
)
@click.option(
    "--annotation",
    type=click.Choice([str(kind) for kind in Annotation]),
    help="What the labels mean: scribbles (0 unlabelled, 1 background, 2… classes), dense (0 background, every other "
    "number a class) or objects (0 background, every other number an object). Required here or in --config.",
)
@axes_option("--axes", "every image")
@axes_option("--labels-axes", "every labels image")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Model folder to write.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="YAML file with training settings.")
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="One setting, e.g. max_seconds=90.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in the model folder.")
@click.option("--overwrite", is_flag=True, help="Replace a model folder that exists.")
@json_option
def command(
    images: tuple[str, ...],
    labels: tuple[str, ...],
    annotation: str | None,
    axes: str | None,
    labels_axes: str | None,
    out: Path,
    config_file: Path | None,
    assignments: tuple[str, ...],
    resume: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Train a model on images and their annotation.

    \b
    napari-tessera train --annotation scribbles --image cells.tif --labels scribbles.tif --out my-model
    """  # noqa: D301  click wants a real backspace before lines that stay as they are
    if len(images) != len(labels):
        raise click.UsageError(
            f"{len(images)} --image and {len(labels)} --labels: give one --labels for each --image, in the same order."
        )
    if resume and overwrite:
        raise click.UsageError("--resume goes on with a model folder, --overwrite discards it: choose one.")
    config = training_config(annotation, config_file, assignments)
    check_folder(out)

    from napari_tessera.pipeline.dispatch import run_request

    request = TrainRequest(
        images=tuple(InputFile(path=Path(path), axes=axes) for path in images),
        labels=tuple(InputFile(path=Path(path), axes=labels_axes) for path in labels),
        config=config,
        out=out,
        resume=resume,
        overwrite=overwrite,
    )
    with cancel_on_interrupt() as cancel:
        try:
            result = drain(run_request(request, cancel), event_listener(as_json=as_json), TrainResult)
        except JobCancelledError as error:
            raise JobCancelledError(describe_cancelled(out)) from error
    emit_result(result.value, describe_training(result), as_json=as_json)


def describe_cancelled(out: Path) -> str:
    """Return what a person reads who has cancelled a training: where it lies, and how it goes on."""
    if not (out / HEADER_FILE).exists():
        begun = (out / CHECKPOINT_FILE).exists()
        next_step = "the same command with --resume begins with it, with --overwrite anew." if begun else ""
        return f"Cancelled before there was a model to keep in {out}{': ' if begun else '.'}{next_step}"
    return f"Cancelled; the model so far lies in {out}: the same command with --resume goes on with it."


def training_config(annotation: str | None, config_file: Path | None, assignments: tuple[str, ...]) -> TrainingConfig:
    """Put together the settings: the file's, then those of ``--set``, then ``--annotation``.

    Raises
    ------
    click.UsageError
        If the options cannot be understood, or nothing says what the labels mean.
    InvalidInputError, MissingInputError
        If the file cannot be used.
    """
    fields: dict[str, Any] = TrainingConfig.read_fields(config_file, by_hand=True) if config_file else {}
    if config_file:  # what is wrong in the file is reported as the file's fault, not the command's
        _check_file(config_file, fields)
    try:
        fields = TrainingConfig.overridden(fields, parse_assignments(assignments))
        if annotation is not None:
            fields["annotation"] = annotation
        if "annotation" not in fields:
            raise click.UsageError("Say what the labels mean: --annotation scribbles, dense or objects.")
        return TrainingConfig.parse(fields)
    except InvalidInputError as error:
        raise click.UsageError(str(error)) from error


def _check_file(path: Path, fields: dict[str, Any]) -> None:
    try:
        TrainingConfig.parse({"annotation": Annotation.SCRIBBLES, **fields})
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


def describe_training(result: TrainResult) -> list[str]:
    """Return the lines that a person reads at the end of a training."""
    figures = [f"{name}: {value:.4g}" for name, value in result.metrics.items()]
    doubt = [f"note: {result.doubt}"] if result.metrics and result.doubt else []
    return [f"model: {result.model}", *figures, *doubt]

"""The command `evaluate`."""

from typing import Any

import click

from napari_tessera.cli.axes import axes_option
from napari_tessera.cli.output import emit_result, json_option
from napari_tessera.io.opening import open_image
from napari_tessera.pipeline.judging.evaluation import Meaning, evaluate


@click.command("evaluate")
@click.argument("predicted")
@click.argument("truth")
@axes_option("--axes", "PREDICTED")
@axes_option("--truth-axes", "TRUTH")
@click.option("--instances", is_flag=True, help="Take each number as an object, and count how many were found.")
@click.option(
    "--classes", is_flag=True, help="Take each number as a class, also where the numbers of the two hardly agree."
)
@click.option("--anyway", is_flag=True, help="Compare also what looks like intensities and not like labels.")
@json_option
def command(
    predicted: str,
    truth: str,
    axes: str | None,
    truth_axes: str | None,
    instances: bool,
    classes: bool,
    anyway: bool,
    as_json: bool,
) -> None:
    """Compare a prediction with the truth.

    Dice, Jaccard and pixel error of the foreground; the Dice of the rarest class (of foreground or background where
    numbers are no classes); figures per class, where numbers look like classes; and with --instances the average
    precision (AP) of objects at each threshold of overlap (IoU). PREDICTED and TRUTH are labels or masks of the same
    shape.
    """
    if instances and classes:
        raise click.UsageError("--instances takes numbers for objects, --classes for classes: choose one.")
    images = open_image(predicted, axes=axes), open_image(truth, axes=truth_axes)
    meaning: Meaning = "classes" if classes else "auto"
    value = evaluate(*images, instances=instances, ids=meaning, anyway=anyway).to_dict()
    emit_result(value, describe(value), as_json=as_json)


def describe(value: dict[str, Any]) -> list[str]:
    """Return the figures as lines for a person."""
    figures = ("dice", "jaccard", "minority_dice", "pixel_error")
    lines = [f"{name.replace('_', ' ')}: {value[name]:.4f}" for name in figures]
    if value["minority_class"] is not None:
        lines[figures.index("minority_dice")] += f" (class {value['minority_class']}, the rarest in the truth)"
    if value["mean_dice"] is not None and len(value["classes"]) > 1:
        lines += [
            f"class {number}: dice {figures['dice']:.4f}, jaccard {figures['jaccard']:.4f}"
            for number, figures in value["classes"].items()
        ]
        lines.append(f"mean over classes: dice {value['mean_dice']:.4f}, jaccard {value['mean_jaccard']:.4f}")
    if "instances" in value:
        objects = value["instances"]
        lines.append(f"objects: {objects['predicted_objects']} predicted, {objects['true_objects']} true")
        lines += [f"AP at IoU {threshold}: {share:.4f}" for threshold, share in objects["average_precision"].items()]
        lines.append(f"mean AP: {objects['mean_average_precision']:.4f}")
    return lines + ([value["note"]] if value["note"] else [])

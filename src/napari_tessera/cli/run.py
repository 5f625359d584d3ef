"""The command `run`."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import click

from napari_tessera.cli.apply import named_paths
from napari_tessera.cli.axes import axes_option, pixel_size_option, pixel_unit_option
from napari_tessera.cli.cancelling import cancel_on_interrupt
from napari_tessera.cli.output import emit_result, event_listener, json_option
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.jobs import drain
from napari_tessera.pipeline.recipes.recipe_job import recipe_job
from napari_tessera.pipeline.requests import InputFile, RecipeRequest, Suffix
from napari_tessera.pipeline.results import RecipeResult


@click.command("run")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.argument("image", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=PATH",
    help="A further input of the recipe, by its name there, given once for each; IN is the first one.",
)
@axes_option("--axes", "IN")
@pixel_size_option("IN")
@pixel_unit_option
@click.option(
    "--suffix",
    type=click.Choice(get_args(Suffix)),
    default=".ome.zarr",
    show_default=True,
    help="Format of the results where OUT is a folder; points are written as .csv, or as .npy with --suffix .npy.",
)
@click.option("--tile", type=click.IntRange(min=1), help="Edge of a tile in pixels; changes memory and speed only.")
@click.option("--threads", type=click.IntRange(min=1), help="How many tiles at once; as many as cores otherwise.")
@click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")
@json_option
def command(
    recipe: Path,
    image: Path,
    out: Path,
    inputs: Sequence[str],
    axes: str | None,
    pixel_size: tuple[float, ...] | None,
    pixel_unit: str | None,
    suffix: Suffix,
    tile: int | None,
    threads: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Run a recipe on an image, or on all images of a folder.

    OUT is a file if one image gives one output. For several outputs, and for a folder of images, it is a folder: the
    files in it are called after the image and the output, cells_labels.ome.zarr.

    \b
    napari-tessera run recipe.yaml cells.tif nuclei.tif
    """  # noqa: D301  click wants a real backspace before lines that stay as they are
    try:
        further = named_paths(inputs)
    except InvalidInputError as error:
        raise click.UsageError(str(error)) from error
    request = RecipeRequest(
        recipe=recipe,
        image=InputFile(path=image, axes=axes, pixel_size=pixel_size, pixel_unit=pixel_unit),
        inputs=dict(further),
        out=out,
        suffix=suffix,
        overwrite=overwrite,
        tile=tile,
        threads=threads,
    )
    with cancel_on_interrupt() as cancel:
        result = drain(recipe_job(request, cancel), event_listener(as_json=as_json), RecipeResult)
    emit_result(result.value, describe_result(result), as_json=as_json)


def describe_result(result: RecipeResult) -> list[str]:
    """Return what was made as lines for a person."""
    before = f" ({result.finished_before} were done before)" if result.finished_before else ""
    count = f"{result.images} images{before}, " if result.images > 1 else ""
    return [
        f"{count}{result.steps} step{'s' if result.steps > 1 else ''} in {result.seconds:.1f} s",
        *(str(one.out) for one in result.outputs),
    ]

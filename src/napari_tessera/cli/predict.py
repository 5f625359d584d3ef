"""The command `predict`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import click

from napari_tessera.cli.axes import axes_option, pixel_size_option, pixel_unit_option
from napari_tessera.cli.cancelling import cancel_on_interrupt
from napari_tessera.cli.output import emit_result, event_listener, json_option
from napari_tessera.config.prediction import PredictionConfig
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.jobs import drain
from napari_tessera.pipeline.out_folders import check_folder
from napari_tessera.pipeline.requests import InputFile, PredictRequest
from napari_tessera.pipeline.results import PredictResult


def _choices(field: str) -> click.Choice[str]:
    return click.Choice(get_args(PredictionConfig.model_fields[field].annotation))


@click.command("predict")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("image", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@axes_option("--axes", "IN")
@pixel_size_option("IN")
@pixel_unit_option
@click.option("--output", type=_choices("output"), default="labels", show_default=True, help="What to write.")
@click.option(
    "--probability-dtype",
    type=_choices("probability_dtype"),
    default="float32",
    show_default=True,
    help="Number format of probabilities; uint8 stores 255 for certainty.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--tile", type=click.IntRange(min=1), help="Edge length of a tile in pixels; chosen by device otherwise.")
@click.option(
    "--shard", type=click.IntRange(min=1), help="Edge length in pixels of a shard, a file of many chunks, in a zarr."
)
@click.option(
    "--precision",
    type=_choices("precision"),
    default="float32",
    show_default=True,
    help="Arithmetic; float32 gives the same result on any tile size.",
)
@click.option("--scheduler", metavar="ADDRESS", help="A dask scheduler; not available yet, so it is refused.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; read no pixels and write nothing.")
@click.option("--overwrite", is_flag=True, help="Replace an output that exists.")
@json_option
def command(
    model: Path,
    image: Path,
    out: Path,
    axes: str | None,
    pixel_size: tuple[float, ...] | None,
    pixel_unit: str | None,
    scheduler: str | None,
    dry_run: bool,
    overwrite: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Apply a model to an image of any size, tile by tile.

    IN is a TIFF, PNG, NPY, OME-Zarr (or a level of one, cells.ome.zarr/1) or plain zarr array; the suffix of OUT
    chooses the format: .tif, .npy, .png or .ome.zarr.

    \b
    napari-tessera predict my-model cells.tif nuclei.tif
    """  # noqa: D301  click wants a real backspace before lines that stay as they are
    if scheduler is not None:
        raise click.UsageError("Predicting on a dask cluster is not available yet: leave out --scheduler.")
    try:
        config = PredictionConfig.parse(settings)
    except InvalidInputError as error:
        raise click.UsageError(str(error)) from error
    check_folder(out.parent)
    source = InputFile(path=image, axes=axes, pixel_size=pixel_size, pixel_unit=pixel_unit)
    request = PredictRequest(model=model, image=source, out=out, config=config, overwrite=overwrite)
    if dry_run:
        from napari_tessera.pipeline.predicting.planning import plan_request

        plan = {"dry_run": True, **plan_request(request).describe()}
        emit_result(plan, describe_plan(plan, out), as_json=as_json)
        return

    from napari_tessera.pipeline.dispatch import run_request

    with cancel_on_interrupt() as cancel:
        result = drain(run_request(request, cancel), event_listener(as_json=as_json), PredictResult)
    lines = [f"{result.tiles} tiles in {result.seconds:.1f} s on {result.device}", str(result.out)]
    emit_result(result.value, lines, as_json=as_json)


def describe_plan(plan: Mapping[str, Any], out: Path) -> list[str]:
    """Return what a prediction would do as lines for a person."""
    shape, tile, chunks = (" × ".join(map(str, plan[name])) for name in ("output_shape", "tile", "chunks"))
    return [
        f"would write {out}: {shape} ({plan['output_axes']}), {plan['output_dtype']}, chunks of {chunks}",
        f"in {plan['tiles']} tiles of {tile}, halo {plan['halo']}, {plan['batch']} at once on {plan['device']}",
        f"with about {plan['memory_bytes'] / 2**20:.0f} MiB of memory beyond the program itself",
    ]

"""The command `info`."""

from typing import Any

import click

from napari_tessera.cli.axes import axes_option
from napari_tessera.cli.output import emit_result, json_option
from napari_tessera.core.image import ImageSource
from napari_tessera.io.opening import axes_are_guessed, notes_about, open_levels


@click.command("info")
@click.argument("image", metavar="IMAGE")
@axes_option("--axes", "IMAGE")
@json_option
def command(image: str, axes: str | None, as_json: bool) -> None:
    """Show axes, shape, dtype, scale, levels and chunks of an image.

    IMAGE is a TIFF, PNG, NPY, OME-Zarr or plain zarr array; inside an OME-Zarr also a level
    (cells.ome.zarr/1) or labels (cells.ome.zarr/labels/nuclei); of a TIFF of several images also one of them
    (cells.tif/1), or all its pages (cells.tif/pages).
    """
    levels = open_levels(image, axes=axes)
    value = {**describe_image(levels[0]), "levels": [describe_level(level) for level in levels]}
    value["notes"] = list(dict.fromkeys(note for level in levels for note in notes_about(level)))
    emit_result(value, describe_lines(value), as_json=as_json)


def describe_image(image: ImageSource) -> dict[str, Any]:
    """Return what is known about an image as JSON-ready fields."""
    spec = image.spec
    return {
        "name": spec.name,
        "axes": spec.axes,
        "axes_guessed": axes_are_guessed(image),
        "shape": list(spec.shape),
        "dtype": str(spec.dtype),
        "scale": list(spec.scale),
        "translate": list(spec.translate),
        "units": list(spec.units),
        "channel_names": list(spec.channel_names),
        "chunks": _chunks(image),
    }


def describe_level(image: ImageSource) -> dict[str, Any]:
    """Return shape, scale and chunks of one resolution level."""
    return {"shape": list(image.shape), "scale": list(image.scale), "chunks": _chunks(image)}


def _chunks(image: ImageSource) -> list[int] | None:
    return list(image.chunks) if image.chunks else None


def describe_lines(value: dict[str, Any]) -> list[str]:
    """Return `value` of `command` as lines for a person."""
    axes = value["axes"]
    steps = [
        f"{axis} {scale:g}{' ' + unit if unit else ''}"
        for axis, scale, unit in zip(axes, value["scale"], value["units"], strict=True)
    ]
    guessed = f" (guessed: the file does not name them; name them with --axes, e.g. --axes {_example(axes)})"
    lines = [
        f"name:     {value['name']}",
        f"axes:     {axes}{guessed if value['axes_guessed'] else ''}",
        f"shape:    {_times(value['shape'])}",
        f"dtype:    {value['dtype']}",
        f"scale:    {', '.join(steps)}",
        f"chunks:   {_times(value['chunks']) if value['chunks'] else 'none'}",
    ]
    if any(value["translate"]):
        lines.append(f"origin:   {', '.join(f'{position:g}' for position in value['translate'])}")
    if value["channel_names"]:
        lines.append(f"channels: {', '.join(value['channel_names'])}")
    lines.append(f"levels:   {len(value['levels'])}")
    if len(value["levels"]) > 1:
        lines += [f"  {index}: {_times(level['shape'])}" for index, level in enumerate(value["levels"])]
    return lines + [f"note:     {note}" for note in value["notes"]]


def _example(axes: str) -> str:
    """Return axes that `axes` may be in truth: a leading dimension taken for z or t is often that of channels."""
    return ("t" if "c" in axes else "c") + axes[1:]


def _times(lengths: list[int]) -> str:
    return " × ".join(map(str, lengths))

"""Options that say of an image what its file does not: the axes, and how long its pixels are."""

from collections.abc import Callable
from typing import Any

import click

from napari_tessera.core.axes import CANONICAL, validate_axes
from napari_tessera.core.errors import InvalidInputError


def axes_option(name: str, what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds the option `name`, which names the axes of `what`."""
    text = (
        f"Axes of {what}, one letter of {CANONICAL} per dimension in its order, e.g. cyx for channels; "
        "without it those that the file names, or else yx, zyx or tzyx."
    )
    return click.option(name, metavar="LETTERS", callback=_checked, help=text)


def pixel_size_option(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds ``--pixel-size``, the lengths of a pixel of `what`."""
    text = (
        f"Length of a pixel of {what} along z, y, x (or y, x), e.g. 2,0.5,0.5; one number for all axes. Without it "
        "what the file says."
    )
    return click.option("--pixel-size", metavar="NUMBERS", callback=_read_lengths, help=text)


def pixel_unit_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--pixel-unit`` to a command."""
    text = "Unit of that length, e.g. micrometer; without it what the file says."
    return click.option("--pixel-unit", metavar="UNIT", help=text)(function)


def _read_lengths(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    """Return the numbers, or report wrong usage."""
    if value is None:
        return None
    try:
        lengths = tuple(float(entry) for entry in value.split(","))
    except ValueError:
        lengths = ()
    if not 1 <= len(lengths) <= 3 or not all(0 < length < float("inf") for length in lengths):
        raise click.BadParameter(f"{value!r} is not one to three numbers above 0, e.g. 2,0.5,0.5.")
    return lengths


def _checked(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Return the letters, or report wrong usage."""
    try:
        return None if value is None else validate_axes(value)
    except InvalidInputError as error:
        raise click.BadParameter(str(error)) from error

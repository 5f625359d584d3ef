"""Options that name the axes of an image whose file does not."""

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


def _checked(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Return the letters, or report wrong usage."""
    try:
        return None if value is None else validate_axes(value)
    except InvalidInputError as error:
        raise click.BadParameter(str(error)) from error

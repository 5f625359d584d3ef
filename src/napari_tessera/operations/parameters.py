"""How an operation declares its parameters: a pydantic field with default, bounds, unit and help."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field


def parameter(
    default: Any,
    help: str,  # noqa: A002  the field's own word
    *,
    title: str = "",
    unit: str = "",
    needs: Mapping[str, Sequence[Any]] | None = None,
    **bounds: Any,
) -> Any:
    """Return a field of an operation.

    Parameters
    ----------
    default
        Its value untouched; ``...`` for a parameter without one.
    help
        One sentence in plain words: tooltip, command-line help and reference page show it.
    title
        What it is called in the window, where its name says too little; the command line and recipes keep the name.
    unit
        What a number counts (``"pixels"``, ``"degrees"``, ``"% of pixels"``); empty for plain numbers.
    needs
        Values that other parameters must have for this one to matter: ``{"blur": ["motion"]}``. An input that must be
        left out for that is named with None: ``{"psf": [None]}``.
    **bounds
        ``ge``, ``gt``, ``le``, ``lt``, ``min_length``, … of pydantic.
    """
    extra: dict[str, Any] = {"title": title} if title else {}
    if unit:
        extra["unit"] = unit
    if needs:
        extra["needs"] = {name: list(values) for name, values in needs.items()}
    return Field(default, description=help, json_schema_extra=extra or None, **bounds)


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"a window has a centre, so its length must be odd: use {max(1, value - 1)} or {value + 1}")
    return value


OddSize = Annotated[int, AfterValidator(_odd)]
"""Length of a window, in pixels; give it ``ge=1``."""

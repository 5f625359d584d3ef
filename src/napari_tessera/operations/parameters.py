"""How an operation declares its parameters: a pydantic field with default, bounds, unit and help."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field


def parameter(default: Any, help: str, *, unit: str = "", **bounds: Any) -> Any:  # noqa: A002  the field's own word
    """Return a field of an operation.

    Parameters
    ----------
    default
        Its value untouched; ``...`` for a parameter without one.
    help
        One sentence in plain words: tooltip, command-line help and reference page show it.
    unit
        What a number counts (``"pixels"``, ``"degrees"``, ``"% of pixels"``); empty for plain numbers.
    **bounds
        ``ge``, ``gt``, ``le``, ``lt``, ``min_length``, … of pydantic.
    """
    return Field(default, description=help, json_schema_extra={"unit": unit} if unit else None, **bounds)


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"a window has a centre, so its length must be odd: use {max(1, value - 1)} or {value + 1}")
    return value


OddSize = Annotated[int, AfterValidator(_odd)]
"""Length of a window, in pixels; give it ``ge=1``."""

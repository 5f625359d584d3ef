"""What pydantic found wrong with a value, in plain words."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

_NEEDED: Mapping[str, str] = {
    "int": "a whole number is needed",
    "float": "a number is needed",
    "decimal": "a number is needed",
    "finite": "a finite number is needed",
    "bool": "true or false is needed",
    "string": "a text is needed",
    "path": "a path is needed",
    "tuple": "a list is needed",
    "list": "a list is needed",
    "set": "a list is needed",
    "dict": "settings (name: value) are needed",
    "mapping": "settings (name: value) are needed",
    "model": "settings (name: value) are needed",
}
"""By the first word of a type of error, which says what kind of value belongs there."""

_LIMITS: Mapping[str, str] = {
    "greater_than_equal": "it must be at least {ge:g}",
    "greater_than": "it must be above {gt:g}",
    "less_than_equal": "it must be at most {le:g}",
    "less_than": "it must be below {lt:g}",
    "multiple_of": "it must be a multiple of {multiple_of:g}",
    "literal_error": "use {expected}",
    "enum": "use {expected}",
    "string_too_short": "a text of at least {min_length} letters is needed",
    "string_too_long": "a text of at most {max_length} letters is needed",
}
"""By the type of an error, what is allowed; the names in braces are those of its context."""

_LONGEST_VALUE = 80


def describe_problem(kind: str, context: Mapping[str, Any], message: str) -> str:
    """Return what is wrong with a value, as the end of a sentence without a full stop.

    Parameters
    ----------
    kind
        pydantic's type of the error: ``"greater_than_equal"``.
    context
        What goes with it: ``{"ge": 1}``.
    message
        pydantic's own words, for errors that have no others here.
    """
    if kind in ("too_short", "too_long"):
        return _describe_length(kind, context)
    if kind in _LIMITS:
        try:
            return _LIMITS[kind].format(**{name: _exact(value) for name, value in context.items()})
        except (KeyError, ValueError):  # a limit that is no number
            return message
    if kind == "string_pattern_mismatch":
        return f"it is not of the form {context.get('pattern')}"
    if kind.endswith(("_type", "_parsing", "_from_float", "_number", "_parsing_size")):
        return _NEEDED.get(kind.partition("_")[0], message)
    return message.removeprefix("Value error, ").rstrip(".")


def _exact(value: Any) -> Any:
    """Return a whole number as what is written with all its digits, however it is asked to be formatted."""
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _describe_length(kind: str, context: Mapping[str, Any]) -> str:
    wanted = context.get("min_length" if kind == "too_short" else "max_length", 1)
    entries = "entry" if wanted == 1 else "entries"
    return f"at {'least' if kind == 'too_short' else 'most'} {wanted} {entries} needed, not {context['actual_length']}"


def place(parts: Sequence[str | int]) -> str:
    """Return where a value stands: ``steps (entry 1).version``."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f" (entry {part + 1})"
        elif part != "[key]":
            text += f".{part}" if text else part
    return text


def shown(value: Any) -> str:
    """Return `value` as it is written in a file of settings, cut off if it is long."""
    text = _written(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _written(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Mapping():
            return f"{{{', '.join(f'{_written(name)}: {_written(inner)}' for name, inner in value.items())}}}"
        case list() | tuple():
            return f"[{', '.join(map(_written, value))}]"
    return repr(value)


def find_converted(given: Any, understood: Any, where: tuple[str | int, ...] = ()) -> str:
    """Find a value that was taken for one of another kind: ``"5"`` or ``true`` for a number, ``yes`` for true.

    Parameters
    ----------
    given
        What stands in a file: nested mappings and lists of plain values.
    understood
        The same once validated.
    where
        Where both stand.

    Returns
    -------
    str
        One sentence about the first such value; empty if there is none.
    """
    pairs: list[tuple[str | int, Any, Any]]
    if isinstance(given, Mapping) and isinstance(understood, Mapping):
        pairs = [(name, given[name], understood[name]) for name in given if name in understood]
    elif isinstance(given, list | tuple) and isinstance(understood, list | tuple):
        pairs = [(at, one, other) for at, (one, other) in enumerate(zip(given, understood, strict=False))]
    else:
        needed = _KINDS.get(_kind(understood), "")
        same = _kind(given) in (_kind(understood), "")
        return "" if same or not needed else f"Setting {place(where)} = {shown(given)}: {needed}."
    return next((text for name, one, other in pairs if (text := find_converted(one, other, (*where, name)))), "")


_KINDS: Mapping[str, str] = {
    "truth": "true or false is needed",
    "number": "a number is needed, without quotes",
    "text": "a text is needed",
}


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "truth"
        case int() | float():
            return "number"
        case str():
            return "text"
    return ""

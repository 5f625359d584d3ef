"""Options and help texts of a command, derived from the parameters of an operation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from napari_tessera.config.yaml_text import YamlError, parse_yaml
from napari_tessera.operations.describe import KINDS, OperationDescription, ParameterDescription, ParameterKind

RESERVED = frozenset({"input", "axes", "pixel-size", "pixel-unit", "tile", "threads", "overwrite", "json", "help"})
"""Options that every operation's command has; a parameter of such a name gets ``-value`` behind it."""

_METAVARS: Mapping[ParameterKind, str] = {
    "integer": "INTEGER",
    "number": "NUMBER",
    "text": "TEXT",
    "list": "LIST",
    "other": "VALUE",
}


def option_name(parameter: ParameterDescription) -> str:
    """Return how a parameter is called on the command line: ``--per-plane``."""
    name = parameter.name.replace("_", "-")
    return f"--{name}-value" if name in RESERVED else f"--{name}"


def parameter_option(parameter: ParameterDescription) -> click.Option:
    """Return the option of a parameter; where it is not given, its value is None."""
    name, declaration = destination(parameter), option_name(parameter)
    if parameter.kind == "boolean" and not parameter.optional:
        switches = f"{declaration}/--no-{declaration.removeprefix('--')}"
        return click.Option([switches, name], default=None, required=parameter.required, help=help_text(parameter))
    metavar = "|".join(map(str, parameter.choices)) if parameter.kind == "choice" else _METAVARS.get(parameter.kind)
    return click.Option(
        [declaration, name],
        metavar=metavar,
        required=parameter.required,
        callback=_reader(parameter),
        help=help_text(parameter),
    )


def destination(parameter: ParameterDescription) -> str:
    """Return the name under which click hands over the value of a parameter."""
    return f"parameter_{parameter.name}"


def help_text(parameter: ParameterDescription) -> str:
    """Return help, unit, bounds and default of a parameter in one paragraph."""
    allowed = "" if parameter.kind == "choice" else parameter.allowed
    notes = [f"in {parameter.unit}" if parameter.unit else "", allowed, _default_note(parameter)]
    return f"{parameter.help}  [{'; '.join(note for note in notes if note)}]"


def _default_note(parameter: ParameterDescription) -> str:
    if parameter.required:
        return "required"
    if parameter.kind == "boolean" and not parameter.optional:
        name = option_name(parameter).removeprefix("--")
        return f"default: {name if parameter.default else f'no-{name}'}"
    return f"default: {parameter.default_text}"


def example(operation: OperationDescription, image: str = "in.tif", out: str = "") -> str:
    """Return a command line that applies `operation`, with values for `shown_parameters`."""
    words = [
        "napari-tessera apply",
        operation.name,
        image,
        out or ("out.csv" if operation.output == "points" else "out.tif"),
    ]
    for entry in operation.inputs[1:]:
        if not entry.optional:
            path = f"{entry.name}.csv" if entry.kind in ("points", "seeds", "frequencies") else f"{entry.name}.tif"
            words.append(f"--input {entry.name}={path}")
    words += [f"{option_name(parameter)} {_typed(parameter)}".strip() for parameter in shown_parameters(operation)]
    return " ".join(words)


def shown_parameters(operation: OperationDescription) -> list[ParameterDescription]:
    """Return the parameters worth showing in an example: those without a default, or else the first that has one."""
    required = [parameter for parameter in operation.parameters if parameter.required]
    others = [entry for entry in operation.parameters if entry.default not in (None, "") and entry.kind != "boolean"]
    return required or others[:1]


def _typed(parameter: ParameterDescription) -> str:
    if parameter.kind == "boolean":
        return ""
    if not parameter.required:
        text = parameter.default_text
        return f'"{text}"' if set(text) & set(" [];{}") else text
    return {"integer": "1", "number": "1", "list": "1,2"}.get(parameter.kind) or str(next(iter(parameter.choices), "…"))


def inputs_help(operation: OperationDescription) -> str:
    """Return the help of ``--input``."""
    entries = [
        f"{entry.name} ({KINDS[entry.kind]}{', may be left out' if entry.optional else ''}): {entry.help}"
        for entry in operation.inputs[1:]
    ]
    return "A further input, given once for each. " + " ".join(entries)


def _reader(parameter: ParameterDescription) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    def read(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Any:
        return None if text is None else Given(parse_value(parameter, text))

    return read


class Given:
    """A value that was typed, which may be None (``none``)."""

    def __init__(self, value: Any) -> None:
        self.value = value


def given_values(parameters: Sequence[ParameterDescription], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that were given, out of what click hands over."""
    given = {entry.name: values[destination(entry)] for entry in parameters}
    return {
        name: value.value if isinstance(value, Given) else value for name, value in given.items() if value is not None
    }


def parse_value(parameter: ParameterDescription, text: str) -> Any:
    """Return what was typed for `parameter`; whether it is allowed is left to the operation.

    Raises
    ------
    click.BadParameter
        If the text is no value of the kind.
    """
    if parameter.optional and text.strip().lower() in ("none", "null"):
        return None
    if parameter.kind in ("list", "other"):
        return _structure(text, parameter.items or "other")
    return _scalar(parameter.kind, parameter.choices, text)


def _scalar(kind: ParameterKind, choices: tuple[Any, ...], text: str) -> Any:
    stripped = text.strip()
    if kind == "boolean":
        return _one_of({"true": True, "yes": True, "false": False, "no": False}, stripped.lower())
    if kind == "choice":
        return _one_of({str(choice): choice for choice in choices}, stripped)
    if kind == "integer":
        try:
            return int(stripped)
        except ValueError:
            raise click.BadParameter(f"{text!r} is not a whole number.") from None
    if kind == "number":
        try:
            return float(stripped) if set(stripped.lower()) & set(".einf") else int(stripped)
        except ValueError:
            raise click.BadParameter(f"{text!r} is not a number.") from None
    return text


def _one_of(values: Mapping[str, Any], text: str) -> Any:
    if text not in values:
        raise click.BadParameter(f"{text!r} is not one of {', '.join(values)}.")
    return values[text]


def _structure(text: str, items: ParameterKind) -> Any:
    """Read ``1,2,3``, rows as ``0,1;1,0``, or YAML (and so JSON) where there are brackets."""
    if set(text) & set("[{"):
        try:
            return parse_yaml(text)
        except YamlError:
            raise click.BadParameter(f"{text!r} cannot be read: check the brackets.") from None
    if ";" in text:
        return [_structure(row, items) for row in text.split(";") if row.strip()]
    entries = [entry for entry in text.split(",") if entry.strip()]
    if items != "other":
        kind: ParameterKind = "number" if items == "list" else items
        return [_scalar(kind, (), entry) if kind != "choice" else entry.strip() for entry in entries]
    try:
        values = [parse_yaml(entry) for entry in entries]
    except YamlError:
        raise click.BadParameter(f"{text!r} cannot be read: quote what is no number.") from None
    return values if "," in text else values[0] if values else text

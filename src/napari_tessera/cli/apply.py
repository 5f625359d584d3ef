"""The command `apply`: one sub-command per operation, made from its class when it is used."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from napari_tessera.cli.axes import axes_option, pixel_size_option, pixel_unit_option
from napari_tessera.cli.cancelling import cancel_on_interrupt
from napari_tessera.cli.operation_options import example, given_values, inputs_help, parameter_option
from napari_tessera.cli.output import emit_result, event_listener, json_option
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.jobs import drain
from napari_tessera.operations.base import InputKind, Operation
from napari_tessera.operations.describe import KINDS, OperationDescription, by_group, describe_operation
from napari_tessera.operations.registry import all_operations, find_operation
from napari_tessera.pipeline.results import ApplyResult

LIST_HINT = "`napari-tessera apply --list` names them"


class OperationGroup(click.Group):
    """The operations as sub-commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Return the names of all operations."""
        return list(all_operations())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command that applies an operation.

        Raises
        ------
        click.UsageError
            If there is no such operation, naming the nearest.
        """
        if cmd_name.startswith("-"):
            return None
        try:
            return operation_command(find_operation(cmd_name))
        except InvalidInputError as error:
            raise click.UsageError(str(error), ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the operations by group."""
        for group, members in by_group(all_operations().values()).items():
            with formatter.section(group):
                formatter.write_dl([(operation.name(), operation.summary()) for operation in members])


@click.group(
    "apply",
    cls=OperationGroup,
    invoke_without_command=True,
    subcommand_metavar="OPERATION IN OUT [--PARAMETER VALUE]...",
)
@click.option("--list", "as_list", is_flag=True, help="Name all operations.")
@json_option
@click.pass_context
def command(context: click.Context, as_list: bool, as_json: bool) -> None:
    """Apply one operation to an image of any size.

    `napari-tessera apply OPERATION --help` shows the parameters of an operation.

    \b
    napari-tessera apply median cells.tif smooth.tif --size 5
    """  # noqa: D301  click wants a real backspace before lines that stay as they are
    if as_list:
        told = [describe_operation(operation) for operation in all_operations().values()]
        emit_result({"operations": [entry.to_dict() for entry in told]}, describe_all(), as_json=as_json)
        context.exit()
    if context.invoked_subcommand is None:
        raise click.UsageError(f"Name an operation, an image and an output: {LIST_HINT}.")


def describe_all() -> list[str]:
    """Return all operations as lines for a person, by group."""
    width = max(map(len, all_operations()))
    lines: list[str] = []
    for group, members in by_group(all_operations().values()).items():
        lines += [*([""] * bool(lines)), group]
        lines += [f"  {member.name():{width}}  {member.title}: {_lowered(member.summary())}" for member in members]
    return lines


def _lowered(sentence: str) -> str:
    """Return `sentence` to go on after a colon; abbreviations keep their capitals."""
    return sentence if sentence[1:2].isupper() else sentence[:1].lower() + sentence[1:]


def operation_command(operation: type[Operation]) -> click.Command:
    """Return the command that applies `operation`."""
    told = describe_operation(operation)
    path = click.Path(path_type=Path)
    parameters: list[click.Parameter] = [
        click.Argument(["image"], metavar="IN", type=path),
        click.Argument(["out"], metavar="OUT", type=path),
        *map(parameter_option, told.parameters),
    ]
    command = click.Command(
        told.name,
        callback=partial(_apply, operation, told),
        params=parameters,
        help=f"{told.summary}.\n\n{_paragraphs(told.text)}",
        epilog=_epilog(told),
        short_help=told.summary,
    )
    for decorate in _common_options(told):
        command = decorate(command)
    return command


def _common_options(told: OperationDescription) -> list[Callable[[Any], Any]]:
    """Return what adds the options that every operation has, the first one first."""
    alone = len(told.inputs) == 1  # an input given nevertheless is refused with a sentence
    return [
        click.option("--input", "inputs", multiple=True, metavar="NAME=PATH", hidden=alone, help=inputs_help(told)),
        axes_option("--axes", "IN"),
        pixel_size_option("IN"),
        pixel_unit_option,
        click.option(
            "--tile", type=click.IntRange(min=1), help="Edge of a tile in pixels; changes memory and speed only."
        ),
        click.option(
            "--threads", type=click.IntRange(min=1), help="How many tiles at once; as many as cores otherwise."
        ),
        click.option(
            "--shard", type=click.IntRange(min=1), help="Edge of a shard in pixels, a file of many chunks, in a zarr."
        ),
        click.option("--overwrite", is_flag=True, help="Replace an output that exists."),
        json_option,
    ]


def _paragraphs(text: str) -> str:
    """Return the text of a docstring for the terminal: headings of numpydoc as lines, lists and tables left alone."""
    lines = [line for line in text.splitlines() if not (line and set(line.strip()) == {"-"})]
    blocks = "\n".join(lines).replace("``", "").split("\n\n")
    return "\n\n".join(
        f"\b\n{block}" if "\n " in block or block.startswith(("-", "*", "=")) else block for block in blocks
    )


def _epilog(told: OperationDescription) -> str:
    first = told.inputs[0]
    lines = [f"IN ({KINDS[first.kind]}): {first.help} OUT: {KINDS[told.output]}, {_suffixes(told)}."]
    lines.append(" ".join([told.family_text, f"On other processors: {told.bound}" if told.bound else ""]).strip())
    return "\n\n".join([*lines, f"\b\n{example(told)}"])


def _suffixes(told: OperationDescription) -> str:
    return ".csv or .npy" if told.output == "points" else ".tif, .npy, .png or .ome.zarr"


def _apply(
    operation: type[Operation],
    told: OperationDescription,
    *,
    image: Path,
    out: Path,
    axes: str | None,
    pixel_size: tuple[float, ...] | None,
    pixel_unit: str | None,
    tile: int | None,
    threads: int | None,
    shard: int | None,
    overwrite: bool,
    as_json: bool,
    inputs: Sequence[str],
    **values: Any,
) -> None:
    context = click.get_current_context()
    as_json = as_json or bool(context.parent and context.parent.params.get("as_json"))
    try:
        parameters = operation.parse(given_values(told.parameters, values)).model_dump(mode="json")
        paths = named_paths(inputs)
        check_names(told, paths)
    except InvalidInputError as error:
        raise click.UsageError(str(error)) from error

    from napari_tessera.pipeline.dispatch import run_request
    from napari_tessera.pipeline.out_folders import check_folder
    from napari_tessera.pipeline.requests import ApplyRequest, InputFile

    check_folder(out.parent)
    source = InputFile(path=image, axes=axes, pixel_size=pixel_size, pixel_unit=pixel_unit)

    kinds = {entry.name: entry.kind for entry in told.inputs}
    request = ApplyRequest(
        operation=told.name,
        parameters=parameters,
        inputs={
            told.inputs[0].name: source,
            **{name: path if is_table(kinds[name], path) else InputFile(path=path) for name, path in paths.items()},
        },
        out=out,
        overwrite=overwrite,
        tile=tile,
        threads=threads,
        shard=shard,
    )
    with cancel_on_interrupt() as cancel:
        result = drain(run_request(request, cancel), event_listener(as_json=as_json), ApplyResult)
    emit_result(result.value, describe_result(result), as_json=as_json)


def named_paths(assignments: Sequence[str]) -> dict[str, Path]:
    """Turn ``("psf=psf.tif",)`` into ``{"psf": Path("psf.tif")}``.

    Raises
    ------
    InvalidInputError
        If an entry is not of the form ``name=path``, or a name comes twice.
    """
    paths: dict[str, Path] = {}
    for assignment in assignments:
        name, equals, path = assignment.partition("=")
        if not (equals and name.strip() and path.strip()):
            raise InvalidInputError(f"{assignment!r} is not of the form NAME=PATH, for example psf=psf.tif.")
        if name.strip() in paths:
            raise InvalidInputError(f"The input {name.strip()!r} is given twice: give it once.")
        paths[name.strip()] = Path(path.strip())
    return paths


def check_names(told: OperationDescription, paths: Mapping[str, Path]) -> None:
    """Refuse inputs that the operation does not have, and that it lacks.

    Raises
    ------
    InvalidInputError
        Naming the inputs that there are.
    """
    further = {entry.name: entry for entry in told.inputs[1:]}
    for name in paths:
        if name not in further:
            known = f"it takes {', '.join(further)}" if further else "it takes none besides IN"
            raise InvalidInputError(f"{told.title} has no input {name!r}: {known}.")
    for name, entry in further.items():
        if not entry.optional and name not in paths:
            raise InvalidInputError(f"{told.title} needs a further input: give --input {name}=PATH. {entry.help}")


def is_table(kind: InputKind, path: Path) -> bool:
    """Whether a file is read as a table of positions and not as an image."""
    return kind in ("points", "frequencies") or (kind == "seeds" and path.suffix.lower() in (".csv", ".npy"))


def describe_result(result: ApplyResult) -> list[str]:
    """Return what `apply` did as lines for a person."""
    tiles = f"{result.tiles} tile{'s' if result.tiles > 1 else ''} in " if result.tiles else ""
    return [f"{tiles}{result.seconds:.1f} s", str(result.out)]

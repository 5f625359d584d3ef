"""The command `napari-tessera`: which sub-commands there are, and how their endings become exit statuses."""

import os
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click

from napari_tessera.cli.output import emit_error
from napari_tessera.core.errors import JobCancelledError
from napari_tessera.core.spelling import did_you_mean, nearest
from napari_tessera.core.version import __version__

DONE, FAILED, WRONG_USAGE, CANCELLED = 0, 1, 2, 130

DEBUG = "NAPARI_TESSERA_DEBUG"
"""Environment variable: with any value, a failure is told with the place in the program where it happened."""


_HELP_ITSELF: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())
"""What click raises where no words at all are given, whose message is the help; older ones print it."""


@dataclass(frozen=True)
class LazyCommand:
    """Where a sub-command lives, and its line in the list of commands."""

    home: str
    help: str


COMMANDS: Mapping[str, LazyCommand] = {
    "demo": LazyCommand(
        "napari_tessera.cli.demo",
        "Do the main job on the sample data: synthetic nuclei and membranes with truth, and a real, stained section.",
    ),
    "info": LazyCommand("napari_tessera.cli.info", "Show axes, shape, dtype, scale, levels and chunks of an image."),
    "apply": LazyCommand(
        "napari_tessera.cli.apply", "Apply one operation to an image of any size, `apply --list` names them."
    ),
    "run": LazyCommand("napari_tessera.cli.run", "Run a recipe on an image, or on all images of a folder."),
    "train": LazyCommand("napari_tessera.cli.train", "Train a model on images and their annotation."),
    "predict": LazyCommand("napari_tessera.cli.predict", "Apply a model to an image of any size, tile by tile."),
    "evaluate": LazyCommand("napari_tessera.cli.evaluate", "Compare a prediction with the truth."),
    "doctor": LazyCommand("napari_tessera.cli.doctor", "Show versions, GPU, Qt, OpenGL and memory, and what to fix."),
}


class LazyGroup(click.Group):
    """A group that imports the module of a sub-command only when that command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Return the names in the order of the journey."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None for an option that there is not.

        Raises
        ------
        click.UsageError
            If there is no such command, naming the nearest.
        """
        if cmd_name.startswith("-"):
            return None
        if cmd_name not in COMMANDS:
            advice = did_you_mean(cmd_name, COMMANDS, f"choose one of {', '.join(COMMANDS)}")
            raise click.UsageError(f"There is no command {cmd_name!r}: {advice}", ctx)
        command: click.Command = import_module(COMMANDS[cmd_name].home).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="napari-tessera")
def cli() -> None:
    """Interactive microscopy segmentation: scribble, train a U-Net, predict exactly in tiles.

    Exit status: 0 done, 1 failed, 2 wrong usage, 130 cancelled.
    """


def run(arguments: Sequence[str]) -> int:
    """Run the command line on `arguments` and return the exit status."""
    as_json = "--json" in arguments
    try:
        outcome = cli.main(args=list(arguments), prog_name="napari-tessera", standalone_mode=False)
    except _HELP_ITSELF as error:
        error.show()
        return WRONG_USAGE
    except click.ClickException as error:
        emit_error(describe_usage(error), as_json=as_json)
        return error.exit_code
    except (JobCancelledError, click.Abort, KeyboardInterrupt) as error:
        emit_error(str(error) or "Cancelled.", as_json=as_json)
        return CANCELLED
    except Exception as error:  # noqa: BLE001  the outermost boundary: whatever goes wrong is said in one line
        if os.environ.get(DEBUG):
            traceback.print_exception(error)
        # imported here because --help needs no pydantic
        from napari_tessera.pipeline.failures import describe_error

        message = describe_error(error, report=f"what {DEBUG}=1 makes the command show")
        emit_error(message, as_json=as_json)
        return FAILED
    return outcome if isinstance(outcome, int) else DONE


def describe_usage(error: click.ClickException) -> str:
    """Return what is wrong with the words of a command as one sentence, which names the help that tells more."""
    message, context = " ".join(error.format_message().split()), getattr(error, "ctx", None)
    if isinstance(error, click.NoSuchOption):
        known = [] if context is None else [name for one in context.command.params for name in one.opts]
        near = nearest(error.option_name, [name for name in known if name.startswith("--")])
        message = f"No such option {error.option_name!r}" + (f": did you mean {' or '.join(near)}?" if near else ".")
    if context is None or "`" in message:
        return message
    ending = message[-1] if message.endswith((".", "?")) else "."
    return f"{message.rstrip('.?')} (see `{context.command_path} --help`){ending}"

"""Entry point of the command line, which imports next to nothing: whoever interrupts it meanwhile is heard.

What is large (click, then numpy, pydantic and torch) is imported while the signals are in hand already, in
`napari_tessera.cli.commands`.
"""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

CANCELLED = 130
_NOTICE = b"napari-tessera: error: Cancelled.\n"
_AS_JSON = b'{"error": "Cancelled."}\n'


def main() -> None:
    """Run the command line on the arguments of the process, and end it with the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_at_once)
    from napari_tessera.cli.streams import guarded_streams

    with guarded_streams() as lost:
        status = run(sys.argv[1:])
    sys.exit(lost(status))


def run(arguments: Sequence[str]) -> int:
    """Run the command line on `arguments` and return the exit status."""
    from napari_tessera.cli.commands import run as run_commands

    return run_commands(arguments)


def end_at_once(_number: int, _frame: FrameType | None) -> None:
    """End the process, as nothing has been begun that would have to be tidied up.

    No exception: raised in the middle of an import it may come out as anything, or not at all.
    """
    try:
        os.write(2, _NOTICE)
        if "--json" in sys.argv:
            os.write(1, _AS_JSON)
    finally:
        os._exit(CANCELLED)

"""The command line, killed as if by the system when it has done so many things to files in a folder.

Called with the folder, a number, and the arguments of the command. Instead of being killed, 0 writes how many things
there are, as the last line of stdout. What counts is every file that is opened, renamed, removed or made.
"""

import os
import signal
import sys
from itertools import count

_COUNTED = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree"}


def watch(folder: str, last: int) -> "count[int]":
    """Kill this process when the thing of that number happens in `folder`; return the counter."""
    numbers = count(1)

    def happened(event: str, given: tuple[object, ...]) -> None:
        path = given[0] if event in _COUNTED else None
        inside = isinstance(path, str | os.PathLike) and os.fspath(path).startswith(folder)
        if inside and next(numbers) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(happened)
    return numbers


def main() -> None:
    """Run the command."""
    from napari_tessera.cli.main import run

    counted = watch(sys.argv[1], int(sys.argv[2]))
    status = run(sys.argv[3:])
    sys.stdout.write(f"{next(counted) - 1}\n")
    sys.exit(status)


if __name__ == "__main__":
    main()

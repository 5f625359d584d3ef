"""Opening files that something else may have taken the place of: nothing is waited for, nothing endless is read."""

import errno
import stat
from pathlib import Path
from typing import BinaryIO


def open_plain(path: Path) -> BinaryIO:
    """Open an ordinary file for reading; a pipe or a device of that name would be waited for, or never end.

    Raises
    ------
    OSError
        If it cannot be opened, or is no ordinary file.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = "it is a folder" if stat.S_ISDIR(mode) else "it is no ordinary file"
        raise OSError(errno.EINVAL, kind, str(path))
    return path.open("rb")


def read_plain(path: Path, most: int) -> bytes:
    """Return what an ordinary file holds, at most one byte more than `most`; errors are those of `open_plain`."""
    with open_plain(path) as file:
        return file.read(most + 1)

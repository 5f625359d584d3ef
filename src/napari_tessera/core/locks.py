"""The lock of the system on an open file: it ends with the process that holds it, however that ends."""

import errno
import os
import sys
from pathlib import Path
from typing import IO

_TAKEN = frozenset({errno.EAGAIN, errno.EACCES, errno.EDEADLK, getattr(errno, "EDEADLOCK", errno.EDEADLK)})

_LOCKED_BYTE = 2**30
"""Windows lets nobody read what is locked: so the lock lies far behind the text of a file."""


def lock_file(file: IO[bytes], *, wait: bool = False) -> None:
    """Lock `file` against all other processes, and against other openings of it in this one, until it is closed.

    Parameters
    ----------
    file
        Open, in any mode.
    wait
        Whether to wait for whoever holds it; on Windows for some seconds.

    Raises
    ------
    OSError
        If somebody holds it (`is_taken`), or the folder knows no locks, as some network folders do not.
    """
    if sys.platform == "win32":
        import msvcrt

        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def is_taken(error: OSError) -> bool:
    """Whether `error`, from `lock_file`, says that somebody holds the file."""
    return error.errno in _TAKEN


def is_still(file: IO[bytes], path: Path) -> bool:
    """Whether a locked file still has its name: who held it before may have removed it in between."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False

"""Hidden files and folders that work goes into until it is finished: held while it goes on, removed once nobody does.

They lie beside the output and are called ``.<output>.<8 digits>.<what>``. A run that is killed leaves them; the next
run to the same place removes them. Who works on one holds a lock of the system, which ends with the process.
"""

import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from napari_tessera.core.locks import lock_file

PARTIAL, STEPS, OLD = "partial", "steps", "old"
"""What is being written, results of steps on the way, and what is being replaced."""

WRITING = ".writing"
"""File inside a folder that is locked in place of the folder."""


class Hidden:
    """A hidden file or folder beside an output, held until `release`.

    Parameters
    ----------
    output
        What it is for; the folder of it exists.
    what
        Last part of its name.
    folder
        Whether it is a folder.

    Attributes
    ----------
    path
        Where it lies.
    """

    def __init__(self, output: Path, what: str = PARTIAL, *, folder: bool = False) -> None:
        remove_leftovers(output)
        while True:
            self.path = output.with_name(f".{output.name}.{uuid.uuid4().hex[:8]}.{what}")
            if folder:
                self.path.mkdir()
            locked = self.path / WRITING if folder else self.path
            self._lock: IO[bytes] = locked.open("xb")
            _hold(self._lock, wait=True)
            if locked.exists():  # not taken for a leftover before it was held
                return
            self._lock.close()

    def release(self) -> None:
        """Let go, and remove it unless it has another name by now; doing so twice does no harm."""
        self._lock.close()
        _remove(self.path)


def remove_leftovers(output: Path) -> None:
    """Remove what killed runs to `output` have left beside it; whatever cannot be removed stays.

    What was being replaced stays until the new output stands in its place.
    """
    for path in _leftovers(output):
        if path.suffix == f".{OLD}" and not output.exists():
            continue
        with suppress(OSError):
            if _is_free(path):
                _remove(path)


def _leftovers(output: Path) -> Iterator[Path]:
    name = re.compile(rf"\.{re.escape(output.name)}\.[0-9a-f]{{8}}\.({PARTIAL}|{STEPS}|{OLD})")
    with suppress(OSError):
        yield from [path for path in output.parent.iterdir() if name.fullmatch(path.name)]


def _is_free(path: Path) -> bool:
    """Whether it is certain that no process works there."""
    locked = path / WRITING if path.is_dir() else path
    if path.suffix == f".{OLD}" or not locked.exists():
        # nobody works in what is replaced; a folder without the file may have been made this instant
        return path.suffix == f".{OLD}"
    if sys.platform == "win32":
        return not path.is_dir()  # files that are open cannot be removed there
    with locked.open("rb") as file:
        return _hold(file, wait=False)


def _hold(file: IO[bytes], *, wait: bool) -> bool:
    """Lock `file`; return whether that was possible. Some network folders know no locks."""
    if sys.platform == "win32":
        file.close()  # what is open cannot be renamed there, nor removed by others while it is written
        return True
    try:
        lock_file(file, wait=wait)
    except OSError:
        return False
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

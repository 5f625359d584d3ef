"""Files that are whole at every moment: written beside their place, synced, and moved there in one step."""

import os
import sys
from pathlib import Path
from typing import IO

from napari_tessera.core.errors import StorageError
from napari_tessera.core.leftovers import Hidden


def write_atomically(path: Path, content: bytes, *, family: Path | None = None) -> None:
    """Write `content` beside `path`, sync it, and move it into place.

    Parameters
    ----------
    path, content
        Where to, and what.
    family
        What unfinished files are named after, for a `path` whose name is another each time: what a killed program left
        of any of them is then removed. None takes `path`.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written; `path` is then as it was.
    """
    # Not the `tempfile` module: its files may be read by their owner only, and models are shared.
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Hidden(family or path)
        try:
            with temporary.path.open("wb") as file:
                file.write(content)
                sync_file(file)
            temporary.path.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.release()
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written ({error.strerror}): free space or choose another folder."
        ) from error


def sync_file(file: IO[bytes]) -> None:
    """Return when all that was written into `file` is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path, *, sure: bool = False) -> None:
    """Return when the names in `folder` are on the disk, in the order in which they were given.

    Raises
    ------
    OSError
        If it cannot be known, and `sure` asks for that: some network folders cannot do it.
    """
    if sys.platform == "win32":  # where a folder cannot be opened, and the system sees to it
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if sure:
            raise
    finally:
        os.close(descriptor)

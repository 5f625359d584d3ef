"""The folder of an output that is not finished: who may write it, and when it may be replaced."""

import shutil
from pathlib import Path
from typing import IO

from napari_tessera.core.errors import InvalidInputError, OutputExistsError
from napari_tessera.core.leftovers import WRITING, remove_leftovers
from napari_tessera.core.locks import is_taken, lock_file
from napari_tessera.io.zarr_folders import is_zarr

_LOCK = WRITING
"""File inside the folder that is locked while a run writes there; the system frees it if that run dies."""


def partial_of(path: Path) -> Path:
    """Return the name that the zarr `path` has until it is finished, and where it stays if it is not."""
    return path.with_name(f"{path.name}.partial")


def check_partial(path: Path, overwrite: bool) -> None:
    """Refuse an output whose unfinished folder exists, unless `overwrite` allows to replace it.

    Raises
    ------
    OutputExistsError
        If the folder exists and `overwrite` is false.
    InvalidInputError
        If what stands there is no output of ours.
    """
    partial = partial_of(path)
    if not partial.exists():
        return
    ours = is_zarr(partial) or (partial.is_dir() and {entry.name for entry in partial.iterdir()} <= {_LOCK})
    if not ours:
        raise InvalidInputError(f"{partial} is in the way of the output: move it elsewhere.")
    if not overwrite:
        raise OutputExistsError(
            f"{partial} exists, with the finished tiles of a run that ended early or still goes on: move it elsewhere, "
            "choose another name, or replace it with --overwrite."
        )


def is_being_written(path: Path) -> bool:
    """Whether the unfinished folder of an output is there and held by a run; True also where nothing can tell."""
    lock = partial_of(path) / _LOCK
    if not lock.exists():  # an output that was given up lets go of its folder
        return False
    try:
        with lock.open("ab") as file:
            lock_file(file)
    except OSError:
        return True
    return False


class PartialFolder:
    """The empty folder of an output, held against other runs until `release`.

    Parameters
    ----------
    path
        Final name of the output.
    overwrite
        Whether to remove what an earlier run left.

    Raises
    ------
    OutputExistsError
        If the folder exists and `overwrite` is false, or another run writes there.
    InvalidInputError
        If what stands there is no output of ours.
    """

    def __init__(self, path: Path, overwrite: bool) -> None:
        self.path = partial_of(path)
        check_partial(path, overwrite)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        self.path.mkdir(exist_ok=True)
        self._lock: IO[bytes] = (self.path / _LOCK).open("ab")
        try:
            self._take()
            self._clear()
        except BaseException:
            self._lock.close()
            raise

    def _take(self) -> None:
        try:
            lock_file(self._lock)
        except OSError as error:
            if is_taken(error):
                raise OutputExistsError(
                    f"{self.path} is being written by another run: wait for it, or choose another name."
                ) from error
            # some network folders know no locks: there the check at the start has to do

    def _clear(self) -> None:
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != _LOCK:
                entry.unlink()

    def release(self) -> None:
        """Let go of the folder, which keeps what was written; doing so twice does no harm."""
        self._lock.close()
        (self.path / _LOCK).unlink(missing_ok=True)

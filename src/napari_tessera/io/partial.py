"""The folder of an output that is not finished: who may write it, and when it may be replaced."""

import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from napari_tessera.core.errors import InvalidInputError, OutputExistsError
from napari_tessera.core.leftovers import WRITING, remove_leftovers
from napari_tessera.core.locks import is_still, is_taken, lock_file
from napari_tessera.io.ledger import LEDGER, Fingerprint, Ledger, has_ledger
from napari_tessera.io.zarr_folders import is_zarr

_LOCK = WRITING
"""File inside the folder that is locked while a run writes there; the system frees it if that run dies."""

_TRIES = 10


def partial_of(path: Path) -> Path:
    """Return the name that the zarr `path` has until it is finished, and where it stays if it is not."""
    return path.with_name(f"{path.name}.partial")


def check_partial(path: Path, overwrite: bool, *, resumable: bool = False) -> None:
    """Refuse an output whose unfinished folder exists, unless `overwrite` allows to replace it.

    Parameters
    ----------
    path
        Final name of the output.
    overwrite
        Whether to replace what is there.
    resumable
        Whether the run goes on with what an earlier one has begun: then that is let pass, and compared later.

    Raises
    ------
    OutputExistsError
        If the folder exists, and is neither to be replaced nor gone on with.
    InvalidInputError
        If what stands there is no output of ours.
    """
    partial = partial_of(path)
    if not partial.exists():
        return
    empty = partial.is_dir() and {entry.name for entry in partial.iterdir()} <= {_LOCK, LEDGER}
    if not (is_zarr(partial) or empty or has_ledger(partial)):
        raise InvalidInputError(f"{partial} is in the way of the output: move it elsewhere.")
    if not (overwrite or (resumable and (empty or has_ledger(partial)))):
        raise OutputExistsError(
            f"{partial} exists, with the finished tiles of a run that ended early or still goes on, and this one "
            "cannot go on with them: move it elsewhere, choose another name, or replace it with --overwrite."
        )


def tidy_finished(path: Path) -> None:
    """Remove what a run has left that was killed after its output had been given its final name."""
    left = [each for each in (path / LEDGER, path / _LOCK) if path.is_dir() and each.exists()]
    partial = partial_of(path)
    if path.exists() and partial.is_dir() and {entry.name for entry in partial.iterdir()} <= {_LOCK, LEDGER}:
        left.append(partial)
    with suppress(OSError):
        if left and not is_being_written(path) and not _is_locked(path / _LOCK):
            for each in left:
                remove(each)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there and can be removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_being_written(path: Path) -> bool:
    """Whether the unfinished folder of an output is there and held by a run; True also where nothing can tell."""
    return _is_locked(partial_of(path) / _LOCK)


def _is_locked(lock: Path) -> bool:
    if not lock.exists():  # an output that was given up lets go of its folder
        return False
    try:
        with lock.open("ab") as file:
            lock_file(file)
    except OSError:
        return True
    return False


class PartialFolder:
    """The folder of an unfinished output, held against other runs until `release`.

    It is empty, but for what an earlier run with the same `fingerprint` has left.

    Parameters
    ----------
    path
        Final name of the output.
    overwrite
        Whether to remove what an earlier run left.
    fingerprint
        What decides the output; None for one that nobody can go on with.
    units
        Number of its write units.

    Attributes
    ----------
    path
        Where it lies.
    ledger
        What is complete; None without a fingerprint.

    Raises
    ------
    OutputExistsError
        If the folder exists, and is neither to be replaced nor gone on with; or another run writes there.
    InvalidInputError
        If what stands there is no output of ours.
    """

    def __init__(self, path: Path, overwrite: bool, *, fingerprint: Fingerprint | None = None, units: int = 0) -> None:
        self.path = partial_of(path)
        self.ledger: Ledger | None = None
        check_partial(path, overwrite, resumable=fingerprint is not None)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        self._lock = self._take()
        try:
            if overwrite or not has_ledger(self.path):
                self.clear()
            if fingerprint is not None:
                self.ledger = Ledger(self.path, fingerprint, units)
        except BaseException:
            self.release()
            raise

    def _take(self) -> IO[bytes]:
        for _ in range(_TRIES):
            self.path.mkdir(exist_ok=True)
            file = (self.path / _LOCK).open("ab")
            try:
                lock_file(file)
            except OSError as error:
                if is_taken(error):
                    file.close()
                    raise OutputExistsError(
                        f"{self.path} is being written by another run: wait for it, or choose another name."
                    ) from error
                return file  # some network folders know no locks: there the check at the start has to do
            if is_still(file, self.path / _LOCK):
                return file
            file.close()  # who held it before has removed it in between
        raise OutputExistsError(f"{self.path} is being written by another run: wait for it, or choose another name.")

    def clear(self) -> None:
        """Remove everything but the ledger of this run."""
        for entry in self.path.iterdir():
            if entry.name != _LOCK and not (entry.name == LEDGER and self.ledger is not None):
                remove(entry)

    def before_move(self) -> None:
        """Prepare for the folder being given another name."""
        if sys.platform == "win32":  # where it cannot be while a file in it is open
            self.release()

    def finish(self, at: Path) -> None:
        """Let go of the folder, which is called `at` now; the ledger has done its work."""
        remove(at / LEDGER)
        self._close(at)

    def discard(self) -> None:
        """Remove the folder, and let go of it."""
        if sys.platform == "win32":
            self.release()
        shutil.rmtree(self.path, ignore_errors=True)
        self._close(self.path)

    def release(self) -> None:
        """Let go of the folder, which keeps what was written; doing so twice does no harm."""
        self._close(self.path)

    def _close(self, at: Path) -> None:
        if self.ledger is not None:
            self.ledger.close()
        if self._lock.closed:
            return
        if sys.platform != "win32":  # while it is held, so that nobody who has just got it loses it
            (at / _LOCK).unlink(missing_ok=True)
        self._lock.close()
        if sys.platform == "win32":
            (at / _LOCK).unlink(missing_ok=True)

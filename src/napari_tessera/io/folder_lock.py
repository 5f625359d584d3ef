"""One program at a time writes into a folder; the others are told which."""

import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import psutil

from napari_tessera.config.session import now
from napari_tessera.core.errors import StorageError
from napari_tessera.core.locks import is_still, is_taken, lock_file

LOCK_FILE = ".lock"

_TRIES, _PAUSE = 10, 0.02
_MOST_TEXT, _MOST_NAME = 2**12, 60


@dataclass(frozen=True)
class Holder:
    """The process that holds a folder.

    Attributes
    ----------
    pid, started
        Number of the process, and when it was started, in seconds since 1970: numbers are used again.
    host
        Name of its computer.
    since
        When it took the folder.
    """

    pid: int
    host: str
    started: float
    since: str

    def describe(self, one: str = "another napari", own: str = "this napari") -> str:
        """Return who that is, for a sentence: ``another napari since 14:05 (process 123 on LAB)``.

        Parameters
        ----------
        one, own
            What holds such folders, and what it is called where it is this process.
        """
        if self.host == platform.node() and self.pid == os.getpid():
            return own
        host = "".join(letter for letter in self.host[:_MOST_NAME] if letter.isprintable())
        return f"{one}{_since(self.since)} (process {self.pid} on {host})"

    def may_live(self) -> bool:
        """Whether the process still runs; those of other computers may always."""
        if self.host != platform.node():
            return True
        try:
            return bool(abs(psutil.Process(self.pid).create_time() - self.started) < 2)
        except (psutil.NoSuchProcess, ValueError, OverflowError):  # the last two: no number of a process
            return False
        except psutil.AccessDenied:
            return True


def _since(when: str) -> str:
    """Return ``since 14:05``, with the day if that was not today; nothing where it is no time."""
    try:
        then = datetime.fromisoformat(when).astimezone()
    except (ValueError, OverflowError, OSError):
        return ""
    today = then.date() == datetime.now().astimezone().date()
    return f" since {then:%H:%M}" if today else f" since {then.day} {then:%B %Y %H:%M}"


class FolderTakenError(StorageError):
    """A folder that another program, or another part of this one, holds.

    Attributes
    ----------
    holder
        Who has it; None where that is not known.
    """

    def __init__(self, folder: Path, holder: Holder | None) -> None:
        super().__init__(self.sentence(folder, holder))
        self.holder = holder

    def sentence(self, folder: Path, holder: Holder | None) -> str:
        """Return what a person is told; for subclasses to say it in the words of what the folder is."""
        by = "another program" if holder is None else holder.describe()
        return f"{folder} is in use by {by}: wait until it is done, or choose another folder."


class FolderLock:
    """A folder, held until `release`; the system lets go of it when the process dies.

    Where a folder knows no locks (some network drives), the process that is noted in it decides.

    Parameters
    ----------
    folder
        It exists.
    taken
        Which error is raised if somebody holds it.

    Raises
    ------
    FolderTakenError
        If it is held already.
    StorageError
        If the folder cannot be written.
    """

    def __init__(self, folder: Path, taken: type[FolderTakenError] = FolderTakenError) -> None:
        self._path = folder / LOCK_FILE
        try:
            self._file = _take(self._path, taken)
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(
                f"{folder} cannot be written ({error.strerror}): ask for permission, or copy it elsewhere."
            ) from error

    def release(self) -> None:
        """Let go of the folder; doing so twice does no harm."""
        if self._file.closed:
            return
        if sys.platform != "win32":  # while it is held, so that nobody who has just got it loses it
            self._path.unlink(missing_ok=True)
        self._file.close()


def find_holder(folder: Path) -> Holder | None:
    """Return who holds a folder; None if nobody does."""
    path = folder / LOCK_FILE
    try:
        if not path.is_file():  # a pipe of that name would be waited for
            return None
        with path.open("rb") as file:
            try:
                lock_file(file)
            except OSError:
                holder = _read_holder(path)
                return holder if holder is not None and holder.may_live() else None
    except OSError:
        return None
    return None


def _take(path: Path, taken: type[FolderTakenError]) -> BinaryIO:
    if path.exists() and not path.is_file():
        raise StorageError(f"{path} is no ordinary file: remove it.")
    for _ in range(_TRIES):
        file = path.open("a+b")
        try:
            if _lock_or_refuse(file, path, taken) and is_still(file, path):
                _note(file)
                return file
        except BaseException:
            file.close()
            raise
        file.close()
    raise taken(path.parent, _read_holder(path))


def _lock_or_refuse(file: BinaryIO, path: Path, taken: type[FolderTakenError]) -> bool:
    """Lock the file; False if it is worth another try, because nobody who lives has it."""
    try:
        lock_file(file)
    except OSError as error:
        holder = _read_holder(path)
        if holder is not None and holder.may_live():
            raise taken(path.parent, holder) from error
        if not is_taken(error):
            return True  # the folder knows no locks
        if holder is None:
            time.sleep(_PAUSE)  # somebody is just looking, or has not written down who it is
        else:
            path.unlink(missing_ok=True)  # a process that the dead one had started still holds its lock
        return False
    return True


def _note(file: BinaryIO) -> None:
    started = psutil.Process().create_time()
    holder = Holder(pid=os.getpid(), host=platform.node(), started=started, since=now())
    file.seek(0)
    file.truncate()
    file.write(json.dumps(asdict(holder)).encode())
    file.flush()


def _read_holder(path: Path) -> Holder | None:
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(_MOST_TEXT))
        return Holder(int(found["pid"]), str(found["host"]), float(found["started"]), str(found["since"]))
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
        return None

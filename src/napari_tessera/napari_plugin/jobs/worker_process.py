"""The GUI's side of the worker process: start it, send commands, collect replies in a queue. Knows nothing of Qt."""

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

COMMAND = ("-P", "-m", "napari_tessera.pipeline.worker")
"""Arguments to Python; ``-P`` keeps files in the current folder from standing in for installed modules."""


@dataclass(frozen=True)
class Reply:
    """One message of the worker `generation`."""

    generation: int
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Ended:
    """The worker `generation` has ended with `returncode` (negative: minus the number of a signal)."""

    generation: int
    returncode: int


LOG_BYTES = 2**20
"""A log longer than this is put aside when a worker starts; one that was put aside earlier goes."""


def open_log(path: Path) -> IO[bytes]:
    """Open a log to write on at its end: what is in it stays, and so does what another napari writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # there is none yet, or Windows: another worker has it open, then it grows on
        if path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(f".old{path.suffix}"))
    return path.open("ab")


def _detached() -> dict[str, Any]:
    """Return what keeps a Ctrl+C in napari's terminal from reaching the worker as well."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


class WorkerProcess:
    """One running worker.

    Attributes
    ----------
    generation
        Number of this worker; everything that it puts into the queue carries it.

    Parameters
    ----------
    generation
        A number that no other worker of the same queue has.
    inbox
        Gets a `Reply` per message and, last, one `Ended`.
    arguments
        Arguments to the Python interpreter.
    log
        File to which the worker's standard error goes; None: where that of this process goes.

    Raises
    ------
    OSError
        If the process cannot be started.
    """

    def __init__(
        self,
        generation: int,
        inbox: "queue.SimpleQueue[Any]",
        *,
        arguments: Sequence[str] = COMMAND,
        log: Path | None = None,
    ) -> None:
        self.generation = generation
        self._inbox = inbox
        errors: IO[bytes] | None = None
        if log is not None:
            errors = open_log(log)
        try:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors if errors is not None else subprocess.DEVNULL,
                **_detached(),
            )
        finally:
            if errors is not None:
                errors.close()
        threading.Thread(target=self._collect, daemon=True, name="tessera-replies").start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def send(self, command: Mapping[str, Any]) -> bool:
        """Send one command; False if the worker is no longer there to read it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # a broken pipe, or one that was closed
            return False
        return True

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def leave(self) -> None:
        """Let the process save what it has, and end by itself: what it is told last is that nobody waits for it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except OSError:
            self._process.kill()

    def stop(self, timeout: float, *, leave: bool = False) -> None:
        """End the process: closing its input makes it exit.

        Parameters
        ----------
        timeout
            Seconds that are waited for that.
        leave
            Whether it may then take longer to save what it has; otherwise it is killed.
        """
        self.leave()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            if not leave:
                self._process.kill()
                self._process.wait()

    def _collect(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as replies:
            for line in replies:
                try:
                    fields = json.loads(line)
                except ValueError:  # a line cut off by a kill
                    continue
                self._inbox.put(Reply(self.generation, fields))
        returncode = self._process.wait()
        assert self._process.stdin is not None
        with suppress(OSError):  # what was not sent any more goes nowhere
            self._process.stdin.close()
        self._inbox.put(Ended(self.generation, returncode))

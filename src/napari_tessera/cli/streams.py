"""stdout and stderr that may be closed or full: work goes on, and what could not be said is told in the end."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

FAILED = 1


class GuardedStream:
    """A text stream whose writes do not fail: the first failure is remembered, and what comes after it is dropped.

    What the encoding of the stream does not have (a byte of a file name that is not UTF-8) is written as an escape,
    which JSON understands too.

    Parameters
    ----------
    stream
        Where to write; None for nowhere, which a program that is started without streams has.

    Attributes
    ----------
    failure
        Why nothing is written any more; None while all is well.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._closed = stream is None
        self._stream = stream or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write `text` if it can be written."""
        if self.failure is None:
            encoding = self._stream.encoding or "utf-8"
            try:
                self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            except OSError as error:
                self.failure = error
        return len(text)

    def flush(self) -> None:
        """Send what was written on its way."""
        if self.failure is None:
            try:
                self._stream.flush()
            except OSError as error:
                self.failure = error

    def require(self) -> None:
        """Fail if there is nowhere to write to: somebody has asked for what comes now."""
        if self._closed:
            self.failure = OSError(errno.EBADF, "it is closed")

    def let_go(self) -> None:
        """Point a stream that failed at nothing: Python writes what is left in it when it ends, and would complain."""
        if self.failure is not None:
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)


@contextmanager
def guarded_streams() -> Iterator[Callable[[int], int]]:
    """Guard stdout and stderr; yields what turns the exit status into that of a result which could not be written.

    A reader that closed the pipe has read enough, so that is no failure; a full disk has lost the result.
    """
    before = sys.stdout, sys.stderr
    streams = [GuardedStream(stream) for stream in before]
    sys.stdout, sys.stderr = streams

    def status_of(status: int) -> int:
        result = streams[0]
        if result.failure is None or result.failure.errno in (errno.EPIPE, errno.EINVAL):
            return status  # EINVAL: what Windows says of a closed pipe
        reason = result.failure.strerror or "unknown"
        told = f"napari-tessera: error: The result cannot be written to standard output ({reason}): send it elsewhere."
        if status == 0:
            with suppress(OSError):
                os.write(2, f"{told}\n".encode())
        return status or FAILED

    try:
        yield status_of
    finally:
        for stream in streams:
            stream.flush()
            stream.let_go()
        sys.stdout, sys.stderr = before

"""Ctrl+C: the first one cancels in good order, the second one kills."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from napari_tessera.core.jobs import CancelToken

NOTICE = "\nCancelling… (press Ctrl+C again to end at once)\n".encode()


@contextmanager
def raise_on_interrupt() -> Iterator[None]:
    """Let both signals raise KeyboardInterrupt, as is usual in Python: for what waits for another process."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def cancel_on_interrupt() -> Iterator[CancelToken]:
    """Yield a token that the first interrupt (or request to terminate) sets; the next interrupt ends the process."""
    token = CancelToken()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        token.cancel()
        signal.signal(number, signal.SIG_DFL)
        # not click.echo: a handler may interrupt a write to the same stream, which then must not be entered again
        with suppress(OSError):
            os.write(2, NOTICE)

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield token
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

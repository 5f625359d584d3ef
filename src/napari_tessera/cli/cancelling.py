"""Ctrl+C: the first one cancels in good order, the second one kills."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from napari_tessera.core.jobs import CancelToken


@contextmanager
def cancel_on_interrupt() -> Iterator[CancelToken]:
    """Yield a token that the first interrupt (or request to terminate) sets; the next interrupt ends the process."""
    token = CancelToken()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        token.cancel()
        signal.signal(number, signal.SIG_DFL)
        click.echo("\nCancelling… (press Ctrl+C again to end at once)", err=True)

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield token
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

"""Tell the person who waits that a kernel is being compiled: seconds, once, then it lies in numba's cache on disk.

Modules of numba kernels call `announce_compilation` when they are imported. Nothing here imports numba before that.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

FIRST_USE = "Compiling for the first use (a few seconds, once)"

_listeners: list[Callable[[], None]] = []
_lock = threading.Lock()


@contextmanager
def noticing_compilation(notice: Callable[[], None]) -> Iterator[None]:
    """Call `notice` whenever a kernel starts to be compiled while the block runs, in whichever thread that happens."""
    with _lock:
        _listeners.append(notice)
    try:
        yield
    finally:
        with _lock:
            _listeners.remove(notice)


@cache
def announce_compilation() -> None:
    """Listen to numba from now on."""
    from numba.core import event

    class Listener(event.Listener):  # type: ignore[misc]
        def on_start(self, event: Any) -> None:  # noqa: ARG002
            with _lock:
                notices = list(_listeners)
            for notice in notices:
                notice()

        def on_end(self, event: Any) -> None:
            """Nothing: what follows speaks for itself."""

    event.register("numba:compile", Listener())

"""Tell the person who waits that a kernel is being compiled: seconds, once, then it lies in numba's cache on disk.

Modules of numba kernels call `announce_compilation` when they are imported. Nothing here imports numba before that.
"""

import atexit
import shutil
import tempfile
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
    """Listen to numba from now on; give it a folder for what it compiles where it finds none, and time to end."""
    from numba.core import event

    _find_cache()

    class Listener(event.Listener):  # type: ignore[misc]
        def on_start(self, event: Any) -> None:  # noqa: ARG002
            with _lock:
                notices = list(_listeners)
            for notice in notices:
                notice()

        def on_end(self, event: Any) -> None:
            """Nothing: what follows speaks for itself."""

    event.register("numba:compile", Listener())
    _wait_at_the_end()


def _wait_at_the_end() -> None:
    """Let no process end while a thread of it compiles: LLVM would abort it. What has not begun by then never does.

    numba announces its lock before it takes it; whoever takes it takes ours first, and the end of the process keeps it.
    """
    from numba.core import event

    gate, held = threading.RLock(), threading.local()

    class Gatekeeper(event.Listener):  # type: ignore[misc]
        def on_start(self, event: Any) -> None:  # noqa: ARG002
            gate.acquire()
            held.count = getattr(held, "count", 0) + 1

        def on_end(self, event: Any) -> None:  # noqa: ARG002
            if getattr(held, "count", 0):  # not of a lock that was taken before anybody listened
                held.count -= 1
                gate.release()

    event.register("numba:compiler_lock", Gatekeeper())
    atexit.register(gate.acquire)


def _find_cache() -> None:
    """Let numba keep compiled code for this process alone where it may write neither beside the modules nor at home.

    Otherwise it refuses every function that is to be cached.
    """
    from numba import njit
    from numba.core import config

    try:
        njit(cache=True)(_find_cache)  # compiles nothing, but looks for a place
    except RuntimeError:
        folder = tempfile.mkdtemp(prefix="napari-tessera-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        config.CACHE_DIR = folder

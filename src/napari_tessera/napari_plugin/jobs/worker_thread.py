"""One thread for short work beside the window, begun when there is any."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class WorkerThread:
    """Does one piece of work after the other.

    Parameters
    ----------
    name
        What the thread is called, for whoever looks at a hanging program.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._pool: ThreadPoolExecutor | None = None

    def submit(self, work: Callable[[], T], told: Callable[[T | BaseException], Any]) -> None:
        """Do `work` when its turn comes.

        Parameters
        ----------
        work
            Called in the thread.
        told
            Called in the thread with what `work` has returned or raised; not at all if `close` came before its turn.
            It hands that on by `qt_objects.unless_deleted`.
        """
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix=self._name)

        def tell(future: "Future[T]") -> None:
            if not future.cancelled():
                error = future.exception()
                told(future.result() if error is None else error)

        self._pool.submit(work).add_done_callback(tell)

    def close(self) -> None:
        """Drop what waits, and let the thread end after what it is doing; touches no Qt object."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

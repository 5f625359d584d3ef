"""One thread for short work beside the window, begun when there is any."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import MethodType
from typing import Any, cast
from weakref import WeakMethod

from qtpy.compat import isalive
from qtpy.QtCore import QObject, Signal


class Post(QObject):
    """Hands on in the window's thread what another one says with ``arrived.emit(about, what)``.

    Qt may delete a widget, and all in it, in the midst of an `emit`: this has no parent.

    Parameters
    ----------
    told
        A method of a Qt object; not called once that is gone.
    """

    arrived = Signal(object, object)

    def __init__(self, told: Callable[[Any, Any], None]) -> None:
        super().__init__()
        self._told = WeakMethod(cast("MethodType", told))
        self.arrived.connect(self._hand_on)

    def _hand_on(self, about: object, what: object) -> None:
        told = self._told()
        if told is not None and isalive(told.__self__):
            told(about, what)


class WorkerThread:
    """Does one piece of work after the other.

    Parameters
    ----------
    name
        What the thread is called, for whoever looks at a hanging program.
    told
        A method of a Qt object. It is called in the thread of the window with what the work was about and with what it
        has returned or raised; not when Qt has deleted the object, nor for work that has not ended before `close`.
    """

    def __init__(self, name: str, told: Callable[[Any, Any], None]) -> None:
        self._name = name
        self._post = Post(told)
        self._pool: ThreadPoolExecutor | None = None

    def submit(self, about: object, work: Callable[[], Any]) -> None:
        """Call `work` in the thread when its turn comes."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        done = self._pool.submit(work)
        self._pool.submit(self._tell_of, about, done)

    def tell(self, about: object, what: object) -> None:
        """Tell something while the work goes on; for the work, in the thread."""
        self._post.arrived.emit(about, what)

    def close(self) -> None:
        """Drop what waits and let the thread end, telling nothing of its work; touches no object of the window."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _tell_of(self, about: object, done: "Future[Any]") -> None:
        """Tell what has come of work, from the thread: from the window's own it arrived before `submit` returns."""
        error = done.exception()
        self.tell(about, done.result() if error is None else error)

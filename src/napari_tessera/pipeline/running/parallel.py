"""Work in threads that can be left at any moment: how a job is cancelled within a second whatever it computes."""

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from types import TracebackType
from typing import Generic, Self, TypeVar

from napari_tessera.core.errors import JobCancelledError
from napari_tessera.core.jobs import CancelToken, Progress, Warning

Item = TypeVar("Item")
Value = TypeVar("Value")

POLL_SECONDS = 0.05
"""How often a job that waits looks whether it has been cancelled."""

PATIENCE_SECONDS = 0.2
"""How long a job that ends early waits for its threads. They end at their next check, and nobody sees their work."""


class Work:
    """One piece of work that goes on in threads: whether it is to stop, and who writes.

    Parameters
    ----------
    cancel
        Its owner's wish to stop.
    """

    def __init__(self, cancel: CancelToken) -> None:
        self._cancel = cancel
        self._left = False
        self._writers = 0
        self._idle = threading.Condition()

    def check(self) -> None:
        """Raise JobCancelledError if the work is to stop."""
        self._cancel.raise_if_cancelled()
        if self._left:
            raise JobCancelledError("Nobody waits for this any more.")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold `leave` back while something is written, or raise JobCancelledError if it is too late for that."""
        with self._idle:
            self.check()
            self._writers += 1
        try:
            yield
        finally:
            with self._idle:
                self._writers -= 1
                self._idle.notify_all()

    def stop(self) -> None:
        """Let all threads end at their next check."""
        self._left = True

    def leave(self) -> None:
        """Return once nothing is being written, and nothing will be."""
        with self._idle:
            self._left = True
            self._idle.wait_for(lambda: self._writers == 0)


class Outcome(Generic[Value]):
    """What a thread leaves to another: one of `values`, or what was raised inside ``with outcome:``."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error
        return error is not None


def run_all(items: Iterable[Item], work: Callable[[Item], object], threads: int, check: Callable[[], None]) -> None:
    """Call `work` for every item, in up to `threads` threads of which the caller's is one; begun in their order.

    Parameters
    ----------
    items
        Drawn one at a time.
    work
        Called from several threads at once.
    threads
        At least 1.
    check
        Called before every item; raises to stop.

    Raises
    ------
    BaseException
        What `work` or `check` raised first; the other threads end with the item that they are at.
    """
    waiting, lock = iter(items), threading.Lock()
    failed: list[BaseException] = []

    def go_on() -> None:
        with Outcome[None]() as outcome:
            while not failed:
                check()
                with lock:
                    drawn = list(islice(waiting, 1))
                if not drawn:
                    return
                work(drawn[0])
        if outcome.error is not None:
            failed.append(outcome.error)

    helpers = [threading.Thread(target=go_on, name=f"tessera-{index}", daemon=True) for index in range(1, threads)]
    for helper in helpers:
        helper.start()
    go_on()
    for helper in helpers:
        helper.join()
    if failed:
        raise failed[0]


Report = Callable[[Progress | Warning], None]


def in_background(
    body: Callable[[Report], Value], work: Work, cancel: CancelToken
) -> Generator[Progress | Warning, None, Value]:
    """Run `body` in a thread, yield what it reports, and return what it returns.

    However the generator ends, nothing is written afterwards.

    Raises
    ------
    BaseException
        What `body` raised.
    JobCancelledError
        Once cancelled: at once if `body` checks, otherwise without waiting for it.
    """
    outcome: Outcome[Value] = Outcome()
    events: queue.SimpleQueue[Progress | Warning | None] = queue.SimpleQueue()

    def run() -> None:
        with outcome:
            outcome.values.append(body(events.put))
        events.put(None)

    thread = threading.Thread(target=run, name="tessera-job", daemon=True)
    thread.start()
    try:
        while (event := _next_event(events, cancel)) is not None:
            yield event
            cancel.raise_if_cancelled()
    finally:
        work.stop()
        thread.join(PATIENCE_SECONDS)
        work.leave()
    if outcome.error is not None:
        raise outcome.error
    return outcome.values[0]


def _next_event(
    events: "queue.SimpleQueue[Progress | Warning | None]", cancel: CancelToken
) -> Progress | Warning | None:
    while True:
        try:
            return events.get(timeout=POLL_SECONDS)
        except queue.Empty:
            cancel.raise_if_cancelled()


class Counter:
    """Counts what is done and reports it, now and then; safe to use from several threads.

    Parameters
    ----------
    report
        Takes the events.
    total
        How many there are.
    message
        What a person reads beside it.
    """

    def __init__(self, report: Report, total: int, message: str) -> None:
        self._report, self._total, self._message = report, total, message
        self._done = 0
        self._lock = threading.Lock()
        self._started = self._last = time.perf_counter()
        report(Progress(0, total, "tile", message))

    def step(self) -> None:
        """Count one more."""
        with self._lock:
            self._done += 1
            now = time.perf_counter()
            if now - self._last < POLL_SECONDS and self._done < self._total:
                return
            self._last = now
            left = (now - self._started) / self._done * (self._total - self._done)
            self._report(Progress(self._done, self._total, "tile", self._message, left))

"""The engine of the live preview: one thread that computes the latest wish, and never keeps the window waiting.

`LivePreview.ask` may be called as often as anything changes: at most every 30 ms the tasks for what is on screen then
are handed to the thread. When a newer wish waits, long work is given up, and what has become outdated is not shown.
"""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_tessera.core.errors import JobCancelledError, TesseraError
from napari_tessera.napari_plugin.filtering.histogram_data import HistogramTask, compute_histogram
from napari_tessera.napari_plugin.filtering.preview_computing import Fits, PreviewResult, PreviewTask, compute_preview
from napari_tessera.napari_plugin.jobs.qt_objects import stop_timers, unless_deleted
from napari_tessera.operations.compiling import noticing_compilation
from napari_tessera.pipeline.failures import describe_error

_log = logging.getLogger(__name__)

THROTTLE_MS = 30
"""There is at most one preview per such time; the first change after a rest is answered at once."""
SETTLE_MS = 200
"""After the last change the view is looked at once more: napari works out what is on screen while it draws."""
SLOW_MS = 500
"""After this time the person is told that something is being computed."""
PATIENCE_SECONDS = 0.3
"""Work that has taken longer than this is given up for a newer wish; shorter work is finished and shown."""
DEAF_SECONDS = 1.0
"""Work that nobody waits for and that has not ended after this time is left to itself: another thread takes over."""
MOST_LEFT = 2
"""So many threads may be left to themselves at a time: they take processors from what is wanted."""

Task = PreviewTask | HistogramTask


class LivePreview(QObject):
    """Computes previews.

    Wishes are numbered. A result is shown if its number is not lower than that of the last wish for something new
    (another image, operation or slice); between two positions of a slider the results on the way are shown too.

    Signals
    -------
    arrived(PreviewResult)
        There is a preview, or the sentence on why there is none.
    counted(HistogramData)
        There is a histogram.
    slow(str)
        Work goes on for longer than a moment; the text says why. Empty when it is over.

    Parameters
    ----------
    make_tasks
        Called in the GUI thread with the number of the wish; returns what is to be computed, the most urgent first.
    """

    arrived = Signal(object)
    counted = Signal(object)
    slow = Signal(str)

    def __init__(self, make_tasks: Callable[[int], list[Task]], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._make_tasks = make_tasks
        self._number = 0
        self._oldest = 0
        self._shown = 0
        self._submitted = 0.0
        self._worker = _Worker()
        self._worker.signals.done.connect(self._take)
        self._worker.signals.compiling.connect(self._compiles)
        self._soon = self._timer(THROTTLE_MS, self._submit)
        self._settled = self._timer(SETTLE_MS, self._submit)
        self._patience = self._timer(SLOW_MS, self._tell)
        self._compiling = False
        self._said = ""

    def ask(self, *, fresh: bool = False) -> None:
        """Wish for a preview of what is on screen and set now.

        Parameters
        ----------
        fresh
            It is about something else than before: results that are still to come must not be shown.
        """
        if fresh:
            self._oldest = self._number + 1
            self._worker.forget()
        if not self._soon.isActive():  # not restarted: a slider that never rests would never be answered
            since = 1000 * (time.monotonic() - self._submitted)
            self._soon.start(max(0, round(THROTTLE_MS - since)))
        self._settled.start()

    def stop(self) -> None:
        """Give up what is under way; nothing arrives until the next wish."""
        for timer in (self._soon, self._settled, self._patience):
            timer.stop()
        self._oldest = self._number + 1
        self._worker.forget()
        self._say("")

    def close(self) -> None:
        """End the thread; touches no Qt object but the timers, as far as they are still there."""
        self._worker.close()
        stop_timers(self._soon, self._settled, self._patience)

    @property
    def busy(self) -> bool:
        """Whether a wish has not been answered yet."""
        return self._soon.isActive() or self._settled.isActive() or self._worker.busy

    def _timer(self, milliseconds: int, then: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.timeout.connect(then)
        return timer

    def _submit(self) -> None:
        tasks = self._make_tasks(self._number + 1)
        if not tasks:
            return
        self._number += 1
        self._submitted = time.monotonic()
        self._worker.submit(tasks)
        if not self._patience.isActive():
            self._compiling = False
            self._patience.start()

    def _compiles(self) -> None:
        self._compiling = True

    def _tell(self) -> None:
        if self._worker.busy:
            self._say("Getting ready (first use) …" if self._compiling else "Computing …")
            self._patience.start()

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self.slow.emit(text)

    def _take(self, result: Any) -> None:
        if isinstance(result, PreviewResult):
            if result.task.number < max(self._oldest, self._shown):
                return
            self._shown = result.task.number
            self._patience.stop()
            self._say("")
            self.arrived.emit(result)
        elif result.task.number >= self._oldest:
            self.counted.emit(result)


class _Signals(QObject):
    done = Signal(object)
    compiling = Signal()


class _Worker:
    """The thread; it starts with the first task.

    Libraries do not look whether anybody still waits. A thread that is inside one for long is left behind: it ends
    with what it is at, and what comes out is dropped.
    """

    def __init__(self) -> None:
        self.signals = _Signals()
        self._wake = threading.Condition()
        self._tasks: list[Task] = []
        self._current: Task | None = None
        self._outdated = 0
        self._newest = 0
        self._closed = False
        self._begun = 0.0
        self._thread: threading.Thread | None = None
        self._left: list[threading.Thread] = []
        self._fits = Fits()

    @property
    def busy(self) -> bool:
        """Whether there is work."""
        return bool(self._tasks) or self._current is not None

    def submit(self, tasks: list[Task]) -> None:
        """Compute these next, and nothing that was waiting."""
        with self._wake:
            self._tasks = list(tasks)
            self._newest = tasks[0].number
            if self._thread is None or self._deaf:
                if self._thread is not None:
                    self._left = [thread for thread in self._left if thread.is_alive()] + [self._thread]
                self._current = None
                self._thread = threading.Thread(target=self._run, daemon=True, name="tessera-preview")
                self._thread.start()
            self._wake.notify_all()

    @property
    def _deaf(self) -> bool:
        """Whether the thread is inside a library for long with what nobody waits for; some may be left behind."""
        if self._current is None or sum(thread.is_alive() for thread in self._left) >= MOST_LEFT:
            return False
        taken = time.monotonic() - self._begun
        outdated = self._current.number <= self._outdated
        return taken > (DEAF_SECONDS if outdated else 3 * DEAF_SECONDS)

    def forget(self) -> None:
        """Give up everything."""
        with self._wake:
            self._tasks = []
            self._outdated = self._newest

    def close(self) -> None:
        """End the thread at its next check."""
        with self._wake:
            self._closed = True
            self._tasks = []
            self._wake.notify_all()

    def _run(self) -> None:
        own = threading.current_thread()
        while True:
            with self._wake:
                if self._thread is not own:  # left behind
                    return
                self._current = None
                while not self._tasks and not self._closed and self._thread is own:
                    self._wake.wait()
                if self._closed or self._thread is not own:
                    return
                task = self._current = self._tasks.pop(0)
                self._begun = time.monotonic()
            result = self._compute(task)
            if result is not None:
                self._send(partial(self._tell, result))

    def _compute(self, task: Task) -> Any:
        begun = time.monotonic()

        def check() -> None:
            late = self._newest > task.number and time.monotonic() - begun > PATIENCE_SECONDS
            if self._closed or late or self._outdated >= task.number:
                raise JobCancelledError("Nobody waits for this preview any more.")

        try:
            with noticing_compilation(lambda: self._send(self._tell_compiling)):
                if isinstance(task, PreviewTask):
                    return compute_preview(task, self._fits, check)
                return compute_histogram(task, check)
        except JobCancelledError:
            return None
        except Exception as error:  # noqa: BLE001  the outermost boundary of a thread: whatever it is, the person is told
            if not isinstance(error, TesseraError):
                _log.debug("The preview of %s failed", task, exc_info=True)
            sentence = describe_error(error, report="what you did")
            return PreviewResult(task, error=sentence) if isinstance(task, PreviewTask) else None

    def _tell(self, result: Any) -> None:
        self.signals.done.emit(result)

    def _tell_compiling(self) -> None:
        self.signals.compiling.emit()

    def _send(self, emit: Callable[[], None]) -> None:
        if not unless_deleted(emit):  # napari is being closed
            self._closed = True

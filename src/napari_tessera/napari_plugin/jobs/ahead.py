"""Compiles ahead of their first use what previews and clicks need, in a process of its own, once on a computer.

A compiler in a thread would hold the interpreter, and with it the window, for most of a second at a time. So a light
worker does it, which loads no networks, at lowered priority; it ends when there is no more to do, with the last widget
that wanted something, or with napari. Where all is compiled already no process is started.
"""

import os
import queue
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QApplication, QWidget

from napari_tessera.napari_plugin.forms.plain_text import PlainLabel
from napari_tessera.napari_plugin.jobs.qt_objects import disconnect, stop_timers
from napari_tessera.napari_plugin.jobs.worker_process import COMMAND, Ended, Reply, WorkerProcess
from napari_tessera.pipeline.compiling import not_compiled
from napari_tessera.pipeline.requests import CompileRequest
from napari_tessera.pipeline.worker import WITHOUT_NETWORKS

GETTING_READY = "Getting ready for the first use on this computer …"
VARIABLE = "NAPARI_TESSERA_COMPILE_AHEAD"
"""Environment variable that switches this off where it is 0: everything is then compiled at its first use."""

_SOON_MS = 250
"""The widget is painted first."""
_POLL_MS = 100


class Ahead(QObject):
    """Has a process compile what widgets want.

    Signals
    -------
    changed()
        Something is compiled now, or something is under way, or nothing is any more.

    Parameters
    ----------
    arguments
        Arguments to Python that start a worker.
    log
        File for what the worker writes to standard error.
    """

    changed = Signal()

    def __init__(
        self,
        *,
        arguments: Sequence[str] = (*COMMAND, WITHOUT_NETWORKS),
        log: Path | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._arguments = tuple(arguments)
        self._log = log
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._worker: WorkerProcess | None = None
        self._runs = 0
        self._current: CompileRequest | None = None
        self._asked: dict[CompileRequest, None] = {}
        self._waiting: dict[CompileRequest, None] = {}
        self._settled: set[CompileRequest] = set()
        self._users: set[str] = set()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON_MS)
        self._soon.timeout.connect(self._begin)
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._poll)

    @property
    def busy(self) -> bool:
        """Whether something is being compiled."""
        return self._worker is not None

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker, if there is one."""
        return self._worker.pid if self._worker is not None and self._worker.alive else None

    def pending(self, request: CompileRequest) -> bool:
        """Whether `request` has been asked for and is still to come: a thread need not compile it itself."""
        return request == self._current or request in self._waiting or request in self._asked

    def want(self, requests: Iterable[CompileRequest]) -> None:
        """Compile `requests` soon, before what was asked for earlier; what has been done already costs nothing."""
        new = dict.fromkeys(one for one in requests if one != self._current and one not in self._settled)
        self._asked = {**new, **self._asked}
        if self._asked and not self._soon.isActive():
            self._soon.start()

    def attach(self, user: str) -> None:
        """Note that a widget uses this."""
        self._users.add(user)

    def detach(self, user: str) -> None:
        """Note that a widget is gone; with the last one goes the process."""
        self._users.discard(user)
        if not self._users:
            self.close()

    def close(self) -> None:
        """End the process at once: what it was at is compiled at its first use, or the next time."""
        self._asked, self._waiting, self._current = {}, {}, None
        stop_timers(self._soon, self._timer)
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop(0.0)

    def _begin(self) -> None:
        asked, self._asked = self._asked, {}
        missing = dict.fromkeys(not_compiled(asked))
        self._settled.update(one for one in asked if one not in missing)
        self._waiting = {**missing, **self._waiting}
        if self._waiting and self._worker is None:
            self._launch()
        self.changed.emit()

    def _launch(self) -> None:
        self._runs += 1
        try:
            self._worker = WorkerProcess(self._runs, self._inbox, arguments=self._arguments, log=self._log)
        except OSError:  # it is compiled at its first use then
            self._give_up()
            return
        self._timer.start()
        self._next()

    def _next(self) -> None:
        """Have the next one done; let the process go if there is none."""
        worker = self._worker
        assert worker is not None
        self._current = next(iter(self._waiting), None)
        if self._current is None:
            self._worker = None
            self._timer.stop()
            worker.leave()
            return
        del self._waiting[self._current]
        self._runs += 1
        request = self._current.model_dump(mode="json")
        worker.send({"run": self._runs, "command": "start", "request": request})  # if it has died, it will be heard of

    def _poll(self) -> None:
        before = self._current, self._worker
        while not self._inbox.empty():
            message = self._inbox.get_nowait()
            worker = self._worker
            if worker is None or message.generation != worker.generation:
                continue
            if isinstance(message, Ended):
                self._give_up()
            elif isinstance(message, Reply) and message.fields.get("run") == self._runs and "state" in message.fields:
                assert self._current is not None
                self._settled.add(self._current)  # done, or failed: whoever needs it tries for himself
                self._next()
        if before != (self._current, self._worker):
            self.changed.emit()

    def _give_up(self) -> None:
        """Leave everything to its first use: the process could not do it."""
        self._settled.update(self._waiting, [self._current] if self._current is not None else [])
        self._waiting, self._current, self._worker = {}, None, None
        self._timer.stop()


class GettingReady(PlainLabel):
    """One line that is there while something is being compiled; its widget is a user of what compiles.

    Parameters
    ----------
    ahead
        What is looked at; None: the line never shows.
    """

    def __init__(self, ahead: Ahead | None, parent: QWidget | None = None) -> None:
        super().__init__(GETTING_READY, parent)
        self.setWordWrap(True)
        self.setToolTip("In the background, once for each type of image. Everything can be used meanwhile.")
        self.ahead = ahead
        self._user = uuid.uuid4().hex
        if ahead is None or not ahead.busy:  # not shown here: without a parent it would be a window of its own
            self.hide()
        if ahead is not None:
            ahead.attach(self._user)
            ahead.changed.connect(self._show)

    def _show(self) -> None:
        self.setVisible(self.ahead is not None and self.ahead.busy)

    def let_go(self) -> None:
        """Look no more, and need it no more."""
        ahead, self.ahead = self.ahead, None
        if ahead is not None:
            disconnect(ahead.changed, self._show)
            ahead.detach(self._user)


_shared: Ahead | None = None


def shared_ahead() -> Ahead | None:
    """Return the one of this application, closed when that quits; None where it is switched off."""
    global _shared  # noqa: PLW0603  one per process, as there is one QApplication
    if os.environ.get(VARIABLE) == "0":
        return None
    if _shared is None:
        from napari_tessera.napari_plugin.home import worker_log

        _shared = Ahead(log=worker_log())
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(_shared.close)
    return _shared

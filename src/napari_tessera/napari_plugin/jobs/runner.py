"""Runs the plugin's jobs, one at a time, in a warm worker process, and tells the widgets how they fare.

The GUI thread never waits: a thread collects the worker's replies into a queue, and a timer empties a few at a time.

    IDLE ──start──> RUNNING ──────────────────────> DONE | FAILED
                       └─cancel─> CANCELLING ─────> CANCELLED (or DONE | FAILED, if that came first)
"""

import gc
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QApplication

from napari_tessera.config.base import Config
from napari_tessera.core.errors import JobCancelledError, WorkerDiedError
from napari_tessera.core.jobs import CancelToken, Preview
from napari_tessera.napari_plugin.jobs.job_kind import JobKind
from napari_tessera.napari_plugin.jobs.qt_objects import stop_timers
from napari_tessera.napari_plugin.jobs.worker_process import COMMAND, Ended, Reply, WorkerProcess
from napari_tessera.pipeline.failures import describe_error
from napari_tessera.pipeline.results import event_from_wire

_log = logging.getLogger(__name__)

POLL_MS = 20
IDLE_POLL_MS = 250
MESSAGES_PER_POLL = 20
CANCEL_SECONDS = 0.8
"""How long a cancelled job may take to answer before the widgets are given back."""
DRAIN_SECONDS = 3.0
"""How much longer it may then take to end on its own, before its process is killed."""

Prepare = Callable[[CancelToken], Config]
"""Writes what the job needs to disk and returns its request; runs in a thread."""


class RunState(Enum):
    """What the runner is doing, or how its last job ended."""

    IDLE = "idle"
    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def busy(self) -> bool:
        """Whether a job is under way."""
        return self in (RunState.RUNNING, RunState.CANCELLING)


@dataclass(frozen=True)
class _Prepared:
    """The preparing thread of run `run` has ended: with a request or with a sentence on what went wrong."""

    run: int
    request: Config | None = None
    error: str = ""


@dataclass
class _Run:
    number: int
    kind: JobKind
    cancel: CancelToken = field(default_factory=CancelToken)
    cancelled_at: float | None = None
    request: Config | None = None
    heard: bool = False
    retried: bool = False

    @property
    def sent(self) -> bool:
        """Whether the worker has been asked to do it."""
        return self.request is not None


class JobRunner(QObject):
    """Runs one job at a time.

    Signals
    -------
    state_changed(RunState)
        The runner's `state` has changed; `message` then says why.
    event_received(JobEvent)
        The running job has reported something.

    Parameters
    ----------
    arguments
        Arguments to Python that start a worker.
    log
        File for what the worker writes to standard error.
    """

    state_changed = Signal(object)
    event_received = Signal(object)

    def __init__(
        self, *, arguments: Sequence[str] = COMMAND, log: Path | None = None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.state = RunState.IDLE
        self.message = ""
        self.kind = JobKind("")
        self._arguments = tuple(arguments)
        self._logfile = log
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._worker: WorkerProcess | None = None
        self._generations = 0
        self._runs = 0
        self._users: set[str] = set()
        self._run: _Run | None = None
        self._kill_at: float | None = None
        self._draining: JobKind | None = None
        self._view: tuple[int, tuple[tuple[int, int], ...] | None] | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(IDLE_POLL_MS)
        self._timer.timeout.connect(self._poll)

    @property
    def owner(self) -> str:
        """Whose job runs or ran last, for other widgets to say; empty before the first."""
        return self.kind.title

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker, if there is one."""
        return self._worker.pid if self._worker is not None and self._worker.alive else None

    def warm_up(self) -> None:
        """Start the worker ahead of its first job, so that the job need not wait for torch to be imported."""
        if self._worker is None:
            self._launch()

    def start(self, prepare: Prepare, kind: JobKind) -> int:
        """Start a job and return its run number.

        Parameters
        ----------
        prepare
            Called in a thread; makes the inputs ready and returns the request.
        kind
            What is known of such a job.

        Raises
        ------
        RuntimeError
            If a job is under way.
        """
        if self.state.busy:
            raise RuntimeError(f"{self.owner} is still running")
        self._runs += 1
        self._run = run = _Run(self._runs, kind)
        self.kind = kind
        self._view = None
        self._discard_draining_worker()
        self._timer.start()
        self._set_state(RunState.RUNNING)
        threading.Thread(
            target=_prepare, args=(prepare, run.number, run.cancel, self._inbox), daemon=True, name="tessera-prepare"
        ).start()
        return run.number

    def cancel(self) -> None:
        """Ask the running job to stop; the runner is free again within `CANCEL_SECONDS`, whatever the job does."""
        if self._run is None or self.state is not RunState.RUNNING:
            return
        self._run.cancel.cancel()
        self._run.cancelled_at = time.monotonic()
        if self._worker is not None:
            self._worker.send({"run": self._run.number, "command": "cancel"})
        self._set_state(RunState.CANCELLING)

    def look_at(self, image: int, region: tuple[tuple[int, int], ...] | None) -> None:
        """Tell the running job which part of which of its images is on screen (None: none of it)."""
        if self._view == (image, region):
            return
        self._view = (image, region)
        self._send_view()

    def attach(self, user: str) -> None:
        """Note that a widget uses the runner."""
        self._users.add(user)

    def detach(self, user: str) -> None:
        """Note that a widget is gone; with the last one goes the worker."""
        self._users.discard(user)
        if not self._users:
            self.close()

    def close(self, timeout: float = 1.0) -> None:
        """Cancel what runs and end the worker, by force after `timeout` seconds; the runner can be used again.

        A worker that is still saving what a training has learnt is left to end by itself.
        """
        saving = self.kind.saves and (self._run is not None or self._kill_at is not None)
        worker, self._worker = self._worker, None
        self._kill_at = None
        if self._run is not None:
            self._run.cancel.cancel()
            if worker is not None:
                worker.send({"run": self._run.number, "command": "cancel"})
            self._finish(RunState.CANCELLED, "Cancelled.")
        if worker is not None:
            worker.stop(timeout, leave=saving)
        stop_timers(self._timer)

    def _launch(self) -> WorkerProcess:
        self._generations += 1
        self._worker = WorkerProcess(self._generations, self._inbox, arguments=self._arguments, log=self._logfile)
        self._kill_at = None
        self._timer.start()
        return self._worker

    def _discard_draining_worker(self) -> None:
        """Give up a worker that is still busy with a job given up earlier: the next job must not wait behind it."""
        if self._kill_at is not None and self._worker is not None:
            if self._draining is not None and self._draining.saves:
                self._worker.leave()
            else:
                self._worker.kill()
            self._worker = None
            self._kill_at = None

    def _poll(self) -> None:
        for _ in range(MESSAGES_PER_POLL):
            try:
                message = self._inbox.get_nowait()
            except queue.Empty:
                break
            match message:
                case _Prepared():
                    self._on_prepared(message)
                case Reply():
                    self._on_reply(message)
                case Ended():
                    self._on_ended(message)
        self._enforce_cancel()
        if self._worker is None and self._run is None:
            self._timer.stop()

    def _on_prepared(self, prepared: _Prepared) -> None:
        run = self._run
        if run is None or prepared.run != run.number:
            return
        if run.cancel.cancelled:
            self._finish(RunState.CANCELLED, "Cancelled.")
        elif prepared.request is None:
            self._finish(RunState.FAILED, prepared.error)
        else:
            self._send_start(run, prepared.request)

    def _send_start(self, run: _Run, request: Config) -> None:
        command = {"run": run.number, "command": "start", "request": request.model_dump(mode="json")}
        try:
            worker = self._worker
            if worker is None or not worker.alive or not worker.send(command):  # it may have died while idle
                self._launch().send(command)
        except OSError as error:
            self._finish(RunState.FAILED, describe_error(error))
            return
        run.request = request
        self._send_view()

    def _send_view(self) -> None:
        if self._run is not None and self._worker is not None and self._view is not None:
            image, region = self._view
            self._worker.send({"run": self._run.number, "command": "view", "image": image, "region": region})

    def _on_reply(self, reply: Reply) -> None:
        fields = dict(reply.fields)
        run = fields.pop("run", None)
        current = self._run is not None and run == self._run.number
        ours = self._worker is not None and reply.generation == self._worker.generation
        if "state" in fields and run is not None and ours:
            self._kill_at = None  # the worker is free again
        if current and self._run is not None:
            self._run.heard = True
        if not current:
            _drop(fields)
        elif "state" in fields:
            self._finish(RunState(fields["state"]), fields.get("message", ""))
        else:
            self.event_received.emit(event_from_wire(fields))

    def _on_ended(self, ended: Ended) -> None:
        if self._worker is None or ended.generation != self._worker.generation:
            return
        self._worker = None
        self._kill_at = None
        run = self._run
        if run is None:
            return
        if run.cancelled_at is not None:
            self._finish(RunState.CANCELLED, "Cancelled.")
        elif run.request is not None and not run.heard and not run.retried:
            run.retried = True  # most likely it had died while idle, and the request was sent to nobody
            self._send_start(run, run.request)
        elif run.sent:
            self._finish(RunState.FAILED, str(_died(ended.returncode, run.kind)))

    def _enforce_cancel(self) -> None:
        now = time.monotonic()
        if self._run is not None and self._run.cancelled_at is not None:
            if now - self._run.cancelled_at > CANCEL_SECONDS:
                self._kill_at, self._draining = now + DRAIN_SECONDS if self._run.sent else None, self._run.kind
                self._finish(RunState.CANCELLED, "Cancelled.")
        elif self._kill_at is not None and now > self._kill_at:
            self._discard_draining_worker()

    def _finish(self, state: RunState, message: str) -> None:
        self._run = None
        self.message = message
        self._set_state(state)

    def _set_state(self, state: RunState) -> None:
        if state.busy and not self.state.busy:
            # A full collection goes through every object that napari holds, and the window stands still for 0.1 s:
            # while a job runs, only what has come since is looked at.
            gc.freeze()
        elif not state.busy:
            gc.unfreeze()
        if state.busy:
            self.message = ""
        self.state = state
        self._timer.setInterval(POLL_MS if state.busy or self._kill_at is not None else IDLE_POLL_MS)
        self.state_changed.emit(state)


def _prepare(prepare: Prepare, run: int, cancel: CancelToken, inbox: "queue.SimpleQueue[Any]") -> None:
    try:
        inbox.put(_Prepared(run, prepare(cancel)))
    except JobCancelledError:
        inbox.put(_Prepared(run))
    except Exception as error:  # noqa: BLE001  the outermost boundary of a thread: whatever it is, the person is told
        _log.debug("Preparing run %d failed", run, exc_info=True)
        inbox.put(_Prepared(run, error=describe_error(error)))


def _drop(fields: dict[str, Any]) -> None:
    """Forget a message of an earlier run; a preview that nobody will read leaves no file behind."""
    if fields.get("event") == Preview.__name__.lower():
        Path(fields["path"]).unlink(missing_ok=True)


def _died(returncode: int, kind: JobKind) -> WorkerDiedError:
    how = f"stopped by signal {-returncode}" if returncode < 0 else f"exit status {returncode}"
    return WorkerDiedError(
        f"The process that did the work ended unexpectedly ({how}), perhaps for lack of memory: your layers are safe; "
        + kind.remedy
    )


_shared: JobRunner | None = None


def shared_runner() -> JobRunner:
    """Return the one runner of this application; made when first asked for, closed when the application quits."""
    global _shared  # noqa: PLW0603  one per process, as there is one QApplication
    if _shared is None:
        from napari_tessera.napari_plugin.home import worker_log

        _shared = JobRunner(log=worker_log())
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(_shared.close)
    return _shared

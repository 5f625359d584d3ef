"""A job in a thread of this process, for what is short and lets go of the interpreter."""

import threading
from collections.abc import Callable

from qtpy.QtCore import QObject, Signal

from napari_tessera.core.errors import JobCancelledError
from napari_tessera.core.jobs import CancelToken, Job, JobEvent
from napari_tessera.napari_plugin.jobs.qt_objects import unless_deleted
from napari_tessera.pipeline.failures import describe_error


class ThreadJob(QObject):
    """Runs a job in a thread of this process.

    Signals
    -------
    event_received(JobEvent)
        The job has reported something.
    ended(str, str)
        ``"done"``, ``"failed"`` or ``"cancelled"``, and a sentence.
    """

    event_received = Signal(object)
    ended = Signal(str, str)

    def __init__(self, job: Callable[[CancelToken], Job], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._job = job
        self.cancel_token = CancelToken()
        self._thread = threading.Thread(target=self._run, daemon=True, name="tessera-apply")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def cancel(self) -> None:
        """Ask the job to stop."""
        self.cancel_token.cancel()

    def _run(self) -> None:
        state, message = "done", ""
        try:
            for event in self._job(self.cancel_token):
                unless_deleted(self._send, event)
        except JobCancelledError:
            state, message = "cancelled", "Cancelled."
        except Exception as error:  # noqa: BLE001  the outermost boundary of a thread: whatever it is, the person is told
            state, message = "failed", describe_error(error, report="what you did")
        unless_deleted(lambda: self.ended.emit(state, message))

    def _send(self, event: JobEvent) -> None:
        self.event_received.emit(event)

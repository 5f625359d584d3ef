"""A job in a thread of this process, for what is short and lets go of the interpreter."""

import threading
from collections.abc import Callable

from qtpy.QtCore import QObject, Signal

from napari_tessera.core.errors import JobCancelledError
from napari_tessera.core.jobs import CancelToken, Job
from napari_tessera.pipeline.failures import describe_error


class _Post(QObject):
    """What a thread emits. Qt may delete a widget, and all in it, in the midst of an `emit`: this has no parent."""

    event_received = Signal(object)
    ended = Signal(str, str)


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
        self.cancel_token = CancelToken()
        self._post = post = _Post()
        post.event_received.connect(self.event_received)
        post.ended.connect(self.ended)
        self._thread = threading.Thread(
            target=_run, args=(job, self.cancel_token, post), daemon=True, name="tessera-apply"
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def cancel(self) -> None:
        """Ask the job to stop."""
        self.cancel_token.cancel()


def _run(job: Callable[[CancelToken], Job], cancel: CancelToken, post: _Post) -> None:
    state, message = "done", ""
    try:
        for event in job(cancel):
            post.event_received.emit(event)
    except JobCancelledError:
        state, message = "cancelled", "Cancelled."
    except Exception as error:  # noqa: BLE001  the outermost boundary of a thread: whatever it is, the person is told
        state, message = "failed", describe_error(error, report="what you did")
    post.ended.emit(state, message)
    post.deleteLater()  # in the thread that made it, whichever lets go of it last

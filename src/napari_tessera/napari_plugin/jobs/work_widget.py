"""What a widget needs that makes layers from layers: work in a thread or in the worker, and an end that is told."""

from collections.abc import Callable
from typing import Protocol

from napari.layers import Layer

from napari_tessera.config.base import Config
from napari_tessera.core.jobs import CancelToken, Job, JobEvent, Progress, Result, Warning
from napari_tessera.napari_plugin.forms.plain_text import show_warning
from napari_tessera.napari_plugin.forms.wording import in_words
from napari_tessera.napari_plugin.jobs.job_kind import JobKind
from napari_tessera.napari_plugin.jobs.job_widget import JobWidget
from napari_tessera.napari_plugin.jobs.runner import JobRunner, RunState
from napari_tessera.napari_plugin.jobs.thread_job import ThreadJob


class Work(Protocol):
    """Something to do that ends in layers; made in the GUI thread."""

    @property
    def in_memory(self) -> bool:
        """Whether it is done here by `run`; otherwise it goes to the worker."""
        ...

    def run(self, cancel: CancelToken) -> Job:
        """Do it, in a thread."""
        ...

    def __call__(self, cancel: CancelToken) -> Config:
        """Make the inputs ready for the worker and return the request, in a thread."""
        ...

    def take(self, result: Result) -> None:
        """Take what the worker says at the end."""
        ...

    def collect(self, cancel: CancelToken) -> Job:
        """Read what the worker has written, in a thread."""
        ...

    def clean(self) -> None:
        """Remove scratch files."""
        ...

    def results(self) -> list[Layer]:
        """Return the results, in the GUI thread."""
        ...


class WorkWidget(JobWidget):
    """Base of a widget whose buttons start a `Work`, one at a time."""

    def __init__(self, kind: JobKind, runner: JobRunner | None = None, tab: str = "") -> None:
        super().__init__(kind, runner, tab)
        self._work: Work | None = None
        self._thread: ThreadJob | None = None

    def on_done(self, work: Work) -> None:
        """Show what has come out; for subclasses."""

    @property
    def why_busy(self) -> str:
        """Why nothing can be started now; empty if something can."""
        return f"{self.title} is running." if self._running or self._thread is not None else ""

    def start(self, work: Work) -> None:
        """Do `work`, here if it is small and in the worker otherwise."""
        if work.in_memory:
            self._begin_thread(work, work.run, "Computing …")
        elif self.runner.state.busy:
            self.say_error(f"{self.runner.owner} is still running: wait for it or cancel it.")
        else:
            self._work = work
            self.run(work, "Getting ready …")

    def say_error(self, text: str) -> None:
        """Say what went wrong, in the words of the window."""
        self.panel.say_error(in_words(text))

    def refresh(self) -> None:
        """Enable what applies; for subclasses to extend."""
        super().refresh()
        if self._thread is not None:
            self.cancel_button.setEnabled(not self._thread.cancel_token.cancelled)

    def cancel(self) -> None:
        """Stop what this widget has begun, in a thread or in the worker."""
        if self._thread is None:
            super().cancel()
            return
        self._thread.cancel()
        self.panel.say("Stopping …")
        self.refresh()

    def on_event(self, event: JobEvent) -> None:
        """Take what the worker has made."""
        if isinstance(event, Result) and self._work is not None:
            self._work.take(event)

    def on_end(self, state: RunState) -> None:
        """Fetch what the worker has made, and remove scratch files."""
        work, self._work = self._work, None
        if work is not None:
            work.clean()
            if state is RunState.DONE and self._open:
                self._begin_thread(work, work.collect, "Reading the result …")

    def on_close(self) -> None:
        """End what runs."""
        if self._thread is not None:
            self._thread.cancel()

    def _begin_thread(self, work: Work, job: Callable[[CancelToken], Job], text: str) -> None:
        self._work = work
        self._thread = ThreadJob(job, self)
        self._thread.event_received.connect(self._on_thread_event)
        self._thread.ended.connect(self._on_thread_end)
        self.panel.begin(text)
        self._thread.start()
        self.refresh()

    def _on_thread_event(self, event: JobEvent) -> None:
        if isinstance(event, Warning):
            show_warning(event.text)
        elif isinstance(event, Progress) and self._thread is not None and not self._thread.cancel_token.cancelled:
            self.panel.show_progress(event)

    def _on_thread_end(self, state: str, message: str) -> None:
        self._thread = None
        if not self._open:
            return
        self.panel.end()
        self.panel.say("")
        work, self._work = self._work, None
        if state == "done" and work is not None:
            self.on_done(work)
        elif state == "failed":
            self.say_error(message)
        else:
            self.panel.say(message)
        self.refresh()

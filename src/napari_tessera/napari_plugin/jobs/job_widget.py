"""What the widgets that run jobs have in common: a shared runner, a panel, and an end that leaves nothing behind."""

import logging
import uuid
from typing import Any

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QPushButton, QWidget

from napari_tessera.core.jobs import JobEvent, Metric, Progress, Warning
from napari_tessera.napari_plugin.forms.panel_shell import PanelShell, in_a_row
from napari_tessera.napari_plugin.forms.plain_text import show_error, show_warning
from napari_tessera.napari_plugin.jobs.job_kind import JobKind
from napari_tessera.napari_plugin.jobs.job_panel import JobPanel
from napari_tessera.napari_plugin.jobs.runner import JobRunner, Prepare, RunState, shared_runner

_log = logging.getLogger(__name__)


class JobWidget(PanelShell):
    """Base of a widget whose button runs a job.

    Parameters
    ----------
    kind
        Of its jobs.
    runner
        Runs the jobs; None takes the one that all widgets share.
    tab
        A shorter title for its tab.
    """

    def __init__(self, kind: JobKind, runner: JobRunner | None = None, tab: str = "") -> None:
        super().__init__(kind.title, tab)
        self.job_kind = kind
        self.runner = runner or shared_runner()
        self._user = uuid.uuid4().hex
        self._running = False
        self._docked = False
        self._open = True
        self.runner.attach(self._user)
        self.runner.state_changed.connect(self._on_state)
        self.runner.event_received.connect(self._on_event)
        # A lambda, because Qt drops connections to methods of what it deletes.
        self.destroyed.connect(lambda: self._let_go())  # noqa: PLW0108
        self.panel = JobPanel(kind.figures)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop; what was learnt or computed so far is kept.")
        self.cancel_button.clicked.connect(self.cancel)
        self.cancel_button.setEnabled(False)

    def set_content(self, content: QWidget, *footer: QWidget) -> None:
        """Show `content`, which scrolls, and below it what stays in sight: how far the job is, and its buttons."""
        super().set_content(content, self.panel, in_a_row(*footer))

    @property
    def why_busy(self) -> str:
        """Why no job can be started now; empty if one can."""
        if self._running:
            return f"{self.title} is running."
        if self.runner.state.busy:
            return f"{self.runner.owner} is still running: wait for it or cancel it."
        return ""

    def run(self, prepare: Prepare, text: str) -> None:
        """Start a job; `text` says what happens first."""
        self._running = True
        self.panel.begin(text)
        self.runner.start(prepare, self.job_kind)

    def cancel(self) -> None:
        """Stop the widget's own job; that of another widget, which shares the runner, goes on."""
        if self._running:
            self.runner.cancel()

    def refresh(self) -> None:
        """Enable what applies and say why the rest does not; for subclasses to extend."""
        self.cancel_button.setEnabled(self._running and self.runner.state is RunState.RUNNING)

    def say_error(self, text: str) -> None:
        """Say what went wrong; for subclasses to extend."""
        self.panel.say_error(text)

    def on_event(self, event: JobEvent) -> None:
        """Take an event of the widget's own job that the base does not show; for subclasses."""

    def on_end(self, state: RunState) -> None:
        """Tidy up after the widget's own job; for subclasses."""

    def on_close(self) -> None:
        """Let go of the viewer; for subclasses."""

    def _on_event(self, event: JobEvent) -> None:
        if not self._running:
            return
        match event:
            case Progress():
                if self.runner.state is RunState.RUNNING:  # otherwise "Stopping …" stands there
                    self.panel.show_progress(event)
            case Metric():
                self.panel.show_metric(event)
            case Warning():
                show_warning(event.text)
            case _:
                self.on_event(event)

    def _on_state(self, state: RunState) -> None:
        if self._running:
            if state is RunState.CANCELLING:
                self.panel.say("Stopping …")
            elif not state.busy:
                self._end(state)
        self.refresh()

    def _end(self, state: RunState) -> None:
        self._running = False
        self.panel.end()
        if state is RunState.FAILED:
            self.say_error(self.runner.message)
            if not self.panel.isVisible():  # behind another dock, where nobody sees what it says
                show_error(self.runner.message)
        elif state is RunState.CANCELLED:
            self.panel.say(self.runner.message or "Cancelled.")
        self.on_end(state)

    def event(self, event: Any) -> bool:
        """Notice that napari has taken the widget out of its dock, which is how it closes one."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._docked = True
            elif self._docked:
                self._leave()
        return bool(super().event(event))

    def closeEvent(self, event: Any) -> None:  # noqa: N802  Qt calls it by this name
        """End the widget's job with the widget."""
        self._leave()
        super().closeEvent(event)

    def _leave(self) -> None:
        if not self._open:
            return
        self.runner.state_changed.disconnect(self._on_state)
        self.runner.event_received.disconnect(self._on_event)
        self._let_go()

    def _let_go(self) -> None:
        """End the job and stop listening; touches no Qt object of its own, for they may be gone."""
        if not self._open:
            return
        self._open = False
        for step in (self.on_close, self._end_own_job, lambda: self.runner.detach(self._user)):
            try:
                step()
            except RuntimeError:  # Qt has deleted a part already, while the application ends; the rest is to end too
                _log.debug("A widget was gone before it was closed", exc_info=True)

    def _end_own_job(self) -> None:
        if self._running:
            self._running = False
            self.runner.cancel()
            self.on_end(RunState.CANCELLED)

"""The part of the widget that grows objects from a Points layer."""

from collections.abc import Callable

from napari.components import ViewerModel
from napari.layers import Points
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_tessera.core.errors import TesseraError
from napari_tessera.core.jobs import JobEvent, Progress
from napari_tessera.napari_plugin.clicking.points_growing import PointsGrowth
from napari_tessera.napari_plugin.clicking.target import Target
from napari_tessera.napari_plugin.forms.layer_picker import LayerPicker
from napari_tessera.napari_plugin.forms.plain_text import set_tooltip
from napari_tessera.napari_plugin.jobs.job_panel import JobPanel
from napari_tessera.napari_plugin.jobs.thread_job import ThreadJob


class PointsSection(QWidget):
    """A choice of points, and a button.

    Parameters
    ----------
    target
        Returns what is chosen; makes labels if there are none.
    panel, cancel_button
        Show how far it is, and stop it.
    """

    def __init__(
        self, viewer: ViewerModel, target: Callable[[], Target], panel: JobPanel, cancel_button: QPushButton
    ) -> None:
        super().__init__()
        self._target = target
        self._panel, self._cancel_button = panel, cancel_button
        self._thread: ThreadJob | None = None
        self._work: PointsGrowth | None = None
        self._why_not = ""
        self._open = True
        self.picker = LayerPicker(viewer, (Points,), "No points", follow=True)
        self.picker.setToolTip("Points to grow from: one object for each.")
        self.picker.layer_changed.connect(lambda: self.refresh(self._why_not))
        self.button = QPushButton("Grow from points")
        self.button.clicked.connect(self._grow)
        cancel_button.setToolTip("Stop growing from points; nothing is written.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 0, 0, 0)
        layout.addWidget(self.picker)
        layout.addWidget(self.button)

    def refresh(self, why_not: str) -> None:
        """Enable what applies; `why_not` says why nothing can be grown at all."""
        self._why_not = why_not
        running = self._thread is not None
        lacking = "" if self.picker.layer is not None else "Add a Points layer and set points."
        why_not = "It is growing." if running else why_not or lacking
        self._cancel_button.setEnabled(running)
        self.button.setEnabled(not why_not)
        set_tooltip(
            self.button,
            why_not or "Grow an object from each point, all at once: where two meet, they share. One step to undo.",
        )

    def forget(self) -> None:
        """Say no more what was grown last: other things have been done since."""
        if self._thread is None:
            self._panel.say("")

    def cancel(self) -> None:
        """Stop; nothing is written."""
        if self._thread is not None:
            self._thread.cancel()
            self._panel.say("Stopping …")

    def close_section(self) -> None:
        """Stop and let go of the viewer."""
        self._open = False
        if self._thread is not None:
            self._thread.cancel()
        self.picker.disconnect_viewer()

    def _grow(self) -> None:
        points = self.picker.layer
        if not isinstance(points, Points) or self._thread is not None:
            return
        try:
            work = PointsGrowth(self._target(), points)
        except TesseraError as error:
            self._panel.say_error(str(error))
            return
        self._work = work
        self._thread = ThreadJob(work.run, self)
        self._thread.event_received.connect(self._on_event)
        self._thread.ended.connect(self._on_end)
        self._panel.begin("Growing …")
        self._thread.start()
        self.refresh(self._why_not)

    def _on_event(self, event: JobEvent) -> None:
        if isinstance(event, Progress):
            self._panel.show_progress(event)

    def _on_end(self, state: str, message: str) -> None:
        self._thread = None
        work, self._work = self._work, None
        if not self._open:
            return
        self._panel.end()
        if state == "done" and work is not None:
            try:
                self._panel.say(work.write())
            except (TesseraError, MemoryError) as error:
                self._panel.say_error(str(error))
        elif state == "failed":
            self._panel.say_error(message)
        else:
            self._panel.say(message)
        self.refresh(self._why_not)

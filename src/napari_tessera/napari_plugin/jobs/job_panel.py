"""What a person sees of a running job: progress, time left, one figure, and one sentence."""

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from napari_tessera.core.jobs import Metric, Progress
from napari_tessera.napari_plugin.forms.panel_shell import LowArea
from napari_tessera.napari_plugin.forms.plain_text import PlainLabel
from napari_tessera.napari_plugin.jobs.job_kind import Figures

ERROR_COLOR = "#e0533d"
MOST_TEXT = 120
"""Height of what is said at most, in pixels; longer texts scroll."""


class JobPanel(QWidget):
    """A progress bar, a line for figures with what they are worth, and a line for a sentence.

    Parameters
    ----------
    figures
        What is shown of the job's metrics; nothing by default.
    """

    def __init__(self, figures: Figures = Figures()) -> None:  # noqa: B008  frozen
        super().__init__()
        self.bar = QProgressBar()
        self.bar.setToolTip("How far the work has come, and how long it will take.")
        self.bar.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.figure = PlainLabel()
        self.figure.setWordWrap(True)
        self._shown = figures
        self.figure.setToolTip(self._shown.help)
        self._figures: dict[str, float] = {}
        self.status = PlainLabel()
        self.status.setWordWrap(True)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        texts = QWidget()
        lines = QVBoxLayout(texts)
        lines.setContentsMargins(0, 0, 0, 0)
        lines.addWidget(self.figure)
        lines.addWidget(self.status)
        self._texts = LowArea(texts, MOST_TEXT)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.bar)
        layout.addWidget(self._texts)
        self._hint = False
        self.bar.hide()
        self.figure.hide()
        self.status.hide()

    def begin(self, text: str) -> None:
        """Show that a job has begun and its length is not known yet."""
        self.bar.setRange(0, 0)
        self.bar.setFormat(text)
        self.bar.show()
        self.figure.hide()
        self._figures.clear()
        self.say(text)

    def end(self) -> None:
        """Take the progress bar away."""
        self.bar.hide()

    def show_progress(self, progress: Progress) -> None:
        """Move the bar."""
        if progress.total:
            self.bar.setRange(0, progress.total)
            self.bar.setValue(progress.done)
        else:
            self.bar.setRange(0, 0)
        self.bar.setFormat(progress_text(progress))
        self.say(progress.message)

    def show_metric(self, metric: Metric) -> None:
        """Show what the job shows of its figures, and why they may say little."""
        if not self._shown.text({metric.name: metric.value}):
            return
        self._figures[metric.name] = metric.value
        text = self._shown.text(self._figures)
        self.figure.setText(f"{text}\n{metric.note}" if metric.note else text)
        self.figure.show()

    def say(self, text: str) -> None:
        """Show a sentence; an empty one takes the line away."""
        self.status.setStyleSheet("")
        self._show_status(text)

    @property
    def idle(self) -> bool:
        """Whether nothing is said but perhaps a hint."""
        return self._hint or not self.status.text()

    def say_hint(self, text: str) -> None:
        """Show what has to be done next; an empty text takes back such a hint, but no other sentence."""
        if text or self._hint:
            self.say(text)
            self._hint = True

    def take_back(self, text: str) -> None:
        """Say `text` no more, if that is what is said: it is no longer so."""
        if self.status.text() == text:
            self.say("")

    def say_error(self, text: str) -> None:
        """Show a sentence about what went wrong."""
        self.status.setStyleSheet(f"color: {ERROR_COLOR};")
        self._show_status(text)

    def _show_status(self, text: str) -> None:
        self._hint = False
        self.status.setText(text)
        self.status.setVisible(bool(text))


def progress_text(progress: Progress) -> str:
    """Return ``step 350 of 1200 · 2 min left``."""
    of = f" of {progress.total}" if progress.total else ""
    left = "" if progress.seconds_left is None else f" · {duration(progress.seconds_left)} left"
    return f"{progress.unit} {progress.done}{of}{left}"


def duration(seconds: float) -> str:
    """Return a time as a person would say it: ``45 s``, ``3 min``, ``2 h 10 min``."""
    if seconds < 90:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"

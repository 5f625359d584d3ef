"""The running job in napari's activity dock, where people look for whatever napari is busy with."""

import io
from contextlib import suppress

from napari.utils import progress
from qtpy.QtCore import QObject, QTimer

from napari_tessera.core.jobs import Progress

INTERVAL_MS = 400


class ActivityBar(QObject):
    """One bar in the activity dock.

    napari lets the window work off its events whenever such a bar moves. Therefore the bar follows on a timer of its
    own: what calls `show` is never interrupted by something that happens to come in between.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._title = ""
        self._latest: Progress | None = None
        self._moving = False
        self.bar: progress | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self._follow)

    def begin(self, title: str) -> None:
        """Announce a job; its bar comes in a moment."""
        self._title, self._latest = title, None
        self._timer.start()

    def show(self, event: Progress) -> None:
        """Note how far the job has come."""
        self._latest = event

    def end(self) -> None:
        """Take the bar away; may be called when Qt has deleted this object or the dock already."""
        with suppress(RuntimeError):
            self._timer.stop()
        bar, self.bar = self.bar, None
        if bar is not None:
            with suppress(RuntimeError, KeyError):  # the dock, or another end of it, was quicker
                bar.close()

    def _follow(self) -> None:
        if self._moving:  # called by an event that napari works off in the midst of the last call
            return
        self._moving = True
        try:
            self._move()
        finally:
            self._moving = False

    def _move(self) -> None:
        if self.bar is None:
            # without a dock, tqdm would write to the terminal
            bar = progress(total=0, desc=self._title, file=io.StringIO())
            if not self._timer.isActive():  # the job has ended while the bar was made
                bar.close()
                return
            self.bar = bar
        elif self._latest is not None:
            bar, latest = self.bar, self._latest
            if latest.total and bar.total != latest.total:
                bar.total = latest.total
            if self.bar is bar:
                bar.update(latest.done - bar.n)

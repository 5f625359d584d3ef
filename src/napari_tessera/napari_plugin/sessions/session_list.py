"""The list of sessions that were found, with a picture of each."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import QListWidget, QListWidgetItem

from napari_tessera.io.journal.sessions import SessionSummary, find_sessions
from napari_tessera.napari_plugin.forms.plain_text import set_tooltip
from napari_tessera.napari_plugin.journal.offering import has_picture, picture_of_session
from napari_tessera.napari_plugin.journal.picturing import shared_picture
from napari_tessera.napari_plugin.journal.telling import session_title, session_words
from napari_tessera.napari_plugin.shown_text import clean, shown_name

_PICTURE_EDGE = 48


class SessionList(QListWidget):
    """Shows sessions, and keeps the chosen one while it is there.

    Signals
    -------
    chosen()
        Another session is chosen, or none.
    """

    chosen = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._sessions: list[SessionSummary] = []
        self._here: set[Path] = set()
        self._drawn: dict[Path, NDArray[Any] | None] = {}
        self.setIconSize(QSize(_PICTURE_EDGE, _PICTURE_EDGE))
        self.setWordWrap(True)
        self.setToolTip("What was saved while painting, the last changed first. Nothing is removed by itself.")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumHeight(150)
        self.currentRowChanged.connect(lambda _: self.chosen.emit())

    @property
    def session(self) -> SessionSummary | None:
        """The chosen session."""
        row = self.currentRow()
        return self._sessions[row] if 0 <= row < len(self._sessions) else None

    def open_here(self, session: SessionSummary) -> bool:
        """Whether this napari has `session` open."""
        return session.path in self._here

    def choose(self, path: Path) -> None:
        """Choose the session at `path`, if it is listed."""
        for row, session in enumerate(self._sessions):
            if session.path == path:
                self.setCurrentRow(row)

    def found_in(self, home: Path) -> list[SessionSummary]:
        """Return the sessions there are, with pictures of those that have none of their own at hand; for a thread."""
        sessions = find_sessions(home)
        for session in sessions:
            if not has_picture(session) and session.open_elsewhere is None:
                self._drawn[session.path] = shared_picture(session)
        return sessions

    def show_sessions(self, sessions: list[SessionSummary], here: Collection[Path]) -> None:
        """List `sessions`; this napari has those at `here` open."""
        if sessions == self._sessions and set(here) == self._here and self.count() == len(sessions):
            return
        before = self.session
        self._sessions, self._here = sessions, set(here)
        self.blockSignals(True)
        self.clear()
        for session in sessions:
            words = session_words(session, open_here=self.open_here(session))
            item = QListWidgetItem(clean(f"{shown_name(session_title(session))}\n{words}"))
            item.setIcon(_icon(picture_of_session(session, _PICTURE_EDGE, self._drawn.get(session.path))))
            set_tooltip(item, session.path)
            self.addItem(item)
        self.blockSignals(False)
        if before is not None:
            self.choose(before.path)
        self.chosen.emit()


def _icon(picture: QPixmap) -> QIcon:
    """Return an icon that keeps its colours where its row is chosen."""
    icon = QIcon(picture)
    icon.addPixmap(picture, QIcon.Mode.Selected)
    return icon

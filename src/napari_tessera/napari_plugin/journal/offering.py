"""Offers what a crash has left behind: a bar above the image that can wait."""

from pathlib import Path
from typing import Any

import napari
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QGridLayout, QLabel, QMessageBox, QPushButton, QVBoxLayout, QWidget

from napari_tessera.io.journal.sessions import SessionSummary, find_sessions, remove_session
from napari_tessera.napari_plugin.jobs.job_panel import ERROR_COLOR
from napari_tessera.napari_plugin.journal.background import in_thread
from napari_tessera.napari_plugin.journal.protecting import shared_journal
from napari_tessera.napari_plugin.journal.restoring import ReadSession, read_session, show_session
from napari_tessera.napari_plugin.journal.telling import listed, moment, session_title
from napari_tessera.napari_plugin.session import current_session

TITLE = "Annotation found"
PICTURE_EDGE = 56
_MOST_ROWS = 3

_offered: set[Path] = set()


def offer(viewer: ViewerModel) -> None:
    """Look, in a thread, for sessions that a crash left behind; if there are any, show a bar in the window.

    Once per napari and folder of sessions; nothing happens in a viewer without a window.
    """
    home = current_session().folder
    if getattr(viewer, "window", None) is None or home in _offered:
        return
    _offered.add(home)

    def found(sessions: list[SessionSummary]) -> None:
        current = napari.current_viewer()  # what a widget is given is a stand-in for it, or it may be closed by now
        left = [session for session in sessions if session.unsaved]
        if current is not None and left:
            show_offer(current, left)

    in_thread(shared_journal(), lambda: find_sessions(home), found, lambda _why: None)


def show_offer(viewer: Any, sessions: list[SessionSummary]) -> "OfferBar":
    """Show the bar with these sessions."""
    bar = OfferBar(viewer, sessions)
    dock = viewer.window.add_dock_widget(bar, name=TITLE, area="top", tabify=False)

    def remove() -> None:
        dock.hide()
        viewer.window.remove_dock_widget(dock)
        bar.deleteLater()

    bar.emptied = remove
    return bar


class OfferBar(QWidget):
    """One row per session: picture, name, time; restore it, leave it for later, or remove it.

    Attributes
    ----------
    emptied
        Called when nothing is left to decide.
    """

    def __init__(self, viewer: ViewerModel, sessions: list[SessionSummary]) -> None:
        super().__init__()
        self.viewer = viewer
        self.rows: dict[Path, QWidget] = {}
        self.emptied: Any = lambda: None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 4)
        text = QLabel("napari ended unexpectedly. What was painted is here:")
        layout.addWidget(text)
        for session in sessions[:_MOST_ROWS]:
            row = _Row(session, self)
            self.rows[session.path] = row
            layout.addWidget(row)
        if len(sessions) > _MOST_ROWS:
            layout.addWidget(QLabel(f"… and {len(sessions) - _MOST_ROWS} more: see Plugins ▸ Tessera ▸ Sessions."))
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.hide()
        layout.addWidget(self.status)
        shared_journal().changed.connect(self._look_again)

    def restore(self, session: SessionSummary) -> None:
        """Read the session in a thread and add its layers."""
        self.rows[session.path].setEnabled(False)
        self._say(f"Reading {session_title(session)} …")
        in_thread(
            self,
            lambda: read_session(session.path),
            lambda read: self._restored(session, read),
            lambda why: self._failed(session, why),
            lambda read: read.session.close(as_found=True),
        )

    def remove(self, session: SessionSummary) -> None:
        """Remove the session for good, if the person says so once more."""
        if not sure_to_remove(self, session):
            return
        self.rows[session.path].setEnabled(False)
        in_thread(
            self,
            lambda: remove_session(session.path),
            lambda _: self.settle(session),
            lambda why: self._failed(session, why),
        )

    def settle(self, session: SessionSummary) -> None:
        """Take a session's row away; the bar goes with the last one."""
        self._settle(session.path)

    def _settle(self, path: Path) -> None:
        row = self.rows.pop(path, None)
        if row is None:
            return
        row.hide()
        row.deleteLater()
        if not self.rows:
            self.emptied()

    def _look_again(self) -> None:
        """Take away what has been opened, moved or removed elsewhere, as in the widget Sessions."""
        for path in list(self.rows):
            if not path.exists() or shared_journal().writer_at(path) is not None:
                self._settle(path)

    def _restored(self, session: SessionSummary, read: ReadSession) -> None:
        show_session(self.viewer, shared_journal(), read)
        self._say("")
        self.settle(session)

    def _failed(self, session: SessionSummary, why: str) -> None:
        row = self.rows.get(session.path)
        if row is not None:
            row.setEnabled(True)
        self._say(why, error=True)

    def _say(self, text: str, *, error: bool = False) -> None:
        self.status.setStyleSheet(f"color: {ERROR_COLOR};" if error else "")
        self.status.setText(text)
        self.status.setVisible(bool(text))


class _Row(QWidget):
    def __init__(self, session: SessionSummary, bar: OfferBar) -> None:
        super().__init__()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        picture = QLabel()
        picture.setFixedSize(PICTURE_EDGE, PICTURE_EDGE)
        picture.setPixmap(picture_of_session(session, PICTURE_EDGE))
        layers = listed([layer.layer_name for layer in session.layers])
        self.text = QLabel(f"<b>{_escaped(session_title(session))}</b> · {moment(session.time)}<br>{_escaped(layers)}")
        self.restore_button = QPushButton("Restore")
        self.restore_button.setToolTip("Add the layers as they were, and go on saving what is painted in them.")
        self.restore_button.clicked.connect(lambda: bar.restore(session))
        self.later_button = QPushButton("Later")
        self.later_button.setToolTip("Leave it where it is: it stays listed in Plugins ▸ Tessera ▸ Sessions.")
        self.later_button.clicked.connect(lambda: bar.settle(session))
        self.remove_button = QPushButton("Remove …")
        self.remove_button.setToolTip("Remove it from the disk, after asking once more.")
        self.remove_button.clicked.connect(lambda: bar.remove(session))
        layout.addWidget(picture, 0, 0)
        layout.addWidget(self.text, 0, 1)
        layout.setColumnStretch(1, 1)
        for column, button in enumerate((self.restore_button, self.later_button, self.remove_button), start=2):
            layout.addWidget(button, 0, column)


def sure_to_remove(parent: QWidget, session: SessionSummary) -> bool:
    """Ask whether a session is to be removed for good."""
    layers = listed([layer.layer_name for layer in session.layers]) or "no layers"
    asked = f"Remove {session_title(session)!r} with {layers}, last changed {moment(session.time)}?"
    answer = QMessageBox.question(parent, "Remove session", f"{asked}\nThis cannot be undone.\n{session.path}")
    return bool(answer == QMessageBox.StandardButton.Yes)


def picture_of_session(session: SessionSummary, edge: int) -> QPixmap:
    """Return the picture of a session, `edge` pixels wide and high; an empty one if it has none."""
    found = QPixmap(str(session.thumbnail)) if session.thumbnail is not None else QPixmap()
    if found.isNull():
        found = QPixmap(edge, edge)
        found.fill(Qt.GlobalColor.transparent)
        return found
    return found.scaled(edge, edge, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")

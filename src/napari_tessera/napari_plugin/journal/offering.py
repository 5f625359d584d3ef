"""Offers what a crash has left behind: one line above the image that can wait, and unfolds."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import napari
from napari.components import ViewerModel
from numpy.typing import NDArray
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QImage, QImageReader, QPixmap
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QMessageBox, QPushButton, QVBoxLayout, QWidget

from napari_tessera.core.errors import TesseraError
from napari_tessera.io.journal.session_folder import SessionFolder
from napari_tessera.io.journal.sessions import (
    SessionSummary,
    find_sessions,
    remove_leftovers,
    remove_session,
    summarize,
)
from napari_tessera.napari_plugin.forms.plain_text import PlainLabel, show_warning
from napari_tessera.napari_plugin.home import current_home
from napari_tessera.napari_plugin.jobs.background import in_thread
from napari_tessera.napari_plugin.jobs.job_panel import ERROR_COLOR
from napari_tessera.napari_plugin.journal.picturing import shared_picture
from napari_tessera.napari_plugin.journal.protecting import shared_journal
from napari_tessera.napari_plugin.journal.restoring import ReadSession, read_session, show_session
from napari_tessera.napari_plugin.journal.telling import listed, replaced_words, session_title
from napari_tessera.napari_plugin.shown_text import as_plain, clean, moment, shown_name

TITLE = "Annotation found"
PICTURE_EDGE = 56
LOOK_MS = 2000
"""How often names and states in the bar are brought up to date."""
_MOST_ROWS = 3
_MOST_PICTURE = 2048
_LOOKS_TAKEN = 3
"""A session that somebody has open at so many looks in a row is not offered any more."""

_offered: set[Path] = set()


def offer(viewer: ViewerModel) -> None:
    """Look, in a thread, for sessions that a crash left behind; if there are any, show a bar in the window.

    Once per napari and folder of sessions; nothing happens in a viewer without a window.
    """
    home = current_home().folder
    if getattr(viewer, "window", None) is None or home in _offered:
        return
    _offered.add(home)

    def found(sessions: list[SessionSummary]) -> None:
        current = napari.current_viewer()  # what a widget is given is a stand-in for it, or it may be closed by now
        left = [session for session in sessions if session.unsaved]
        broken = sum(not session.readable for session in sessions)
        if current is not None and left:
            show_offer(current, left, broken)

    def look() -> list[SessionSummary]:
        remove_leftovers(home)
        return find_sessions(home)

    in_thread(shared_journal(), look, found, lambda _why: None)


def show_offer(viewer: Any, sessions: list[SessionSummary], broken: int = 0) -> "OfferBar":
    """Show the bar with these sessions; `broken` others cannot be read."""
    bar = OfferBar(viewer, sessions, broken)
    dock = viewer.window.add_dock_widget(bar, name=TITLE, area="top", tabify=False)

    def remove() -> None:
        dock.hide()
        viewer.window.remove_dock_widget(dock)
        bar.deleteLater()

    bar.emptied = remove
    return bar


class OfferBar(QWidget):
    """One line that says how many sessions there are; unfolded, one row for each: restore it, or remove it.

    Attributes
    ----------
    emptied
        Called when nothing is left to decide.
    """

    def __init__(self, viewer: ViewerModel, sessions: list[SessionSummary], broken: int = 0) -> None:
        super().__init__()
        self.viewer = viewer
        self._sessions, self._broken = [session.path for session in sessions], broken
        self.rows: dict[Path, _Row] = {}
        self.emptied: Any = lambda: None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 2, 8, 2)
        layout.setSpacing(2)
        layout.addLayout(self._make_line())
        self.content = QWidget()
        self.content.hide()
        rows = QVBoxLayout(self.content)
        rows.setContentsMargins(0, 0, 0, 0)
        for session in sessions[:_MOST_ROWS]:
            row = _Row(session, self)
            self.rows[session.path] = row
            rows.addWidget(row)
        if len(sessions) > _MOST_ROWS:
            rows.addWidget(QLabel(f"… and {len(sessions) - _MOST_ROWS} more: see Plugins ▸ Tessera ▸ Sessions."))
        layout.addWidget(self.content)
        self.status = PlainLabel()
        self.status.setWordWrap(True)
        self.status.hide()
        layout.addWidget(self.status)
        shared_journal().changed.connect(self._look_again)
        self._looking = False
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._read_again)
        self._timer.start()
        self._read_again()

    def _make_line(self) -> QHBoxLayout:
        self.line = PlainLabel()
        self.line.setTextFormat(Qt.TextFormat.PlainText)
        self.line.setToolTip("napari ended before it could close them. What was painted in them is saved.")
        self.show_button = QPushButton("Show")
        self.show_button.setCheckable(True)
        self.show_button.setToolTip("Show what is in them, and restore it.")
        self.show_button.toggled.connect(self._unfold)
        self.never_button = QPushButton("Not again")
        self.never_button.setToolTip("Do not offer these again; they stay listed in Plugins ▸ Tessera ▸ Sessions.")
        self.never_button.clicked.connect(self.dismiss)
        line = QHBoxLayout()
        line.addWidget(self.line)
        line.addWidget(self.show_button)
        line.addWidget(self.never_button)
        line.addStretch(1)
        self._count()
        return line

    def _unfold(self, unfolded: bool) -> None:
        self.content.setVisible(unfolded)
        self.show_button.setText("Hide" if unfolded else "Show")

    def _count(self) -> None:
        self.line.setText(offer_words(len(self._sessions), self._broken))

    def dismiss(self) -> None:
        """Offer none of these again: they count as looked at."""
        self.setEnabled(False)
        paths = list(self._sessions)
        in_thread(self, lambda: _look_at(paths), lambda _: self.emptied(), lambda _why: self.emptied())

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
        self._sessions.remove(path)
        self._count()
        if not self.rows:
            self.emptied()

    def _look_again(self) -> None:
        """Take away what has been opened, moved or removed elsewhere, as in the widget Sessions."""
        for path in list(self.rows):
            if not path.exists() or shared_journal().writer_at(path) is not None:
                self._settle(path)

    def _read_again(self) -> None:
        """Bring names, times and pictures up to date, in a thread; another napari may have opened a session."""
        self._look_again()
        if self._looking or not self.rows:
            return
        self._looking = True
        paths = list(self.rows)
        in_thread(self, lambda: [_with_picture(path) for path in paths], self._show_again, self._not_read)

    def _show_again(self, found: list[tuple[SessionSummary, NDArray[Any] | None]]) -> None:
        self._looking = False
        for session, picture in found:
            row = self.rows.get(session.path)
            if row is None or not row.isEnabled():
                continue
            row.times_taken = row.times_taken + 1 if session.open_elsewhere is not None else 0
            if session.unsaved:
                row.show_session(session, picture)
            elif row.times_taken in (0, _LOOKS_TAKEN):  # naming it takes it for a moment only
                self._settle(session.path)

    def _not_read(self, _why: str) -> None:
        self._looking = False

    def _restored(self, session: SessionSummary, read: ReadSession) -> None:
        show_session(self.viewer, shared_journal(), read)
        self._say("")
        self.settle(session)
        if read.remarks:
            show_warning(" ".join(read.remarks))

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
        self.session = session
        self.times_taken = 0
        self.picture = QLabel()
        self.picture.setFixedSize(PICTURE_EDGE, PICTURE_EDGE)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.show_session(session, None)
        self.restore_button = QPushButton("Restore")
        self.restore_button.setToolTip("Add the layers as they were, and go on saving what is painted in them.")
        self.restore_button.clicked.connect(lambda: bar.restore(self.session))
        self.later_button = QPushButton("Later")
        self.later_button.setToolTip("Leave it where it is: it stays listed in Plugins ▸ Tessera ▸ Sessions.")
        self.later_button.clicked.connect(lambda: bar.settle(self.session))
        self.remove_button = QPushButton("Remove …")
        self.remove_button.setToolTip("Remove it from the disk, after asking once more.")
        self.remove_button.clicked.connect(lambda: bar.remove(self.session))
        layout.addWidget(self.picture, 0, 0)
        layout.addWidget(self.text, 0, 1)
        layout.setColumnStretch(1, 1)
        for column, button in enumerate((self.restore_button, self.later_button, self.remove_button), start=2):
            layout.addWidget(button, 0, column)

    def show_session(self, session: SessionSummary, picture: NDArray[Any] | None) -> None:
        """Show what there is to say about the session, and `picture` (axes ``yxc``) where it has none of its own."""
        self.session = session
        self.picture.setPixmap(picture_of_session(session, PICTURE_EDGE, picture))
        lines = [listed([layer.layer_name for layer in session.kept])]
        lines += [replaced_words(layer.layer_name, layer.replaced) for layer in session.kept if layer.replaced]
        if session.damaged:
            lines.append(f"{session.damaged} more cannot be read: {session.problem}")
        title = f"<b>{_escaped(shown_name(session_title(session)))}</b> · {moment(session.time)}"
        self.text.setText("<br>".join([title, *map(_escaped, lines)]))


def offer_words(count: int, broken: int) -> str:
    """Return ``2 unsaved sessions``, and how many others cannot be read."""
    words = f"{count} unsaved {'session' if count == 1 else 'sessions'}"
    return f"{words} · {broken} more cannot be read: see Sessions" if broken else words


def _look_at(paths: list[Path]) -> None:
    """Note that a person knows of these sessions; one that cannot be written is offered again."""
    for path in paths:
        with suppress(TesseraError):
            SessionFolder.open(path).close()


def _with_picture(path: Path) -> tuple[SessionSummary, NDArray[Any] | None]:
    session = summarize(path)
    return session, shared_picture(session) if session.unsaved and not has_picture(session) else None


def sure_to_remove(parent: QWidget, session: SessionSummary) -> bool:
    """Ask whether a session is to be removed for good."""
    layers = listed([layer.layer_name for layer in session.layers]) or "no layers"
    asked = f"Remove {session_title(session)!r} with {layers}, last changed {moment(session.time)}?"
    answer = QMessageBox.question(
        parent, "Remove session", as_plain(f"{asked}\nThis cannot be undone.\n{session.path}")
    )
    return bool(answer == QMessageBox.StandardButton.Yes)


def picture_of_session(session: SessionSummary, edge: int, instead: NDArray[Any] | None = None) -> QPixmap:
    """Return the picture of a session, `edge` pixels wide and high; where it has none, `instead` or an empty one."""
    found = _picture_in(session.thumbnail) if session.thumbnail is not None and instead is None else QPixmap()
    if instead is not None:
        height, width, _ = instead.shape
        found = QPixmap.fromImage(QImage(instead.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888))
    if found.isNull():
        found = QPixmap(edge, edge)
        found.fill(Qt.GlobalColor.transparent)
        return found
    return found.scaled(edge, edge, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)


def has_picture(session: SessionSummary) -> bool:
    """Whether the session has a picture of its own that shows what was there in the end."""
    try:
        return session.thumbnail is not None and session.thumbnail.stat().st_mtime >= session.time
    except OSError:
        return False


def _picture_in(path: Path) -> QPixmap:
    """Return a picture in a file; an empty one if it is none, or one that would take much memory."""
    reader = QImageReader(str(path))
    size = reader.size()
    if not (0 < size.width() <= _MOST_PICTURE and 0 < size.height() <= _MOST_PICTURE):
        return QPixmap()
    return QPixmap.fromImage(reader.read())


def _escaped(text: str) -> str:
    return clean(text).replace("&", "&amp;").replace("<", "&lt;")

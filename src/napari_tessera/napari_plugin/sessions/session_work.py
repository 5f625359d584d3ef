"""What can be done with sessions: opening, naming, moving, exporting and removing them, off the GUI thread."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_tessera.core.errors import TesseraError
from napari_tessera.io.journal.session_folder import SessionFolder
from napari_tessera.io.journal.sessions import SessionSummary, remember_session, remove_session
from napari_tessera.napari_plugin.home import current_home
from napari_tessera.napari_plugin.jobs.background import in_thread
from napari_tessera.napari_plugin.journal.protecting import Journal
from napari_tessera.napari_plugin.journal.restoring import ReadSession, read_session
from napari_tessera.napari_plugin.journal.telling import session_title
from napari_tessera.napari_plugin.sessions.exporting import Exported, export_session


class SessionWork(QObject):
    """Works on one session at a time.

    Signals
    -------
    said(str, bool)
        What happens or has been done, or (True) why it could not be done.
    read(object)
        A `ReadSession` is there to be shown.
    changed()
        Something has begun or ended: what can be done, or the list of sessions, may be another.

    Attributes
    ----------
    why_busy
        Why nothing can be begun now; empty if it can.
    """

    said = Signal(str, bool)
    read = Signal(object)
    changed = Signal()

    def __init__(self, journal: Journal, parent: QObject) -> None:
        super().__init__(parent)
        self.why_busy = ""
        self._journal = journal

    def open(self, path: Path, title: str, *, elsewhere: bool = False) -> None:
        """Read the session at `path`, which is called `title`; one that lies elsewhere is listed from now on."""
        home = current_home().folder

        def work() -> ReadSession:
            found = read_session(path)
            if elsewhere:
                remember_session(home, path)
            return found

        self._work(f"Reading {title} …", work, self.read.emit, lambda read: read.session.close(as_found=True))

    def rename(self, session: SessionSummary, name: str) -> None:
        """Give a session a name."""
        said = f"Named {name}."
        self._with_session(session, lambda writer: writer.rename(name), lambda folder: folder.rename(name), said)

    def move(self, session: SessionSummary, target: Path) -> None:
        """Move a session so that its folder is `target`."""
        home = current_home().folder

        def move(folder: SessionFolder) -> None:
            remember_session(home, target)  # before: a crash in between leaves it listed
            folder.move(target)

        self._with_session(session, lambda writer: writer.move(target), move, f"Moved to {target}.")

    def export(self, session: SessionSummary, path: Path, *, replace: bool = False) -> None:
        """Write the labels of a session to `path`; parameters are those of `export_session`."""
        self._journal.flush()
        here = self._journal.writer_at(session.path) is not None

        def write() -> Exported:
            return export_session(session, path, replace=replace, open_here=here)

        self._work("Exporting …", write, lambda found: self.said.emit(found.words(), bool(found.remarks)))

    def remove(self, session: SessionSummary) -> None:
        """Remove a session from the disk."""
        title = session_title(session)
        self._work("Removing …", lambda: remove_session(session.path), lambda _: self._say(f"Removed {title}."))

    def _with_session(
        self,
        session: SessionSummary,
        here: Callable[[Any], Any],
        elsewhere: Callable[[SessionFolder], Any],
        said: str,
    ) -> None:
        """Do something with a session: in its writer's thread if it is open here, else with it opened for a moment."""
        writer = self._journal.writer_at(session.path)
        if writer is not None:
            self._set_busy(busy=True)
            self._journal.command(writer, here, lambda outcome: self._commanded(outcome, said))
            return

        def work() -> None:
            folder = SessionFolder.open(session.path)
            try:
                elsewhere(folder)
            finally:
                folder.close(as_found=True)

        self._work("…", work, lambda _: self._say(said))

    def _commanded(self, outcome: Any, said: str) -> None:
        if isinstance(outcome, TesseraError | OSError):
            self.said.emit(str(outcome), True)
        else:
            self._say(said)
        self._set_busy(busy=False)

    def _work(
        self,
        text: str,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        dropped: Callable[[Any], None] = lambda _: None,
    ) -> None:
        self._say(text)
        self._set_busy(busy=True)

        def end(result: Any) -> None:
            done(result)
            self._set_busy(busy=False)

        def fail(why: str) -> None:
            self.said.emit(why, True)
            self._set_busy(busy=False)

        in_thread(self, work, end, fail, dropped)

    def _say(self, text: str) -> None:
        self.said.emit(text, False)

    def _set_busy(self, *, busy: bool) -> None:
        self.why_busy = "Another session is being worked on." if busy else ""
        self.changed.emit()

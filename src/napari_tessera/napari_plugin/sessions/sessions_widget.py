"""The widget Sessions: what is protected, and everything that was saved while painting."""

from collections.abc import Callable
from pathlib import Path
from weakref import ref

from napari.components import ViewerModel
from napari.layers import Labels, Layer
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFileDialog, QGridLayout, QInputDialog, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_tessera.io.journal.sessions import SessionSummary
from napari_tessera.napari_plugin.forms.panel_shell import LowArea, PanelShell
from napari_tessera.napari_plugin.forms.plain_text import PlainLabel, set_tooltip
from napari_tessera.napari_plugin.home import current_home, file_name
from napari_tessera.napari_plugin.jobs.background import in_thread
from napari_tessera.napari_plugin.jobs.job_panel import ERROR_COLOR, MOST_TEXT
from napari_tessera.napari_plugin.journal.offering import offer, sure_to_remove
from napari_tessera.napari_plugin.journal.protecting import Journal, shared_journal
from napari_tessera.napari_plugin.journal.restoring import ReadSession, show_session
from napari_tessera.napari_plugin.journal.telling import listed, session_title, state_words
from napari_tessera.napari_plugin.journal.watching import LayerWatch, real, why_not_protected
from napari_tessera.napari_plugin.sessions.exporting import FORMATS
from napari_tessera.napari_plugin.sessions.session_list import SessionList
from napari_tessera.napari_plugin.sessions.session_work import SessionWork
from napari_tessera.napari_plugin.shown_text import shown_name

LOOK_MS = 1000
"""How often the states are brought up to date while the widget is seen; the list every few times."""
_LOOKS_PER_LIST = 4


def _why_kept(shown: list[LayerWatch]) -> str:
    """Return why a session that is open here is not removed, `shown` being its layers in the viewer."""
    if shown:
        return "It is open here: delete its layers from the viewer first."
    return "It is open here until napari ends or a script lets go of the layers that it holds: remove it then."


class SessionsWidget(PanelShell):
    """Shows how well layers are protected; opens, names, moves, exports and removes sessions."""

    def __init__(self, viewer: ViewerModel, journal: Journal | None = None) -> None:
        super().__init__("Sessions")
        self.viewer = real(viewer)
        self.journal = journal or shared_journal()
        self._looks = 0
        self._looking = self._look_again = False
        self._open_paths: set[Path | None] = set()
        self._make_controls()
        self._arrange()
        self.work = SessionWork(self.journal, self)
        self.work.said.connect(lambda text, wrong: self.say(text, error=wrong))
        self.work.read.connect(self._opened)
        self.work.changed.connect(self._worked)
        self.journal.changed.connect(self.refresh)
        followed, itself = (viewer.layers.selection.events.active, viewer.layers.events.removed), ref(self)
        for event in followed:
            event.connect(self.refresh)

        def let_go() -> None:
            if (widget := itself()) is not None:
                for event in followed:
                    event.disconnect(widget.refresh)

        self.destroyed.connect(let_go)
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._timer.start()
        self.refresh()
        self.list_sessions()
        offer(viewer)

    def _make_controls(self) -> None:
        self.protected = PlainLabel()
        self.protected.setWordWrap(True)
        self.protected.setTextFormat(Qt.TextFormat.PlainText)
        self.protected.setToolTip("What is painted in these layers is on the disk a fraction of a second later.")
        self.protect_button = QPushButton("Protect this layer")
        self.protect_button.clicked.connect(self.protect)
        self.list = SessionList()
        self.list.chosen.connect(self.refresh)
        self.list.itemDoubleClicked.connect(lambda _: self.open_button.click())
        self.open_button = self._button("Open", self.open)
        self.name_button = self._button("Name …", self.choose_name)
        self.move_button = self._button("Move …", self.choose_place)
        self.export_button = self._button("Export …", self.choose_export)
        self.remove_button = self._button("Remove …", self.remove)
        self.elsewhere_button = self._button("Open folder …", self.choose_session)
        self.elsewhere_button.setToolTip("Open a session that lies elsewhere: choose its folder.")
        self.status = PlainLabel()
        self.status.setWordWrap(True)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.status.hide()

    def _button(self, text: str, pressed: Callable[[], None]) -> QPushButton:
        button = QPushButton(text)
        button.clicked.connect(lambda: pressed())  # noqa: PLW0108  without the argument that Qt gives
        return button

    def _arrange(self) -> None:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.addWidget(QLabel("Protected layers"))
        layout.addWidget(self.protected)
        layout.addWidget(self.protect_button)
        layout.addWidget(QLabel("Sessions"))
        layout.addWidget(self.list, 1)
        grid = QGridLayout()
        buttons = (
            self.open_button, self.name_button, self.move_button,
            self.export_button, self.remove_button, self.elsewhere_button,
        )  # fmt: skip
        for index, button in enumerate(buttons):
            grid.addWidget(button, index // 3, index % 3)
        layout.addLayout(grid)
        self.set_content(content, LowArea(self.status, MOST_TEXT))

    # showing

    def refresh(self, _event: object = None) -> None:
        """Show the states, enable what applies and say why the rest does not."""
        lines = []
        for watch in self.journal.shown():
            layer = watch.layer
            if layer is not None:
                words = watch.why_stopped or state_words(self.journal.state(watch))
                lines.append(f"{shown_name(layer.name)} · {words}")
        none = "None yet. Annotation layers that Tessera makes are protected by themselves."
        self.protected.setText("\n".join(lines) or none)
        why_not = self.why_not_protect
        self.protect_button.setEnabled(not why_not)
        set_tooltip(
            self.protect_button,
            why_not or "Write what is painted in the selected Labels layer to the disk, at once and from now on.",
        )
        self._refresh_buttons()
        paths = {writer.path for writer in self.journal.writers()}
        if paths != self._open_paths:
            self._open_paths = paths
            self.list_sessions()

    def _refresh_buttons(self) -> None:
        session = self.list.session
        here = session is not None and self.list.open_here(session)
        none = self.work.why_busy or ("Choose a session in the list." if session is None else "")
        taken = ""
        if session is not None and not here and session.open_elsewhere is not None:
            taken = f"It is open in {session.open_elsewhere.describe()}: close it there first."
        problem = (session.problem or "") if session is not None else ""
        broken = problem if session is not None and not session.readable else ""
        empty = (problem or "There are no labels in it.") if session is not None and not session.layers else ""
        self._enable(
            self.open_button,
            none or ("It is open here already." if here else taken or broken or empty),
            "Add its layers to the viewer as they were, and go on saving what is painted in them.",
        )
        self._enable(self.name_button, none or taken or broken, "Give it a name to find it by.")
        self._enable(self.move_button, none or taken or broken, "Move its folder elsewhere; it stays listed here.")
        self._enable(self.export_button, none or empty, "Write its labels as OME-Zarr or TIFF.")
        self._enable(
            self.remove_button,
            none or (_why_kept(self.journal.shown(session.path)) if session is not None and here else taken),
            "Remove it from the disk, after asking once more.",
        )

    @staticmethod
    def _enable(button: QPushButton, why_not: str, what: str) -> None:
        button.setEnabled(not why_not)
        set_tooltip(button, why_not or what)

    def _look(self) -> None:
        if not self.isVisible():
            return
        self.refresh()
        self._looks += 1
        if self._looks % _LOOKS_PER_LIST == 0:
            self.list_sessions()

    def list_sessions(self) -> None:
        """Bring the list up to date, in a thread."""
        self._look_again = self._looking
        if self._looking:
            return
        self._looking = True
        home = current_home().folder
        in_thread(self, lambda: self.list.found_in(home), self._listed, self._not_listed)

    def _listed(self, sessions: list[SessionSummary]) -> None:
        self._looking = False
        here = [writer.path for writer in self.journal.writers() if writer.path is not None]
        self.list.show_sessions(sessions, here)
        if self._look_again:
            self.list_sessions()

    def _not_listed(self, why: str) -> None:
        self._looking = False
        self.say(why, error=True)

    def _worked(self) -> None:
        self.refresh()
        self.list_sessions()

    def say(self, text: str, *, error: bool = False) -> None:
        """Show a sentence; an empty one takes the line away."""
        self.status.setStyleSheet(f"color: {ERROR_COLOR};" if error else "")
        self.status.setText(text)
        self.status.setVisible(bool(text))

    # protecting

    @property
    def active(self) -> Layer | None:
        """The layer that is selected in the viewer."""
        return self.viewer.layers.selection.active

    @property
    def why_not_protect(self) -> str:
        """Why the selected layer cannot be protected; empty if it can."""
        layer = self.active
        if layer is not None and self.journal.watch_of(layer) is not None:
            return "This layer is protected."
        return why_not_protected(layer)

    def protect(self) -> None:
        """Protect the selected layer."""
        layer = self.active
        if isinstance(layer, Labels):
            why_not = self.journal.protect(layer, at_once=True)
            if why_not:
                self.say(why_not, error=True)
        self.refresh()

    # sessions

    def open(self) -> None:
        """Add the layers of the chosen session to the viewer."""
        session = self.list.session
        if session is not None:
            self.work.open(session.path, session_title(session))

    def _opened(self, read: ReadSession) -> None:
        layers = show_session(self.viewer, self.journal, read)
        remarks = read.remarks
        images = [layer.header.image_path for layer in read.layers if layer.header.image_path]
        found = f" The image was opened from {images[0]}." if images else ""
        self.say(
            " ".join([f"Opened {listed([layer.name for layer in layers])}.{found}", *remarks]), error=bool(remarks)
        )

    def choose_session(self) -> None:
        """Ask for the folder of a session and open it."""
        chosen = QFileDialog.getExistingDirectory(self, "Open a session", str(Path.home()))
        if chosen:
            self.work.open(Path(chosen), Path(chosen).name, elsewhere=True)

    def choose_name(self) -> None:
        """Ask for a name of the chosen session."""
        session = self.list.session
        if session is None:
            return
        name, said = QInputDialog.getText(self, "Name of the session", "Name", text=session_title(session))
        if said and name.strip():
            self.work.rename(session, name.strip())

    def choose_place(self) -> None:
        """Ask where the chosen session is to lie."""
        session = self.list.session
        if session is None:
            return
        parent = QFileDialog.getExistingDirectory(self, "Move the session into", str(Path.home()))
        if parent:
            name = file_name(session.name) if session.name else session.path.name
            self.work.move(session, Path(parent) / name)

    def choose_export(self) -> None:
        """Ask where the labels of the chosen session are to be written."""
        session = self.list.session
        if session is None:
            return
        suggested = str(Path.home() / file_name(session_title(session)))
        kinds = ";;".join(FORMATS)
        path, kind = QFileDialog.getSaveFileName(self, "Export labels", suggested, kinds, next(iter(FORMATS)))
        if path:
            complete = any(path.endswith(suffix) for suffix in FORMATS.values())
            # the dialogue has asked whether a file may be replaced, but only one of the very name that it returns
            out = Path(path if complete else path + FORMATS.get(kind, ".ome.zarr"))
            self.work.export(session, out, replace=complete)

    def remove(self) -> None:
        """Remove the chosen session, if the person says so once more."""
        session = self.list.session
        if session is not None and sure_to_remove(self, session):
            self.work.remove(session)

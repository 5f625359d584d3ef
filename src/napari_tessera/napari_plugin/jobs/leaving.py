"""Asks once before a dock or the window is closed while a job runs that a person would be sorry for."""

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QMessageBox, QPushButton, QWidget

from napari_tessera.napari_plugin.jobs.qt_objects import unless_deleted

_CLOSE_BUTTON = "QTitleBarCloseButton"
"""What napari calls the button in the title of a dock."""


class LeaveGuard(QObject):
    """Watches the dock of `widget` and its window; closing either asks while `question` has something to ask.

    A window that a program closes does not ask: nobody may be there to answer.

    Parameters
    ----------
    widget
        In a dock of napari's window.
    question
        Returns what is asked; an empty text if nothing is lost, and nothing is to be asked.
    """

    def __init__(self, widget: QWidget, question: Callable[[], str]) -> None:
        super().__init__(widget)
        self._widget, self._question = widget, question
        self._agreed = ""
        self._watched: list[QObject] = []

    def watch(self) -> None:
        """Begin; to be called when a job begins, wherever the widget is by then."""
        self.release()
        dock = self._widget.parent()
        while dock is not None and not isinstance(dock, QDockWidget):
            dock = dock.parent()
        button = dock.findChild(QPushButton, _CLOSE_BUTTON) if dock is not None else None
        window = self._widget.window()
        self._watched = [each for each in (button, window if isinstance(window, QMainWindow) else None) if each]
        for watched in self._watched:
            watched.installEventFilter(self)

    def release(self) -> None:
        """Watch no more, and keep nothing of the window alive."""
        for watched in self._watched:
            unless_deleted(watched.removeEventFilter, self)
        self._watched = []
        self._agreed = ""

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802  Qt calls it by this name
        """Hold a closing up, if the person says so."""
        if event.type() == QEvent.Type.Close and isinstance(watched, QMainWindow):
            by_hand = event.spontaneous() or getattr(watched, "_quit_app", False)
            if by_hand and not self._agrees():
                event.ignore()
                return True
        elif event.type() == QEvent.Type.MouseButtonRelease and isinstance(watched, QPushButton):
            inside = watched.rect().contains(event.pos()) and event.button() == Qt.MouseButton.LeftButton
            if inside and watched.isDown() and not self._agrees():
                watched.setDown(False)
                return True
        return False

    def _agrees(self) -> bool:
        question = self._question()
        if not question or question == self._agreed:
            return True
        if sure_to_leave(self._widget, question):
            self._agreed = question
            return True
        return False


def sure_to_leave(parent: QWidget, question: str) -> bool:
    """Ask; the choice that changes nothing is the one that Enter takes."""
    box = QMessageBox(QMessageBox.Icon.Question, "Tessera", "", QMessageBox.StandardButton.NoButton, parent)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(question)
    leave = box.addButton("Stop and close", QMessageBox.ButtonRole.AcceptRole)
    box.setDefaultButton(box.addButton("Go on training", QMessageBox.ButtonRole.RejectRole))
    box.exec_() if hasattr(box, "exec_") else box.exec()
    box.deleteLater()  # or it would stay among the children of `parent`
    return box.clickedButton() is leave

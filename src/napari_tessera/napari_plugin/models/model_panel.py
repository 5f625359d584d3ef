"""The list of models, with what can be done with the chosen one."""

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QObject, QSignalBlocker, Qt, QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QGridLayout,
    QInputDialog,
    QListWidget,
    QListWidgetItem,
    QMessageBox,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_tessera.io.journal.naming import naming_remark
from napari_tessera.napari_plugin.forms.plain_text import PlainLabel, set_tooltip
from napari_tessera.napari_plugin.jobs.background import in_thread
from napari_tessera.napari_plugin.jobs.job_panel import ERROR_COLOR
from napari_tessera.napari_plugin.jobs.runner import JobRunner
from napari_tessera.napari_plugin.models.listing import ModelEntry, list_models
from napari_tessera.napari_plugin.models.managing import duplicate_model, remove_model, rename_model
from napari_tessera.napari_plugin.shown_text import moment

LIST_HEIGHT = 110
_MOST_CLASSES = 3
_INDENT = "\u2003"
"""Before what is said of a model, below its name."""


class ModelChanges(QObject):
    """Tells all widgets of a window that models have come, gone, or have another name."""

    changed = Signal()


_changes: ModelChanges | None = None


def model_changes() -> ModelChanges:
    """Return the one that all widgets share."""
    global _changes  # noqa: PLW0603  one per process, as there is one QApplication
    if _changes is None:
        _changes = ModelChanges()
    return _changes


class ModelPanel(QWidget):
    """Lists the models in a folder, the last changed first.

    Signals
    -------
    chosen(object)
        The person has chosen this `ModelEntry`.
    listed()
        The list is up to date again.

    Parameters
    ----------
    models
        The folder of all models.
    runner
        Does the trainings of this window.
    """

    chosen = Signal(object)
    listed = Signal()

    def __init__(self, models: Path, runner: JobRunner) -> None:
        super().__init__()
        self._models = models
        self._begun = True  # whether the job of the runner has said something yet
        runner.state_changed.connect(self._on_state)
        runner.event_received.connect(self._on_event)
        self.entries: list[ModelEntry] = []
        self._working = self._outdated = False
        self._again: Path | None = None
        self._new: Path | None = None  # has just got its name: chosen for the person once it is listed
        self.list = QListWidget()
        self.list.setToolTip("The models that were trained here, the last changed first. Choose one to go on with it.")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setWordWrap(True)
        self.list.setFixedHeight(LIST_HEIGHT)
        self.list.setSpacing(4)  # tells entries, of two lines or more, apart
        self.list.currentRowChanged.connect(self._on_row)
        self.rename_button = _button("Rename …", self.ask_name)
        self.duplicate_button = _button("Duplicate", self.duplicate)
        self.remove_button = _button("Delete …", self.remove)
        self.show_button = _button("Show folder", self.show_folder)
        self.status = PlainLabel()
        self.status.setTextFormat(Qt.TextFormat.PlainText)
        self.status.setWordWrap(True)
        self.status.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.list)
        grid = QGridLayout()
        buttons = (self.rename_button, self.duplicate_button, self.remove_button, self.show_button)
        for index, button in enumerate(buttons):
            grid.addWidget(button, index // 2, index % 2)
        layout.addLayout(grid)
        layout.addWidget(self.status)
        model_changes().changed.connect(self.update_models)
        self.update_models()

    @property
    def entry(self) -> ModelEntry | None:
        """The chosen model."""
        row = self.list.currentRow()
        return self.entries[row] if 0 <= row < len(self.entries) else None

    def update_models(self, choose: Path | None = None) -> None:
        """Look for models anew, in a thread; keep the choice, or choose `choose`."""
        self._again = choose or self._again
        if self._working:
            self._outdated = True
            return
        self._working, self._outdated = True, False
        in_thread(self, lambda: list_models(self._models), self._show, lambda _why: self._show([]))

    def _on_state(self, _state: object) -> None:
        self._begun = False
        self._say("")  # what was refused because of the job before
        self.update_models()

    def _on_event(self, _event: object) -> None:
        """Look anew at the first word of a job: from then on a training holds its model."""
        if not self._begun:
            self._begun = True
            self.update_models()

    def choose(self, folder: Path | None) -> None:
        """Choose the model in `folder`, or none, without telling anybody."""
        rows = [row for row, entry in enumerate(self.entries) if entry.folder == folder]
        with QSignalBlocker(self.list):
            self.list.setCurrentRow(rows[0] if rows else -1)
        self._refresh()

    def _show(self, entries: list[ModelEntry]) -> None:
        self._working = False
        before = self._again or (self.entry.folder if self.entry is not None else None)
        self._again = None
        if entries != self.entries or self.list.count() != len(entries):
            self.entries = entries
            with QSignalBlocker(self.list):
                self.list.clear()
                for entry in entries:
                    item = QListWidgetItem(f"{entry.name}\n{_INDENT}{entry_words(entry)}")
                    item.setToolTip(entry.problem or entry.why_not_continued or "Its training can go on.")
                    self.list.addItem(item)
        self.choose(before)
        if self._new is not None and self.entry is not None and self.entry.folder == self._new:
            self._new = None
            self.chosen.emit(self.entry)
        self.listed.emit()
        if self._outdated:
            self.update_models()

    def _on_row(self) -> None:
        self._refresh()
        if self.entry is not None:
            self._say("")
            self.chosen.emit(self.entry)

    def _refresh(self) -> None:
        entry = self.entry
        none = "Choose a model in the list." if entry is None else ""
        training = entry is not None and entry.training
        busy = "It is being trained just now: wait for it, or cancel it." if training else ""
        for button, why_not, tooltip in (
            (self.rename_button, none or busy, "Give the model another name."),
            (self.duplicate_button, none or busy, "Copy it, for example to train the copy further and keep this one."),
            (self.remove_button, none or busy, "Remove the model from the disk, after asking once more."),
            (self.show_button, none, "Open its folder, for example to give it to a colleague."),
        ):
            button.setEnabled(not why_not)
            set_tooltip(button, why_not or tooltip)

    # what can be done

    def ask_name(self) -> None:
        """Ask for another name of the chosen model."""
        if self.entry is None:
            return
        name, said = QInputDialog.getText(self, "Rename model", "Name", text=self.entry.name)
        if said:
            self.rename(name)

    def rename(self, name: str) -> None:
        """Give the chosen model another name."""
        entry = self.entry
        if entry is not None:
            self._work(lambda: rename_model(entry.folder, name), naming_remark(name))

    def duplicate(self) -> None:
        """Copy the chosen model."""
        entry = self.entry
        if entry is not None:
            self._say("Copying …")
            self._work(lambda: duplicate_model(entry.folder))

    def remove(self) -> None:
        """Remove the chosen model, if the person says so once more."""
        entry = self.entry
        if entry is None or not sure_to_remove(self, entry):
            return

        def work() -> None:
            remove_model(entry.folder)

        self._work(work)

    def show_folder(self) -> None:
        """Open the folder of the chosen model in the system's own program for files."""
        if self.entry is not None and not QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.entry.folder))):
            self._say(f"It lies in {self.entry.folder}.")

    def _work(self, work: Callable[[], Path | None], remark: str = "") -> None:
        """Do `work` in a thread; where it succeeds, say `remark`."""

        def done(folder: Path | None) -> None:
            self._say(remark)
            self._again = self._new = folder
            model_changes().changed.emit()

        def fail(why: str) -> None:
            self._say(why, error=True)
            self.update_models()

        in_thread(self, work, done, fail)

    def _say(self, text: str, *, error: bool = False) -> None:
        self.status.setStyleSheet(f"color: {ERROR_COLOR};" if error else "")
        self.status.setText(text)
        self.status.setVisible(bool(text))


def entry_words(entry: ModelEntry) -> str:
    """Return what became of a model, when, and what it finds: ``trained · today 14:05 · nucleus``."""
    words = [entry.state]
    if not entry.problem:
        words.append(moment(entry.time))
    if entry.spec is not None:
        names = [each.name for each in entry.spec.classes if each.id != 0]
        shown = ", ".join(names[:_MOST_CLASSES])
        words.append(f"{shown}, …" if len(names) > _MOST_CLASSES else shown)
    return " · ".join(words)


def sure_to_remove(parent: QWidget, entry: ModelEntry) -> bool:
    """Ask whether a model is to be removed for good."""
    box = QMessageBox(QMessageBox.Icon.Question, "Delete model", "", QMessageBox.StandardButton.NoButton, parent)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(f"Delete the model {entry.name!r}, last changed {moment(entry.time)}?\nThis cannot be undone.")
    remove = box.addButton("Delete", QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
    box.exec_() if hasattr(box, "exec_") else box.exec()
    box.deleteLater()  # or it would stay among the children of `parent`
    return box.clickedButton() is remove


def _button(text: str, pressed: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    button.clicked.connect(lambda: pressed())  # noqa: PLW0108  whatever Qt hands over
    return button

"""A list of the models trained here, and a button for one from elsewhere."""

from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_tessera.config.model import ModelSpec, load_model_spec
from napari_tessera.core.errors import TesseraError
from napari_tessera.napari_plugin.home import Home
from napari_tessera.napari_plugin.models.model_panel import model_changes
from napari_tessera.napari_plugin.shown_text import shown_name


class ModelPicker(QWidget):
    """Chooses a model folder.

    Signals
    -------
    model_changed()
        Another model is chosen.
    """

    model_changed = Signal()

    def __init__(self, home: Home) -> None:
        super().__init__()
        self._home = home
        self._folders: list[Path] = []
        self._browsed: list[Path] = []
        self.spec: ModelSpec | None = None
        self.problem = ""
        self.list = QComboBox()
        self.list.setPlaceholderText("Train a model first")
        self.list.setToolTip("The model to apply; those trained here, the newest first.")
        self.list.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.list.setMinimumContentsLength(10)
        self.list.currentIndexChanged.connect(self._choose)
        self.browse_button = QPushButton("Browse")
        self.browse_button.setToolTip("Take a model folder from elsewhere, for example one a colleague gave you.")
        self.browse_button.clicked.connect(self._browse)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.browse_button)
        model_changes().changed.connect(self.update_models)
        self.update_models()

    @property
    def folder(self) -> Path | None:
        """The chosen model folder."""
        index = self.list.currentIndex()
        return self._folders[index] if 0 <= index < len(self._folders) else None

    def update_models(self, choose: Path | None = None) -> None:
        """Look for models anew; keep the choice, or make `choose` the choice; without either, the newest."""
        chosen = choose or self.folder
        self._folders = [*self._browsed, *self._home.model_folders()]
        with QSignalBlocker(self.list):
            self.list.clear()
            self.list.addItems([shown_name(folder.name) for folder in self._folders])
            if self._folders:  # a list with a placeholder chooses nothing of its own
                self.list.setCurrentIndex(self._folders.index(chosen) if chosen in self._folders else 0)
        self._choose()

    def add_folder(self, folder: Path) -> None:
        """Offer a model folder from elsewhere and choose it."""
        if folder not in self._browsed and folder.parent != self._home.models:
            self._browsed.insert(0, folder)
        self.update_models(folder)

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Model folder", str(self._home.models))
        if chosen:
            self.add_folder(Path(chosen))

    def _choose(self) -> None:
        self.spec, self.problem = None, ""
        if self.folder is None:
            self.problem = "Train a model first, or press Browse to take one from elsewhere."
        else:
            try:
                self.spec = load_model_spec(self.folder)
            except TesseraError as error:
                self.problem = str(error)
        self.model_changed.emit()

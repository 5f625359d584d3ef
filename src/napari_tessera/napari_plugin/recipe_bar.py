"""The buttons for recipes: save how the selected layer was made, and replay a saved recipe."""

from pathlib import Path

from napari.components import ViewerModel
from napari.layers import Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_tessera.core.errors import TesseraError
from napari_tessera.napari_plugin.recording_layers import made_by_hand, remembered
from napari_tessera.napari_plugin.session import Session, file_name
from napari_tessera.pipeline.recipe_files import save_recipe

_FILES = "Recipes (*.yaml *.yml)"


class RecipeBar(QWidget):
    """Two buttons.

    Signals
    -------
    replay_wanted(Path)
        The person has chosen a recipe.
    said(str, bool)
        What has been done, or (True) why it could not be done.
    """

    replay_wanted = Signal(object)
    said = Signal(str, bool)

    def __init__(self, viewer: ViewerModel, session: Session) -> None:
        super().__init__()
        self._viewer = viewer
        self._session = session
        self.save_button = QPushButton("Save recipe …")
        self.save_button.clicked.connect(self._choose_where_to_save)
        self.replay_button = QPushButton("Replay …")
        self.replay_button.clicked.connect(self._choose_what_to_replay)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.save_button)
        layout.addWidget(self.replay_button)
        viewer.layers.selection.events.active.connect(self.refresh)
        self.refresh()

    @property
    def layer(self) -> Layer | None:
        """The selected layer, if it remembers how it was made."""
        layer = self._viewer.layers.selection.active
        return layer if layer is not None and remembered(layer).recipe is not None else None

    def refresh(self, _event: object = None) -> None:
        """Enable what applies and say why the rest does not."""
        layer = self.layer
        self.save_button.setEnabled(layer is not None)
        self.save_button.setToolTip(
            "Select a layer that was made here: its recipe is what is saved."
            if layer is None
            else f"Save how {layer.name!r} was made, to repeat it here or with `napari-tessera run`."
        )

    def set_why_not_replay(self, why_not: str) -> None:
        """Disable replaying and say why; with an empty text, enable it."""
        self.replay_button.setEnabled(not why_not)
        self.replay_button.setToolTip(why_not or "Apply a saved recipe to the layer that is chosen above.")

    def save(self, layer: Layer, path: Path) -> None:
        """Write the recipe of `layer`, and beside it what was made by hand; an error is said."""
        recipe = remembered(layer).recipe
        if recipe is None:
            return
        path = path if path.suffix in (".yaml", ".yml") else path.with_name(f"{path.name}.yaml")
        try:
            save_recipe(recipe, path, made_by_hand(recipe, self._session.folder / "arrays"), overwrite=True)
        except TesseraError as error:
            self.said.emit(str(error), True)
            return
        self.said.emit(f"Saved: {path}", False)

    def disconnect_viewer(self) -> None:
        """Stop listening to the viewer; to be called before the widget goes."""
        self._viewer.layers.selection.events.active.disconnect(self.refresh)

    def _choose_where_to_save(self) -> None:
        layer = self.layer
        if layer is None:
            return
        suggested = str(Path.home() / f"{file_name(layer.name)}.yaml")
        path, _ = QFileDialog.getSaveFileName(self, "Save recipe", suggested, _FILES)
        if path:
            self.save(layer, Path(path))

    def _choose_what_to_replay(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Replay a recipe", str(Path.home()), _FILES)
        if path:
            self.replay_wanted.emit(Path(path))


def side_by_side(*widgets: QWidget) -> QWidget:
    """Return a widget that holds others in a row, without margins."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    return row

"""The buttons for recipes: save how the selected layers were made, and replay a saved recipe."""

from collections.abc import Callable, Iterable
from pathlib import Path
from weakref import WeakSet

from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_tessera.config.recipe import Recipe
from napari_tessera.core.errors import TesseraError
from napari_tessera.core.jobs import CancelToken, Job, Result
from napari_tessera.napari_plugin.forms.plain_text import set_tooltip
from napari_tessera.napari_plugin.home import Home, file_name
from napari_tessera.napari_plugin.jobs.thread_job import ThreadJob
from napari_tessera.napari_plugin.layers.images import full_resolution
from napari_tessera.napari_plugin.layers.notes import taken_unasked
from napari_tessera.napari_plugin.recipes.recording_layers import made_by_hand, remembered, was_edited
from napari_tessera.pipeline.recipes.recipe_files import save_recipe
from napari_tessera.pipeline.recipes.recording import merge

_FILES = "Recipes (*.yaml *.yml)"
_LONGEST_NAME = 80


class RecipeBar(QWidget):
    """Two buttons.

    Signals
    -------
    replay_wanted(Path)
        The person has chosen a recipe.
    said(str, bool)
        What has been done, or (True) why it could not be done.

    Parameters
    ----------
    chosen
        Returns the layer that a recipe is applied to if none that will do is selected.
    """

    replay_wanted = Signal(object)
    said = Signal(str, bool)

    def __init__(self, viewer: ViewerModel, home: Home, chosen: Callable[[], Layer | None]) -> None:
        super().__init__()
        self._viewer = viewer
        self._home = home
        self._chosen = chosen
        self._why_not_replay = ""
        self._followed: WeakSet[Layer] = WeakSet()
        self._saving: ThreadJob | None = None
        self.save_button = QPushButton("Save recipe …")
        self.save_button.clicked.connect(self._choose_where_to_save)
        self.replay_button = QPushButton("Replay …")
        self.replay_button.clicked.connect(self._choose_what_to_replay)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.save_button)
        layout.addWidget(self.replay_button)
        viewer.layers.selection.events.changed.connect(self.refresh)
        self.refresh()

    @property
    def layers(self) -> list[Layer]:
        """The selected layers that remember how they were made, in the order of the viewer."""
        selected = self._viewer.layers.selection
        return [layer for layer in self._viewer.layers if layer in selected and remembered(layer).recipe is not None]

    def refresh(self, _event: object = None) -> None:
        """Enable what applies and say why the rest does not."""
        names = " and ".join(repr(layer.name) for layer in self.layers)
        self.save_button.setEnabled(bool(names) and self._saving is None)
        if self._saving is not None:
            self.save_button.setToolTip("A recipe is being saved.")
        elif names:
            made = f"Save how {names} {'was' if len(self.layers) == 1 else 'were'} made"
            set_tooltip(self.save_button, f"{made}, to repeat it here or with `napari-tessera run`.")
        else:
            self.save_button.setToolTip("Select a layer that was made here, or several: their recipe is what is saved.")
        layer = replay_layer(self._viewer, self._chosen())
        self.replay_button.setEnabled(not self._why_not_replay and layer is not None)
        why = "is selected" if layer is self._viewer.layers.selection.active else "is chosen above"
        name = f"{layer.name!r}" if layer is not None else ""
        set_tooltip(self.replay_button, self._why_not_replay or f"Apply a saved recipe to {name}, which {why}.")

    def set_why_not_replay(self, why_not: str) -> None:
        """Disable replaying and say why; with an empty text, enable it."""
        self._why_not_replay = why_not
        self.refresh()

    def follow(self, layer: Layer) -> None:
        """Keep up with what is undone in `layer`: it may be what another recipe made then."""
        if layer not in self._followed:
            self._followed.add(layer)
            layer.events.set_data.connect(self.refresh, position="last")

    def save(self, layers: Iterable[Layer], path: Path) -> None:
        """Write one recipe of `layers`, and beside it what was made by hand; how that ended is said, later."""
        if self._saving is not None:
            return
        layers = list(layers)
        try:
            recipe = recipe_of(layers)
        except TesseraError as error:
            self.said.emit(str(error), True)
            return
        path = path if path.suffix in (".yaml", ".yml") else path.with_name(f"{path.name}.yaml")
        folder = self._home.folder / "arrays"
        contents = [(layer.name, full_resolution(layer), remembered(layer)) for layer in layers]
        edited: list[str] = []

        def write(_cancel: CancelToken) -> Job:
            save_recipe(recipe, path, made_by_hand(recipe, folder), overwrite=True)
            edited.extend(name for name, data, known in contents if was_edited(data, known))
            yield Result()

        self._saving = ThreadJob(write, self)  # what was made by hand may be large
        self._saving.ended.connect(lambda state, message: self._saved(state, message, path, edited))
        self._saving.start()
        self.refresh()

    def _saved(self, state: str, message: str, path: Path, edited: list[str]) -> None:
        self._saving = None
        text = f"Saved: {path}"
        if edited:
            names = " and ".join(map(repr, edited))
            text += f". {names} was changed by hand since: the recipe makes it as it was before."
        self.said.emit(text if state == "done" else message, state != "done")
        self.refresh()

    def disconnect_viewer(self) -> None:
        """Stop listening to the viewer; to be called before the widget goes."""
        self._viewer.layers.selection.events.changed.disconnect(self.refresh)
        for layer in self._followed:
            layer.events.set_data.disconnect(self.refresh)

    def _choose_where_to_save(self) -> None:
        layers = self.layers
        if not layers:
            return
        suggested = str(Path.home() / f"{file_name(layers[-1].name)}.yaml")
        path, _ = QFileDialog.getSaveFileName(self, "Save recipe", suggested, _FILES)
        if path:
            self.save(layers, Path(path))

    def _choose_what_to_replay(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Replay a recipe", str(Path.home()), _FILES)
        if path:
            self.replay_wanted.emit(Path(path))


def replay_layer(viewer: ViewerModel, chosen: Layer | None) -> Layer | None:
    """Return what a recipe is applied to: the selected image or labels, or else the `chosen` layer."""
    active = viewer.layers.selection.active
    return active if isinstance(active, Image | Labels) and taken_unasked(active) else chosen


def recipe_of(layers: Iterable[Layer]) -> Recipe:
    """Return how `layers` were made: one recipe, of several layers with an output for each, called as the layer is.

    Raises
    ------
    InvalidInputError
        If none of them remembers.
    """
    found = [(layer.name, recipe) for layer in layers if (recipe := remembered(layer).recipe) is not None]
    if len(found) == 1:
        return found[0][1]
    recipes: dict[str, Recipe] = {}
    for name, recipe in found:
        short = name[:_LONGEST_NAME]  # outputs have a longest name, and two layers may be called the same
        number = 1
        while (output := short if number == 1 else f"{short} {number}") in recipes:
            number += 1
        recipes[output] = recipe
    return merge(recipes)

"""Replay: a saved recipe on the chosen layer, with the result that it had when it was recorded."""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Labels, Layer
from numpy.typing import NDArray

from napari_tessera.config.recipe import Recipe
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSink, ImageSpec
from napari_tessera.core.jobs import CancelToken, Job, Result
from napari_tessera.core.paths import expand_home
from napari_tessera.io.arrays import ArraySource, MemorySink
from napari_tessera.io.creating import create_image
from napari_tessera.napari_plugin.home import Home
from napari_tessera.napari_plugin.jobs.inputs import small_enough, write_input
from napari_tessera.napari_plugin.layers.images import LayerImage, axes_like, layer_image, possible_axes
from napari_tessera.napari_plugin.layers.lazy import LARGE
from napari_tessera.napari_plugin.layers.notes import is_preview
from napari_tessera.napari_plugin.layers.results import Finished, arranged, opened, own_copy, to_layer
from napari_tessera.napari_plugin.recipes.recording_layers import Recorder, hash_positions, result_metadata
from napari_tessera.pipeline.positions import read_array
from napari_tessera.pipeline.recipes.identity import identify_image, read_identified
from napari_tessera.pipeline.recipes.recipe_files import arrays_folder
from napari_tessera.pipeline.recipes.recipes import CheckedRecipe, RecipeRun, check_recipe
from napari_tessera.pipeline.requests import InputFile, RecipeRequest
from napari_tessera.pipeline.results import RecipeResult

_UNNAMED = ("image", "labels", "points")
"""What outputs are called to which nobody has given a name."""


def replay_on(path: Path, layers: Sequence[tuple[Layer, str | None]], others: list[Layer], home: Home) -> "Replay":
    """Return the replay of a recipe on the first of `layers`, each with its axes, that is what the recipe works on.

    Raises
    ------
    TesseraError
        If the recipe cannot be read or run here, works on none of them, or needs an image that is not open.
    """
    on_labels = works_on_labels(check_recipe(Recipe.load(expand_home(path))))
    for layer, axes in layers:
        if isinstance(layer, Labels) == on_labels:
            return Replay(path, layer, axes or possible_axes(layer)[0], others, home)
    what = "labels: select a Labels layer" if on_labels else "an image: select an image layer"
    raise InvalidInputError(f"The recipe {path.name} works on {what}.")


def works_on_labels(checked: CheckedRecipe) -> bool:
    """Return whether what takes the place of the first input of a recipe must be labels."""
    kinds = {
        declared.kind
        for step in checked.steps
        for declared in checked.operations[step.id].inputs
        if step.inputs.get(declared.name) == checked.image
    }
    return bool(kinds) and kinds <= {"labels", "seeds"}


@dataclass
class Replay:
    """A recipe file on one layer; made in the GUI thread, run in another or by the worker.

    Attributes
    ----------
    path
        The recipe.
    layer, axes
        What takes the place of its first input, and what its dimensions are.
    others
        Layers of the viewer, from which further inputs are taken by name.

    Raises
    ------
    TesseraError
        If the recipe cannot be read or run here, or needs an image that is not open.
    """

    path: Path
    layer: Layer
    axes: str
    others: list[Layer]
    home: Home
    _image: LayerImage = field(init=False)
    _given: dict[str, LayerImage] = field(init=False)
    _checked: CheckedRecipe = field(init=False)
    _written: dict[str, Path] = field(init=False, default_factory=dict)
    _finished: list[tuple[str, Finished]] = field(init=False, default_factory=list)
    _scratch: Path | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.path = expand_home(self.path)
        recipe = Recipe.load(self.path)
        self._checked = check_recipe(recipe)
        self._image = layer_image(self.layer, self.axes)
        self._given = {
            name: self._image if name == self._checked.image else self._named(name) for name in recipe.inputs
        }

    def _named(self, name: str) -> LayerImage:
        wanted = self._checked.recipe.inputs[name].name
        for layer in self.others:
            if layer.name == wanted and layer is not self.layer and not is_preview(layer):
                return layer_image(layer, axes_like(layer, self.layer, self.axes))
        raise InvalidInputError(f"The recipe needs a second image: open it, and call its layer {wanted!r}.")

    @property
    def in_memory(self) -> bool:
        """Whether its images are small enough for it to be done at once."""
        return small_enough(self._given.values())

    @property
    def name(self) -> str:
        """What it is called in front of a person."""
        return f"{self.layer.name} · {self.path.stem}"

    def run(self, cancel: CancelToken) -> Job:
        """Do it here; yields events.

        Raises
        ------
        TesseraError
            If it cannot be done, or is cancelled.
        """
        sinks: dict[str, MemorySink | Path] = {}

        def open_output(name: str, spec: ImageSpec) -> ImageSink:
            if math.prod(spec.shape) * spec.dtype.itemsize <= LARGE:
                sink = sinks[name] = MemorySink(spec)
                return sink
            path = sinks[name] = self.home.prediction_path(f"{self.layer.name} · {name}", ".ome.zarr")
            return create_image(path, spec)

        run = RecipeRun(self._checked, self._sources(), self._keep_arrays(cancel), open_output, cancel)
        yield from run.events()
        images = [image.array for image in self._given.values()]
        for name in self._checked.recipe.outputs:
            if name in run.points:
                found = Finished(run.points[name], None)
            elif isinstance(sink := sinks[name], MemorySink):
                found = Finished(own_copy(sink.array, *images), sink.spec)
            else:
                found = opened(sink, Finished(None, None))
            self._finish(name, found, cancel)
        yield Result()

    def __call__(self, cancel: CancelToken) -> RecipeRequest:
        """Bring the images to where the worker can read them, and return its request; called in a thread.

        Raises
        ------
        TesseraError
            If data that belong to the recipe are missing, or `cancel` is set.
        """
        self._scratch = self.home.make_scratch()
        try:
            self._keep_arrays(cancel)
            return self._request(self._scratch, cancel)
        except BaseException:
            self.clean()
            raise

    def _request(self, folder: Path, cancel: CancelToken) -> RecipeRequest:
        first = self._checked.image
        kinds = [self._checked.kind_of(name) for name in self._checked.recipe.outputs]
        suffix = (".npy" if kinds[0] == "points" else ".ome.zarr") if len(kinds) == 1 else ""  # several: a folder
        inputs: dict[str, InputFile | Path] = {
            name: write_input(image, folder / f"input_{number}", cancel)
            for number, (name, image) in enumerate(self._given.items())
            if name != first
        }
        return RecipeRequest(
            recipe=self.path.absolute(),
            image=write_input(self._image, folder / "image", cancel),
            inputs=inputs,
            out=self.home.prediction_path(f"{self.layer.name} · replay", suffix),
        )

    def take(self, result: Result) -> None:
        """Note where the worker has put the results."""
        if isinstance(result, RecipeResult):
            self._written = {entry.output: entry.out for entry in result.outputs}

    def collect(self, cancel: CancelToken) -> Job:
        """Read what the worker has written, and hash what may be edited; yields events, to be run in a thread.

        Raises
        ------
        TesseraError
            If it cannot be read, or reading is cancelled.
        """
        for name, path in self._written.items():
            points = self._checked.kind_of(name) == "points"
            found = Finished(read_array(path), None) if points else opened(path, Finished(None, None))
            self._finish(name, found, cancel)
        yield Result()

    def clean(self) -> None:
        """Remove the scratch files."""
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def results(self) -> list[Layer]:
        """Return the results as layers, without points of which there are none; to be called in the GUI thread."""
        layers = []
        for output, finished in self._finished:
            if finished.spec is None and len(finished.data) == 0:
                continue
            operation = self._checked.operations[self._checked.recipe.outputs[output]]
            named = operation.title if output in _UNNAMED else output.replace("_", " ")
            name = f"{self.layer.name} · {named}"
            layers.append(to_layer(finished, operation, self.layer, self._image.spec, name))
        return layers

    def _sources(self) -> Mapping[str, ArraySource]:
        return {name: ArraySource(image.array, image.spec) for name, image in self._given.items()}

    def _keep_arrays(self, cancel: CancelToken) -> dict[str, NDArray[Any]]:
        """Read what was made by hand and lies beside the recipe, and keep it for recipes of what is made from it.

        To be called in a thread, for it may be large.
        """
        recipe, folder = self._checked.recipe, arrays_folder(self.path)
        used, recorder = recipe.used(), Recorder(self.home.folder / "arrays", cancel)
        needed = {name: identity for name, identity in recipe.arrays.items() if name in used}
        arrays = {name: read_identified(folder / f"{one.sha256}.npy", one) for name, one in needed.items()}
        for name, array in arrays.items():
            recorder.keep(array, needed[name].axes)
        return arrays

    def _finish(self, name: str, found: Finished, cancel: CancelToken) -> None:
        """Keep a result as it will be shown, with what its layer is to remember."""
        found = arranged(found, self.layer, self._image.spec)
        sha256 = None
        if found.spec is None:
            sha256 = hash_positions(found.data)
        elif isinstance(found.data, np.ndarray):
            recorder = Recorder(self.home.folder / "arrays", cancel)
            sha256 = recorder.hash(ArraySource(found.data, found.spec))
        metadata = result_metadata(self._recipe_of(name, cancel), sha256, found.data)
        self._finished.append((name, replace(found, metadata=metadata)))

    def _recipe_of(self, output: str, cancel: CancelToken) -> Recipe:
        """Return how one output was made here: the recipe with the images that it was run on."""
        recipe = self._checked.recipe
        inputs = {name: identify_image(source, cancel=cancel) for name, source in self._sources().items()}
        here = Recipe.parse({**dict(recipe), "inputs": inputs})
        return here.with_outputs({output: recipe.outputs[output]})

"""Replay: a saved recipe on the chosen layer, with the result that it had when it was recorded."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_tessera.config.recipe import Recipe
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSink, ImageSpec
from napari_tessera.core.jobs import CancelToken, Job, Result
from napari_tessera.io.arrays import ArraySource
from napari_tessera.io.creating import create_image
from napari_tessera.napari_plugin.filtering.operation_inputs import axes_like
from napari_tessera.napari_plugin.filtering.results import Finished, opened, own_copy, to_layer
from napari_tessera.napari_plugin.layers import LayerImage, layer_image
from napari_tessera.napari_plugin.prediction.prediction_inputs import LARGE
from napari_tessera.napari_plugin.recipes.recording_layers import Recorder, hash_positions, result_metadata
from napari_tessera.napari_plugin.session import Session
from napari_tessera.pipeline.identity import identify_image, read_identified
from napari_tessera.pipeline.recipe_files import arrays_folder
from napari_tessera.pipeline.recipes import CheckedRecipe, RecipeRun, check_recipe
from napari_tessera.pipeline.sinks import ResultSink


@dataclass
class Replay:
    """A recipe file on one layer; made in the GUI thread, run in another.

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
    session: Session
    _image: LayerImage = field(init=False)
    _given: dict[str, ArraySource] = field(init=False)
    _checked: CheckedRecipe = field(init=False)
    _finished: list[tuple[str, Finished]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        recipe = Recipe.load(self.path)
        self._checked = check_recipe(recipe)
        self._image = layer_image(self.layer, self.axes)
        self._given = {
            name: ArraySource(self._image.array, self._image.spec) if name == self._checked.image else self._named(name)
            for name in recipe.inputs
        }

    def _named(self, name: str) -> ArraySource:
        wanted = self._checked.recipe.inputs[name].name
        for layer in self.others:
            if layer.name == wanted and layer is not self.layer:
                found = layer_image(layer, axes_like(layer, self.layer, self.axes))
                return ArraySource(found.array, found.spec)
        raise InvalidInputError(f"The recipe needs a second image: open it, and call its layer {wanted!r}.")

    def run(self, cancel: CancelToken) -> Job:
        """Do it; yields events.

        Raises
        ------
        TesseraError
            If it cannot be done, or is cancelled.
        """
        sinks: dict[str, ResultSink | Path] = {}
        specs: dict[str, ImageSpec] = {}

        def open_output(name: str, spec: ImageSpec) -> ImageSink:
            specs[name] = spec
            if math.prod(spec.shape) * spec.dtype.itemsize <= LARGE:
                sink = sinks[name] = ResultSink(spec)
                return sink
            path = sinks[name] = self.session.prediction_path(f"{self.layer.name} · {name}", ".ome.zarr")
            return create_image(path, spec)

        recipe, arrays = self._checked.recipe, self._read_arrays()
        run = RecipeRun(self._checked, self._given, arrays, open_output, cancel)
        yield from run.events()
        recorder = Recorder(self.session.folder / "arrays", cancel)
        for array in arrays.values():
            recorder.keep(array)
        images = [source.array for source in self._given.values()]
        for name in recipe.outputs:
            here = self._recipe_of(name, cancel)
            if name in run.points:
                self._finished.append((name, self._points(run.points[name], here)))
                continue
            sink, spec = sinks[name], specs[name]
            data = own_copy(sink.array, *images) if isinstance(sink, ResultSink) else None
            sha256 = recorder.hash(ArraySource(data, spec)) if data is not None else None
            finished = Finished(data, spec)
            if not isinstance(sink, ResultSink):
                finished = opened(sink, finished)
                if isinstance(finished.data, np.ndarray):
                    sha256 = recorder.hash(ArraySource(finished.data, spec))
            metadata = result_metadata(here, sha256, finished.data)
            self._finished.append((name, replace(finished, metadata=metadata)))
        yield Result({})

    def _read_arrays(self) -> dict[str, NDArray[Any]]:
        """Read what was made by hand and lies beside the recipe; in the thread, for it may be large."""
        recipe, folder = self._checked.recipe, arrays_folder(self.path.expanduser())
        used = recipe.used()
        needed = {name: identity for name, identity in recipe.arrays.items() if name in used}
        return {name: read_identified(folder / f"{one.sha256}.npy", one) for name, one in needed.items()}

    @staticmethod
    def _points(points: NDArray[Any], recipe: Recipe) -> Finished:
        return Finished(points, None, result_metadata(recipe, hash_positions(points)))

    def results(self) -> list[Layer]:
        """Return the results as layers; to be called in the GUI thread."""
        layers = []
        for output, finished in self._finished:
            operation = self._checked.operations[self._checked.recipe.outputs[output]]
            name = f"{self.layer.name} · {operation.title}"
            layers.append(to_layer(finished, operation, self.layer, self._image.spec, name))
        return layers

    def _recipe_of(self, output: str, cancel: CancelToken) -> Recipe:
        """Return how one output was made here: the recipe with the images that it was run on."""
        recipe = self._checked.recipe
        inputs = {name: identify_image(source, cancel=cancel) for name, source in self._given.items()}
        here = Recipe.parse({**dict(recipe), "inputs": inputs})
        return here.with_outputs({output: recipe.outputs[output]})

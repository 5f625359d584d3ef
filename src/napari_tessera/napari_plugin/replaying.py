"""Replay: a saved recipe on the chosen layer, with the result that it had when it was recorded."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari.layers import Layer
from numpy.typing import NDArray

from napari_tessera.config.recipe import Recipe
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSink, ImageSpec
from napari_tessera.core.jobs import CancelToken, Job, Result
from napari_tessera.io.arrays import ArraySource
from napari_tessera.io.creating import create_image
from napari_tessera.napari_plugin.layers import LayerImage, layer_image
from napari_tessera.napari_plugin.operation_inputs import axes_like
from napari_tessera.napari_plugin.prediction_inputs import LARGE
from napari_tessera.napari_plugin.recording_layers import Recorder, result_metadata
from napari_tessera.napari_plugin.results import Finished, opened, own_copy, to_layer
from napari_tessera.napari_plugin.session import Session
from napari_tessera.pipeline.identity import identify_image
from napari_tessera.pipeline.recipe_files import load_recipe
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
    _arrays: Mapping[str, NDArray[Any]] = field(init=False)
    _finished: list[tuple[str, Finished]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        recipe, self._arrays = load_recipe(self.path)
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

        run = RecipeRun(self._checked, self._given, self._arrays, open_output, cancel)
        yield from run.events()
        recorder = Recorder(self.session.folder / "arrays", cancel)
        for array in self._arrays.values():
            recorder.keep(array)
        images = [source.array for source in self._given.values()]
        for name in self._checked.recipe.outputs:
            recipe = self._recipe_of(name, cancel)
            if name in run.points:
                self._finished.append((name, Finished(run.points[name], None, result_metadata(recipe, None))))
                continue
            sink, spec = sinks[name], specs[name]
            data = own_copy(sink.array, *images) if isinstance(sink, ResultSink) else None
            sha256 = recorder.hash(ArraySource(data, spec)) if data is not None else None
            finished = Finished(data, spec, result_metadata(recipe, sha256))
            self._finished.append((name, finished if isinstance(sink, ResultSink) else opened(sink, finished)))
        yield Result({})

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

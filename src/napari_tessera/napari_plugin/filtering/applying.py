"""From what is chosen in the Filter widget to a layer: in a thread for what lies in memory, in the worker otherwise."""

import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Labels, Layer

from napari_tessera.config.recipe import Recipe
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.jobs import CancelToken, Job, Result
from napari_tessera.core.regions import Region
from napari_tessera.io.arrays import ArraySource, MemorySink
from napari_tessera.napari_plugin.filtering.operation_inputs import Given, gather
from napari_tessera.napari_plugin.filtering.writing_into import changed_box, write_result
from napari_tessera.napari_plugin.home import Home
from napari_tessera.napari_plugin.jobs.inputs import small_enough, write_input
from napari_tessera.napari_plugin.layers.images import LayerImage, layer_image
from napari_tessera.napari_plugin.layers.results import Finished, arranged, opened, own_copy, to_layer
from napari_tessera.napari_plugin.recipes.recording_layers import (
    Recorder,
    Remembered,
    hash_positions,
    remembered,
    result_metadata,
)
from napari_tessera.operations.base import Operation
from napari_tessera.pipeline.applying.applying import apply_into
from napari_tessera.pipeline.applying.frames import make_frames
from napari_tessera.pipeline.applying.inputs import OperationInput, gather_inputs
from napari_tessera.pipeline.positions import read_array
from napari_tessera.pipeline.requests import ApplyRequest, InputFile
from napari_tessera.pipeline.results import PointsResult


@dataclass
class Application:
    """One operation on one layer; made in the GUI thread, run in another.

    Attributes
    ----------
    operation
        With its parameters.
    layer, axes
        The image and what its dimensions are.
    layers
        The further inputs by name.
    into
        The Labels layer that the result is to be written into; None for a layer of its own.
    """

    operation: Operation
    layer: Layer
    axes: str
    layers: Mapping[str, Layer]
    home: Home
    into: Labels | None = None
    recipe: Recipe | None = field(init=False, default=None)
    out: Path | None = field(init=False, default=None)
    _image: LayerImage = field(init=False)
    _given: Given = field(init=False)
    _known: dict[str, Remembered] = field(init=False)
    _data: Any = field(init=False, default=None)
    _spec: ImageSpec | None = field(init=False, default=None)
    _sha256: str | None = field(init=False, default=None)
    _scratch: Path | None = field(init=False, default=None)
    _box: Region | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._image = layer_image(self.layer, self.axes)
        self._given = gather(self.layers, self.operation, self.layer, self.axes, None)
        first = self.operation.inputs[0].name
        self._known = {name: remembered(layer) for name, layer in {first: self.layer, **self.layers}.items()}
        make_frames(self.operation, gather_inputs(self.operation, self._inputs()))  # refused now rather than later

    @property
    def name(self) -> str:
        """What the result is called in front of a person."""
        return f"{self.layer.name} · {self.operation.title}"

    @property
    def in_memory(self) -> bool:
        """Whether it is small enough to be done at once."""
        given = [source for source in self._given.sources.values() if isinstance(source, ArraySource)]
        return small_enough([self._image, *(LayerImage(source.array, source.spec) for source in given)])

    def run(self, cancel: CancelToken) -> Job:
        """Do it here; yields events.

        Raises
        ------
        TesseraError
            If it cannot be done, or is cancelled.
        """
        inputs = self._inputs()
        sinks: list[MemorySink] = []

        def open_sink(spec: ImageSpec) -> MemorySink:
            sinks.append(MemorySink(spec))
            return sinks[0]

        result: Result | None = None
        with closing(apply_into(self.operation, inputs, open_sink, cancel)) as events:
            for event in events:
                if isinstance(event, Result):
                    result = event
                else:
                    yield event
        recorder = Recorder(self.home.folder / "arrays", cancel)
        if sinks:
            arrays = (getattr(one, "array", one) for one in inputs.values())
            self._take(Finished(own_copy(sinks[0].array, *arrays), sinks[0].spec), recorder)
        elif isinstance(result, PointsResult):
            self._data = result.found
            self._sha256 = hash_positions(self._data)
        self._write_down(recorder)
        yield Result()

    def __call__(self, cancel: CancelToken) -> ApplyRequest:
        """Bring the inputs to where the worker can read them, and return its request; called in a thread.

        Raises
        ------
        JobCancelledError
            If `cancel` is set.
        """
        self._scratch = self.home.make_scratch()
        try:
            self._write_down(Recorder(self.home.folder / "arrays", cancel))
            return self._request(self._scratch, cancel)
        except BaseException:
            self.clean()
            raise

    def _request(self, folder: Path, cancel: CancelToken) -> ApplyRequest:
        suffix = ".npy" if self.operation.output == "points" else ".ome.zarr"
        self.out = self.home.prediction_path(self.name, suffix)
        inputs: dict[str, InputFile | Path] = {
            self.operation.inputs[0].name: write_input(self._image, folder / "image", cancel)
        }
        for name, source in self._given.sources.items():
            assert isinstance(source, ArraySource)
            inputs[name] = write_input(LayerImage(source.array, source.spec), folder / name, cancel)
        for name, array in self._given.arrays.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
            inputs[name] = folder / f"{name}.npy"
        parameters = self.operation.model_dump(mode="json")
        return ApplyRequest(operation=self.operation.name(), parameters=parameters, inputs=inputs, out=self.out)

    def collect(self, cancel: CancelToken) -> Job:
        """Read what the worker has written, and hash what may be edited; yields events, to be run in a thread.

        Raises
        ------
        TesseraError
            If it cannot be read, or reading is cancelled.
        """
        assert self.out is not None
        if self.operation.output == "points":
            self._data = read_array(self.out)
            self._sha256 = hash_positions(self._data)
        else:
            self._take(
                opened(self.out, Finished(None, None), whole=self.into is not None),
                Recorder(self.home.folder / "arrays", cancel),
            )
        yield Result()

    def _take(self, finished: Finished, recorder: Recorder) -> None:
        """Keep an image or labels as they will be shown, with their hash if they lie in memory."""
        finished = arranged(finished, self.layer, self._image.spec)
        self._data, self._spec = finished.data, finished.spec
        if isinstance(self._data, np.ndarray) and self._spec is not None:
            self._sha256 = recorder.hash(ArraySource(self._data, self._spec))
            if self.into is not None and self._data.shape == self.into.data.shape:
                self._box = changed_box(np.asarray(self.into.data), self._data)

    def clean(self) -> None:
        """Remove the scratch files."""
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def results(self) -> list[Layer]:
        """Return the result as a layer that lies where it belongs, if there is any; to be called in the GUI thread."""
        if self.operation.output == "points" and len(self._data) == 0:
            return []
        finished = Finished(self._data, self._spec, self._metadata())
        return [to_layer(finished, self.operation, self.layer, self._image.spec, self.name)]

    def write(self) -> bool:
        """Write the result into the layer that it is for, and return whether that changed; in the GUI thread.

        Raises
        ------
        InvalidInputError
            If the layer cannot take it any more.
        """
        assert self.into is not None
        if self._data.shape != self.into.data.shape:
            raise InvalidInputError(f"{self.into.name!r} has another shape than the result: choose a new layer for it.")
        return write_result(self.into, self._data, self._box, self._metadata())

    def take(self, result: Result) -> None:
        """Take what the worker says at the end; nothing that is not known."""

    def _metadata(self) -> dict[str, Any]:
        assert self.recipe is not None
        return result_metadata(self.recipe, self._sha256, self._data)

    def _write_down(self, recorder: Recorder) -> None:
        first = self.operation.inputs[0].name
        sources = {first: ArraySource(self._image.array, self._image.spec), **self._given.sources}
        self.recipe = recorder.record(self.operation, sources, self._given.arrays, self._known)

    def _inputs(self) -> dict[str, OperationInput]:
        image = ArraySource(self._image.array, self._image.spec)
        return {self.operation.inputs[0].name: image, **self._given.sources, **self._given.arrays}

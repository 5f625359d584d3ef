"""From what is chosen in the Predict widget to the request for the worker, and from its result to layers."""

import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from napari.layers import Layer

from napari_tessera.config.model import ModelSpec
from napari_tessera.config.prediction import PredictionConfig
from napari_tessera.core.errors import TesseraError
from napari_tessera.core.jobs import CancelToken
from napari_tessera.io.arrays import ArraySource, unwrapped
from napari_tessera.io.opening import open_image
from napari_tessera.io.partial import partial_of
from napari_tessera.napari_plugin.home import Home
from napari_tessera.napari_plugin.jobs.inputs import write_input
from napari_tessera.napari_plugin.layers.images import (
    LayerImage,
    labels_layer,
    layer_image,
    placement,
    probability_layers,
)
from napari_tessera.napari_plugin.layers.lazy import LARGE
from napari_tessera.napari_plugin.shown_text import shown_name
from napari_tessera.pipeline.requests import PredictRequest

Output = Literal["labels", "probabilities"]


@dataclass
class PredictionInputs:
    """Called in a thread, writes the image to a scratch file and returns the request.

    Attributes
    ----------
    layer, axes
        The image layer and what its dimensions are.
    model, spec
        The model folder and its header.
    """

    layer: Layer
    axes: str
    model: Path
    spec: ModelSpec
    config: PredictionConfig
    home: Home
    out: Path = field(init=False)
    _image: LayerImage = field(init=False)
    _placed: dict[str, Any] = field(init=False)
    _scratch: Path | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._image = layer_image(self.layer, self.axes)
        self._placed = placement(self.layer, self.axes)
        kind = "" if self.config.output == "labels" else " · probabilities"
        # a zarr, because of one that is interrupted the finished tiles stay
        self.out = self.home.prediction_path(f"{self.name}{kind}", ".ome.zarr")

    @property
    def name(self) -> str:
        """What the result is called in front of a person."""
        return f"{self.layer.name} · {shown_name(self.spec.name)}"

    def __call__(self, cancel: CancelToken) -> PredictRequest:
        """Write the image and return the request.

        Raises
        ------
        JobCancelledError
            If `cancel` is set.
        """
        self._scratch = self.home.make_scratch()
        try:
            image = write_input(self._image, self._scratch / "image", cancel)
        except BaseException:
            self.clean()
            raise
        return PredictRequest(model=self.model, image=image, out=self.out, config=self.config)

    def clean(self) -> None:
        """Remove the scratch files."""
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def result_layers(self) -> list[Layer]:
        """Return the result as layers that lie where the image does."""
        return self._layers(self.out, self.name)

    def finished_part(self, ending: str) -> list[Layer]:
        """Return the tiles that an interrupted prediction has finished as layers, 0 elsewhere; empty if there is none.

        What has been read into memory is removed from the disk.

        Parameters
        ----------
        ending
            What the names of the layers end with, for example ``cancelled``.
        """
        partial = partial_of(self.out)
        try:
            layers = self._layers(partial, f"{self.name} · {ending}") if _has_chunks(partial) else []
        except TesseraError:  # a chunk was being written when the process was killed
            layers = []
        if all(isinstance(layer.data, np.ndarray) for layer in layers):
            shutil.rmtree(partial, ignore_errors=True)
        return layers

    def _layers(self, path: Path, name: str) -> list[Layer]:
        metadata = {
            "role": "prediction",
            "image": self.layer.name,
            "model": str(self.model),
            "path": str(path),
        }
        axes = self._image.spec.without("c").axes
        if self.config.output == "labels":
            return [labels_layer(open_result(path, axes), self._placed, self.spec.classes, name, metadata)]
        data = open_result(path, f"c{axes}")
        return list(probability_layers(data, self._placed, self.spec.classes, name, metadata))


def open_result(path: Path, axes: str) -> Any:
    """Return what a prediction wrote, its dimensions in the order of `axes`.

    A small result comes as a numpy array that can be painted in, one of more than `LARGE` bytes as a dask array.

    Raises
    ------
    StorageError
        If it is damaged.
    """
    source = open_image(path)
    spec = source.spec
    order = [spec.axes.index(axis) for axis in axes]
    if math.prod(spec.shape) * spec.dtype.itemsize <= LARGE:
        return np.ascontiguousarray(source.read(spec.full_region).transpose(order))
    stored = unwrapped(source)
    assert isinstance(stored, ArraySource)
    import dask.array  # takes as long to import as all else that a widget needs

    return dask.array.from_zarr(stored.array).transpose(order)


def _has_chunks(store: Path) -> bool:
    """Return whether any tile has been written into the OME-Zarr `store`."""
    array = store / "0"
    return array.is_dir() and any(path.is_dir() or path.name[0].isdigit() for path in array.iterdir())

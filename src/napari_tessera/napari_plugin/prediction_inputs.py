"""From what is chosen in the Predict widget to the request for the worker, and from its result to layers."""

import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import dask.array
import numpy as np
from napari.layers import Layer

from napari_tessera.config.model import ModelSpec
from napari_tessera.config.prediction import PredictionConfig
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.jobs import CancelToken
from napari_tessera.io.arrays import ArraySource, RespecifiedSource
from napari_tessera.io.opening import image_levels, open_image
from napari_tessera.napari_plugin.inputs import write_input
from napari_tessera.napari_plugin.layers import (
    LayerImage,
    labels_layer,
    layer_image,
    placement,
    probability_layers,
)
from napari_tessera.napari_plugin.session import Session
from napari_tessera.pipeline.requests import PredictRequest

LARGE = 2**29
"""Results of more bytes than this go into a chunked zarr store that napari reads piece by piece."""

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
    session: Session
    out: Path = field(init=False)
    _image: LayerImage = field(init=False)
    _placed: dict[str, Any] = field(init=False)
    _scratch: Path | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._image = layer_image(self.layer, self.axes)
        self._placed = placement(self.layer, self.axes)
        suffix = ".ome.zarr" if self._result_bytes() > LARGE else ".npy"
        kind = "" if self.config.output == "labels" else " · probabilities"
        self.out = self.session.prediction_path(f"{self.name}{kind}", suffix)

    @property
    def name(self) -> str:
        """What the result is called in front of a person."""
        return f"{self.layer.name} · {self.spec.name}"

    def __call__(self, cancel: CancelToken) -> PredictRequest:
        """Write the image and return the request.

        Raises
        ------
        JobCancelledError
            If `cancel` is set.
        """
        self._scratch = self.session.make_scratch()
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
        metadata = {"role": "prediction", "model": str(self.model), "path": str(self.out)}
        data = open_result(self.out)
        if self.config.output == "labels":
            return [labels_layer(data, self._placed, self.spec.classes, self.name, metadata)]
        return list(probability_layers(data, self._placed, self.spec.classes, self.name, metadata))

    def _result_bytes(self) -> int:
        spec: ImageSpec = self._image.spec.without("c")
        if self.config.output == "labels":
            return math.prod(spec.shape) * np.min_scalar_type(max(entry.id for entry in self.spec.classes)).itemsize
        return math.prod(spec.shape) * len(self.spec.classes) * np.dtype(self.config.probability_dtype).itemsize


def open_result(path: Path) -> Any:
    """Return what a prediction wrote: an array of its own that can be painted in, or one read piece by piece.

    A pyramid comes back as a list of levels.
    """
    if path.suffix == ".npy":
        # copy on write: nothing is read before it is shown, and what is painted stays in memory
        return np.load(path, mmap_mode="c", allow_pickle=False)
    levels = [_lazy(open_image(path, level=level)) for level in range(len(image_levels(path)))]
    return levels if len(levels) > 1 else levels[0]


def _lazy(source: Any) -> Any:
    while isinstance(source, RespecifiedSource):
        source = source.source
    assert isinstance(source, ArraySource)
    return dask.array.from_zarr(source.array)

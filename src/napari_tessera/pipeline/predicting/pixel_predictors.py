"""Whatever gives numbers to the pixels of an image: all that planning, prediction and previews know of a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from napari_tessera.config.model import ModelSpec
from napari_tessera.config.prediction import PredictionConfig
from napari_tessera.config.training import IntensityConfig
from napari_tessera.core.image import ImageSource
from napari_tessera.core.regions import Region
from napari_tessera.core.tiles import TileNeeds
from napari_tessera.nn.devices import choose_device
from napari_tessera.nn.model import Model
from napari_tessera.nn.needs import free_memory, tile_needs
from napari_tessera.nn.networks.base import Network
from napari_tessera.nn.networks.building import sketch_network
from napari_tessera.nn.predictor import Pending, Precision, Predictor
from napari_tessera.nn.priors import Offsets
from napari_tessera.nn.tasks.base import Output
from napari_tessera.nn.tasks.building import TASKS
from napari_tessera.pipeline.predicting.intensity import IntensityRange, fit_intensity

Context = Any
"""What the whole of an image decides, as its predictor found it: nobody else looks into it."""


class PixelPredictor(Protocol):
    """A function of the image that gives each pixel scores, be it a network or anything else.

    On tiles that meet `needs` it gives what it gives on the whole image. It is used in a ``with`` block.

    Attributes
    ----------
    needs
        What a tile must be: dimensions, halo and stride per axis, least size, memory.
    batch
        Most tiles that `submit` takes at once; smaller after memory ran out.
    edge
        Longest edge that is predicted in one piece, once a tile did not fit into memory; None before.
    """

    needs: TileNeeds
    batch: int
    edge: int | None

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def where(self) -> str:
        """The device, as it is told to a person."""
        ...

    @property
    def free_memory(self) -> int | None:
        """Free memory of the device in bytes; None where it cannot be known."""
        ...

    def prepare(self, survey: ImageSource) -> Context:
        """Find what the whole image decides, before it is cut into tiles.

        Raises
        ------
        ConstantImageError
            If there is nothing to see in it.
        """
        ...

    def pack(self, context: Context) -> Mapping[str, Any]:
        """Return a context as JSON-ready fields, for a run that goes on with this one."""
        ...

    def unpack(self, fields: Mapping[str, Any]) -> Context:
        """Return the context that `pack` was given."""
        ...

    def arrange(self, block: NDArray[Any], region: Region, context: Context) -> NDArray[np.float32]:
        """Bring a block of an image into the form that `submit` takes; called beside it, in another thread.

        Parameters
        ----------
        block
            Pixels as they stand in the image, (c, y, x) or (c, z, y, x).
        region
            Where they lie in the image: one slice per axis but ``c``.
        context
            What `prepare` found.
        """
        ...

    def submit(
        self, tiles: Sequence[NDArray[np.float32]], inner: Region | None = None, output: Output = "classes"
    ) -> list[Pending]:
        """Start predicting tiles of one shape, as arranged.

        Parameters
        ----------
        tiles
            Their first pixel lies at a multiple of the stride in the image.
        inner
            The part to return, starting at a multiple of the stride; everything if None.
        output
            What to return.

        Returns
        -------
        list of callables
            Each waits for the result of one tile: class indices (y, x), or probabilities (classes, y, x).
        """
        ...


class NetworkPredictor(Predictor):
    """A network and the intensities that it wants, as a `PixelPredictor`.

    Parameters
    ----------
    network, channels, precision, offsets, check
        As of `Predictor`.
    intensity
        Which percentiles of an image become 0 and 1.
    device
        Name of the device.
    task
        Name of the task, which says what becomes of scores.
    """

    def __init__(
        self,
        network: Network,
        *,
        channels: int,
        intensity: IntensityConfig,
        device: str,
        precision: Precision,
        task: str,
        offsets: Offsets = (),
        check: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(
            network,
            channels=channels,
            device=choose_device(device),
            precision=precision,
            encode=TASKS[task].encode,
            offsets=offsets,
            check=check,
        )
        self._intensity = intensity

    @property
    def where(self) -> str:
        """The device."""
        return str(self.device)

    @property
    def free_memory(self) -> int | None:
        """Free memory of a GPU in bytes; None on other devices."""
        return free_memory(self.device)

    def prepare(self, survey: ImageSource) -> IntensityRange:
        """Find the intensities that become 0 and 1, from the whole image; raises as `fit_intensity`."""
        return fit_intensity(survey, self._intensity)

    def pack(self, context: IntensityRange) -> dict[str, Any]:
        """Return the intensities as JSON-ready fields; of floats, all digits."""
        return asdict(context)

    def unpack(self, fields: Mapping[str, Any]) -> IntensityRange:
        """Return the intensities that `pack` was given."""
        return IntensityRange(**{name: tuple(values) for name, values in fields.items()})

    def arrange(self, block: NDArray[Any], region: Region, context: IntensityRange) -> NDArray[np.float32]:
        """Bring intensities to the range of the network; a network looks the same everywhere."""
        del region
        return np.ascontiguousarray(context.apply(block))


def make_predictor(model: Model, config: PredictionConfig, check: Callable[[], None]) -> PixelPredictor:
    """Return what predicts by `model`; `check` is called between layers and may raise to stop."""
    return NetworkPredictor(
        model.network,
        channels=model.spec.channels,
        intensity=model.spec.intensity,
        device=config.device,
        precision=config.precision,
        task=model.spec.task,
        offsets=model.spec.score_offsets,
        check=check,
    )


def foresee_needs(spec: ModelSpec, config: PredictionConfig) -> tuple[TileNeeds, str, int | None]:
    """Return the needs, the device and its free memory of a model by its header alone: no weights are read."""
    device = choose_device(config.device)
    network = sketch_network(spec.network, channels=spec.channels, outputs=spec.outputs)
    needs = tile_needs(network, channels=spec.channels, device=device, precision=config.precision)
    return needs, str(device), free_memory(device)

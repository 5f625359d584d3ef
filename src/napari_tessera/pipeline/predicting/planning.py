"""How an image is cut for prediction, worked out before anything is read, computed or written."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_tessera.config.model import ModelSpec, load_model_spec
from napari_tessera.config.prediction import PredictionConfig
from napari_tessera.core.errors import ModelError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.tiles import BlockGrid, Tile, TileNeeds, round_up
from napari_tessera.io.creating import check_output
from napari_tessera.io.places import check_apart, check_outside_model
from napari_tessera.io.write_units import shard_shape
from napari_tessera.nn.extents import grow, least_extents
from napari_tessera.pipeline.predicting.pixel_predictors import foresee_needs
from napari_tessera.pipeline.requests import PredictRequest

CHUNK = {2: {"y": 512, "x": 512}, 3: {"z": 32, "y": 128, "x": 128}}
"""Edges of chunks along axes that are longer than twice that, by the dimensions of a model.

They follow from image and model alone, so that a run may be gone on with where tiles are of another size.
"""

EDGE_STEP = {2: 256, 3: 64}
"""Automatic tiles that are smaller than a chunk have edges of a multiple of this."""

CPU_MEMORY = 2**30
GPU_MEMORY = 4 * 2**30
"""Memory that a tile may take, in bytes; on a GPU whose free memory is known, half of that."""

CPU_OVERHEAD = 1.25
GPU_OVERHEAD = 1.1
"""Pixels computed per pixel kept at which a tile is big enough; the rest is the halo."""

LONGEST_EDGE = 4096
LARGEST_BATCH = 8


@dataclass(frozen=True, kw_only=True)
class PredictionPlan:
    """Everything about a prediction but its pixels.

    Attributes
    ----------
    output
        Specification of the result.
    chunks
        Shape of a unit of storage; a tile consists of whole ones, or lies within one.
    grid
        The tiles, over the axes of the image without ``c``.
    convolved
        The axes that the model looks along at once; the others are looped over plane by plane.
    needs
        What the model asks of a tile.
    batch
        Tiles handed to the device at once.
    device
        Where it runs.
    memory
        Estimate of the memory that it takes beyond the programs themselves, in bytes.
    """

    output: ImageSpec
    chunks: tuple[int, ...]
    grid: BlockGrid
    axes: str
    convolved: str
    needs: TileNeeds
    batch: int
    device: str
    memory: int

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return len(self.grid)

    @property
    def tile(self) -> tuple[int, ...]:
        """Inner edge lengths along the convolved axes."""
        return tuple(self.grid.tile[self.axes.index(axis)] for axis in self.convolved)

    def __iter__(self) -> Iterator[Tile]:
        """Go through the tiles; those that read too little for exactness are made to read more."""
        lengths = tuple(self.grid.shape[self.axes.index(axis)] for axis in self.convolved)
        least = dict(zip(self.convolved, least_extents(lengths, self.needs.least_pixels), strict=True))
        extents = tuple(least.get(axis, 1) for axis in self.axes)
        for tile in self.grid:
            outer = tuple(
                grow((part,), (length,), (extent,), (alignment,))[0]
                for part, length, extent, alignment in zip(
                    tile.outer, self.grid.shape, extents, self.grid.alignment, strict=True
                )
            )
            yield replace(tile, outer=outer)

    def describe(self) -> dict[str, Any]:
        """Return the plan as JSON-ready fields."""
        return {
            "tiles": self.tiles,
            "tile": list(self.tile),
            "halo": _one_if_equal(self.needs.halo),
            "stride": _one_if_equal(self.needs.stride),
            "batch": self.batch,
            "device": self.device,
            "memory_bytes": self.memory,
            "output_axes": self.output.axes,
            "output_shape": list(self.output.shape),
            "output_dtype": str(self.output.dtype),
            "chunks": list(self.chunks),
        }


def plan_request(request: PredictRequest) -> PredictionPlan:
    """Plan what `request` asks for; reads headers only.

    Raises
    ------
    OutputExistsError, ModelError, MissingInputError, InvalidInputError
        As the job itself would.
    """
    check_apart(request.out, [request.image])
    check_output(request.out, request.overwrite, resumable=True)
    spec = load_model_spec(request.model)
    check_outside_model(request.out, request.model)
    image = request.image.open().spec
    check_image(spec, image)
    needs, device, memory = foresee_needs(spec, request.config)
    return plan_prediction(spec, needs, image, request.config, device, memory)


def check_image(spec: ModelSpec, image: ImageSpec) -> None:
    """Make sure that a model can be applied to an image.

    Raises
    ------
    ModelError
        If the number of channels differs, or the model is of three dimensions and the image is not.
    """
    if image.channels != spec.channels:
        raise ModelError(
            f"The model {spec.name!r} takes {_count(spec.channels)} but the image {image.name!r} has "
            f"{_count(image.channels)}: choose an image like those it was trained on, or name its axes."
        )
    if spec.network.dimensions == 3 and "z" not in image.axes:
        raise ModelError(
            f"The model {spec.name!r} takes volumes but the image {image.name!r} has no z axis: choose one."
        )


def _count(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"


def output_spec(spec: ModelSpec, image: ImageSpec, config: PredictionConfig) -> ImageSpec:
    """Return what a prediction writes: labels with the axes of `image` but ``c``, or probabilities with ``c`` first."""
    plain = replace(image.without("c"), channel_names=(), name=f"{image.name} · {config.output}")
    if config.output == "labels":
        return plain.with_dtype(np.min_scalar_type(max(entry.id for entry in spec.classes)))
    names = tuple(entry.name for entry in spec.classes)
    return replace(plain.with_leading("c", len(names), names).with_dtype(config.probability_dtype), name=plain.name)


def plan_prediction(
    spec: ModelSpec,
    needs: TileNeeds,
    image: ImageSpec,
    config: PredictionConfig,
    device: str,
    memory: int | None = None,
) -> PredictionPlan:
    """Choose tiles, batch and chunks.

    Parameters
    ----------
    spec, needs
        The model's header and what it asks of tiles.
    image
        The image to predict.
    config
        Its `tile` is rounded up to the stride, and down to whole chunks and what the image needs.
    device
        Where the network runs.
    memory
        Free memory of the device in bytes, or None where it is not known.
    """
    output = output_spec(spec, image, config)
    plain = image.without("c")
    convolved = "yx" if needs.dimensions == 2 else "zyx"
    budget = CPU_MEMORY if device == "cpu" else (memory // 2 if memory else GPU_MEMORY)
    longest = _longest_edge(needs, budget, CPU_OVERHEAD if device == "cpu" else GPU_OVERHEAD)
    halo, stride = (dict(zip(convolved, each, strict=True)) for each in (needs.halo, needs.stride))
    edges, plane = CHUNK[needs.dimensions], dict.fromkeys(plain.axes, 1)
    chunk = plane | {axis: _chunk(plain.sizes[axis], round_up(edges[axis], stride[axis])) for axis in convolved}
    lengths = plane | {
        axis: _tile_length(plain.sizes[axis], chunk[axis], config.tile, longest, stride[axis]) for axis in convolved
    }
    unit = [chunk[axis] for axis in plain.axes]
    block = unit if config.shard is None else shard_shape(plain.shape, unit, config.shard)
    grid = BlockGrid(
        plain.shape,
        tuple(max(lengths[axis], edge) for axis, edge in zip(plain.axes, block, strict=True)),
        tuple(lengths[axis] for axis in plain.axes),
        tuple(halo.get(axis, 0) for axis in plain.axes),
        tuple(stride.get(axis, 1) for axis in plain.axes),
    )
    read = math.prod(min(lengths[axis] + 2 * halo[axis], plain.sizes[axis]) for axis in convolved)
    read = max(read, min(needs.least_pixels, math.prod(plain.sizes[axis] for axis in convolved)))
    one = read * needs.bytes_per_pixel
    batch = 1 if device == "cpu" else max(1, min(budget // one, LARGEST_BATCH, len(grid)))
    # Beside the network: three batches read as float32, and three of results on their way to storage.
    written = math.prod(lengths[axis] for axis in convolved) * output.dtype.itemsize * output.channels
    return PredictionPlan(
        output=output,
        chunks=tuple(chunk.get(axis, 1) for axis in output.axes),
        grid=grid,
        axes=plain.axes,
        convolved=convolved,
        needs=needs,
        batch=batch,
        device=device,
        memory=batch * (one + 3 * read * 4 * spec.channels + 3 * written),
    )


def _longest_edge(needs: TileNeeds, budget: int, overhead: float) -> int:
    """Return the shortest edge at which the halo costs little, or the longest that fits into `budget` bytes."""
    share: float = overhead ** (1 / needs.dimensions) - 1
    halo = max(needs.halo)
    chunk = max(*CHUNK[needs.dimensions].values(), *needs.stride)
    wanted = round_up(math.ceil(2 * halo / share), chunk)
    fits = int((budget / needs.bytes_per_pixel) ** (1 / needs.dimensions)) - 2 * halo
    step = chunk if fits >= chunk else max(EDGE_STEP[needs.dimensions], *needs.stride)
    return max(step, min(wanted, fits // step * step, LONGEST_EDGE))


def _one_if_equal(lengths: tuple[int, ...]) -> int | list[int]:
    """Return the one number that holds for all axes, or one for each."""
    return lengths[0] if len(set(lengths)) == 1 else list(lengths)


def _tile_length(length: int, chunk: int, asked: int | None, longest: int, stride: int) -> int:
    """Return the tile's edge along an axis: what was asked for, or the image shared out evenly."""
    whole = round_up(length, stride)
    if asked is None:
        count = math.ceil(length / longest)
        step = max(min(chunk, longest), stride)
        asked = whole if count == 1 else min(round_up(math.ceil(length / count), step), longest)
    tile = min(round_up(asked, stride), whole)
    return tile if tile == whole or tile < chunk else tile // chunk * chunk


def _chunk(length: int, edge: int) -> int:
    """Return a chunk's edge along an axis."""
    return edge if length > 2 * edge else length

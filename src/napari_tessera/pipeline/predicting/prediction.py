"""The prediction job: a model applied to an image of any size, tile by tile, with the result of the whole image."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.config.model import ModelSpec, load_model_spec
from napari_tessera.config.prediction import PredictionConfig
from napari_tessera.core import regions
from napari_tessera.core.axes import FEW_CHANNELS, move_axes
from napari_tessera.core.errors import JobCancelledError
from napari_tessera.core.image import ImageSink, ImageSource
from napari_tessera.core.jobs import CancelToken, Job, Progress, Warning
from napari_tessera.core.regions import Region
from napari_tessera.core.tiles import Tile
from napari_tessera.io.creating import check_fits, check_output, create_image
from napari_tessera.io.opening import axes_are_guessed, notes_about
from napari_tessera.io.places import check_apart, check_outside_model
from napari_tessera.nn.model import Model, load_model
from napari_tessera.nn.predictor import Pending
from napari_tessera.nn.tasks.base import Output
from napari_tessera.pipeline.predicting.intensity import ConstantImageError
from napari_tessera.pipeline.predicting.likeness import by_name, other_pixels
from napari_tessera.pipeline.predicting.pixel_predictors import Context, PixelPredictor, make_predictor
from napari_tessera.pipeline.predicting.planning import PredictionPlan, check_image, output_spec, plan_prediction
from napari_tessera.pipeline.requests import PredictRequest
from napari_tessera.pipeline.results import PredictResult
from napari_tessera.pipeline.running.cancelling import CancellableSource
from napari_tessera.pipeline.running.resuming import digest, fingerprint
from napari_tessera.pipeline.running.sinks import finishing, what_is_kept
from napari_tessera.pipeline.running.streaming import stream

OpenSink = Callable[[PredictionPlan], ImageSink]
"""Creates the output once the plan says what it will be: ``plan.output`` and ``plan.chunks``."""


def prediction_job(request: PredictRequest, cancel: CancelToken) -> Job:
    """Apply a model folder to an image file and write the result; see `predict_into`.

    The `PredictResult` says where it lies.

    Raises
    ------
    OutputExistsError
        If the output exists and may not be overwritten; nothing has been loaded then.
    """
    check_apart(request.out, [request.image])
    check_output(request.out, request.overwrite, resumable=True)
    spec = load_model_spec(request.model)
    check_outside_model(request.out, request.model)
    image = request.image.open()
    check_image(spec, image.spec)
    check_fits(request.out, output_spec(spec, image.spec, request.config))
    model = load_model(request.model)
    open_sink = file_sink(model.spec, image, request.out, request.config, overwrite=request.overwrite)
    with closing(predict_into(model, image, open_sink, request.config, cancel)) as events:
        for event in events:
            yield replace(event, out=request.out) if isinstance(event, PredictResult) else event


def file_sink(spec: ModelSpec, image: ImageSource, out: Path, config: PredictionConfig, *, overwrite: bool) -> OpenSink:
    """Return what creates the output file `out` of a prediction by the model of `spec`, or goes on with it.

    That takes an `image` which lies in a file.
    """

    def open_sink(plan: PredictionPlan) -> ImageSink:
        metadata = describe_prediction(spec, config)
        decisive = {
            "the model": f"{spec.name} ({digest(spec.model_dump(mode='json'))})",
            **{name.replace("_", " "): value for name, value in _decisive(config).items()},
        }
        return create_image(
            out,
            plan.output,
            overwrite=overwrite,
            chunks=plan.chunks,
            metadata=metadata,
            fingerprint=fingerprint({"the image": image}, decisive, _kind(plan.device)),
            shard=config.shard,
        )

    return open_sink


def _decisive(config: PredictionConfig) -> dict[str, Any]:
    """Return the settings that decide the result: whatever tiles and device, it is the same."""
    return config.model_dump(mode="json", include={"output", "probability_dtype", "precision"})


def _kind(device: str) -> str:
    """Return the kind of a device, ``cuda`` of ``cuda:1``."""
    return device.partition(":")[0]


def describe_prediction(spec: ModelSpec, config: PredictionConfig) -> dict[str, Any]:
    """Return what to keep with a result: which model made it, how, and what its numbers mean."""
    return {
        "model": spec.name,
        "weights_sha256": spec.weights_sha256,
        "score_offsets": list(spec.score_offsets),
        "prediction": _decisive(config),
        "classes": [entry.model_dump(mode="json") for entry in spec.classes],
    }


def predict_into(
    model: Model, image: ImageSource, open_sink: OpenSink, config: PredictionConfig, cancel: CancelToken
) -> Generator[Progress | Warning | PredictResult]:
    """Apply `model` to `image` and write into a sink.

    The result does not depend on the tiles: with float32 on the CPU it equals, bit for bit, one call of the folded
    network on each whole plane. Time points and, for networks of two dimensions, z planes are predicted one by one.
    An image of one intensity shows nothing: it is all background, with a warning.

    Parameters
    ----------
    model
        Left as it is.
    image
        Read tile by tile; its intensity range is found from the whole of it first.
    open_sink
        Called once everything else has been found to be in order; closed as finished or aborted here.
    config
        Class labels (the classes' ids), or probabilities: float32, float16, or uint8 as ``round(255 · p)``.
    cancel
        Checked before every layer of the network.

    Yields
    ------
    Progress, Warning, PredictResult
        Progress in tiles.

    Raises
    ------
    ModelError
        If the image does not have the channels that the model takes.
    InvalidInputError
        If the image has NaN or infinite pixels, or is constant and the model knows no background.
    JobCancelledError
        Once cancelled; the sink has been aborted and keeps what it can of the finished tiles.
    OutOfMemoryError, StorageError
        If not even a part of a tile fits into memory, or the disk is full.
    """
    check_image(model.spec, image.spec)
    predictor = make_predictor(model, config, cancel.raise_if_cancelled)
    yield from predict_with(predictor, model.spec, image, open_sink, config, cancel)


def predict_with(
    predictor: PixelPredictor,
    spec: ModelSpec,
    image: ImageSource,
    open_sink: OpenSink,
    config: PredictionConfig,
    cancel: CancelToken,
) -> Generator[Progress | Warning | PredictResult]:
    """Apply `predictor`, which is any, as `predict_into` applies the network of a model.

    Parameters
    ----------
    predictor
        Entered and left here.
    spec
        What the numbers mean that it gives, and which channels it takes.
    image, open_sink, config, cancel
        As of `predict_into`.
    """
    started = time.perf_counter()
    check_image(spec, image.spec)
    image, others = by_name(image, spec.channel_names, f"the model {spec.name!r}")
    yield from map(Warning, (*notes_about(image), *others, *other_pixels(spec, image.spec)))
    yield from _doubts(spec, image)
    device = predictor.where
    plan = plan_prediction(spec, predictor.needs, image.spec, config, device, predictor.free_memory)
    predictor.batch = plan.batch
    yield Progress(0, plan.tiles, "tile", f"Measuring the intensities of {image.name}")
    cancel.raise_if_cancelled()
    with finishing(open_sink(plan)) as sink:
        yield from _mixed(sink, device)
        context = _context(predictor, sink, CancellableSource(image, cancel), spec)
        if context is None:
            yield Warning(f"{image.name} has the same intensity everywhere, so there is nothing in it but background.")
            yield from _fill_background(plan, sink, config, spec, cancel)
        else:
            with predictor:
                yield from _run(_Work(plan, predictor, image, context, sink, config, spec), cancel)
    seconds = round(time.perf_counter() - started, 3)
    yield PredictResult(plan.tiles, tuple(plan.tile), seconds, device, spec.classes)


def _doubts(spec: ModelSpec, image: ImageSource) -> Iterator[Warning]:
    if not spec.finished:
        ending = "was ended early" if spec.cancelled else "has not come to its end"
        yield Warning(f"The training of {spec.name!r} {ending}: continue it if the result is poor.")
    if axes_are_guessed(image) and image.shape[0] <= FEW_CHANNELS:
        yield Warning(
            f"{image.name} does not name its axes, so its shape {image.shape} is taken for {image.axes}, plane by "
            f"plane; if the first dimension holds channels, name the axes c{image.axes[1:]}."
        )


def _mixed(sink: ImageSink, device: str) -> Iterator[Warning]:
    others = sorted(sink.earlier_devices - {_kind(device)})
    if others:
        yield Warning(
            f"A part of this was predicted on {' and '.join(others)}, and the rest is on {_kind(device)}: the parts "
            "may differ in their last digits; begin anew with --overwrite if that matters."
        )


_CONTEXT = "context"


def _context(predictor: PixelPredictor, sink: ImageSink, image: ImageSource, spec: ModelSpec) -> Context | None:
    """Return what the whole image decides, as an earlier run found it, or as it is found now."""
    known = sink.recall(_CONTEXT)
    if isinstance(known, dict) and "found" in known:
        return None if known["found"] is None else predictor.unpack(known["found"])
    context = _survey(predictor, image, spec)
    sink.remember(_CONTEXT, {"found": None if context is None else predictor.pack(context)})
    return context


def _survey(predictor: PixelPredictor, image: ImageSource, spec: ModelSpec) -> Context | None:
    """Return what the whole image decides; None for an image of one intensity, if the model knows background."""
    try:
        return predictor.prepare(image)
    except ConstantImageError:
        if all(entry.id != 0 for entry in spec.classes):
            raise
        return None


def _fill_background(
    plan: PredictionPlan, sink: ImageSink, config: PredictionConfig, spec: ModelSpec, cancel: CancelToken
) -> Iterator[Progress]:
    """Write that all is background for certain; as labels that is 0, which is what is not written."""
    background = [entry.id for entry in spec.classes].index(0)
    if config.output == "probabilities":
        output = plan.output
        certain = 255 if config.probability_dtype == "uint8" else 1
        for tile in plan:
            cancel.raise_if_cancelled()
            region = {**dict(zip(plan.axes, tile.inner, strict=True)), "c": slice(background, background + 1)}
            where = tuple(region[axis] for axis in output.axes)
            shape = tuple(part.stop - part.start for part in where)
            sink.write(where, np.full(shape, certain, output.dtype))
    for _ in sink.write_levels():
        cancel.raise_if_cancelled()
    yield Progress(plan.tiles, plan.tiles, "tile", "Filled with background", 0.0)


@dataclass(frozen=True)
class _Work:
    """What the steps of a prediction share."""

    plan: PredictionPlan
    predictor: PixelPredictor
    image: ImageSource
    context: Context
    sink: ImageSink
    config: PredictionConfig
    spec: ModelSpec

    def place(self, tile: Tile) -> Region:
        """Return where a tile goes in the output."""
        region = {**dict(zip(self.plan.axes, tile.inner, strict=True)), "c": slice(0, self.plan.output.channels)}
        return tuple(region[axis] for axis in self.plan.output.axes)

    def read(self, tiles: Sequence[Tile]) -> list[NDArray[np.float32]]:
        """Return the pixels (c, y, x) of each tile, as the predictor takes them."""
        return [self._read(tile.outer) for tile in tiles]

    def _read(self, region: Region) -> NDArray[np.float32]:
        plan, axes = self.plan, self.image.axes
        by_axis = {"c": slice(0, self.spec.channels), **dict(zip(plan.axes, region, strict=True))}
        pixels = self.image.read(tuple(by_axis[axis] for axis in axes))
        looped = plan.axes.translate({ord(axis): None for axis in plan.convolved})
        ordered = move_axes(pixels, axes, looped + "c" + plan.convolved)
        return self.predictor.arrange(ordered.reshape(ordered.shape[len(looped) :]), region, self.context)

    def compute(self, tiles: Sequence[Tile], pixels: list[NDArray[np.float32]]) -> list[Pending]:
        """Start predicting tiles of equal shape."""
        output: Output = "classes" if self.config.output == "labels" else self.config.probability_dtype
        return self.predictor.submit(pixels, _convolved(self.plan, tiles[0].crop), output)

    def write(self, tiles: Sequence[Tile], results: list[Pending]) -> int:
        """Store the results and return how many tiles they are."""
        for tile, result in zip(tiles, results, strict=True):
            self._write(tile, result())
        return len(tiles)

    def _write(self, tile: Tile, result: NDArray[Any]) -> None:
        output = self.plan.output
        if self.config.output == "labels":
            ids = np.array([entry.id for entry in self.spec.classes], dtype=output.dtype)
            result = ids[result]
        leading = "" if self.config.output == "labels" else "c"
        pixels = move_axes(result, leading + self.plan.convolved, output.axes)
        self.sink.write(self.place(tile), pixels)


def _run(work: _Work, cancel: CancelToken) -> Iterator[Progress | Warning]:
    total = work.plan.tiles
    before = done = sum(work.sink.holds(work.place(tile)) for tile in work.plan)
    missing = (tile for tile in work.plan if not work.sink.holds(work.place(tile)))
    written = [before]

    def write(tiles: Sequence[Tile], results: list[Pending]) -> int:
        written.append(work.write(tiles, results))
        return written[-1]

    message = f"Predicting {work.image.name} on {work.plan.device}"
    yield Progress(done, total, "tile", message)
    started, edge = time.perf_counter(), None
    steps = stream(_batches(missing, work.predictor), work.read, work.compute, write, cancel.raise_if_cancelled)
    try:
        with closing(steps):
            for count in steps:
                if work.predictor.edge != edge:
                    edge = work.predictor.edge
                    yield Warning(
                        f"Memory ran out: tiles are predicted in parts of {edge} pixels, with the same result."
                    )
                done += count
                seconds = time.perf_counter() - started
                yield Progress(done, total, "tile", message, seconds / (done - before) * (total - done))
        for _ in work.sink.write_levels():
            cancel.raise_if_cancelled()
    except JobCancelledError as error:
        raise JobCancelledError(
            f"Cancelled after {sum(written)} of {total} tiles; {what_is_kept(work.sink)}."
        ) from error


def _batches(tiles: Iterable[Tile], predictor: PixelPredictor) -> Iterator[tuple[Tile, ...]]:
    """Group tiles that follow one another and have one shape, as many as the predictor takes at once."""
    batch: list[Tile] = []
    for tile in tiles:
        if batch and (len(batch) >= predictor.batch or not _alike(batch[0], tile)):
            yield tuple(batch)
            batch = []
        batch.append(tile)
    if batch:
        yield tuple(batch)


def _alike(one: Tile, other: Tile) -> bool:
    return one.crop == other.crop and regions.size(one.outer) == regions.size(other.outer)


def _convolved(plan: PredictionPlan, region: Region) -> Region:
    return tuple(region[plan.axes.index(axis)] for axis in plan.convolved)

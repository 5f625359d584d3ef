"""The application job: an operation of any family on images of any size, with the result of the whole image."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_tessera.core.axes import CANONICAL
from napari_tessera.core.errors import InvalidInputError, JobCancelledError, OutOfMemoryError
from napari_tessera.core.image import ImageSink, ImageSource, ImageSpec
from napari_tessera.core.jobs import CancelToken, Job, Progress, Warning
from napari_tessera.core.paths import expand_home
from napari_tessera.io.creating import check_output, create_image
from napari_tessera.io.memory import describe_bytes, free_memory
from napari_tessera.io.opening import as_labels, notes_about, open_image
from napari_tessera.io.places import check_apart
from napari_tessera.io.writing import check_free
from napari_tessera.operations.base import Global, Operation
from napari_tessera.operations.compiling import FIRST_USE, noticing_compilation
from napari_tessera.operations.registry import build_operation
from napari_tessera.pipeline.applying.engine import Applied, Engine
from napari_tessera.pipeline.applying.frames import Frames, make_frames
from napari_tessera.pipeline.applying.inputs import OperationInput, doubts_about, gather_inputs
from napari_tessera.pipeline.known_labels import check_not_labels
from napari_tessera.pipeline.positions import check_points_output, read_array, write_points
from napari_tessera.pipeline.requests import ApplyRequest, InputFile
from napari_tessera.pipeline.results import ApplyResult, PointsResult
from napari_tessera.pipeline.running.parallel import Report, Work, in_background
from napari_tessera.pipeline.running.resuming import fingerprint
from napari_tessera.pipeline.running.sinks import choose_chunks, finishing, what_is_kept
from napari_tessera.pipeline.running.tiling import default_threads

OpenSink = Callable[[ImageSpec], ImageSink]
"""Creates the output once its specification is known."""


@dataclass(frozen=True)
class ApplyOptions:
    """How an operation is run; nothing of it changes the result.

    Attributes
    ----------
    tile
        Edge of the tiles; None: chosen by memory, halo and chunks.
    threads
        How many compute at a time; None: one per core, at most 8.
    """

    tile: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("tile", self.tile), ("threads", self.threads)):
            if value is not None and value < 1:
                raise InvalidInputError(f"{name} = {value} is too small: choose 1 or more.")


def apply_into(
    operation: Operation,
    inputs: Mapping[str, OperationInput],
    open_sink: OpenSink,
    cancel: CancelToken,
    options: ApplyOptions = ApplyOptions(),
) -> Generator[Progress | Warning | ApplyResult]:
    """Apply `operation` and write the result into a sink; whatever the tiles, it is that of `run_whole`, bit for bit.

    Memory is bounded by tiles and threads for all families but global ones, which say what they need; components that
    are found take memory in proportion to their number.

    Parameters
    ----------
    operation
        Of any family.
    inputs
        By `Input.name`. Images and labels are read tile by tile; arrays are opened as images with guessed axes, or are
        kernels (any shape) and points: (N, dimensions of a frame), or with a column for each looped axis before them.
    open_sink
        Called once everything else has been found to be in order; closed as finished or aborted here. Not called for
        an operation that gives points.
    cancel
        Heeded within a second, whatever is being computed; nothing is written after that.
    options
        Tiles and threads.

    Yields
    ------
    Progress, Warning, ApplyResult
        Progress in tiles; of an operation that gives points, a `PointsResult`.

    Raises
    ------
    InvalidInputError
        If inputs are missing, unknown, of the wrong kind or size, or hold NaN or infinite pixels.
    OutOfMemoryError
        If the operation needs whole frames that do not fit into memory.
    JobCancelledError
        Once cancelled; the sink has been aborted.
    """
    started = time.perf_counter()
    work = Work(cancel)
    gathered = gather_inputs(operation, inputs)
    check_not_labels(operation, gathered.image)
    yield from map(Warning, dict.fromkeys(note for value in inputs.values() for note in notes_about(value)))
    frames = replace(make_frames(operation, gathered.cached()), check=work.check)
    yield from map(Warning, doubts_about(gathered.image, operation.inputs[0].kind))
    yield from _check_memory(frames)
    if frames.output is None:
        told = yield from _run(frames, None, work, cancel, options)
    else:
        with finishing(open_sink(frames.output)) as sink:
            told = yield from _run(frames, sink, work, cancel, options)
            for _ in sink.write_levels():
                cancel.raise_if_cancelled()
    yield _result(operation, told, options.threads or default_threads(), time.perf_counter() - started)


def _result(operation: Operation, told: Applied, threads: int, seconds: float) -> ApplyResult:
    name, seconds = operation.name(), round(seconds, 3)
    if told.points is None:
        return ApplyResult(name, told.tiles, threads, seconds)
    return PointsResult(name, told.tiles, threads, seconds, len(told.points), found=told.points)


def _run(
    frames: Frames, sink: ImageSink | None, work: Work, cancel: CancelToken, options: ApplyOptions
) -> Generator[Progress | Warning, None, Applied]:
    threads = options.threads or default_threads()

    def body(report: Report) -> Applied:
        with noticing_compilation(lambda: report(Progress(0, None, "tile", FIRST_USE))):
            return Engine(frames, sink, work, report, threads, options.tile).run()

    try:
        with closing(in_background(body, work, cancel)) as events:
            return (yield from events)
    except JobCancelledError as error:
        raise JobCancelledError(f"Cancelled; {what_is_kept(sink)}.") from error
    except OutOfMemoryError:
        raise
    except MemoryError as error:
        raise OutOfMemoryError(
            f"{frames.operation.title} ran out of memory: close other programs, crop the image, use a coarser level of "
            "it, or fewer threads."
        ) from error


def _check_memory(frames: Frames) -> Iterator[Progress | Warning]:
    """Say what a global operation needs, warn if that is much, and refuse what cannot fit."""
    operation = frames.operation
    if not isinstance(operation, Global):
        return
    need, free = operation.memory(frames.spec), free_memory()
    says = f"{operation.title} on {frames.inputs.image.name}: needs about {describe_bytes(need)}"
    yield Progress(0, len(frames), "tile", says)
    if free is None or need <= free // 2:
        return
    what = f"{operation.title} works on whole frames and needs about {describe_bytes(need)} of memory for one of "
    what += f"{frames.inputs.image.name}; {describe_bytes(free)} are free"
    if need > free:
        raise OutOfMemoryError(f"{what}: crop the image, use a coarser level of it, or a computer with more memory.")
    yield Warning(f"{what}.")


def application_job(request: ApplyRequest, cancel: CancelToken) -> Job:
    """Apply the operation that `request` names to files and write the result to a file; see `apply_into`.

    The `ApplyResult` says where it lies; points are written, too.

    Raises
    ------
    OutputExistsError
        If the output exists and may not be overwritten; nothing has been read then.
    InvalidInputError
        For an unknown operation, a parameter that is not allowed, or inputs that do not fit.
    """
    operation = build_operation(request.operation, request.parameters)
    out = expand_home(request.out)
    check_result_path(operation, out, request.overwrite, request.inputs.values())
    inputs = open_inputs(operation, request.inputs)
    options = ApplyOptions(tile=request.tile, threads=request.threads)
    open_sink = file_sink(operation, out, inputs, overwrite=request.overwrite, shard=request.shard)
    with closing(apply_into(operation, inputs, open_sink, cancel, options)) as events:
        for event in events:
            if isinstance(event, PointsResult):
                write_points(out, event.found, overwrite=request.overwrite)
            yield _written(event, out) if isinstance(event, ApplyResult) else event


def _written(made: ApplyResult, out: Path) -> ApplyResult:
    return ApplyResult(made.operation, made.tiles, made.threads, made.seconds, made.points, out)


def check_result_path(operation: Operation, out: Path, overwrite: bool, inputs: Iterable[object]) -> None:
    """Refuse a path that the result of `operation` on `inputs` cannot be written to.

    Raises
    ------
    OutputExistsError, InvalidInputError
        As `check_apart` and `check_output` do; also for points and a suffix that is not theirs.
    """
    check_apart(out, inputs)
    if operation.output == "points":
        check_points_output(out)
        check_free(out, overwrite)
    else:
        check_output(out, overwrite, resumable=True)


def open_inputs(operation: Operation, files: Mapping[str, InputFile | Path]) -> dict[str, OperationInput]:
    """Open the files of all inputs; see `image_first`."""
    return image_first(operation, files, lambda name, image: open_input(operation, name, files[name], image))


def image_first(
    operation: Operation, names: Iterable[str], open_it: Callable[[str, OperationInput | None], OperationInput]
) -> dict[str, OperationInput]:
    """Return what `open_it` gives for each input, the image before the others, which are given it.

    Its axes say what a table of positions may name.
    """
    first = operation.inputs[0].name
    opened: dict[str, OperationInput] = {}
    for name in sorted(names, key=lambda name: name != first):
        opened[name] = open_it(name, opened.get(first))
    return opened


def open_input(
    operation: Operation, name: str, value: InputFile | Path, image: OperationInput | None = None
) -> OperationInput:
    """Open the file of one input: an image, or a table of positions in `image` for inputs of such a kind."""
    kind = next((one.kind for one in operation.inputs if one.name == name), "image")
    path = value.path if isinstance(value, InputFile) else value
    is_table = kind in ("points", "frequencies") or (kind == "seeds" and path.suffix.lower() == ".csv")
    if is_table or (kind in ("kernel", "seeds") and path.suffix.lower() == ".npy"):
        return read_array(path, image.axes if isinstance(image, ImageSource) else CANONICAL)
    source = value.open() if isinstance(value, InputFile) else open_image(path)
    return as_labels(source) if kind in ("labels", "seeds") else source


def file_sink(
    operation: Operation,
    out: Path,
    inputs: Mapping[str, OperationInput],
    *,
    overwrite: bool,
    shard: int | None = None,
) -> OpenSink:
    """Return what creates the output file of `operation`, or goes on with it where all images lie in files.

    A zarr gets the chunks of the image where they suit it.
    """
    image = inputs.get(operation.inputs[0].name)

    def open_sink(spec: ImageSpec) -> ImageSink:
        metadata: dict[str, Any] = {
            "operation": operation.name(),
            "version": operation.version,
            "parameters": operation.model_dump(mode="json"),
        }
        chunks = choose_chunks(operation, spec, image) if isinstance(image, ImageSource) else None
        decisive = {"the operation": f"{operation.name()} {operation.version}", **metadata["parameters"]}
        decides = fingerprint({f"the input {name}": value for name, value in inputs.items()}, decisive)
        return create_image(
            out, spec, overwrite=overwrite, chunks=chunks, metadata=metadata, fingerprint=decides, shard=shard
        )

    return open_sink

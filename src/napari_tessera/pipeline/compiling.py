"""Kernels compiled ahead of their first use, and the notes by which a later start knows that they are.

numba keeps what it has compiled beside the modules or, where they may not be written, in the person's own folder of
caches. A note names the modules whose code lies there; it holds as long as that does. Notes belong to one computer and
to one state of the program, for compiled code does.
"""

import hashlib
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.atomic import write_atomically
from napari_tessera.core.errors import InvalidInputError, StorageError, TesseraError
from napari_tessera.core.jobs import CancelToken, Job, Progress, Result
from napari_tessera.operations.base import Input, Operation
from napari_tessera.pipeline.requests import CompileRequest

_SHAPE = (5, 32, 32)
"""Of the image that is worked on, which is never looked at: compiled code does not depend on lengths."""


def compiling_job(request: CompileRequest, cancel: CancelToken) -> Job:
    """Use what `request` names on a small image, so that numba compiles it or finds it compiled; then note that.

    Raises
    ------
    JobCancelledError
        Before the work begins; a compilation itself cannot be stopped.
    """
    cancel.raise_if_cancelled()
    yield Progress(0, 1, "kernel", request.operation or "click")
    with suppress(TesseraError):  # it refuses such images, after the same kernels as it will when a person tries
        if request.operation is None:
            _click(request)
        else:
            _apply(request)
    _write_note(request)
    yield Result()


def not_compiled(requests: Iterable[CompileRequest]) -> list[CompileRequest]:
    """Return those of `requests` that have not been done on this computer, or whose compiled code is gone.

    Costs a few accesses to files, and imports nothing.
    """
    listings: dict[str, frozenset[str]] = {}

    def compiled_in(folder: str) -> frozenset[str]:
        if folder not in listings:
            with suppress(OSError):
                names = [entry.name for entry in Path(folder).iterdir() if entry.suffix == ".nbi"]
                listings[folder] = frozenset(name.partition(".")[0] for name in names)
        return listings.get(folder, frozenset())

    def is_done(request: CompileRequest) -> bool:
        try:
            places = json.loads(_note(request).read_bytes())
            return all(module in compiled_in(folder) for folder, module in places)
        except (OSError, ValueError, TypeError):
            return False

    return [request for request in requests if not is_done(request)]


def _apply(request: CompileRequest) -> None:
    """Apply an operation with its default parameters, as a preview does."""
    from napari_tessera.io.opening import open_image
    from napari_tessera.operations.registry import find_operation
    from napari_tessera.operations.whole import run_whole
    from napari_tessera.pipeline.applying.frames import make_frames
    from napari_tessera.pipeline.applying.inputs import gather_inputs

    operation = find_operation(request.operation or "")()
    shape = _SHAPE[-request.dimensions :]
    axes = "zyx"[-request.dimensions :]
    first = operation.inputs[0]
    given: dict[str, Any] = {first.name: open_image(_pixels(shape, request.dtype, first), axes=axes)}
    given |= {one.name: _further(one, shape, operation) for one in operation.inputs[1:] if not one.optional}
    frames = make_frames(operation, gather_inputs(operation, given))
    run_whole(operation, frames.block(next(iter(frames))))


def _further(one: Input, shape: tuple[int, ...], operation: Operation) -> Any:
    """Return some further input of the kind that `one` is."""
    match one.kind:
        case "image" | "labels":
            return _pixels(shape, "uint16", one)
        case "kernel":
            return np.full((3,) * len(shape), 1.0 / 3 ** len(shape))
        case "points" | "seeds":
            return np.array([[length // 4 for length in shape], [length // 2 for length in shape]], np.float64)
        case "frequencies":
            return np.full((1, len(shape)), 0.25)
    raise InvalidInputError(f"{operation.title} takes an input of the unknown kind {one.kind!r}: add it here.")


def _pixels(shape: tuple[int, ...], dtype: str, one: Input) -> NDArray[Any]:
    """Return an image of a bright square on a slope, or the labels of two squares."""
    pixels = np.zeros(shape) if one.kind == "labels" else np.broadcast_to(np.arange(shape[-1]) % 7.0, shape).copy()
    pixels[..., 8:20, 8:20] += 1 if one.kind == "labels" else 60
    pixels[..., 24:28, 24:28] += 2 if one.kind == "labels" else 90
    return pixels.astype(dtype)


def _click(request: CompileRequest) -> None:
    from napari_tessera.operations.growing.clicking import ClickRule, warm_up

    rule = ClickRule(request.criterion, smoothing=request.smoothing, fill_holes=request.fill_holes)
    warm_up(request.dimensions, np.dtype(request.dtype), request.channels, rule)


def _note(request: CompileRequest) -> Path:
    fields = request.model_dump_json(exclude={"notes"})
    return request.notes / _state() / f"{hashlib.sha256(fields.encode()).hexdigest()[:24]}.json"


def _write_note(request: CompileRequest) -> None:
    """Note what has been done; without a note it is done again at the next start, which does no harm."""
    note = _note(request)
    with suppress(StorageError):
        write_atomically(note, json.dumps(sorted(_used_modules())).encode())


def _used_modules() -> Iterator[tuple[str, str]]:
    """Yield folder of the cache and name of each module of which compiled code is in use."""
    for name, module in list(sys.modules.items()):
        if name.startswith("napari_tessera.operations") and name.endswith("kernels"):
            stats = [
                function.stats
                for function in vars(module).values()
                if getattr(function, "signatures", None) and getattr(function, "__module__", "") == name
            ]
            folder = next((one.cache_path for one in stats if one.cache_path), None)
            if folder is not None and any(one.cache_hits or one.cache_misses for one in stats):
                yield folder, name.rpartition(".")[2]


@cache
def _state() -> str:
    """Return a name for this computer and this state of the program."""
    found = importlib.util.find_spec("napari_tessera.operations")
    root = Path(next(iter(found.submodule_search_locations or []))) if found is not None else Path()
    parts: list[Any] = [version("numba"), version("llvmlite"), version("numpy"), sys.implementation.cache_tag]
    parts += [platform.node(), platform.machine(), str(root), os.environ.get("NUMBA_CACHE_DIR", "")]
    for path in sorted(root.rglob("*.py")):
        status = path.stat()
        parts.append((path.name, status.st_size, status.st_mtime_ns))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

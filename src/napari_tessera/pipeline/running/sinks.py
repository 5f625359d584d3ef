"""Where results go: what every job does with its output, and outputs in memory."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from napari_tessera.core.image import ImageSink, ImageSource, ImageSpec
from napari_tessera.io.arrays import MemorySink
from napari_tessera.io.writing import PathSink
from napari_tessera.operations.base import Operation

CHUNK_PIXELS = (2**16, 2**22)
"""Chunks of the input are taken over for the output if they have so many pixels."""

VOLUME_CHUNK = {"z": 16, "y": 256, "x": 256}
"""Chunks of results that are computed volume by volume."""


def what_is_kept(sink: ImageSink | None) -> str:
    """Return where the finished part of an output that was given up lies, to end a sentence with."""
    if sink is not None and sink.kept is not None:
        return f"what was finished lies in {sink.kept}"
    if not isinstance(sink, PathSink):
        return "nothing is kept"
    if sink.path.suffix.lower() in (".tif", ".tiff", ".npy"):
        return "nothing is kept, write to .ome.zarr if what was finished should be"
    return "nothing was finished"


@contextmanager
def finishing(sink: ImageSink) -> Iterator[ImageSink]:
    """Finish `sink` if all goes well inside, abort it otherwise."""
    finished = False
    try:
        yield sink
        sink.finish()
        finished = True
    finally:
        if not finished:
            sink.abort()


def keeper(kept: list[MemorySink]) -> Callable[[ImageSpec], ImageSink]:
    """Return what opens an output in memory and puts it into `kept`."""

    def open_sink(spec: ImageSpec) -> ImageSink:
        kept.append(MemorySink(spec))
        return kept[-1]

    return open_sink


def choose_chunks(operation: Operation, spec: ImageSpec, image: ImageSource) -> tuple[int, ...] | None:
    """Return chunks for the zarr that holds the result of `operation` on `image`; None: whole planes cut into squares.

    Those of the image, if it has the same size and they are neither tiny nor huge; blocks for volumes that are computed
    as such. Axes that are gone through one by one get chunks of one position, so that no chunk is written twice.
    """
    frame = operation.frame_axes(image.axes)
    chunks = image.chunks
    if chunks and image.axes == spec.axes and image.shape == spec.shape:
        single = tuple(chunk if axis in frame else 1 for axis, chunk in zip(spec.axes, chunks, strict=True))
        if CHUNK_PIXELS[0] <= math.prod(single) <= CHUNK_PIXELS[1]:
            return single
    if "z" in frame and spec.sizes.get("z", 1) >= VOLUME_CHUNK["z"]:
        return tuple(min(VOLUME_CHUNK.get(axis, 1), length) for axis, length in spec.sizes.items())
    return None

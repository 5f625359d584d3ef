"""Folding: the log's records go into the chunks, and what has been folded goes from the log.

It may be killed at any instant. Until ``layer.yaml`` says that records up to *m* are folded, all of them are still in
the log. A chunk is then either as it was, or holds some of these records already; both are values that the layer had at
or after the last folding, and replaying all records in order over them ends with the same values: a pixel that a record
touches gets the value of the last one that does, any other pixel has had one value all the time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_tessera.config.session import LAYER_FILE, LayerHeader, LayerSpec
from napari_tessera.io.journal.chunks import ChunkStore, Index
from napari_tessera.io.journal.disk import Disk
from napari_tessera.io.journal.frame_pixels import apply_frame
from napari_tessera.io.journal.frames import Frame
from napari_tessera.io.journal.segments import segment_paths
from napari_tessera.io.journal.state import LayerState, chunks_path, generations, save_spec


@dataclass(frozen=True)
class Folded:
    """What a layer's folder holds after folding: its description, and where its chunks lie."""

    spec: LayerSpec
    store: ChunkStore


def fold(state: LayerState, disk: Disk) -> Iterator[Folded | None]:
    """Fold all that `state` knows of, in small steps: yield None after each, and at the end what the folder now holds.

    The segments that `state` was read from must not be written to any more. Whoever stops in between and never goes on
    has lost nothing.

    Raises
    ------
    StorageError, OSError
        If the disk is full or a file is damaged; the log is as it was.
    """
    segments = segment_paths(state.folder)
    store, generation = state.store, state.spec.generation
    if state.dtype != store.dtype:
        generation = max(generations(state.folder), default=generation) + 1
        store = ChunkStore.create(
            chunks_path(state.folder, generation), store.shape, state.dtype, state.header.axes, disk
        )
        for index in state.store.written():
            pixels = state.store.read(index)
            if pixels is not None:
                store.write(index, pixels.astype(state.dtype))
            yield None
    for _ in _fold_frames(state.frames, store):
        yield None
    store.sync()
    spec = finish(state.folder, generation, state.number, state.time, state.header, segments, disk)
    yield Folded(spec, store)


def finish(
    folder: Path,
    generation: int,
    number: int,
    time: float,
    header: LayerHeader,
    segments: list[Path],
    disk: Disk,
) -> LayerSpec:
    """Say that the chunks of `generation` hold everything up to `number`; only then remove what that makes needless."""
    spec = LayerSpec(generation=generation, folded=number, complete=True, changed=time, header=header)
    save_spec(spec, folder / LAYER_FILE, disk)
    for path in segments:
        disk.remove(path)
    for other, path in generations(folder).items():
        if other != generation:
            disk.remove_folder(path)
    return spec


def _fold_frames(frames: list[Frame], store: ChunkStore) -> Iterator[None]:
    """Change chunk after chunk, each once: what takes time is to sync a file."""
    by_chunk: dict[Index, list[Frame]] = {}
    for frame in frames:
        assert frame.box is not None
        for index in store.overlapping(frame.box):
            by_chunk.setdefault(index, []).append(frame)
    for index in sorted(by_chunk):
        region = store.region(index)
        pixels = store.read(index)
        if pixels is None:
            pixels = np.zeros([part.stop - part.start for part in region], store.dtype)
        for frame in by_chunk[index]:
            with frame.path.open("rb") as file:
                apply_frame(frame, frame.payload(file), pixels, tuple(part.start for part in region))
            yield
        store.write(index, pixels)
        yield

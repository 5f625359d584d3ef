"""What a layer's folder says, once its log has been read: the ground of recovering, of going on and of folding."""

import re
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from napari_tessera.config.files import FileConfig
from napari_tessera.config.session import LAYER_FILE, LayerHeader, LayerSpec
from napari_tessera.config.yaml_text import dump_yaml
from napari_tessera.core.errors import InvalidInputError, StorageError
from napari_tessera.io.journal.chunks import ChunkStore
from napari_tessera.io.journal.disk import Disk
from napari_tessera.io.journal.frame_checks import changed_header
from napari_tessera.io.journal.frames import KINDS, METADATA, OF_PIXELS, REPLACE, WIDEN, Frame, decode_fields
from napari_tessera.io.journal.segments import Log, opened, read_log, segment_paths
from napari_tessera.io.writing import writing

_CHUNKS = re.compile(r"labels-(\d+)\.zarr")


@dataclass
class LayerState:
    """A layer as its folder holds it.

    Attributes
    ----------
    folder
        Of the layer.
    spec
        What ``layer.yaml`` says.
    store
        Chunks as they were folded.
    header
        What the layer is after the last action; ``spec.header`` is what it was when folded.
    frames
        Frames of pixels that are to be replayed over the chunks, in order.
    number
        Sequence number of the last frame that counts.
    time
        Of that frame, in seconds since 1970.
    log
        What was found in the segments.
    replaced
        When it got an array that was not written as a whole, in seconds since 1970; None if there was no such. What was
        done from then on does not count.
    """

    folder: Path
    spec: LayerSpec
    store: ChunkStore
    header: LayerHeader
    frames: list[Frame]
    number: int
    time: float
    log: Log
    replaced: float | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the labels after the last action."""
        return np.dtype(self.header.dtype)


def read_state(folder: Path, disk: Disk) -> LayerState:
    """Read a layer's folder without changing anything in it.

    Raises
    ------
    MissingInputError, InvalidInputError, StorageError
        If there is no such layer, a newer version wrote it, or its description cannot be read.
    """
    while True:
        segments, spec = segment_paths(folder), LayerSpec.load(folder / LAYER_FILE)
        try:
            state = _read_once(folder, spec, disk)
        except StorageError:
            folded = LayerSpec.load(folder / LAYER_FILE) != spec
            if folded or segment_paths(folder) != segments:  # segments go after the description tells that they may
                continue
            raise
        if LayerSpec.load(folder / LAYER_FILE) == spec:
            return state  # otherwise its writer has folded the log meanwhile


def _read_once(folder: Path, spec: LayerSpec, disk: Disk) -> LayerState:
    store = ChunkStore.open(chunks_path(folder, spec.generation), spec.header.shape, spec.header.dtype, disk)
    log = read_log(folder, spec.folded, spec.header)
    if any(frame.kind not in KINDS for frame in log.frames):
        raise InvalidInputError(
            f"{folder} was written by a newer version of napari-tessera: update it to open the layer."
        )
    counting = _of_this_generation(log.frames)
    last = counting[-1] if counting else None
    return LayerState(
        folder=folder,
        spec=spec,
        store=store,
        header=replay_header(spec.header, counting),
        frames=[frame for frame in counting if frame.kind in OF_PIXELS],
        number=last.number if last else spec.folded,
        time=last.time / 1e9 if last else spec.changed,
        log=log,
        replaced=min((frame.time / 1e9 for frame in log.frames if frame.kind == REPLACE), default=None),
    )


def _of_this_generation(frames: list[Frame]) -> list[Frame]:
    """Return the actions before a replacement whose array is not written as a whole: until then the old one holds."""
    counting = list(takewhile(lambda frame: frame.kind != REPLACE, frames))
    while counting and not counting[-1].last:
        counting.pop()
    return counting


def replay_header(header: LayerHeader, frames: list[Frame]) -> LayerHeader:
    """Return `header` with the changes that `frames` make to it."""
    for frame in frames:
        if frame.kind in (METADATA, WIDEN):
            with opened(frame.path) as file:
                header = changed_header(header, decode_fields(frame.payload(file)))
    return header


def chunks_path(folder: Path, generation: int) -> Path:
    """Return where the chunks of a generation lie."""
    return folder / f"labels-{generation}.zarr"


def generations(folder: Path) -> dict[int, Path]:
    """Return the generations of chunks that lie in a layer's folder."""
    found = [(match, path) for path in folder.glob("labels-*.zarr") if (match := _CHUNKS.fullmatch(path.name))]
    return {int(match[1]): path for match, path in found}


def save_spec(config: FileConfig, path: Path, disk: Disk) -> None:
    """Write a YAML file in one step, through `disk`, and sync its name.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written; the file is then as it was.
    """
    fields = {"kind": config.kind, **config.model_dump(mode="json")}
    with writing(path):
        disk.write_file(path, dump_yaml(fields))

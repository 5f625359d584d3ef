"""Getting a layer back from its journal."""

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.config.session import LAYER_FILE, LayerHeader, LayerSpec
from napari_tessera.core import regions
from napari_tessera.core.errors import OutOfMemoryError, StorageError
from napari_tessera.core.regions import Region
from napari_tessera.io.arrays import check_region
from napari_tessera.io.journal.chunks import DESCRIPTION
from napari_tessera.io.journal.disk import Disk, keeping
from napari_tessera.io.journal.frame_pixels import apply_frame
from napari_tessera.io.journal.frames import Frame
from napari_tessera.io.journal.state import LayerState, read_state

_HELD_PAYLOADS = 64


class FoldedMeanwhileError(StorageError):
    """A log that its writer has folded into the chunks since it was read."""


@dataclass
class Recovered:
    """A layer as its journal has it; pixels are read when they are asked for.

    Attributes
    ----------
    header
        Names, classes, calibration, shape and dtype.
    last_sequence, last_time
        Number, and time in seconds since 1970, of the last action that is there.
    complete
        False if the program died while it wrote the array that the layer began with: pixels that were not written yet
        and not painted since are 0.
    torn
        Whether an action that was not on the disk as a whole was left out: the ordinary end of a crash.
    damage
        A sentence for each damaged place; what lies before it is there.
    replaced
        When the layer got another array that was not written as a whole before the end, in seconds since 1970: what
        there was before it is what there is. None if nothing of that kind happened.
    damaged_chunks
        Files of chunks that could not be read.
    """

    header: LayerHeader
    last_sequence: int
    last_time: float
    complete: bool
    torn: bool
    damage: list[str]
    replaced: float | None
    damaged_chunks: list[Path] = field(default_factory=list, kw_only=True)
    _state: LayerState = field(repr=False)
    _stamp: tuple[int, int] = field(repr=False)
    _payloads: OrderedDict[int, bytes] = field(default_factory=OrderedDict, repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each dimension."""
        return self.header.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the labels."""
        return self._state.dtype

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of one unit of storage: what `read` is quickest in."""
        return self._state.store.chunks

    def load(self) -> NDArray[Any]:
        """Return the whole array; memory is taken only where there are labels.

        Raises
        ------
        OutOfMemoryError
            If there is not enough memory for it.
        StorageError
            If the log cannot be read. Damaged chunks are reported in `damage`, and hold what the log has of them.
        """
        labels = self._zeros()
        for index in sorted(self._state.store.written()):
            self._read_chunk(index, labels, (0,) * labels.ndim)
        for frame in self._state.frames:
            apply_frame(frame, self._payload(frame), labels, (0,) * labels.ndim)
        self._check_chunks()
        return labels

    def read(self, region: Region) -> NDArray[Any]:
        """Return part of the array; raises as `load` does."""
        check_region(region, self.shape)
        origin = tuple(part.start for part in region)
        labels = np.zeros([part.stop - part.start for part in region], self.dtype)
        for index in self._state.store.overlapping(region):
            self._read_chunk(index, labels, origin)
        for frame in self._state.frames:
            if frame.box is not None and _overlap(frame.box, region):
                apply_frame(frame, self._payload(frame), labels, origin)
        self._check_chunks()
        return labels

    def keep_damaged(self, disk: Disk | None = None) -> Path | None:
        """Keep the damaged chunks that were met beside the others, for these go when the array is written anew.

        Only who has the session open may call it.

        Returns
        -------
        Path or None
            An array ``damaged-labels-….zarr`` of nothing but these chunks, byte for byte; None if there are none.

        Raises
        ------
        StorageError
            If the disk is full or the folder cannot be written.
        """
        if not self.damaged_chunks:
            return None
        store = self._state.store.path
        kept = store.with_name(f"damaged-{store.name}")
        with keeping(store.parent):
            for path in (store / DESCRIPTION, *self.damaged_chunks):
                (disk or Disk()).keep(path, kept / path.relative_to(store))
        return kept

    def _zeros(self) -> NDArray[Any]:
        try:
            return np.zeros(self.shape, self.dtype)
        except (MemoryError, ValueError) as error:
            raise OutOfMemoryError(
                f"The labels {self.header.layer_name!r} of shape {self.shape} do not fit into memory: export them as "
                "OME-Zarr, or open them on a larger computer."
            ) from error

    def _read_chunk(self, index: tuple[int, ...], labels: NDArray[Any], origin: tuple[int, ...]) -> None:
        store = self._state.store
        try:
            pixels = store.read(index)
        except StorageError as error:
            if str(error) not in self.damage:
                self.damage.append(str(error))
                self.damaged_chunks.append(store.file(index))
            return
        if pixels is None:
            return
        chunk, whole = store.region(index), regions.placed(origin, labels.shape)
        both = regions.intersection(chunk, whole)
        if both is None:
            return
        # zeros are there already: not writing them leaves the pages of a sparse array unmapped
        shared = pixels[regions.relative(both, chunk)]
        np.copyto(labels[regions.relative(both, whole)], shared, where=shared != 0)

    def _check_chunks(self) -> None:
        """Raise FoldedMeanwhileError if other chunks have replaced these: one that has gone was read as zeros."""
        stamp = _stamp(self._state.folder)
        if stamp == self._stamp:
            return
        if LayerSpec.load(self._state.folder / LAYER_FILE).generation != self._state.spec.generation:
            raise FoldedMeanwhileError(f"{self._state.store.path} has gone: recover the layer again.")
        self._stamp = stamp

    def _payload(self, frame: Frame) -> bytes:
        payload = self._payloads.pop(frame.number, None)
        if payload is None:
            try:
                with frame.path.open("rb") as file:
                    payload = frame.payload(file)
            except FileNotFoundError as error:
                raise FoldedMeanwhileError(f"{frame.path} has gone: recover the layer again.") from error
        self._payloads[frame.number] = payload
        if len(self._payloads) > _HELD_PAYLOADS:
            self._payloads.popitem(last=False)
        return payload


def recover(folder: Path, disk: Disk | None = None) -> Recovered:
    """Read what the journal of a layer holds; nothing in its folder is changed.

    Raises
    ------
    MissingInputError
        If there is no journal.
    InvalidInputError
        If a newer version of the program wrote it, or its description is damaged.
    StorageError
        If it cannot be read.
    """
    stamp = _stamp(folder)
    state = read_state(folder, disk or Disk())
    return Recovered(
        header=state.header,
        last_sequence=state.number,
        last_time=state.time,
        complete=state.spec.complete,
        torn=state.log.torn,
        damage=list(state.log.damage),
        replaced=state.replaced,
        _state=state,
        _stamp=stamp,
    )


def _stamp(folder: Path) -> tuple[int, int]:
    """Return what differs once the description of a layer has been written anew."""
    try:
        found = (folder / LAYER_FILE).stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def _overlap(one: Region, other: Region) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))

"""Writing the journal of one layer: every action into the log at once, into the chunks when there is time."""

import time as clock
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from napari_tessera.config.session import LAYER_FILE, LayerHeader, LayerSpec
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.io.arrays import ArrayLike
from napari_tessera.io.journal.base_copy import BaseCopy
from napari_tessera.io.journal.chunks import ChunkStore
from napari_tessera.io.journal.disk import DamageError, Disk, keeping
from napari_tessera.io.journal.folding import Folded, finish, fold
from napari_tessera.io.journal.frame_checks import changed_header
from napari_tessera.io.journal.frames import (
    BOX,
    MASKED,
    METADATA,
    POINTS,
    REPLACE,
    WIDEN,
    encode_box,
    encode_fields,
    encode_frame,
    encode_masked,
    encode_points,
)
from napari_tessera.io.journal.records import (
    BoxRecord,
    MetadataRecord,
    PointsRecord,
    Record,
    ReplaceRecord,
    WidenRecord,
    checked_box,
    checked_points,
)
from napari_tessera.io.journal.segments import LogWriter, first_number, segment_paths, segments_before
from napari_tessera.io.journal.state import chunks_path, generations, read_state, save_spec
from napari_tessera.io.writing import writing

Payloads = list[tuple[int, bytes]]
_FIXED = {"shape", "dtype"}


class JournalWriter:
    """The journal of one layer; use `create` or `open`, and call it from one thread at a time.

    An array that a layer begins with, or that replaces its own (`ReplaceRecord`), is read chunk by chunk in `copy_base`
    while it may change: chunks then hold a mixture of earlier and later pixels. That is right, because every action
    since is in the log and is replayed over them; but only if the log also holds every action whose pixels a chunk may
    have caught. So the array holds from `end_base` on, which is to be called when all changes made before the last
    chunk was copied have been appended. Until then a crash leaves what was before.
    """

    def __init__(self, folder: Path, spec: LayerSpec, store: ChunkStore, log: LogWriter, disk: Disk) -> None:
        self.folder = folder
        self.closed = self.gave_up = False
        self._spec, self._store, self._log, self._disk = spec, store, log, disk
        self._header = spec.header
        self._time = spec.changed
        self._base: BaseCopy | None = None
        self._fold: Iterator[Folded | None] | None = None

    @classmethod
    def create(
        cls,
        folder: Path,
        header: LayerHeader,
        base: ArrayLike | None = None,
        *,
        private: bool = False,
        disk: Disk | None = None,
    ) -> Self:
        """Begin the journal of a layer.

        Parameters
        ----------
        folder
            Made here; empty or not there yet.
        header
            What the layer is.
        base
            Its pixels; shape and dtype of `header`. None for zeros.
        private
            Whether nobody changes `base` any more.

        Raises
        ------
        InvalidInputError
            If `folder` holds a journal already, or `base` is not what `header` says.
        StorageError
            If the disk is full or the folder cannot be written.
        """
        disk = disk or Disk()
        if (folder / LAYER_FILE).exists():
            raise InvalidInputError(f"{folder} holds a journal already: choose another folder.")
        _check_base(base, header)
        with writing(folder):
            disk.make_folder(folder)
            number = max(generations(folder), default=0) + 1
            store = ChunkStore.create(chunks_path(folder, number), header.shape, header.dtype, header.axes, disk)
        spec = LayerSpec(generation=number, folded=0, complete=base is None, changed=clock.time(), header=header)
        save_spec(spec, folder / LAYER_FILE, disk)
        writer = cls(folder, spec, store, LogWriter(folder, 1, disk), disk)
        if base is not None:
            writer._base = BaseCopy(base, lambda: store, number, header, folded=0, private=private)
        return writer

    @classmethod
    def open(cls, folder: Path, *, disk: Disk | None = None) -> Self:
        """Go on with a journal after its last action.

        Damaged segments are kept under another name (``damaged-log-….bin``) before anything is written.

        Raises
        ------
        MissingInputError, InvalidInputError, StorageError
            If there is none, a newer version wrote it, or it cannot be read or written.
        """
        disk = disk or Disk()
        state = read_state(folder, disk)
        with writing(folder):
            for path in state.log.damaged:
                disk.write_file(path.with_name(f"damaged-{path.name}"), path.read_bytes())
            for path in reversed(segment_paths(folder)):
                if first_number(path) > state.number:  # not used, and its numbers will be given again
                    disk.remove(path)
            state.store.remove_leftovers()
        writer = cls(folder, state.spec, state.store, LogWriter(folder, state.number + 1, disk), disk)
        writer._header, writer._time = state.header, state.time
        return writer

    @property
    def header(self) -> LayerHeader:
        """What the layer is after the last record."""
        return self._header

    @property
    def last_sequence(self) -> int:
        """Sequence number of the last record."""
        return self._log.number - 1

    @property
    def pending_bytes(self) -> int:
        """Size of what has been appended and is not on the disk yet."""
        return self._log.pending_bytes

    @property
    def log_bytes(self) -> int:
        """Size of the log on disk: what the next `compact` will fold, and a restart replay."""
        return sum(path.stat().st_size for path in segment_paths(self.folder))

    @property
    def complete(self) -> bool:
        """Whether what is on the disk began with a whole array; false until the first `end_base`."""
        return self._spec.complete

    @property
    def copying(self) -> bool:
        """Whether `copy_base` has chunks left to copy."""
        return self._base is not None and not self._base.copied

    @property
    def base_pending(self) -> bool:
        """Whether an array waits for `copy_base` or `end_base`."""
        return self._base is not None

    def append(self, *records: Record) -> int:
        """Take the records of one action, all or nothing; it is on the disk after `sync`.

        Returns
        -------
        int
            The sequence number that the log reaches with it.

        Raises
        ------
        InvalidInputError
            If a record does not fit the layer; nothing of the action is taken then.
        """
        header, base, payloads = self._header, self._base, Payloads()
        for record in records:
            if isinstance(record, ReplaceRecord):
                header, base, part = self._replace(record, header, self._log.number + len(payloads))
            else:
                header, part = _encode(record, header)
            payloads += part
        now = clock.time_ns()
        for at, (kind, payload) in enumerate(payloads, start=1):
            self._log.append(encode_frame(kind, payload, self._log.number, now, last=at == len(payloads)))
        if payloads:
            self._time = now / 1e9
        if base is not self._base:
            self._base, self._fold = base, None
        self._header = header
        return self.last_sequence

    def _replace(
        self, record: ReplaceRecord, header: LayerHeader, number: int
    ) -> tuple[LayerHeader, BaseCopy, Payloads]:
        shape, dtype = record.shape or header.shape, record.dtype or header.dtype
        if record.array is not None:
            shape, dtype = tuple(record.array.shape), np.dtype(record.array.dtype).name
        if len(shape) != len(header.shape):
            kept = dict.fromkeys(("axes", "scale", "translate", "units"), ())
            header = changed_header(header, {**kept, "axes": "", "shape": shape, "dtype": dtype, **record.changes})
        else:
            header = changed_header(header, {**record.changes, "shape": shape, "dtype": dtype})
        known = (*generations(self.folder), self._spec.generation, self._base.generation if self._base else 0)
        generation = max(known) + 1
        path = chunks_path(self.folder, generation)
        make_store = partial(ChunkStore.create, path, header.shape, header.dtype, header.axes, self._disk)
        private = record.private or record.array is None
        base = BaseCopy(record.array, make_store, generation, header, folded=number, private=private)
        return header, base, [(REPLACE, encode_fields({"generation": generation}))]

    def sync(self) -> None:
        """Return when everything that was appended is on the disk.

        Raises
        ------
        StorageError
            If the disk is full or the folder cannot be written; all is kept in memory, and the next call tries again.
        """
        self._log.sync()

    def copy_base(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Go on with copying the array that the layer begins with, or that replaced it.

        Parameters
        ----------
        stop
            Asked after each chunk; the next call goes on where this one stopped.

        Returns
        -------
        bool
            Whether all chunks are copied.

        Raises
        ------
        StorageError
            If the disk is full; the next call goes on with the same chunk.
        """
        base = self._base
        if base is None:
            return True
        with keeping(self.folder):
            if not base.copy(stop):
                return False
        if base.private:
            self.end_base()
        return True

    def end_base(self) -> None:
        """From here on the copied array holds; every change made to it before its last chunk was copied is appended.

        Raises
        ------
        StorageError
            If the disk is full; the array before still holds, and this can be called again.
        """
        base = self._base
        if base is None:
            return
        if base.store is None or not base.copied:
            raise InvalidInputError("The array is not copied yet: call copy_base until it says so.")
        self.sync()
        with keeping(self.folder):
            base.store.sync()
            needless = segments_before(self.folder, base.folded + 1)
            self._spec = finish(
                self.folder, base.generation, base.folded, self._time, base.header, needless, self._disk
            )
        self._store, self._base = base.store, None

    def compact(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Fold the log into the chunks.

        Parameters
        ----------
        stop
            Asked after each small step; the next call goes on where this one stopped.

        Returns
        -------
        bool
            Whether all that had been appended when it began is folded. False also while an array is being copied.

        Raises
        ------
        StorageError
            If the disk is full; the log stays as it is, and nothing is lost.
        DamageError
            If a chunk or the log is damaged; both stay as they are. Whoever has the array appends a `ReplaceRecord`.
        """
        if self._base is not None or not self._spec.complete:
            return False
        with keeping(self.folder):
            if self._fold is None:
                self.sync()
                self._log.leave()
                if not segment_paths(self.folder):
                    return True
                state = read_state(self.folder, self._disk)
                if state.number != self.last_sequence:
                    raise DamageError(
                        f"The log in {self.folder} is damaged: what was done after record {state.number} is not in it."
                    )
                self._fold = fold(state, self._disk)
            try:
                for step in self._fold:
                    if step is not None:
                        self._spec, self._store, self._fold = step.spec, step.store, None
                        return True
                    if stop():
                        return False
            except BaseException:
                self._fold = None
                raise
        return False

    def close(self) -> None:
        """Sync and let go of the files; a base that is not complete is given up, which `gave_up` tells."""
        try:
            self.sync()
        finally:
            self.gave_up = self.gave_up or self._base is not None
            self._log.leave()
            self._fold = self._base = None
            self.closed = True


def _encode(record: Record, header: LayerHeader) -> tuple[LayerHeader, Payloads]:
    """Return the header after a record that replaces nothing, and what the log is to hold."""
    if isinstance(record, BoxRecord):
        start, after = checked_box(record, header)
        if record.mask is not None:
            return header, [(MASKED, payload) for payload in encode_masked(start, record.mask, after)]
        return header, [(BOX, payload) for payload in encode_box(start, after)]
    if isinstance(record, PointsRecord):
        return header, [(POINTS, payload) for payload in encode_points(*checked_points(record, header))]
    if isinstance(record, WidenRecord):
        if not np.can_cast(header.dtype, record.dtype, "safe"):
            raise InvalidInputError(f"{header.dtype} labels do not fit into {record.dtype}: replace the array instead.")
        return changed_header(header, {"dtype": record.dtype}), [(WIDEN, encode_fields({"dtype": record.dtype}))]
    assert isinstance(record, MetadataRecord)
    changes: Mapping[str, Any] = record.changes
    if _FIXED & set(changes):
        raise InvalidInputError("Shape and dtype change with the array: replace it.")
    changed = changed_header(header, dict(changes))
    plain = changed.model_dump(mode="json")
    return changed, [(METADATA, encode_fields({name: plain[name] for name in changes}))]


def _check_base(base: ArrayLike | None, header: LayerHeader) -> None:
    if base is not None and (tuple(base.shape) != header.shape or np.dtype(base.dtype) != np.dtype(header.dtype)):
        raise InvalidInputError(
            f"The array has shape {tuple(base.shape)} and dtype {base.dtype}, not {header.shape} and {header.dtype}."
        )

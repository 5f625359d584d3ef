"""The journal of one watched layer, as the writer's thread drives it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_tessera.config.session import LAYER_FILE, LayerHeader
from napari_tessera.core import regions
from napari_tessera.core.errors import InvalidInputError, StorageError
from napari_tessera.io.journal.disk import DamageError
from napari_tessera.io.journal.records import BoxRecord, MetadataRecord, Record, ReplaceRecord
from napari_tessera.io.journal.recovery import Recovered, recover
from napari_tessera.io.journal.writer import JournalWriter
from napari_tessera.napari_plugin.journal.describing import LayerFacts
from napari_tessera.napari_plugin.journal.messages import Changed, Described, Protect, Replaced, Suspected
from napari_tessera.napari_plugin.journal.recording import UnknownEditError, records_of, touched_boxes
from napari_tessera.napari_plugin.journal.scanning import Expected
from napari_tessera.napari_plugin.journal.untold import UntoldChanges

MOST_WAITING = 2**28
"""Bytes of changes that are held while the disk cannot be written; beyond that the whole array is written later."""
COMPACT_BYTES = 2**24
COMPACT_SECONDS = 30.0
COMPACT_LOOK_SECONDS = 1.0
"""How often the size of the log is looked at."""
FOLDER_SECONDS = 1.0
"""How often it is looked whether the folder is still there."""
HINTED_SECONDS = 0.3
"""A refreshed layer is looked at so soon, once nobody paints."""
MOST_FOUND = 2**26
"""Bytes of found changes that are written as such; if there are more, the whole array is written."""

_HEADER_FIELDS = ("layer_name", "image_name", "image_path", "axes", "scale", "translate", "units", "classes", "extra")


class OpensJournals(Protocol):
    """What a journal needs of its session."""

    def create_layer(self, header: LayerHeader, base: NDArray[Any] | None, *, private: bool) -> JournalWriter:
        """Begin a journal; `private` if nobody changes `base` any more."""
        ...

    def open_layer(self, folder: Path) -> JournalWriter:
        """Go on with a journal."""
        ...


class LayerJournal:
    """Takes what happened to a layer, and writes it.

    Attributes
    ----------
    array
        The layer's data, which the GUI thread goes on changing; None once the layer is gone.
    folder
        Where the journal lies; None until something is to be written.
    saved
        When everything that was told had reached the disk for the last time, in seconds since 1970.
    unsaved
        Whether something was told that has not.
    leaving
        Whether the layer is gone: nothing more will come, and the journal ends once all is saved.
    moved_to
        Where the journal was begun anew, because its folder was gone; None if it was not.

    Parameters
    ----------
    start
        What began it.
    session
        Opens journals.
    """

    def __init__(self, start: Protect, session: "OpensJournals") -> None:
        self.key = start.key
        self.facts = start.facts
        self.array: NDArray[Any] | None = start.array
        self.folder = start.folder
        self.saved: float | None = None
        self.unsaved = start.at_once
        self.leaving = False
        self.moved_to: Path | None = None
        self._empty = start.empty
        self._first = start.copied  # what the layer held before everything that was told
        self._session = session
        self._writer: JournalWriter | None = None
        self._actions: list[tuple[Record, ...]] = []  # told before there was a writer
        self._held = 0
        self._rewrite = start.at_once and start.folder is not None  # the array as a whole must be written
        self._ends_after: int | None = None  # the barrier that makes a copied array hold
        self._untold = UntoldChanges(start.array.shape)
        self._recovered: Recovered | None = None
        self._changed_at = time.monotonic()
        self._log_looked = self._folder_looked = 0.0
        self._compacting = False

    # what happened

    def take(self, message: Changed | Replaced | Described | Suspected) -> None:
        """Note what happened; `save` writes it."""
        match message:
            case Changed():
                self._changed(message)
            case Replaced():
                self._replaced(message)
            case Described():
                self.facts = message.facts
                if self.folder is not None or self._actions:
                    self._add((MetadataRecord(_fields(message.facts)),), 1000)
            case Suspected():
                self._untold.suspect(0.0 if message.surely else HINTED_SECONDS)

    def _changed(self, message: Changed) -> None:
        assert self.array is not None
        try:
            records = records_of(message.edits, self.array.shape, self.array.dtype)
        except (UnknownEditError, MemoryError):
            self._untold.suspect(0.0)
            return
        if records:
            self._untold.touched(touched_boxes(records))
            self._add(records, message.nbytes)

    def _replaced(self, message: Replaced) -> None:
        assert self.array is not None
        same = self.array.shape == message.array.shape and self.array.dtype == message.array.dtype
        self.facts, self.array = message.facts, message.array
        self._untold.begin_anew(message.array.shape)
        if self._writer is None:
            self._actions, self._held, self._empty = [], 0, False  # a new array: it is written as a whole
            self._first = message.copied
            self._rewrite = self.folder is not None
            self.unsaved = True
            self._changed_at = time.monotonic()
        else:
            self._add(*_replacing(message, same=same))

    def _add(self, action: tuple[Record, ...], nbytes: int) -> None:
        self.unsaved = True
        self._changed_at = time.monotonic()
        self._actions.append(action)
        self._held += nbytes
        if self._held > MOST_WAITING:
            self._give_up_actions()

    def _give_up_actions(self) -> None:
        """Hold nothing more: the array itself is written when the disk allows it."""
        self._actions, self._held = [], 0
        self._rewrite, self._empty, self._first = True, False, None

    # writing it

    @property
    def base_pending(self) -> bool:
        """Whether an array is being copied."""
        return self._writer is not None and self._writer.base_pending

    def save(self) -> None:
        """Put what was told on the disk.

        Raises
        ------
        StorageError
            If that cannot be done; everything is kept, and the next call tries again.
        """
        if not self.unsaved or self.array is None:
            return
        writer = self._open()
        if self._rewrite and not writer.base_pending:
            self._append_array(writer)
        _skip_overtaken(self._actions, self.array.shape)
        while self._actions and not self._rewrite:
            action = self._actions[0]
            if writer.base_pending and _replaces(action):
                break  # the array before is finished first: nobody changes it any more
            try:
                writer.append(*action)
            except InvalidInputError:  # it does not fit what the journal knows of the layer: the array tells
                self._give_up_actions()
                self._untold.suspect(0.0)
                break
            self._actions.pop(0)
            if _replaces(action):
                self._ends_after = None
        self._held *= bool(self._actions)
        writer.sync()
        if not (writer.base_pending or self._actions or self._rewrite):
            self._all_saved()

    def _append_array(self, writer: JournalWriter) -> None:
        assert self.array is not None
        writer.append(ReplaceRecord(self.array, changes=_fields(self.facts)))
        self._rewrite, self._ends_after = False, None

    def _all_saved(self) -> None:
        self.saved, self.unsaved = time.time(), False

    def _open(self) -> JournalWriter:
        there = self.folder is not None and (self.folder / LAYER_FILE).is_file()
        if self._writer is not None and not there:  # somebody removed the folder: the array begins it anew
            self.drop_writer()
            self._empty = False
        elif self._writer is not None and self._writer.pending_bytes > MOST_WAITING:
            self.drop_writer()
            self._rewrite = True
        if self._writer is not None:
            return self._writer
        if self.folder is not None and there:
            self._writer = self._session.open_layer(self.folder)
        else:
            assert self.array is not None
            # What was told already is appended too: it may not be in the array yet, for napari tells it first.
            first = self._first if self.folder is None else None
            base = None if self._empty else self.array if first is None else first
            self._writer = self._session.create_layer(self.facts.header(), base, private=first is not None)
            self._first = None
            if self.folder is not None:
                self.moved_to = self._writer.folder
            self.folder = self._writer.folder
            self._rewrite, self._ends_after = False, None
        return self._writer

    def check_folder(self, now: float) -> None:
        """Notice that somebody has removed the folder; what is in memory is then written again."""
        if self._writer is None or now - self._folder_looked < FOLDER_SECONDS:
            return
        self._folder_looked = now
        if self.folder is not None and not (self.folder / LAYER_FILE).is_file():
            self.unsaved = True

    def drop_writer(self) -> None:
        """Let go of the files, without writing anything."""
        writer, self._writer, self._recovered, self._compacting = self._writer, None, None, False
        if writer is not None:
            self._rewrite |= writer.base_pending  # a copy that is given up begins anew
            try:
                writer.close()
            except StorageError:
                return  # what was not written is in the array

    def close(self) -> None:
        """Write what is left and let go of the files; raises StorageError."""
        self.save()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    # copying an array that the GUI thread goes on painting in

    def copy(self, stop: Callable[[], bool], ask: Callable[[], int], passed: int) -> bool:
        """Go on with copying an array; return whether there is something left to do at once.

        Parameters
        ----------
        stop
            Asked after each chunk.
        ask
            Asks for a barrier and returns its number.
        passed
            Number of the last barrier.
        """
        writer = self._writer
        if writer is None or not writer.base_pending:
            return False
        overtaken = self._rewrite or (bool(self._actions) and _replaces(self._actions[0]))
        if self._actions and not overtaken:
            return False  # the disk does not take them: the array holds only with them
        if writer.copying:
            writer.copy_base(stop)
            return True
        if not overtaken:  # nobody changes an array that the layer has no more
            if self._ends_after is None:
                self._ends_after = ask()
            if passed < self._ends_after:
                return False
        writer.end_base()
        self._ends_after = None
        if not overtaken:
            self._all_saved()
        return overtaken

    # what nobody told

    def look(self, stop: Callable[[], bool], ask: Callable[[], int], passed: int) -> bool:
        """Go on with looking for changes that nobody told; parameters and result are those of `copy`."""
        if self.array is None or self.unsaved or self.leaving:
            return False
        more = self._untold.look(self.array, self._expectation, stop, ask, passed)
        if not more:
            self._recovered = None
        found = self._untold.take_found()
        if not found:
            return more
        self.unsaved = True
        self._changed_at = time.monotonic()
        nbytes = sum(pixels.nbytes for _, pixels in found)
        if self._writer is None and self.folder is None:
            self._empty, self._first = False, None  # begun with the array as it is
        elif nbytes > MOST_FOUND:
            self._give_up_actions()
        else:
            self._add(tuple(BoxRecord(box, pixels) for box, pixels in found), nbytes)
        return more

    def _expectation(self) -> Expected | None:
        first = self._first
        if first is not None:
            return lambda box: first[box]
        if self.folder is None:
            dtype = self.array.dtype if self.array is not None else np.dtype(np.uint8)
            return (lambda box: np.zeros([part.stop - part.start for part in box], dtype)) if self._empty else None
        return self._journalled

    def _journalled(self, box: tuple[slice, ...]) -> NDArray[Any]:
        assert self.folder is not None
        last = self._writer.last_sequence if self._writer is not None else None
        if self._recovered is None or (last is not None and self._recovered.last_sequence != last):
            self._recovered = recover(self.folder)
        return self._recovered.read(box)

    # folding the log

    def compact(self, now: float, stop: Callable[[], bool]) -> bool:
        """Fold the log into chunks if it is time; return whether there is more to fold."""
        writer = self._writer
        if writer is None or writer.base_pending or self.unsaved:
            return False
        if not self._compacting and now - self._log_looked > COMPACT_LOOK_SECONDS:
            self._log_looked = now
            size = writer.log_bytes
            self._compacting = size > COMPACT_BYTES or (size > 0 and now - self._changed_at > COMPACT_SECONDS)
        if not self._compacting:
            return False
        self._recovered = None
        try:
            self._compacting = not writer.compact(stop)
        except DamageError:  # of the files; the array has it all, and is written anew as a whole
            self._compacting, self.unsaved = False, True
            self._give_up_actions()
        return self._compacting


def _skip_overtaken(actions: list[tuple[Record, ...]], shape: tuple[int, ...]) -> None:
    """Of several arrays that wait, keep the last: what was done to those before it is gone in any case."""
    replacing = [at for at, action in enumerate(actions) if _replaces(action)]
    if len(replacing) > 1:
        del actions[replacing[0] : replacing[-1]]
    begin = replacing[0] + 1 if replacing else 0
    whole = [at for at, action in enumerate(actions) if at >= begin and _is_whole(action, shape)]
    if whole:
        del actions[begin : whole[-1]]


def _replacing(message: Replaced, *, same: bool) -> tuple[tuple[Record, ...], int]:
    """Return the records of another array, of the same shape and dtype or not, and the memory that they hold."""
    fields = _fields(message.facts)
    if message.copied is None:
        return (ReplaceRecord(message.array, changes=fields),), 0
    pixels = BoxRecord(_everything(message.copied.shape), message.copied)
    if same:
        return (pixels,), message.copied.nbytes
    zeros = ReplaceRecord(None, shape=message.copied.shape, dtype=message.copied.dtype.name, changes=fields)
    return (zeros, pixels), message.copied.nbytes


def _everything(shape: tuple[int, ...]) -> tuple[slice, ...]:
    return regions.whole(shape)


def _is_whole(action: tuple[Record, ...], shape: tuple[int, ...]) -> bool:
    """Whether an action leaves nothing of what was there before."""
    record = action[0]
    return isinstance(record, BoxRecord) and record.mask is None and record.box == _everything(shape)


def _replaces(action: tuple[Record, ...]) -> bool:
    return any(isinstance(record, ReplaceRecord) for record in action)


def _fields(facts: LayerFacts) -> dict[str, Any]:
    """Return what of `facts` a journal may be told later, as plain data."""
    plain = facts.header().model_dump(mode="json")
    return {name: plain[name] for name in _HEADER_FIELDS}

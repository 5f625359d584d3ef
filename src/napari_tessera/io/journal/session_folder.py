"""The folder of one annotation effort: journals, models, predictions, and who works in it."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from napari_tessera.config.session import LAYER_FILE, SESSION_FILE, LayerHeader, SessionSpec, now
from napari_tessera.core.errors import InvalidInputError, OutputExistsError
from napari_tessera.core.paths import expand_home
from napari_tessera.io.arrays import ArrayLike
from napari_tessera.io.journal.disk import Disk
from napari_tessera.io.journal.moving import move_folder
from napari_tessera.io.journal.naming import file_name, free_name
from napari_tessera.io.journal.session_lock import SessionLock
from napari_tessera.io.journal.state import save_spec
from napari_tessera.io.journal.writer import JournalWriter
from napari_tessera.io.writing import writing

THUMBNAIL_FILE = "thumbnail.png"
SESSIONS = "sessions"


class SessionFolder:
    """A session that this program has open: nobody else writes into it until `close`.

    Attributes
    ----------
    path
        Of the folder.
    spec
        What ``session.yaml`` says.
    """

    def __init__(
        self, path: Path, spec: SessionSpec, lock: SessionLock, disk: Disk, *, found_closed: bool = True
    ) -> None:
        self.path, self.spec = path, spec
        self._lock, self._disk = lock, disk
        self._writers: list[JournalWriter] = []
        self._found_closed = found_closed

    @classmethod
    def create(cls, home: Path, name: str = "", *, disk: Disk | None = None) -> Self:
        """Begin a session in the home of all sessions, and open it.

        Raises
        ------
        StorageError
            If the folder cannot be written.
        """
        disk = disk or Disk()
        parent = home / SESSIONS
        wanted = file_name(name or now()[:19].replace("T", " ").replace(":", "."))
        with writing(parent):
            disk.make_folder(parent)
            path = _make_new(parent, wanted)
            disk.sync_folder(parent)
        lock = SessionLock(path)
        spec = SessionSpec(name=name)
        try:
            save_spec(spec, path / SESSION_FILE, disk)
        except BaseException:
            lock.release()
            raise
        return cls(path, spec, lock, disk)

    @classmethod
    def open(cls, path: Path, *, disk: Disk | None = None) -> Self:
        """Open a session to go on with it.

        Raises
        ------
        MissingInputError, InvalidInputError
            If there is none, or a newer version of the program wrote it.
        SessionTakenError
            If somebody has it open.
        StorageError
            If the folder cannot be written.
        """
        disk = disk or Disk()
        SessionSpec.load(path / SESSION_FILE)  # before anything is written into a folder that may not be ours
        lock = SessionLock(path)
        try:
            found = SessionSpec.load(path / SESSION_FILE)
            spec = found.model_copy(update={"closed": False})
            save_spec(spec, path / SESSION_FILE, disk)
        except BaseException:
            lock.release()
            raise
        return cls(path, spec, lock, disk, found_closed=found.closed)

    @property
    def annotations(self) -> Path:
        """One folder per journalled layer."""
        return self.path / "annotations"

    def layers(self) -> list[Path]:
        """Return the folders of the journalled layers."""
        return layer_folders(self.path)

    def create_layer(
        self, header: LayerHeader, base: ArrayLike | None = None, *, private: bool = False
    ) -> JournalWriter:
        """Begin the journal of a layer; parameters and errors are those of `JournalWriter.create`."""
        with writing(self.annotations):
            self._disk.make_folder(self.annotations)
            folder = _make_new(self.annotations, file_name(f"{header.image_name} {header.layer_name}"))
            self._disk.sync_folder(self.annotations)
        return self._hold(JournalWriter.create(folder, header, base, private=private, disk=self._disk))

    def open_layer(self, folder: Path) -> JournalWriter:
        """Go on with the journal of a layer; errors are those of `JournalWriter.open`."""
        return self._hold(JournalWriter.open(folder, disk=self._disk))

    def _hold(self, writer: JournalWriter) -> JournalWriter:
        self._writers = [*(other for other in self._writers if not other.closed), writer]
        return writer

    def rename(self, name: str) -> None:
        """Give the session a name; its folder stays where it is."""
        self._save(name=name)

    def set_thumbnail(self, pixels: NDArray[np.uint8]) -> None:
        """Keep a small picture of what the session is about, to know it by.

        Parameters
        ----------
        pixels
            Axes ``yx`` or ``yxc`` with 3 or 4 channels.
        """
        content: Any = imagecodecs.png_encode(np.ascontiguousarray(pixels, np.uint8))
        with writing(self.path / THUMBNAIL_FILE):
            self._disk.write_file(self.path / THUMBNAIL_FILE, bytes(content))

    def move(self, target: Path) -> None:
        """Move the session to the folder `target`, also on another disk; what was at its place goes only at the end.

        Raises
        ------
        InvalidInputError
            If a journal is still being written.
        OutputExistsError
            If something has that name.
        StorageError
            If the disk is full or the folder cannot be written; the session is then where it was.
        """
        target = expand_home(target).absolute()
        if any(not writer.closed for writer in self._writers):
            raise InvalidInputError(
                f"The journals of {self.path} are being written: end them before moving the session."
            )
        if target.exists():
            raise OutputExistsError(f"{target} exists: choose another name.")
        if self.path in target.parents:
            raise InvalidInputError(f"{target} lies within the session itself: choose another folder.")
        self._lock.release()
        try:
            move_folder(self.path, target)
            self.path = target
        finally:
            self._lock = SessionLock(self.path)

    def close(self, *, as_found: bool = False) -> None:
        """End all journals, note that all is well, and let others in; doing so twice does no harm.

        A session with an array that has not been written as a whole counts as not closed: it is offered again. With
        `as_found`, so does one that was not closed when it was opened: nobody has looked at what is in it.
        """
        try:
            with ExitStack() as all_of_them:
                for writer in self._writers:
                    all_of_them.callback(writer.close)
            well = not any(writer.gave_up for writer in self._writers) and (self._found_closed or not as_found)
            if well and (self.path / SESSION_FILE).exists():
                self._save(closed=True)
        finally:
            self._writers.clear()
            self._lock.release()

    def _save(self, **changes: Any) -> None:
        spec = self.spec.model_copy(update=changes)
        if spec != self.spec or not (self.path / SESSION_FILE).exists():
            save_spec(spec, self.path / SESSION_FILE, self._disk)
            self.spec = spec


def layer_folders(session: Path) -> list[Path]:
    """Return the folders of the journalled layers of a session."""
    return sorted(path.parent for path in (session / "annotations").glob(f"*/{LAYER_FILE}"))


def _make_new(parent: Path, wanted: str) -> Path:
    """Create a folder of a name that is free; another program may take one at the same time."""
    while True:
        path = parent / free_name(wanted, lambda name: (parent / name).exists())
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path

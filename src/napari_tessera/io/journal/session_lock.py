"""One program at a time writes into a session; the others are told which."""

from pathlib import Path

from napari_tessera.io.folder_lock import LOCK_FILE, FolderLock, FolderTakenError, Holder, find_holder

__all__ = ["LOCK_FILE", "Holder", "SessionLock", "SessionTakenError", "find_holder"]


class SessionTakenError(FolderTakenError):
    """A session that another program, or another window, has open."""

    def sentence(self, folder: Path, holder: Holder | None) -> str:
        """Return what a person is told."""
        by = "another program" if holder is None else holder.describe()
        return f"The session {folder} is open in {by}: close it there, or work in another session."


class SessionLock(FolderLock):
    """A session folder, held until `release`.

    Raises
    ------
    SessionTakenError
        If it is held already.
    StorageError
        If the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, SessionTakenError)

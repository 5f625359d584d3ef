"""One training at a time writes into a model folder; a second one is told."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_tessera.io.folder_lock import LOCK_FILE, FolderLock, FolderTakenError, Holder, find_holder
from napari_tessera.io.writing import writing

__all__ = ["LOCK_FILE", "ModelTakenError", "check_not_trained", "holding_model"]


class ModelTakenError(FolderTakenError):
    """A model folder that another training writes into."""

    def sentence(self, folder: Path, holder: Holder | None) -> str:
        """Return what a person is told."""
        one = "another window or command"
        by = one if holder is None else holder.describe(one, own="another run of this program")
        return f"The model {folder.name!r} is being trained by {by}. Wait for it, or train into another folder."


def check_not_trained(folder: Path) -> None:
    """Raise ModelTakenError if a training writes into `folder`."""
    holder = find_holder(folder)
    if holder is not None:
        raise ModelTakenError(folder, holder)


@contextmanager
def holding_model(folder: Path) -> Iterator[None]:
    """Hold a model folder, which is made if it is not there; if nothing has come into it, it goes again.

    Raises
    ------
    ModelTakenError
        If another training writes into it.
    StorageError
        If the folder cannot be written.
    """
    made = []
    with writing(folder):
        for parent in (folder, *folder.parents):
            if parent.exists():
                break
            made.append(parent)
        folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FolderLock(folder, ModelTakenError)
        try:
            yield
        finally:
            lock.release()
    finally:
        for path in made:
            with suppress(OSError):  # it holds something by now
                path.rmdir()

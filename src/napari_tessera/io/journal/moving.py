"""Moving a folder, also to another disk, so that it is whole at one of the two places whatever happens."""

import errno
import shutil
import uuid
from pathlib import Path

from napari_tessera.core.atomic import sync_file
from napari_tessera.core.leftovers import PARTIAL
from napari_tessera.io.journal.disk import Disk
from napari_tessera.io.journal.session_lock import LOCK_FILE
from napari_tessera.io.writing import writing


def move_folder(source: Path, target: Path) -> None:
    """Move `source` to `target`, which must not exist.

    Raises
    ------
    StorageError
        If that fails; `source` is then as it was.
    """
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.rename(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy_over(source, target)
        Disk().sync_folder(target.parent)
        if source.exists():  # copied, and safe at its new place
            shutil.rmtree(source, ignore_errors=True)


def _copy_over(source: Path, target: Path) -> None:
    """Copy to a folder of another name, sync files and names, and rename; the original stays."""
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.{PARTIAL}")
    try:
        shutil.copytree(source, partial, copy_function=_copy_synced, ignore=shutil.ignore_patterns(LOCK_FILE))
        for folder in (partial, *(path for path in partial.rglob("*") if path.is_dir())):
            Disk().sync_folder(folder)
        partial.rename(target)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _copy_synced(source: str, target: str) -> None:
    shutil.copy2(source, target)
    with Path(target).open("rb+") as file:
        sync_file(file)

"""What can be done with a model's folder: naming it anew, copying it, removing it."""

import shutil
import uuid
from pathlib import Path

from napari_tessera.config.model import HEADER_FILE, load_model_spec
from napari_tessera.core.errors import InvalidInputError, MissingInputError, ModelError, OutputExistsError
from napari_tessera.io.folder_lock import LOCK_FILE
from napari_tessera.io.journal.naming import file_name
from napari_tessera.io.model_lock import check_not_trained
from napari_tessera.io.writing import writing
from napari_tessera.napari_plugin.home import next_name

_REMOVED, _COPYING = ".removed", ".copying"
_PREVIEWS = "previews"


def rename_model(folder: Path, name: str) -> Path:
    """Give a model another name; return where it lies then.

    Raises
    ------
    InvalidInputError
        If nothing of the name can be the name of a folder.
    OutputExistsError
        If another model has it.
    ModelTakenError
        If it is being trained.
    StorageError, MissingInputError
        If it cannot be written, or is gone.
    """
    if not name.strip():
        raise InvalidInputError("A model needs a name: type one.")
    target = folder.with_name(file_name(name))
    if target == folder:
        return folder
    _check(folder)
    if target.exists() and not _is_same(target, folder):
        raise OutputExistsError(f"There is a model {target.name!r} already: choose another name.")
    with writing(target):
        folder.rename(target)
        _say_name(target)
    return target


def duplicate_model(folder: Path) -> Path:
    """Copy a model with its checkpoint; return where the copy lies. Raises as `rename_model` does."""
    _check(folder)
    name = next_name(f"{folder.name} copy", lambda candidate: folder.with_name(candidate).exists())
    target = folder.with_name(name)
    partial = folder.with_name(f".{name}.{uuid.uuid4().hex[:8]}{_COPYING}")
    with writing(target):
        try:
            shutil.copytree(folder, partial, ignore=shutil.ignore_patterns(LOCK_FILE, _PREVIEWS, ".*.partial"))
            _say_name(partial, name)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return target


def remove_model(folder: Path) -> None:
    """Remove a model with its checkpoint, because the person said so. Raises as `rename_model` does."""
    _check(folder)
    gone = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}{_REMOVED}")
    with writing(folder):
        folder.rename(gone)
    for left in folder.parent.glob(f".*{_REMOVED}"):  # with what a program that was killed had begun to remove
        shutil.rmtree(left, ignore_errors=True)


def _check(folder: Path) -> None:
    if not folder.is_dir():
        raise MissingInputError(f"There is no model {folder}: it may have been renamed or removed elsewhere.")
    check_not_trained(folder)


def _is_same(one: Path, other: Path) -> bool:
    """Whether two names are of one folder: on some disks those that differ in upper and lower case are."""
    return one.samefile(other)


def _say_name(folder: Path, name: str = "") -> None:
    """Write the name into the header, if there is one that can be read."""
    try:
        spec = load_model_spec(folder)
    except ModelError:
        return
    spec.model_copy(update={"name": name or folder.name}).save(folder / HEADER_FILE)

"""Folders that results go to: one that is missing is created, a whole path that is not there is a slip of the pen."""

from pathlib import Path

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.paths import expand_home


def check_folder(folder: Path) -> None:
    """Refuse a folder that does not exist, and whose parent does not either; nothing is created here.

    Raises
    ------
    InvalidInputError
        Naming the first folder of the path that is missing.
    """
    parent = expand_home(folder).absolute().parent
    for place in (expand_home(folder).absolute(), parent):
        if place.is_file():
            raise InvalidInputError(f"{place} is a file, so nothing can be written into it: correct the path {folder}.")
    if expand_home(folder).exists() or parent.exists():
        return
    missing = parent
    while not missing.parent.exists():
        missing = missing.parent
    raise InvalidInputError(f"There is no folder {missing}: create it first, or correct the path {folder}.")

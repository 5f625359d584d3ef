"""Everything that the journal does to the disk, in one place: tests put a disk here that fails or dies."""

import errno
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from napari_tessera.core.atomic import sync_file, sync_folder
from napari_tessera.core.errors import StorageError


@contextmanager
def keeping(folder: Path) -> Iterator[None]:
    """Turn any failure to write into one sentence about the journal in `folder`.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written; what was to be written is still in memory.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            cause, remedy = "The disk is full", "free space"
        else:
            cause, remedy = f"{folder} cannot be written ({error.strerror or error})", "make it writable"
        raise StorageError(f"{cause}, so the last changes are held in memory: {remedy}, and they are saved.") from error


class DamageError(StorageError):
    """What lies on the disk is not what was written there; whoever still has it in memory can write it again."""


class Disk:
    """The file system, and what is needed to be sure that it holds what it was given."""

    def create(self, path: Path) -> BinaryIO:
        """Create a file that must not exist, unbuffered."""
        return path.open("xb", buffering=0)

    def write(self, file: BinaryIO, content: bytes | bytearray | memoryview) -> None:
        """Write all of `content`; an error may leave part of it in the file."""
        rest = memoryview(content)
        while rest:
            rest = rest[file.write(rest) :]

    def sync(self, file: BinaryIO) -> None:
        """Return when the content of `file` is on the disk."""
        sync_file(file)

    def sync_folder(self, folder: Path) -> None:
        """Return when the names in `folder` are on the disk."""
        sync_folder(folder, sure=True)

    def replace(self, source: Path, target: Path) -> None:
        """Give `source` the name `target` in one step, in place of what had it."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file; one that is gone already is fine."""
        path.unlink(missing_ok=True)

    def remove_folder(self, folder: Path) -> None:
        """Remove a folder that nothing refers to any more; what cannot be removed stays until the next time."""
        shutil.rmtree(folder, ignore_errors=True)

    def make_folder(self, folder: Path, *, sync_name: bool = True) -> None:
        """Create a folder and those it lies in; with `sync_name` their names are on the disk then."""
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for new in reversed(missing):
            new.mkdir(exist_ok=True)
            if sync_name:
                self.sync_folder(new.parent)

    def keep(self, path: Path, copy: Path) -> None:
        """Give a file that is never written to again a second name, or copy it where that cannot be.

        A file that is there already is left, and one that the disk itself cannot read any more cannot be copied.
        """
        self.make_folder(copy.parent)
        try:
            copy.hardlink_to(path)
        except FileExistsError:
            return
        except OSError:
            try:
                content = path.read_bytes()
            except OSError as error:
                if error.errno == errno.EIO:
                    return
                raise
            self.write_file(copy, content)
            return
        self.sync_folder(copy.parent)

    def write_file(self, path: Path, content: bytes, *, sync_name: bool = True) -> None:
        """Write a file in one step: under its name stands the old content or all of the new, whatever happens.

        With `sync_name` false a loss of power may bring the old content back until the folder is synced.
        """
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{TEMPORARY}")
        try:
            with self.create(temporary) as file:
                self.write(file, content)
                self.sync(file)
            self.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        if sync_name:
            self.sync_folder(path.parent)


TEMPORARY = ".new"
"""How the names of files end that are being written; whoever finds one later may remove it."""

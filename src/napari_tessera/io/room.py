"""Whether the disk has room for an output, asked before any work is done for it."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

from napari_tessera.core.errors import StorageError
from napari_tessera.core.image import ImageSpec
from napari_tessera.io.memory import describe_bytes

LARGEST_FILE = 2**63 - 1
"""Bytes; where a position in a file ends, for every system."""

COMPRESSED = 100
"""Chunks are seldom smaller than their pixels by more than this; what does not fit even so is refused."""


def check_room(path: Path, specs: Sequence[ImageSpec], *, compressed: bool) -> None:
    """Refuse an output that cannot fit on the disk.

    Parameters
    ----------
    path
        Where it is to go; the next folder above it that exists tells of the free space.
    specs
        What is written: an image, or its levels.
    compressed
        Whether pixels are compressed, and chunks of zeros left out: then only what is far too large is refused.

    Raises
    ------
    StorageError
        Saying how much it takes and how much is free.
    """
    size = sum(math.prod(spec.shape) * spec.dtype.itemsize for spec in specs)
    shape = " × ".join(map(str, specs[0].shape))
    if not compressed and size > LARGEST_FILE:
        raise StorageError(
            f"{path} cannot be written: an image of {shape} pixels is larger than any file can be; make it smaller."
        )
    free = free_space(path)
    if free is None or (size // COMPRESSED if compressed else size) <= free:
        return
    least = " even when compressed" if compressed else ""
    other = "" if compressed else ", write to .ome.zarr, which is compressed"
    raise StorageError(
        f"{path} does not fit on the disk{least}: {shape} pixels take {describe_bytes(size)}, and "
        f"{describe_bytes(free)} are free; make the image smaller, free space{other}, or choose another disk."
    )


def free_space(path: Path) -> int | None:
    """Return how many bytes are free where `path` is or will be; None where nothing tells."""
    for folder in (path.absolute(), *path.absolute().parents):
        if folder.is_dir():
            try:
                return shutil.disk_usage(folder).free
            except OSError:
                return None
    return None

"""Which folders are zarrs, seen from outside: the library itself takes half a second to import, and is not needed."""

from pathlib import Path

NODE_FILES = ("zarr.json", ".zarray", ".zgroup")
"""One of these lies in every folder that is a zarr array or group."""

METADATA_KEY = "napari-tessera"
"""Attribute of the group that holds the metadata given to `create_image`."""


def is_zarr(path: Path) -> bool:
    """Whether `path` is a zarr array or group."""
    return any((path / name).is_file() for name in NODE_FILES)

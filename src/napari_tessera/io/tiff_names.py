"""Names of TIFF files and of images in them, for whoever opens none: the library takes its time to be imported."""

from pathlib import Path

SUFFIXES = (".tif", ".tiff", ".btf", ".tf8")


def split_part(path: Path) -> tuple[Path, str]:
    """Return the file, and what of it is meant: ``cells.tif/1`` is an image of ``cells.tif``; empty for the file."""
    if path.suffix.lower() not in SUFFIXES and path.parent.suffix.lower() in SUFFIXES and path.parent.is_file():
        return path.parent, path.name
    return path, ""

"""What our own files keep beside their pixels."""

import json
from pathlib import Path
from typing import Any

from napari_tessera.core.errors import TesseraError
from napari_tessera.io.arrays import reading
from napari_tessera.io.zarr_folders import METADATA_KEY, is_zarr


def read_kept(path: Path) -> dict[str, Any]:
    """Return the metadata that `create_image` was given for a file of ours; empty in any other file."""
    try:
        with reading(path):
            kept: Any = _kept_in_zarr(path) if is_zarr(path) else _kept_in_tiff(path)
    except TesseraError:
        return {}
    return dict(kept) if isinstance(kept, dict) else {}


def _kept_in_zarr(path: Path) -> Any:
    import zarr

    return zarr.open(str(path), mode="r").attrs.asdict().get(METADATA_KEY)


def _kept_in_tiff(path: Path) -> Any:
    from tifffile import TiffFile

    from napari_tessera.io.tiff_metadata import read_note

    if path.suffix.lower() not in (".tif", ".tiff"):
        return None
    with TiffFile(path) as tif:
        note = read_note(tif)
    kept = note.get("metadata") if note is not None else None
    return json.loads(kept) if isinstance(kept, str) else kept

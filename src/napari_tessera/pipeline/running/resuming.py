"""What decides a result, told in a fingerprint: by it a run knows the unfinished output that it goes on with."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_tessera.core.image import ImageSource
from napari_tessera.core.paths import expand_home
from napari_tessera.core.version import __version__
from napari_tessera.io.ledger import Fingerprint, describe_spec
from napari_tessera.io.tiff_names import split_part


def state_of(path: Path) -> str:
    """Return what changes when the file or zarr at `path` is written anew: size and time; of a zarr, its metadata's."""
    files = [path, *(path / name for name in ("zarr.json", ".zattrs", ".zgroup", ".zarray"))]
    stats = [file.stat() for file in files if file.is_file()]
    return " ".join(f"{each.st_size}-{each.st_mtime_ns}" for each in stats)


def digest(value: Any) -> str:
    """Return a short digest of a JSON-ready value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def fingerprint(
    inputs: Mapping[str, ImageSource | NDArray[Any]], settings: Mapping[str, Any], device: str = "cpu"
) -> Fingerprint | None:
    """Return what decides a result.

    Parameters
    ----------
    inputs
        By what they are called in front of a person: images, and arrays that are read whole.
    settings
        All else that decides it, JSON-ready, by what it is called.
    device
        Kind of the device that computes.

    Returns
    -------
    Fingerprint or None
        None if an image lies in no file, so that nothing tells whether it is the same another time.
    """
    fields: dict[str, Any] = {"program": f"napari-tessera {__version__}", **settings}
    for name, value in inputs.items():
        if not isinstance(value, ImageSource):
            fields[name] = f"{value.shape} {hashlib.sha256(value.tobytes()).hexdigest()[:16]}"
            continue
        path = _file_of(value)
        if path is None:
            return None
        fields |= {
            name: str(path.absolute()),
            f"{name} (size and time)": state_of(split_part(path)[0]),
            f"{name} (read as)": describe_spec(value.spec),
        }
    return Fingerprint(fields, device)


def _file_of(image: ImageSource) -> Path | None:
    while image.base is not None:
        image = image.base
    path = getattr(image, "path", None)
    return expand_home(path) if isinstance(path, Path) else None

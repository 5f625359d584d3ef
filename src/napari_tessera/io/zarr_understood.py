"""What a zarr array asks for that is not known here: such an array is sound, and no copy of it will be read either."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numcodecs
from zarr.registry import get_codec_class

from napari_tessera.io.ngff_transforms import quoted

_FORMATS = (2, 3)
_TYPES = ("bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)))
_FLOATS = ("float16", "float32", "float64")
_GRID = "regular"
_OF_OBJECTS = ("pickle", "json2", "msgpack2", "vlen-utf8", "vlen-bytes", "vlen-array", "categorize")
"""Codecs of zarr 2 for objects of Python, which are no pixels."""


def what_is_unknown(path: Path) -> str:
    """Return what the metadata of the array at `path` ask for that is not known here; empty if nothing is found.

    The text goes on after "it has", as "a compression 'jpeg2k'".
    """
    for name in ("zarr.json", ".zarray"):
        try:
            fields = json.loads((path / name).read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(fields, Mapping):
            return next(_unknown(fields), "")
    return ""


def _unknown(fields: Mapping[str, Any]) -> Iterator[str]:
    version = fields.get("zarr_format")
    if isinstance(version, int) and version not in _FORMATS:
        yield f"the zarr format {version}"
    elif version == 2:
        yield from _unknown_in_2(fields)
    else:
        yield from _unknown_in_3(fields)


def _unknown_in_2(fields: Mapping[str, Any]) -> Iterator[str]:
    kind = fields.get("dtype")
    if isinstance(kind, list) or (isinstance(kind, str) and kind[1:2] not in tuple("biufc")):
        yield f"pixels of type {quoted(kind)}"
    filters = fields.get("filters")
    for codec in (fields.get("compressor"), *(filters if isinstance(filters, list) else ())):
        name = codec.get("id") if isinstance(codec, Mapping) else None
        if isinstance(name, str) and (name in _OF_OBJECTS or not _is_numcodec(name)):
            yield f"a compression {quoted(name)}"


def _unknown_in_3(fields: Mapping[str, Any]) -> Iterator[str]:
    kind = fields.get("data_type")
    name = kind.get("name") if isinstance(kind, Mapping) else kind
    if isinstance(name, str) and name not in (*_TYPES, *_FLOATS):
        yield f"pixels of type {quoted(name)}"
    grid = fields.get("chunk_grid")
    if isinstance(grid, Mapping) and isinstance(grid.get("name"), str) and grid["name"] != _GRID:
        yield f"chunks of a kind {quoted(grid['name'])}"
    if fields.get("storage_transformers"):
        yield "a storage transformer"
    codecs = fields.get("codecs")
    for codec in codecs if isinstance(codecs, list) else ():
        name = codec.get("name") if isinstance(codec, Mapping) else None
        if isinstance(name, str) and not _is_codec(name):
            yield f"a compression {quoted(name)}"


def _is_codec(name: str) -> bool:
    try:
        get_codec_class(name)
    except (KeyError, ValueError):
        return False
    return True


def _is_numcodec(name: str) -> bool:
    registry = numcodecs.registry
    return name in registry.codec_registry or name in registry.entries

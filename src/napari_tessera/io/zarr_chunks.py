"""Whether the chunks of a zarr array lie where its metadata say: those that are not found read as zeros."""

import copy
import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zarr
from zarr.core.chunk_key_encodings import ChunkKeyEncoding, DefaultChunkKeyEncoding, V2ChunkKeyEncoding

from napari_tessera.core.errors import StorageError

_METADATA = re.compile(r"zarr\.json|\.z.*")
_LOOKED_AT = 5_000
"""So many names in a folder are looked at, at most."""


@dataclass(frozen=True)
class Naming:
    """How chunks are called: ``c/0/1`` (prefix, slash), ``0.1`` (no prefix, dot), and so on."""

    prefix: bool
    separator: str

    def matches(self, names: Iterator[tuple[str, Path]], ndim: int) -> bool:
        """Whether one of `names`, the entries of the folder, is that of a chunk or leads to one."""
        if self.separator == "." or (ndim == 1 and not self.prefix):
            pattern = re.compile(r"\.".join([*(["c"] if self.prefix else []), *[r"\d+"] * ndim]))
            return any(pattern.fullmatch(name) and path.is_file() for name, path in names)
        first = re.compile("c" if self.prefix else r"\d+")
        depth = ndim if self.prefix else ndim - 1
        return any(first.fullmatch(name) and _leads_down(path, depth) for name, path in names)


_ALL = tuple(Naming(prefix, separator) for prefix, separator in itertools.product((False, True), "./"))


def find_chunks(array: zarr.Array[Any], path: Path) -> tuple[zarr.Array[Any], tuple[str, ...]]:
    """Return `array` with its chunks found, by another way of naming them if need be, and what is to be said of that.

    Raises
    ------
    StorageError
        If its folder holds chunks by names that fit no way of naming them.
    """
    own = _naming(array)
    ndim = array.ndim
    if own is None or ndim == 0:
        return array, ()
    found = [naming for naming in (own, *_ALL) if naming.matches(_entries(path), ndim)]
    if own in found and set(found) == {own}:
        return array, ()
    if own in found:
        return array, (
            f"{path} holds chunks by names of two kinds, of which one is read, so that parts may be missing: export it "
            "again.",
        )
    if found:
        said = f"'{own.separator}'" if own.prefix == found[0].prefix else "the names of another version of zarr"
        return _renamed(array, found[0]), (
            f"The metadata of {path} give {said} for the names of its chunks, which are called otherwise: they were "
            "found, but other programs may show zeros; export it again.",
        )
    strange = next((name for name, _ in _entries(path)), None)
    if strange is not None:
        raise StorageError(
            f"{path} holds no chunk by the names that its metadata give, but {strange!r:.60}, so its pixels cannot be "
            "read: copy or export it again."
        )
    value: Any = array.metadata.fill_value
    return array, (
        f"{path} holds not a single chunk, so that all of its pixels are {value if value is not None else 0}: copy or "
        "export it again if there should be an image.",
    )


def _naming(array: zarr.Array[Any]) -> Naming | None:
    metadata: Any = array.metadata
    if metadata.zarr_format == 2:
        return Naming(prefix=False, separator=metadata.dimension_separator)
    encoding: ChunkKeyEncoding = metadata.chunk_key_encoding
    if isinstance(encoding, DefaultChunkKeyEncoding | V2ChunkKeyEncoding):
        return Naming(isinstance(encoding, DefaultChunkKeyEncoding), encoding.separator)
    return None


def _renamed(array: zarr.Array[Any], naming: Naming) -> zarr.Array[Any]:
    metadata: Any = copy.copy(array.metadata)
    separator: Any = naming.separator
    if metadata.zarr_format == 2 and not naming.prefix:
        object.__setattr__(metadata, "dimension_separator", separator)
    elif metadata.zarr_format == 2:
        raise StorageError(
            f"{array.store_path.path or array.store_path} has chunks of zarr 3 and metadata of zarr 2: copy or export "
            "it again."
        )
    else:
        kind = DefaultChunkKeyEncoding if naming.prefix else V2ChunkKeyEncoding
        object.__setattr__(metadata, "chunk_key_encoding", kind(separator=separator))
    return with_metadata(array, metadata)


def with_metadata(array: zarr.Array[Any], metadata: Any) -> zarr.Array[Any]:
    """Return the array in the same place, read as `metadata` say."""
    old = array.async_array if hasattr(array, "async_array") else array._async_array  # noqa: SLF001  public since 3.1
    return zarr.Array(type(old)(metadata=metadata, store_path=old.store_path, config=old.config))


def _entries(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the entries of a folder but its metadata and what is hidden."""
    with os.scandir(folder) as entries:
        for entry in itertools.islice(entries, _LOOKED_AT):
            if not _METADATA.fullmatch(entry.name) and not entry.name.startswith((".", "__")):
                yield entry.name, Path(entry.path)


def _leads_down(folder: Path, depth: int) -> bool:
    """Whether a file lies `depth` folders of numbers below, by the first way down that there is."""
    if depth == 0:
        return folder.is_file()
    if not folder.is_dir():
        return False
    inner = next((path for name, path in _entries(folder) if name.isdigit()), None)
    return inner is not None and _leads_down(inner, depth - 1)

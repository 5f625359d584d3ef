"""Chunks that are not where the metadata say, and chunks that are not what they seem."""

import gzip
import json
import lzma
import zlib
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

from napari_tessera.core.errors import OutOfMemoryError, StorageError
from napari_tessera.io import zarr_bounds
from napari_tessera.io.opening import notes_about, open_image

PIXELS = np.random.default_rng(0).integers(1, 999, (2, 20, 30)).astype(np.uint16)
BOMB = 4 * 2**20


def _array(path: Path, **options: Any) -> Path:
    zarr.create_array(str(path), data=PIXELS, chunks=(1, 10, 15), **options)
    return path


def _pixels(path: Path) -> np.ndarray:
    image = open_image(path)
    return image.read(image.spec.full_region)


def _change(path: Path, change: dict[str, Any]) -> None:
    header = path / (".zarray" if (path / ".zarray").is_file() else "zarr.json")
    header.write_text(json.dumps({**json.loads(header.read_text()), **change}))


@pytest.mark.parametrize("separator", [".", "/"])
def test_chunks_under_another_separator_are_found_and_told_of(tmp_path: Path, separator: Any) -> None:
    two = _array(tmp_path / "2.zarr", zarr_format=2, chunk_key_encoding={"name": "v2", "separator": separator})
    assert notes_about(open_image(two)) == ()
    _change(two, {"dimension_separator": "./"["./".index(separator) - 1]})
    three = _array(tmp_path / "3.zarr", chunk_key_encoding={"name": "default", "separator": separator})
    for other in ("default", "v2"):
        wrong = "./"["./".index(separator) - 1] if other == "default" else separator
        _change(three, {"chunk_key_encoding": {"name": other, "configuration": {"separator": wrong}}})
        assert "names of its chunks" in notes_about(open_image(three))[0] or other == "v2"
        assert np.array_equal(_pixels(three), PIXELS)
    assert np.array_equal(_pixels(two), PIXELS)
    assert "names of its chunks" in notes_about(open_image(two))[0]


def test_a_store_without_the_separator_in_its_metadata(tmp_path: Path) -> None:
    path = _array(tmp_path / "a.zarr", zarr_format=2, chunk_key_encoding={"name": "v2", "separator": "/"})
    header = json.loads((path / ".zarray").read_text())
    del header["dimension_separator"]
    (path / ".zarray").write_text(json.dumps(header))
    assert np.array_equal(_pixels(path), PIXELS)


def test_chunks_by_names_of_no_kind_are_refused(tmp_path: Path) -> None:
    path = _array(tmp_path / "a.zarr", zarr_format=2, chunk_key_encoding={"name": "v2", "separator": "."})
    for chunk in list(path.iterdir()):
        if chunk.name[0].isdigit():
            chunk.rename(path / f"{chunk.name}.gz")
    with pytest.raises(StorageError, match="holds no chunk by the names that its metadata give"):
        open_image(path)


def test_chunks_of_too_few_dimensions_are_refused(tmp_path: Path) -> None:
    path = _array(tmp_path / "a.zarr", zarr_format=2, chunk_key_encoding={"name": "v2", "separator": "."})
    for chunk in [entry for entry in path.iterdir() if entry.name[0].isdigit()]:
        chunk.rename(path / chunk.name[2:])
    with pytest.raises(StorageError, match="holds no chunk by the names"):
        open_image(path)


def test_chunks_under_both_separators_are_told_of(tmp_path: Path) -> None:
    path = _array(tmp_path / "a.zarr", zarr_format=2, chunk_key_encoding={"name": "v2", "separator": "."})
    (path / "0" / "1").mkdir(parents=True)
    (path / "0.1.1").rename(path / "0" / "1" / "1")
    assert "names of two kinds" in notes_about(open_image(path))[0]


def test_an_array_without_a_chunk_is_told_of(tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path / "a.zarr"), shape=(4, 4), dtype="uint8", fill_value=7)
    assert (
        "holds not a single chunk, so that all of its pixels are 7" in notes_about(open_image(tmp_path / "a.zarr"))[0]
    )


COMPRESSORS: dict[str, dict[str, Any]] = {
    "gzip": {"compressors": GzipCodec()},
    "zstd": {"compressors": ZstdCodec()},
    "blosc": {"compressors": BloscCodec()},
    "shards": {"compressors": GzipCodec(), "shards": (2, 20, 30)},
    **{
        f"2-{name}": {"zarr_format": 2, "compressors": {"id": name}}
        for name in ("gzip", "zlib", "bz2", "zstd", "blosc", "lz4", "lzma")
    },
}


@pytest.mark.parametrize("options", COMPRESSORS.values(), ids=COMPRESSORS)
def test_every_compressor_gives_the_pixels(tmp_path: Path, options: dict[str, Any]) -> None:
    assert np.array_equal(_pixels(_array(tmp_path / "a.zarr", **options)), PIXELS)


@pytest.mark.parametrize("name", [name for name in COMPRESSORS if name != "shards"])
def test_a_chunk_of_a_thousand_times_its_size_is_refused(tmp_path: Path, name: str) -> None:
    path = _array(tmp_path / "a.zarr", **COMPRESSORS[name])
    zeros = np.zeros(BOMB, np.uint8)
    kind = name.removeprefix("2-")
    data = gzip.compress(zeros, 1) if kind == "gzip" else numcodecs.get_codec({"id": kind}).encode(zeros)
    (path / ("0.0.0" if name.startswith("2-") else "c/0/0/0")).write_bytes(data)
    image = open_image(path)
    with pytest.raises(StorageError, match="far more than its array has room for"):
        image.read(image.spec.full_region)


def test_a_stream_that_does_not_announce_its_size_is_bounded_too(tmp_path: Path) -> None:
    import imagecodecs

    path = _array(tmp_path / "a.zarr", compressors=ZstdCodec())
    whole = bytearray(imagecodecs.zstd_encode(np.zeros(BOMB, np.uint8)))
    # the same frame without its content size: a header of magic number, flags and window
    flags = whole[4]
    width = (1 if flags >> 5 & 1 else 0, 2, 4, 8)[flags >> 6]
    start = 5 + (0 if flags >> 5 & 1 else 1)
    (path / "c/0/0/0").write_bytes(bytes(whole[:4]) + bytes([flags & 0x04, 0x98]) + bytes(whole[start + width :]))
    image = open_image(path)
    with pytest.raises(StorageError):
        image.read(image.spec.full_region)


def test_a_chunk_that_is_larger_than_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(str(path), shape=(2**15, 2**15), chunks=(2**15, 2**15), dtype="uint8", compressors=GzipCodec())
    (path / "c" / "0").mkdir(parents=True)
    (path / "c/0/0").write_bytes(zlib.compress(b"\0"))
    monkeypatch.setattr(zarr_bounds, "free_memory", lambda: 2**29)
    with pytest.raises(OutOfMemoryError, match="smaller tiles or chunks"):
        open_image(path).read((slice(0, 1), slice(0, 1)))


def test_lzma_that_is_damaged_is_told(tmp_path: Path) -> None:
    path = _array(tmp_path / "a.zarr", **COMPRESSORS["2-lzma"])
    (path / "0.0.0").write_bytes(lzma.compress(b"\0" * 8)[:20])
    image = open_image(path)
    with pytest.raises(StorageError):
        image.read(image.spec.full_region)

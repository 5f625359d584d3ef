"""Chunks that give no more bytes than they should, and are not begun where memory does not suffice for them."""

import bz2
import copy
import lzma
import math
import struct
import zlib
from typing import Any

import imagecodecs
import zarr
from zarr.codecs import BloscCodec, GzipCodec, ShardingCodec, ZstdCodec

from napari_tessera.core.errors import StorageError
from napari_tessera.io.memory import describe_bytes, free_memory
from napari_tessera.io.zarr_chunks import with_metadata

_LARGE = 2**26
_ROOM = 2**20
_ZSTD = b"\x28\xb5\x2f\xfd"


def bounded(array: zarr.Array[Any]) -> zarr.Array[Any]:
    """Return `array` with its chunks decompressed as far as they fit it, and refused if they go on.

    A few bytes of some compressors stand for gigabytes. Decoding raises `StorageError` for such a chunk, and
    `MemoryError` for one that is honest but larger than the memory that is free.
    """
    metadata: Any = copy.copy(array.metadata)
    if metadata.zarr_format == 2:
        if metadata.compressor is None:
            return array
        size = math.prod(metadata.chunks) * array.dtype.itemsize
        object.__setattr__(metadata, "compressor", _Bounded(metadata.compressor, size))
    else:
        object.__setattr__(metadata, "codecs", tuple(_bounded_codec(codec) for codec in metadata.codecs))
    return with_metadata(array, metadata)


def decode_bounded(name: str, data: Any, size: int) -> bytes | None:
    """Decompress `data` if it gives about `size` bytes at most; None if another decoder has to do it, and may.

    Parameters
    ----------
    name
        Of the compressor, as numcodecs calls it.
    data
        A compressed chunk.
    size
        Bytes of the chunk as its array describes it; filters may need some more.

    Raises
    ------
    StorageError
        If it gives more.
    MemoryError
        If there is no room for `size` bytes.
    """
    free = free_memory() if size > _LARGE else None
    if free is not None and size > free:
        raise MemoryError
    limit = 8 * size + _ROOM
    content = memoryview(data).cast("B")
    if name in ("gzip", "zlib"):
        return _inflate(content, limit)
    if name == "bz2":
        decoder = bz2.BZ2Decompressor()
        return _checked(decoder.decompress(bytes(content), limit + 1), limit)
    if name == "zstd":
        announced = _zstd_size(content)
        if announced is None:
            return bytes(imagecodecs.zstd_decode(bytes(content), out=limit))
        _check(announced, limit)
    if name == "blosc" and len(content) >= 16:
        _check(struct.unpack_from("<I", content, 4)[0], limit)
    if name == "lz4" and len(content) >= 4:
        _check(struct.unpack_from("<I", content, 0)[0], limit)
    return None


class _Bounded:
    """A compressor of zarr 2 that decodes up to a limit."""

    def __init__(self, codec: Any, size: int) -> None:
        self.codec_id = codec.codec_id
        self.codec = codec
        self.size = size

    def encode(self, buf: Any) -> Any:
        return self.codec.encode(buf)

    def decode(self, buf: Any, out: Any = None) -> Any:
        name = self.codec.codec_id
        if name == "lzma":
            limit = 8 * self.size + _ROOM
            decoder = lzma.LZMADecompressor(self.codec.format, None, self.codec.filters)
            return _checked(decoder.decompress(bytes(memoryview(buf).cast("B")), limit + 1), limit)
        decoded = decode_bounded(name, buf, self.size)
        return self.codec.decode(buf, out) if decoded is None else decoded

    def get_config(self) -> dict[str, Any]:
        return dict(self.codec.get_config())


class _Limited:
    """Mixed into a codec of zarr 3: decodes up to a limit."""

    name = ""

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        size = math.prod(chunk_spec.shape) * chunk_spec.dtype.item_size
        decoded = decode_bounded(self.name, chunk_bytes.as_array_like(), size)
        if decoded is None:
            return await super()._decode_single(chunk_bytes, chunk_spec)  # type: ignore[misc]
        return chunk_spec.prototype.buffer.from_bytes(decoded)


class _Gzip(_Limited, GzipCodec):
    name = "gzip"


class _Zstd(_Limited, ZstdCodec):
    name = "zstd"


class _Blosc(_Limited, BloscCodec):
    name = "blosc"


_LIMITED: dict[type, type] = {GzipCodec: _Gzip, ZstdCodec: _Zstd, BloscCodec: _Blosc}


def _bounded_codec(codec: Any) -> Any:
    if isinstance(codec, ShardingCodec):
        inner = copy.copy(codec)
        object.__setattr__(inner, "codecs", tuple(_bounded_codec(one) for one in codec.codecs))
        return inner
    kind: Any = _LIMITED.get(type(codec))
    if kind is None:
        return codec
    limited = kind.__new__(kind)
    limited.__dict__.update(codec.__dict__)
    return limited


def _inflate(content: memoryview, limit: int) -> bytes:
    """Decompress all members of a gzip or zlib stream."""
    parts: list[bytes] = []
    total = 0
    rest = bytes(content)
    while rest:
        decoder = zlib.decompressobj(wbits=47)  # gzip or zlib, as its header says
        parts.append(decoder.decompress(rest, limit + 1 - total))
        total += len(parts[-1])
        _check(total, limit)
        if not decoder.eof:
            raise zlib.error("incomplete or truncated stream")
        rest = decoder.unused_data.lstrip(b"\0")
    return b"".join(parts) if len(parts) != 1 else parts[0]


def _zstd_size(content: memoryview) -> int | None:
    """Return how many bytes the header of a zstd frame announces; None if it does not say."""
    if bytes(content[:4]) != _ZSTD or len(content) < 5:
        return 0
    flags = content[4]
    single, kind = flags >> 5 & 1, flags >> 6
    width = (single, 2, 4, 8)[kind]
    start = 5 + (1 - single) + (0, 1, 2, 4)[flags & 3]
    if not width:
        return None
    return int.from_bytes(content[start : start + width], "little") + (256 if width == 2 else 0)


def _checked(decoded: bytes, limit: int) -> bytes:
    _check(len(decoded), limit)
    return decoded


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise StorageError(
            f"A chunk would give {describe_bytes(size)} or more, far more than its array has room for: it is damaged, "
            "or made to fill the memory; export the image again."
        )

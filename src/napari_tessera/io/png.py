"""PNG files."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import imagecodecs

from napari_tessera.core.axes import validate_axes
from napari_tessera.core.errors import InvalidInputError, OutOfMemoryError, StorageError
from napari_tessera.core.image import ImageSpec
from napari_tessera.io.arrays import ArraySource, reading
from napari_tessera.io.memory import describe_bytes, free_memory

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY = 0
_COLOR = 2
_PALETTE = 3
_OPACITY = 4  # a flag beside the other two
_WITH_OPACITY = (_GRAY + _OPACITY, _COLOR + _OPACITY)


_MOST_COMPRESSION = 1100
"""Bytes that one byte of a PNG can stand for: deflate gives 258 for 2 bits, which is 1032."""
_SAMPLES = {_GRAY: 1, _COLOR: 3, _PALETTE: 1, _GRAY + _OPACITY: 2, _COLOR + _OPACITY: 4}
"""Numbers per pixel by the type of colour."""
_INTERLACED = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""First row, first column and the steps to the next, of the parts of an interlaced file."""
_PIECE = 2**20
_END = b"\0\0\0\0IEND\xaeB`\x82"


def _check_size(path: Path, encoded: bytes) -> None:
    """Refuse a header that says more than the file can hold, or more than fits into memory, before memory is taken."""
    width, height, bits, color = struct.unpack(">IIBB", encoded[16:26])
    size = height * ((width * bits * _SAMPLES.get(color, 1) + 7) // 8)
    if size > _MOST_COMPRESSION * len(encoded):
        raise StorageError(
            f"{path} says that it has {width} × {height} pixels, which its {len(encoded)} bytes cannot hold: it is "
            "damaged; copy or export it again."
        )
    free = free_memory()
    if free is not None and 2 * size > free:  # once decoded, and once as the decoder hands it over
        raise OutOfMemoryError(
            f"{path} has {width} × {height} pixels, which do not fit into memory ({describe_bytes(2 * size)} needed, "
            f"{describe_bytes(free)} free) and PNG is read as a whole: save it as tiled TIFF or OME-Zarr."
        )


class PaletteSource(ArraySource):
    """A PNG whose pixels are numbers of colours: as an image it is these colours, as labels the numbers."""

    def numbers(self) -> ArraySource:
        """Return the numbers, uint8 with axes ``yx``."""
        assert self.path is not None  # it comes from a file
        return open_png(self.path, "yx")


def open_png(path: Path, axes: str | None = None) -> ArraySource:
    """Open a PNG file; it is decoded at once, because its rows depend on each other.

    Gray images become ``yx`` (one-bit ones bool, 2 and 4 bits uint8 with the values that are stored), others ``yxc``.
    Opacity is no intensity and is left out, and so is a colour that is declared transparent. A palette gives colours
    (a `PaletteSource`), unless `axes` names two dimensions: then its numbers are read.

    Raises
    ------
    InvalidInputError
        If the file is not a PNG, or `axes` do not fit it.
    StorageError
        If it is damaged.
    OutOfMemoryError
        If it does not fit into memory.
    """
    with reading(path):
        encoded = path.read_bytes()
        if not encoded.startswith(_SIGNATURE):
            raise InvalidInputError(f"{path} is not a PNG file in spite of its name: give it its right suffix.")
        bits, color = struct.unpack(">BB", encoded[24:26])
        _check_size(path, encoded)
        numbers = color == _PALETTE and axes is not None and len(axes) == 2
        plain, notes = _without_extras(encoded, path, numbers=numbers)
        pixels = imagecodecs.png_decode(plain)
    if (color == _GRAY or numbers) and bits < 8:
        pixels = pixels // (255 // (2**bits - 1))  # the decoder stretches small values to the range of uint8
        pixels = pixels.astype(bool) if bits == 1 and not numbers else pixels
    if color in _WITH_OPACITY:
        pixels = pixels[..., 0] if color == _GRAY + _OPACITY else pixels[..., :-1]
    axes = validate_axes(axes or ("yx" if pixels.ndim == 2 else "yxc"), pixels.ndim)
    spec = ImageSpec(axes=axes, shape=pixels.shape, dtype=pixels.dtype, name=path.stem)
    kind = PaletteSource if color == _PALETTE and not numbers else ArraySource
    return kind(pixels, spec, path=path, notes=notes)


def _without_extras(encoded: bytes, path: Path, *, numbers: bool) -> tuple[bytes, tuple[str, ...]]:
    """Return the file with nothing before its pixels but what they need, so that no colour becomes transparent.

    Parameters
    ----------
    encoded
        A PNG file.
    path
        What to call it in notes.
    numbers
        Call its type gray and leave out its palette, so that the decoder gives the numbers of the colours.

    Returns
    -------
    bytes, notes
        A file that decodes to the pixels alone, and what a person should know about what is left out.
    """
    parts, at = [_SIGNATURE], len(_SIGNATURE)
    notes: tuple[str, ...] = ()
    while at + 8 <= len(encoded):
        length, name = struct.unpack(">I4s", encoded[at : at + 8])
        chunk = encoded[at : at + length + 12]
        if name == b"IDAT":
            break
        if name == b"IHDR" and numbers:
            content = chunk[4:17] + bytes([_GRAY]) + chunk[18:21]
            chunk = chunk[:4] + content + struct.pack(">I", zlib.crc32(content))
        if name == b"acTL" and len(chunk) == 20 and (frames := int.from_bytes(chunk[8:12], "big")) > 1:
            notes = (
                f"{path.name} is an animation of {frames} frames, of which the first is read: save the others as files "
                "of their own, or all as TIFF.",
            )
        if name == b"PLTE" and not numbers and encoded[25] == _PALETTE:
            _check_palette(chunk, path)
            parts.append(chunk)
        if name == b"IHDR":
            parts.append(chunk)
        at += length + 12
    pixels, wrong = _without_excess(encoded, at, path)
    return b"".join([*parts, pixels]), (*notes, *wrong)


def _check_palette(chunk: bytes, path: Path) -> None:
    """Refuse a palette that the decoder would complain of in words of its own."""
    content, check = chunk[8:-4], chunk[-4:]
    if not content or len(content) % 3 or struct.pack(">I", zlib.crc32(chunk[4:-4])) != check:
        raise StorageError(f"{path} has a palette that is damaged: copy or export it again.")


def _without_excess(encoded: bytes, at: int, path: Path) -> tuple[bytes, tuple[str, ...]]:
    """Return the file from the index `at` on, where its pixels begin, with no more data than they take, and notes.

    The decoder reads on where there is too much, or where a checksum does not fit, and writes a line of its own to
    standard error; this tells of the latter in its place.
    """
    compressed = b"".join(_data_chunks(encoded, at))
    wanted, count, check = _stored_size(encoded), 0, 1
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    kept, rest = [], compressed[2:]
    try:
        while rest and not inflater.eof:
            piece = inflater.decompress(rest, _PIECE)
            rest = inflater.unconsumed_tail
            kept.append(piece[: max(0, wanted - count)])
            count, check = count + len(piece), zlib.adler32(piece, check)
    except zlib.error:
        return encoded[at:], ()  # the decoder refuses it
    fits = inflater.unused_data[:4] == struct.pack(">I", check)
    if count < wanted or not inflater.eof or (count == wanted and fits and len(inflater.unused_data) == 4):
        return encoded[at:], ()
    data = b"IDAT" + zlib.compress(b"".join(kept), 1)
    whole = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data)) + _END
    if fits:
        return whole, ()
    note = f"The checksum of the pixels of {path.name} does not fit: it may be damaged; copy or export it again."
    return whole, (note,)


def _data_chunks(encoded: bytes, at: int) -> Iterator[bytes]:
    while encoded[at + 4 : at + 8] == b"IDAT":
        length = int.from_bytes(encoded[at : at + 4], "big")
        yield encoded[at + 8 : at + 8 + length]
        at += length + 12


def _stored_size(encoded: bytes) -> int:
    """Return how many bytes the rows of a PNG take, with the byte before each; interlaced ones come in seven parts."""
    width, height, bits, color = struct.unpack(">IIBB", encoded[16:26])
    parts = _INTERLACED if encoded[28] else ((0, 0, 1, 1),)
    total = 0
    for y, x, step_y, step_x in parts:
        columns, rows = -(-(width - x) // step_x), -(-(height - y) // step_y)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits * _SAMPLES.get(color, 1) + 7) // 8)
    return total

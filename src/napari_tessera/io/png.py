"""PNG files."""

import struct
import zlib
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
        if name == b"IHDR" or (name == b"PLTE" and not numbers):
            parts.append(chunk)
        at += length + 12
    return b"".join([*parts, encoded[at:]]), notes

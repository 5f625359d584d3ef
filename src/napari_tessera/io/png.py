"""PNG files."""

import struct
from pathlib import Path

import imagecodecs

from napari_tessera.core.errors import InvalidInputError, OutOfMemoryError, StorageError
from napari_tessera.core.image import ImageSpec
from napari_tessera.io.arrays import ArraySource, reading
from napari_tessera.io.memory import describe_bytes, free_memory

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY = 0
_COLOR = 2
_OPACITY = 4  # a flag beside the other two
_WITH_OPACITY = (_GRAY + _OPACITY, _COLOR + _OPACITY)


_MOST_COMPRESSION = 1100
"""Bytes that one byte of a PNG can stand for: deflate gives 258 for 2 bits, which is 1032."""
_SAMPLES = {_GRAY: 1, _COLOR: 3, 3: 1, _GRAY + _OPACITY: 2, _COLOR + _OPACITY: 4}
"""Numbers per pixel by the type of colour; 3 is a palette."""


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


def open_png(path: Path, axes: str | None = None) -> ArraySource:
    """Open a PNG file; it is decoded at once, because its rows depend on each other.

    Gray images become ``yx`` (one-bit ones bool, 2 and 4 bits uint8 with the values that are stored), others ``yxc``.
    Opacity is no intensity and is left out.

    Raises
    ------
    InvalidInputError
        If the file is not a PNG.
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
        pixels = imagecodecs.png_decode(encoded)
    if color == _GRAY and bits < 8 and pixels.ndim == 2:
        pixels = pixels // (255 // (2**bits - 1))  # the decoder stretches small values to the range of uint8
        pixels = pixels.astype(bool) if bits == 1 else pixels
    if color in _WITH_OPACITY:
        pixels = pixels[..., 0] if color == _GRAY + _OPACITY else pixels[..., :-1]
    axes = axes or ("yx" if pixels.ndim == 2 else "yxc")
    return ArraySource(pixels, ImageSpec(axes=axes, shape=pixels.shape, dtype=pixels.dtype, name=path.stem), path=path)

"""PNG files."""

import struct
from pathlib import Path

import imagecodecs

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.io.arrays import ArraySource, reading

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY = 0
_COLOR = 2
_OPACITY = 4  # a flag beside the other two
_WITH_OPACITY = (_GRAY + _OPACITY, _COLOR + _OPACITY)


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
    """
    with reading(path):
        encoded = path.read_bytes()
        if not encoded.startswith(_SIGNATURE):
            raise InvalidInputError(f"{path} is not a PNG file in spite of its name: give it its right suffix.")
        bits, color = struct.unpack(">BB", encoded[24:26])
        pixels = imagecodecs.png_decode(encoded)
    if color == _GRAY and bits < 8 and pixels.ndim == 2:
        pixels = pixels // (255 // (2**bits - 1))  # the decoder stretches small values to the range of uint8
        pixels = pixels.astype(bool) if bits == 1 else pixels
    if color in _WITH_OPACITY:
        pixels = pixels[..., 0] if color == _GRAY + _OPACITY else pixels[..., :-1]
    axes = axes or ("yx" if pixels.ndim == 2 else "yxc")
    return ArraySource(pixels, ImageSpec(axes=axes, shape=pixels.shape, dtype=pixels.dtype, name=path.stem), path=path)

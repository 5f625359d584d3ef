"""The colours that OME-Zarr and OME-TIFF give their channels."""

from pathlib import Path

from napari_tessera.core.errors import TesseraError
from napari_tessera.io.arrays import reading
from napari_tessera.io.ngff import ngff_attributes
from napari_tessera.io.ngff_channels import read_channels
from napari_tessera.io.zarr_folders import is_zarr

COLORS = "channel_colors"
"""Among the metadata given to `create_image`: ``#rrggbb`` by channel, which are then written as OME has it."""


def read_channel_colors(path: Path) -> tuple[str, ...]:
    """Return the colour (#rrggbb) of each channel of the first image at `path`, empty where it has none.

    Nothing is raised: a file that says nothing of colours, or nothing that is understood, gives none.
    """
    try:
        with reading(path):
            return _of_zarr(path) if is_zarr(path) else _of_tiff(path)
    except TesseraError:
        return ()


def to_ome(color: str) -> int:
    """Return a colour as OME-XML has it: RGBA as a signed number of 32 bits."""
    number = (int(color.removeprefix("#"), 16) << 8) | 0xFF
    return number - 2**32 if number >= 2**31 else number


def _of_zarr(path: Path) -> tuple[str, ...]:
    import zarr

    attributes = ngff_attributes(zarr.open(str(path), mode="r").attrs.asdict())
    return tuple(channel.color for channel in read_channels(attributes)[0])


def _of_tiff(path: Path) -> tuple[str, ...]:
    from tifffile import TiffFile

    from napari_tessera.io.ome_xml import ome_root

    if path.suffix.lower() not in (".tif", ".tiff"):
        return ()
    with TiffFile(path) as tif:
        root = ome_root(tif)
        pixels = root.find("./{*}Image/{*}Pixels") if root is not None else None
    channels = pixels.findall("./{*}Channel") if pixels is not None else []
    return tuple(_from_ome(channel.get("Color")) for channel in channels)


def _from_ome(text: str | None) -> str:
    try:
        number = int(text or "")
    except ValueError:
        return ""
    return f"#{(number & 0xFFFFFFFF) >> 8:06x}" if -(2**31) <= number < 2**32 else ""

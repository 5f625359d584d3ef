"""What the OME-XML of a TIFF says of its images and of the files they lie in, judged before anything is read by it."""

import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from xml.etree.ElementTree import Element, ParseError, fromstring

from tifffile import TiffFile, TiffPageSeries

from napari_tessera.core.image import short_name

MOST_PLANES = 4_000_000
"""The TIFF library makes a list of so many entries in a fraction of a second; no acquisition has as many planes."""


@dataclass(frozen=True)
class OmeImage:
    """One image of an OME-XML.

    Attributes
    ----------
    element
        Its element ``Pixels``.
    name
        What it is called.
    size
        Lengths along x and y.
    planes
        Number of planes, samples of colours taken as one.
    """

    element: Element
    name: str
    size: tuple[int, int]
    planes: int


def ome_root(tif: TiffFile) -> Element | None:
    """Return the OME-XML of the file; None if there is none, or it is no XML."""
    if not tif.is_ome:
        return None
    try:
        return fromstring(tif.ome_metadata or "")  # noqa: S314  expat refuses entity bombs since 2.4.1
    except ParseError:
        return None


def is_cut(tif: TiffFile) -> bool:
    """Whether the first page holds something that begins as an OME-XML does and is none."""
    text = tif.pages.first.description[:1000]
    return ("<OME" in text or ":OME" in text) and ome_root(tif) is None


def ome_images(root: Element) -> tuple[OmeImage, ...]:
    """Return the images that the XML describes.

    Raises
    ------
    ValueError
        If a size is missing, or is no number above 0.
    """
    return tuple(
        _image(image.get("Name") or "", pixels)
        for image in root.findall("./{*}Image")
        for pixels in image.findall("./{*}Pixels")
    )


def _image(name: str, pixels: Element) -> OmeImage:
    sizes = {axis: int(pixels.get(f"Size{axis}", "")) for axis in "XYZCT"}
    if min(sizes.values()) < 1:
        raise ValueError("a size is below 1")
    channel = pixels.find("./{*}Channel")
    samples = 1 if channel is None else int(channel.get("SamplesPerPixel", "1"))
    planes = sizes["Z"] * sizes["T"] * max(1, sizes["C"] // max(1, samples))
    return OmeImage(pixels, name, (sizes["X"], sizes["Y"]), planes)


def image_of(root: Element, series: TiffPageSeries, index: int, count: int) -> OmeImage | None:
    """Return the image that the TIFF library read as series `index` of `count`; it leaves out those without pages."""
    try:
        images = ome_images(root)
    except ValueError:
        return None
    if len(images) == count:
        return images[index]
    lengths = dict(zip(series.axes, series.shape, strict=True))
    size = (lengths.get("X", 1), lengths.get("Y", 1))
    return next((image for image in images if image.name == series.name and image.size == size), None)


def declares_too_much(root: Element, tif: TiffFile) -> bool:
    """Whether reading by this XML would make the TIFF library take up memory without bound."""
    page = tif.pages.first
    area = max(1, page.imagewidth * page.imagelength)
    counts = [
        int(data.get(name, "0")) for data in root.iterfind(".//{*}TiffData") for name in ("PlaneCount", "NumPlanes")
    ]
    frames = [image.planes * math.prod(image.size) // area for image in ome_images(root)]
    return max([*counts, *frames], default=0) > max(MOST_PLANES, len(tif.pages))


def other_files(root: Element, path: Path) -> tuple[str, ...]:
    """Return the names of further files that hold planes, in the order in which the XML names them."""
    own = root.get("UUID")
    names: dict[str, None] = {}
    for entry in root.iterfind(".//{*}TiffData/{*}UUID"):
        name = entry.get("FileName") or ""
        if entry.text == own or (own is None and name.lower() == path.name.lower()):
            continue
        names[name] = None
    return tuple(names)


def leaves_folder(name: str) -> bool:
    """Whether a file name leads out of the folder that it is relative to, on this system or on another."""
    return any(
        path.is_absolute() or path.drive or path.root or ".." in path.parts
        for path in (PurePosixPath(name), PureWindowsPath(name))
    )


def companion(root: Element) -> str:
    """Return the file that describes the set which this one is a part of; empty if it describes itself."""
    entry = root.find("./{*}BinaryOnly")
    return "" if entry is None else short_name(entry.get("MetadataFile") or "another file")

"""The page headers of a TIFF (IFD), read by themselves: where the next page lies, and whether pages are of one form.

The TIFF library takes the pages of a stack for copies of the first one; where one is of another size, it gives noise.
"""

from collections.abc import Mapping
from typing import Literal

from tifffile import TiffFile, TiffPageSeries

_FORM = {256: "width", 257: "length", 259: "compression", 277: "samples"}
_BITS = 258
_LENGTHS = {3: 2, 4: 4, 16: 8}
"""Bytes of a whole number by the type of a tag."""


def pages_alike(tif: TiffFile, series: TiffPageSeries) -> bool:
    """Whether all pages of a series that lie in the file itself have the size and the type of the first."""
    first = series.keyframe
    if len(series) < 2 or first.parent is not tif or first.is_scanimage or first.is_nih or tif.is_ndpi:
        return True
    if series.dataoffset is None:
        offsets = [page.offset for page in series if page is not None and page.parent is tif and not page.is_virtual]
    else:  # pages of one size after another: only the last can be shorter
        last = first.index + len(series) - 1
        offsets = [tif.pages[last].offset] if last < len(tif.pages) else []
    form = _form(tif, first.offset)
    return all(_form(tif, offset) == form for offset in offsets)


def _form(tif: TiffFile, offset: int) -> Mapping[str, int]:
    """Return what makes out size and type of the page whose header lies at `offset`."""
    header = _read_header(tif, offset) or (b"", 0)
    order, step = _order(tif), tif.tiff.tagsize
    wide = 8 if step == 20 else 4  # length of the fields for count and value
    found = {}
    for at in range(0, len(header[0]), step):
        entry = header[0][at : at + step]
        code, kind = int.from_bytes(entry[:2], order), int.from_bytes(entry[2:4], order)
        length, value = _LENGTHS.get(kind, 0), entry[4 + wide :]
        if code in _FORM:
            found[_FORM[code]] = int.from_bytes(value[:length], order)
        elif code == _BITS and int.from_bytes(entry[4 : 4 + wide], order) * length <= wide:
            found["bits"] = int.from_bytes(value[:length], order)
    return found


def page_list_ends(tif: TiffFile) -> bool:
    """Whether no page lies beyond the end of the file; the header of each page gives the position of the next."""
    following = _next_page(tif, tif.pages[-1].offset)
    return following is not None and (following == 0 or _next_page(tif, following) is not None)


def _next_page(tif: TiffFile, offset: int) -> int | None:
    """Return the position that the page header at `offset` gives for the next page; None if the file ends before."""
    header = _read_header(tif, offset)
    return None if header is None else header[1]


def _read_header(tif: TiffFile, offset: int) -> tuple[bytes, int] | None:
    """Return the tags of the page header at `offset` and the position of the next; None if the file ends before."""
    layout, file = tif.tiff, tif.filehandle
    file.seek(offset)
    start = file.read(layout.tagnosize)
    tags = int.from_bytes(start, _order(tif)) * layout.tagsize
    if len(start) < layout.tagnosize or offset + layout.tagnosize + tags + layout.offsetsize > file.size:
        return None
    content = file.read(tags + layout.offsetsize)
    return content[:tags], int.from_bytes(content[tags:], _order(tif))


def _order(tif: TiffFile) -> Literal["little", "big"]:
    return "little" if tif.byteorder == "<" else "big"

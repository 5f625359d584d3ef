"""Which image of a TIFF file is read, whether all of it is there, and what a person should know about the rest.

A file may hold several images, planes may be missing or have been added later, and its description may be cut off or
wrong. What is missing is refused or named; zeros never stand in for it.
"""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from tifffile import TiffFile, TiffFileError, TiffPage, TiffPageSeries

from napari_tessera.core.errors import InvalidInputError, MissingInputError, StorageError
from napari_tessera.core.image import short_name
from napari_tessera.io.arrays import DAMAGE
from napari_tessera.io.ifd import pages_alike
from napari_tessera.io.ome_xml import (
    companion,
    declares_too_much,
    is_cut,
    leaves_folder,
    ome_images,
    ome_root,
    other_files,
)

PAGES = "pages"
"""Behind the name of a file: all its pages as they lie, whatever its description says (``cells.tif/pages``)."""

_DESCRIBED = ("ome", "imagej", "shaped")
_CHECKED = (*_DESCRIBED, "generic", "uniform")
"""Kinds of series whose pages are one plane each; formats of instruments have rules of their own."""
_LISTED = ("ome", "mmstack")
"""Kinds of series that name each page; those that are missing are None, or lie nowhere."""
_UNTOLD = (*_DESCRIBED, "mmstack", "ndtiff", "lsm", "stk", "fluoview", "sis", "uniform")
_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HEAD = 8
_MOST_NAMED = 5
_MOST_LOOKED_AT = 50


@dataclass(frozen=True)
class Chosen:
    """The image that is read.

    Attributes
    ----------
    tif
        The open file.
    series
        The image in it.
    index, count
        Its number, and how many there are.
    notes
        What a person should know, as sentences.
    """

    tif: TiffFile
    series: TiffPageSeries
    index: int
    count: int
    notes: tuple[str, ...]


def choose_series(path: Path, part: str = "") -> Chosen:
    """Open a TIFF file and find the image to read.

    Parameters
    ----------
    path
        The file.
    part
        Number of the image in it, `PAGES`, or empty: the only one, or frames that were written one by one as a stack,
        or else the first, with a note.

    Raises
    ------
    InvalidInputError
        If the file is no TIFF, or names files outside its folder.
    MissingInputError
        If there is no such part, or another file of a set is not there.
    StorageError
        If planes are missing.
    """
    if part and part != PAGES and not (part.isascii() and part.isdigit()):
        raise MissingInputError(
            f"There is no image {part!r} in {path}: choose {path.name}/0 (the first), /1 and so on, or "
            f"{path.name}/{PAGES} for all pages."
        )
    if part == PAGES:
        return _plain(path, [], one=True)
    tif = open_file(path)
    try:
        chosen = _by_description(tif, path, part)
    except BaseException:
        tif.close()
        raise
    if chosen.tif is not tif:
        tif.close()
    return chosen


def files_of(path: Path) -> frozenset[Path]:
    """Return the other files that the images of a TIFF lie in, as in a set of OME-TIFF; empty if it cannot be read."""
    with suppress(*DAMAGE), open_file(path) as tif:  # whoever reads it is told why not
        if (root := ome_root(tif)) is not None:
            return frozenset(path.parent / name for name in other_files(root, path) if not leaves_folder(name))
        several = [one for one in tif.series if one.is_multifile]
        return frozenset(Path(page.parent.filehandle.path) for one in several for page in one if page is not None)
    return frozenset()


def open_file(path: Path, *, described: bool = True) -> TiffFile:
    """Open a TIFF file, or say that it is none; `described`: whether what it says about itself is to be used."""
    flags: dict[str, Any] = {} if described else {f"is_{kind}": False for kind in _UNTOLD}
    try:
        return TiffFile(path, **flags)
    except TiffFileError as error:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if head[:4] in _SIGNATURES or len(head) < _HEAD:
            raise StorageError(f"{path} is truncated or damaged: copy or export it again.") from error
        raise InvalidInputError(f"{path} is not a TIFF file in spite of its name: give it its right suffix.") from error


def _by_description(tif: TiffFile, path: Path, part: str) -> Chosen:
    """Choose by what the file says about itself, or as its pages lie where that cannot be used."""
    note = _check_ome(tif, path)
    kind = next((kind for kind in _DESCRIBED if getattr(tif, f"is_{kind}")), "")
    series: Sequence[TiffPageSeries] = ()
    if not note:
        try:
            series = tif.series
        except DAMAGE:  # the library raises whatever a wrong description leads to
            series = ()
        if not series and not kind:
            return _plain(path, [], part)
        if not kind and not all(pages_alike(tif, one) for one in series):
            return _plain(path, [], part)
        if kind and not (series and series[0].kind not in ("generic", "uniform")):
            _check_imagej(tif, path)
            note = _unusable(path, "does not fit its pages")
        elif kind and not all(pages_alike(tif, one) for one in series):
            note = _unusable(path, "does not fit its pages")
    if note:
        return _plain(path, [note], part)
    if not part and len(series) > 1 and _are_frames(series):
        return _plain(path, [])
    return _numbered(tif, series, path, part, _extra_pages(tif, series, path))


def _plain(path: Path, notes: list[str], part: str = "", *, one: bool = False) -> Chosen:
    """Read the pages as they lie: those of equal size and type are a stack."""
    tif = open_file(path, described=False)
    try:
        series = tif.series
        if not series:
            raise StorageError(f"{path} holds no image that can be read: copy or export it again.")
        if one and len(_pictures(series)) > 1:
            raise InvalidInputError(
                f"{path} holds pages of different sizes or types, which make no stack: choose one of its images, "
                f"{path.name}/0 and so on."
            )
        return _numbered(tif, series, path, part, notes)
    except BaseException:
        tif.close()
        raise


def _numbered(tif: TiffFile, series: Sequence[TiffPageSeries], path: Path, part: str, notes: Sequence[str]) -> Chosen:
    index = int(part[:9]) if part else 0
    if index >= len(series):
        there = (
            f"one image, {path.name}/0" if len(series) == 1 else f"{len(series)}, {path.name}/0 to /{len(series) - 1}"
        )
        raise MissingInputError(f"There is no image {part} in {path}: it holds {there}.")
    pictures = _pictures(series)
    if not part:
        index = next(at for at, one in enumerate(series) if one is pictures[0])
    if not part and len(pictures) > 1:
        listed = "; ".join(f"/{at} {_described(one)}" for at, one in enumerate(series[:_MOST_NAMED]))
        more = f" and {len(series) - _MOST_NAMED} more" if len(series) > _MOST_NAMED else ""
        notes = [
            *notes,
            f"{path.name} holds {len(series)} images ({listed}{more}) and {path.name}/{index} is read: choose another "
            f"by its number, {path.name}/{index + 1}.",
        ]
    return Chosen(tif, series[index], index, len(series), tuple(notes))


def _described(series: TiffPageSeries) -> str:
    name = short_name(series.name)[:40]
    return f"{name + ': ' if name else ''}{' × '.join(map(str, series.shape))}"


def _pictures(series: Sequence[TiffPageSeries]) -> list[TiffPageSeries]:
    """Return the series but for small copies of others; all if there are only those."""
    return [one for one in series if not one.keyframe.is_reduced and one.name != "Thumbnail"] or list(series)


def _are_frames(series: Sequence[TiffPageSeries]) -> bool:
    """Whether all are single planes of one kind, as a program leaves them that adds a frame by each call."""
    first = series[0]
    return all(
        one.kind == "shaped"
        and len(one) == 1
        and len(one.levels) == 1
        and (one.shape, one.dtype, one.axes, one.keyframe.hash)
        == (first.shape, first.dtype, first.axes, first.keyframe.hash)
        for one in series
    )


def _unusable(path: Path, why: str) -> str:
    return (
        f"The description of {path.name} {why}, so its pages are read as they lie, without its axes, pixel size and "
        "channel names: name these where they matter (--axes, --pixel-size), or export the file again."
    )


def _check_ome(tif: TiffFile, path: Path) -> str:
    """Refuse an OME-XML that leads elsewhere or to nothing; return a note if it cannot be used, or else nothing."""
    root = ome_root(tif)
    if root is None:
        return _unusable(path, "(OME-XML) is cut off or damaged") if is_cut(tif) else ""
    if other := companion(root):
        return (
            f"{path.name} is part of a set that {other} describes, so its own pages are read without axes, pixel size "
            "and channel names: open that one if it is a TIFF, or name these (--axes, --pixel-size)."
        )
    files = other_files(root, path)
    outside = [name for name in files if leaves_folder(name)]
    if outside:
        raise InvalidInputError(
            f"{path} names the file {short_name(outside[0])!r}, which lies outside its folder and is not read: put the "
            f"files of the set into one folder and export it again, or read its own pages as {path.name}/{PAGES}."
        )
    for name in files:
        other_file = path.parent / name
        if other_file.exists() and not other_file.is_file():
            raise InvalidInputError(
                f"{path} names {short_name(name)!r} as a part of its image, which is no file: remove it, or read the "
                f"pages of this file as {path.name}/{PAGES}."
            )
    try:
        images = ome_images(root)
        if not files and any(_exceeds(tif, image.planes) and image.size == _size(tif) for image in images):
            raise _missing(path, sum(image.planes for image in images), len(tif.pages), ())
        return _unusable(path, "(OME-XML) names more pixels than there can be") if declares_too_much(root, tif) else ""
    except ValueError as error:
        if isinstance(error, InvalidInputError):
            raise
        return _unusable(path, "(OME-XML) lacks sizes")


def _size(tif: TiffFile) -> tuple[int, int]:
    return tif.pages.first.imagewidth, tif.pages.first.imagelength


def _exceeds(tif: TiffFile, planes: int) -> bool:
    """Whether there are fewer planes than that; pages of a volume hold several."""
    return planes > len(tif.pages) * max(1, tif.pages.first.imagedepth)


def _check_imagej(tif: TiffFile, path: Path) -> None:
    """Refuse a file that lacks planes which its ImageJ description names."""
    meta = tif.imagej_metadata if tif.is_imagej else None
    if not meta:
        return
    named = [meta.get(name, 1) for name in ("frames", "slices", "channels")]
    planes = max(math.prod(named), meta.get("images", 1)) if all(isinstance(n, int) and n > 0 for n in named) else 0
    if planes > len(tif.pages) * tif.pages.first.samplesperpixel:
        raise _missing(path, planes, len(tif.pages), ())


def check_planes(chosen: Chosen, path: Path) -> None:
    """Refuse an image of which planes are missing, naming the files or the planes.

    Raises
    ------
    MissingInputError
        If another file of a set is not there.
    StorageError
        If planes are missing in the file itself.
    """
    series, tif = chosen.series, chosen.tif
    if series.kind not in (*_CHECKED, *_LISTED) or series.dataoffset is not None:
        return
    planes = max(1, math.prod(series.get_shape(squeeze=False)) // max(1, series.keyframe.size))
    if series.kind == "shaped" and tif.shaped_metadata:
        said = math.prod(tif.shaped_metadata[chosen.index]["shape"]) // max(1, series.keyframe.size)
        planes = max(planes, said)
    lost: Sequence[int] = range(_pages_there(tif, series), planes)
    if series.kind in _LISTED:
        lost = [index for index, page in enumerate(series) if page is None or page.dataoffsets == (0,)]
    if not lost:
        return
    root = ome_root(tif) if series.kind == "ome" else None
    gone = _missing_files(root, path) if root is not None else []
    if not gone:
        raise _missing(path, planes, planes - len(lost), lost)
    raise MissingInputError(
        f"{path} is one file of a set, and {_names(gone)} is not there, which holds {_listed(lost)} of its {planes} "
        f"planes: put it into the same folder, or read what is there as {path.name}/{PAGES}."
    )


def _missing_files(root: Element, path: Path) -> list[str]:
    return [name for name in other_files(root, path) if not (path.parent / name).is_file()]


def _names(files: Sequence[str]) -> str:
    more = f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else ""
    return ", ".join(map(short_name, files[:_MOST_NAMED])) + more


def _pages_there(tif: TiffFile, series: TiffPageSeries) -> int:
    """Return how many pages of a series there are; one that is given by its first page counts those that it names."""
    if series.kind in ("shaped", "imagej"):
        return min(len(series), len(tif.pages) - series.keyframe.index)
    return len(series)


def _missing(path: Path, planes: int, there: int, lost: Sequence[int]) -> StorageError:
    which = f" ({_listed(lost)} missing)" if lost else ""
    return StorageError(
        f"{path} says that it has {planes} planes, but {there} of them {'is' if there == 1 else 'are'} in it{which}: "
        f"copy or export it again, or read what is there as {path.name}/{PAGES}."
    )


def _listed(planes: Sequence[int]) -> str:
    """Return numbers of planes, counted from 0, with runs of them shortened."""
    runs: list[list[int]] = [[planes[0], planes[-1]]] if isinstance(planes, range) and len(planes) > 1 else []
    for plane in planes if not runs else ():
        if runs and plane == runs[-1][-1] + 1:
            runs[-1][1:] = [plane]
        else:
            runs.append([plane])
    named = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs[:_MOST_NAMED]]
    more = " and more" if len(runs) > _MOST_NAMED else ""
    return f"plane{'s' if len(planes) > 1 else ''} {', '.join(named)}{more}"


def _extra_pages(tif: TiffFile, series: Sequence[TiffPageSeries], path: Path) -> list[str]:
    """Return notes about files of a set that are not there, and about pages that the description leaves out."""
    kind, root = series[0].kind, ome_root(tif)
    gone = _missing_files(root, path) if root is not None else []
    apart = [f"{path.name} is one file of a set, and {_names(gone)} is not there: what it holds is left out."]
    notes = apart if gone else []
    if kind == "ome":
        named = {page.index for one in series for page in one if page is not None and page.parent is tif}
        extra = [index for index in range(len(tif.pages)) if index not in named]
    elif kind == "imagej":
        planes = math.prod(series[0].get_shape(squeeze=False)) // max(1, series[0].keyframe.size)
        extra = list(range(max(1, planes), len(tif.pages)))
    else:
        return notes
    if not extra or all(_is_reduced(tif, index) for index in extra[:_MOST_LOOKED_AT]):
        return notes
    return [
        *notes,
        f"{path.name} holds {len(tif.pages)} pages, {len(extra)} more than its description names, and these are left "
        f"out: {path.name}/{PAGES} reads all as a stack.",
    ]


def _is_reduced(tif: TiffFile, index: int) -> bool:
    with suppress(*DAMAGE):  # a page that cannot be read is no picture either
        page = tif.pages.get(index)
        return isinstance(page, TiffPage) and page.is_reduced
    return True

"""Open whatever holds an image: a file, an array, or an image that is open already."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.axes import guess_axes, validate_axes
from napari_tessera.core.errors import InvalidInputError, MissingInputError, StorageError, TesseraError
from napari_tessera.core.image import ImageSource, ImageSpec
from napari_tessera.core.paths import expand_home
from napari_tessera.io.arrays import (
    ArrayLike,
    ArraySource,
    RespecifiedSource,
    check_not_empty,
    checked_dtype,
    unwrapped,
)
from napari_tessera.io.npy import open_npy
from napari_tessera.io.png import PaletteSource, open_png
from napari_tessera.io.tiff_names import SUFFIXES, split_part
from napari_tessera.io.zarr_folders import is_zarr

_OPENERS: Mapping[str, Callable[[Path, str | None], tuple[ArraySource, ...]]] = {
    ".png": lambda path, axes: (open_png(path, axes),),
    ".npy": lambda path, axes: (open_npy(path, axes),),
}


def open_image(
    source: str | Path | ArrayLike | ImageSource,
    *,
    level: int = 0,
    axes: str | None = None,
    scale: Sequence[float] | None = None,
    translate: Sequence[float] | None = None,
    units: Sequence[str | None] | None = None,
    channel_names: Sequence[str] | None = None,
    name: str | None = None,
) -> ImageSource:
    """Open an image lazily.

    Parameters
    ----------
    source
        A TIFF, PNG, NPY, OME-Zarr or plain zarr array; inside an OME-Zarr also ``store.ome.zarr/1`` (a level) or
        ``store.ome.zarr/labels/nuclei``; of a TIFF of several images also ``cells.tif/1`` (the second), and
        ``cells.tif/pages`` for all its pages as they lie. Or a numpy, dask or zarr array, whose axes are guessed
        (``yx``, ``zyx``, ``tzyx``) unless `axes` names them. Or an `ImageSource`.
    level
        Resolution level of a pyramid; 0 is the full one.
    axes, scale, translate, units, channel_names, name
        What to use in place of the file's own metadata; one entry per dimension, or per channel.

    Raises
    ------
    MissingInputError
        If there is no such file or folder.
    InvalidInputError
        If it is none of the formats above, has no such level, or an override does not fit.
    StorageError
        If the file is damaged or cannot be read, or a part of the image is missing.
    """
    levels = _open_levels(source, axes)
    if not 0 <= level < len(levels):
        raise InvalidInputError(_no_level(_describe(source), level, len(levels)))
    image = levels[level]
    overrides = {
        "axes": axes,
        "scale": scale,
        "translate": translate,
        "units": units,
        "channel_names": channel_names,
        "name": name,
    }
    given = {key: value for key, value in overrides.items() if value is not None}
    return RespecifiedSource(image, _override(image.spec, given)) if given else image


def axes_are_guessed(image: ImageSource) -> bool:
    """Whether the axes of an opened image follow from its number of dimensions only, named by neither file nor caller.

    Two dimensions can only be ``yx``, which counts as known.
    """
    return image.axes != "yx" and image.axes_guessed


def notes_about(image: object) -> tuple[str, ...]:
    """Return what a person should know about an opened image before working with it, as sentences."""
    return image.notes if isinstance(image, ImageSource) else ()


def has_palette(image: ImageSource) -> bool:
    """Whether the pixels are numbers of colours that the file gives, and perhaps no intensities."""
    pixels = unwrapped(image)
    return isinstance(pixels, ArraySource) and pixels.palette


def as_labels(image: ImageSource) -> ImageSource:
    """Return `image` as labels: the numbers of a file that gives them colours by a palette, any other as it is."""
    if isinstance(image, PaletteSource):
        return image.numbers()
    if isinstance(image, RespecifiedSource) and (numbers := as_labels(image.base)) is not image.base:
        spec = image.spec.without("c")
        return RespecifiedSource(numbers, spec.with_dtype(numbers.dtype)) if spec.shape == numbers.shape else numbers
    return image


def open_levels(path: str | Path, *, axes: str | None = None) -> tuple[ImageSource, ...]:
    """Return every resolution level of a file, the full one first; see `open_image` for `axes`.

    Raises
    ------
    MissingInputError, InvalidInputError, StorageError
        As `open_image` does.
    """
    return _open_levels(path, axes)


def _open_levels(source: str | Path | ArrayLike | ImageSource, axes: str | None) -> tuple[ImageSource, ...]:
    if isinstance(source, str | Path):
        return _open_path(Path(source), axes)
    if isinstance(source, ImageSource):
        return (source,)
    array = source if hasattr(source, "shape") and hasattr(source, "dtype") else _as_array(source)
    check_not_empty(array.shape, "The array")
    spec = ImageSpec(
        axes=axes or guess_axes(tuple(array.shape)), shape=array.shape, dtype=checked_dtype(array.dtype, "The array")
    )
    return (ArraySource(array, spec, axes_guessed=axes is None),)


def _as_array(values: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InvalidInputError(
            "The rows of the image are not equally long: give an array, or the path of a file."
        ) from error


def _open_path(path: Path, axes: str | None) -> tuple[ImageSource, ...]:
    path, part = split_part(expand_home(path))
    if not path.exists():
        raise _missing(path)
    if path.is_dir():
        from napari_tessera.io.ome_zarr import open_zarr  # zarr takes half a second to import, here and for TIFF

        return open_zarr(path, axes)
    suffix = path.suffix.lower()
    if suffix not in (*SUFFIXES, *_OPENERS):
        raise InvalidInputError(
            f"{path} is not of a type that can be read: use TIFF (.tif, .tiff), PNG, NPY, OME-Zarr or zarr."
        )
    if not path.is_file():
        raise InvalidInputError(f"{path} is a pipe or a device and holds no image: choose a file.")
    if path.stat().st_size == 0:
        raise StorageError(f"{path} is empty: copy or export it again.")
    return _OPENERS[suffix](path, axes) if suffix in _OPENERS else _open_tiff(path, axes, part)


def _missing(path: Path) -> TesseraError:
    """Return what to say of a path where nothing is: it may name a level that an image does not have."""
    if path.name.isdecimal() and is_zarr(path.parent):
        try:
            return InvalidInputError(_no_level(str(path.parent), int(path.name), len(_open_path(path.parent, None))))
        except TesseraError:  # it holds no image
            pass
    return MissingInputError(f"There is no file or folder {path}: check the path.")


def _no_level(name: str, level: int, count: int) -> str:
    if count > 1:
        return f"{name} has no level {level}: choose one of 0 to {count - 1}."
    return f"{name} has one level only: choose level 0."


def _open_tiff(path: Path, axes: str | None, part: str) -> tuple[ImageSource, ...]:
    from napari_tessera.io.tiff import open_tiff

    return open_tiff(path, axes, part)


def _override(spec: ImageSpec, given: Mapping[str, Any]) -> ImageSpec:
    axes = validate_axes(given.get("axes", spec.axes), len(spec.shape))
    channels = dict(zip(axes, spec.shape, strict=True)).get("c", 0)
    names = tuple(given.get("channel_names", spec.channel_names))
    if "channel_names" in given and len(names) != channels:
        raise InvalidInputError(f"{len(names)} channel names do not fit {channels} channels: give one for each.")
    return replace(spec, **{**given, "axes": axes, "channel_names": names if len(names) == channels else ()})


def _describe(source: object) -> str:
    return str(source) if isinstance(source, str | Path) else "The image"

"""Where results may go: never onto, around or into what they are made of, and never among the parts of an image.

What is said here holds with ``--overwrite`` too, which replaces the result of an earlier run and no source.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_tessera.core.errors import InvalidInputError, TesseraError
from napari_tessera.core.image import ImageSource, ImageSpec
from napari_tessera.core.paths import expand_home
from napari_tessera.io.ngff import ngff_attributes
from napari_tessera.io.partial import partial_of
from napari_tessera.io.tiff_names import SUFFIXES, split_part
from napari_tessera.io.zarr_folders import is_zarr

LABELS = "labels"
"""Group inside an image that holds its label images, which are results too."""

_FILES = (".tif", ".tiff", ".npy", ".png", ".csv", ".yaml", ".yml")
_MOST_NAMED = 5
_FEW = 100

_Kind = Literal["array", "image", "collection", "other"]


def check_place(out: Path) -> None:
    """Refuse an output that lies inside a zarr, but for ``image.ome.zarr/labels/NAME`` and a group of images.

    Raises
    ------
    InvalidInputError
        Naming the zarr, and the place for results in it.
    """
    if out.name == "..":
        raise InvalidInputError(f"{out} ends in '..', which is no name: write the path of the output itself.")
    real = _real(out)
    around = [folder for folder in real.parents if is_zarr(folder)]
    if not around:
        return
    kinds = [_kind(folder) for folder in around]
    if "array" not in kinds and real.suffix.lower() not in _FILES:
        image = real.parent.parent
        if real.parent.name == LABELS and image in around and kinds[around.index(image)] == "image":
            return
        if real.parent == around[0] and set(kinds) == {"collection"}:
            return
    images = [folder for folder, kind in zip(around, kinds, strict=True) if kind == "image"]
    remedy = f"results go to {images[0]}/{LABELS}/NAME, or to a place outside it" if images else "name a place outside"
    raise InvalidInputError(f"{out} lies inside the zarr {around[-1]}, among its parts: {remedy}.")


def check_outside(out: Path) -> None:
    """Refuse a place inside a zarr for what is no image, such as a model.

    Raises
    ------
    InvalidInputError
        Naming the zarr.
    """
    around = [folder for folder in _real(out).parents if is_zarr(folder)]
    if around:
        raise InvalidInputError(
            f"{out} lies inside the zarr {around[-1]}, which holds images only: name a place outside."
        )


def check_apart(out: Path, inputs: Iterable[object]) -> None:
    """Refuse an output that is one of the inputs, holds one, or lies inside one; and as `check_place` does.

    Parameters
    ----------
    out
        Where the result is meant to go.
    inputs
        Paths, requests with a ``path``, images and arrays; those that lie in no file pass.

    Raises
    ------
    InvalidInputError
        Naming the input.
    """
    check_place(out)
    real = _real(out)
    own = (real, partial_of(real))
    for path in _all_files({path for value in inputs for path in origins(value)}, real):
        source = _real(path)
        if source in own or _same(source, real):
            raise InvalidInputError(f"{out} is what this is made of, and is never replaced: choose another name.")
        if any(place in source.parents for place in own):
            raise InvalidInputError(
                f"{out} holds {path}, which this is made of, and is never replaced: choose another name."
            )
        if source in real.parents and is_zarr(source) and real.parent != source / LABELS:
            raise InvalidInputError(
                f"{out} lies inside {path}, which this is made of: choose a place outside it, or {path}/{LABELS}/NAME."
            )


def check_outside_model(out: Path, model: Path) -> None:
    """Refuse an output that lies inside the folder of the model that makes it.

    Raises
    ------
    InvalidInputError
        Naming the model.
    """
    if _real(model) in _real(out).parents:
        raise InvalidInputError(f"{out} lies inside the model {model}, which makes it: choose a place outside it.")


def check_replaceable(path: Path) -> None:
    """Refuse to replace a zarr that holds more than one image with its labels.

    Raises
    ------
    InvalidInputError
        Naming what would be lost.
    """
    if not is_zarr(path) or _kind(path) == "array":
        return
    attributes = _attributes(path)
    first = list(_mappings(attributes.get("multiscales")))[:1]
    levels = {
        str(dataset.get("path", "")).partition("/")[0]
        for multiscale in first
        for dataset in _mappings(multiscale.get("datasets"))
    }
    more = [name for name in _members(path) if name not in {*levels, LABELS}]
    if more:
        raise InvalidInputError(
            f"{path} holds more than one image ({_listed(more)}), and is never replaced as a whole: choose another "
            "name, or remove it yourself."
        )


def labels_to_keep(path: Path, spec: ImageSpec) -> Path | None:
    """Return the group of labels that a new image in place of `path` takes over; None if there are none.

    Raises
    ------
    InvalidInputError
        If they do not fit an image of `spec`; they are named.
    """
    folder = path / LABELS
    names = _members(folder) if path.is_dir() and _kind(path) == "image" and folder.is_dir() else []
    if not names:
        return None
    if not all(_fits(folder / name, spec) for name in names):
        raise InvalidInputError(
            f"{path} holds labels ({_listed(names)}) that would be lost, as the new image has another size: choose "
            "another name, or move them elsewhere."
        )
    return folder


def origins(value: object) -> Iterator[Path]:
    """Yield the files and folders that the pixels of `value` lie in, as far as that can be known."""
    if isinstance(value, str | Path):
        yield split_part(expand_home(value))[0]
        return
    if isinstance(value, np.ndarray):
        yield from _mapped(value)
        return
    store = getattr(value, "store_path", None)  # of a zarr array
    root = getattr(getattr(store, "store", None), "root", None)
    if root is not None:
        yield Path(root) / store.path  # type: ignore[union-attr]
    yield from _behind(getattr(value, "dask", None))
    path = getattr(value, "path", None)
    if isinstance(path, Path):
        yield split_part(expand_home(path))[0]
    if isinstance(value, ImageSource):
        for inner in (value.base, getattr(value, "array", None)):  # what an image is a view of
            if inner is not None:
                yield from origins(inner)


def _all_files(paths: Iterable[Path], out: Path) -> Iterator[Path]:
    """Yield `paths`, and the other files of an image that lies in several; `out` can only be one if it is there."""
    maybe_part = out.suffix.lower() in SUFFIXES and out.exists()
    for path in paths:
        yield path
        if maybe_part and path.suffix.lower() in SUFFIXES and path.is_file():
            from napari_tessera.io.tiff_series import files_of

            yield from files_of(path)


def _behind(graph: Any) -> Iterator[Path]:
    """Yield what a graph of dask begins with; layers of many entries are those of its chunks."""
    for layer in graph.layers.values() if graph is not None else ():
        for part in dict(layer).values() if len(layer) <= _FEW else ():
            if isinstance(part, np.ndarray) or hasattr(part, "store_path") or hasattr(part, "path"):
                yield from origins(part)


def _mapped(array: Any) -> Iterator[Path]:
    while array is not None:
        if isinstance(array, np.memmap) and array.filename is not None:
            yield Path(array.filename)
            return
        array = getattr(array, "base", None)


def _real(path: Path) -> Path:
    try:
        return expand_home(path).resolve()
    except (OSError, RuntimeError) as error:  # Python before 3.13 has a RuntimeError for links in a circle
        raise InvalidInputError(f"{path} is a link that leads nowhere: choose another name, or remove it.") from error


def _same(one: Path, other: Path) -> bool:
    """Whether two names lead to one file, on a disk that does not tell capitals apart."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _kind(folder: Path) -> _Kind:
    """Return what a zarr is: an array, an image of several levels, a plain group, or what else NGFF knows."""
    if (folder / ".zarray").is_file() or _read(folder / "zarr.json").get("node_type") == "array":
        return "array"
    attributes = _attributes(folder)
    if "multiscales" in attributes:
        return "image"
    known = ("labels", "plate", "well", "bioformats2raw.layout", "image-label")
    return "other" if any(name in attributes for name in known) else "collection"


def _attributes(folder: Path) -> Mapping[str, Any]:
    attributes = _read(folder / "zarr.json").get("attributes") or _read(folder / ".zattrs")
    return ngff_attributes(attributes) if isinstance(attributes, Mapping) else {}


def _read(path: Path) -> Mapping[str, Any]:
    try:
        fields = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, Mapping) else {}


def _mappings(values: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(values, list):
        yield from (value for value in values if isinstance(value, Mapping))


def _members(folder: Path) -> list[str]:
    return sorted(inner.name for inner in folder.iterdir() if is_zarr(inner))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _fits(labels: Path, spec: ImageSpec) -> bool:
    from napari_tessera.io.ome_zarr import open_zarr

    try:
        sizes = open_zarr(labels)[0].spec.sizes
    except TesseraError:
        return False
    return all(spec.sizes.get(axis) == length for axis, length in sizes.items() if axis != "c")

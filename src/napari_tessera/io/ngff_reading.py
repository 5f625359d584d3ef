"""What the attributes of an OME-Zarr say about its image: read as far as it can be understood, the rest told of."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from napari_tessera.core.axes import CANONICAL
from napari_tessera.core.errors import StorageError
from napari_tessera.io.calibration import Calibration
from napari_tessera.io.ngff import ngff_attributes
from napari_tessera.io.ngff_axes import NamedAxes, name_axes
from napari_tessera.io.ngff_channels import Channel, channel_names, read_channels
from napari_tessera.io.ngff_transforms import Placement, quoted, read_placement

KNOWN = ("0.1", "0.2", "0.3", "0.4", "0.5")
"""Versions that are read as they are meant."""

MOST_LEVELS = 64
"""A pyramid whose levels halve has no more than the number of bits of a length."""


@dataclass(frozen=True)
class Multiscale:
    """The first image of a group.

    Attributes
    ----------
    root
        Folder of the group.
    version
        As far as it is known; empty where the file does not say.
    axes
        The entry of that name, or its like in newer versions.
    fields
        The image's own fields.
    paths, transforms
        Of each level: the name of its array inside the group, and its transformations.
    channels
        As many as the file describes.
    faults
        What is wrong with it, each as the part of a sentence that follows "the metadata …".
    """

    root: Path
    version: str
    axes: Any
    fields: Mapping[str, Any]
    paths: tuple[str, ...]
    transforms: tuple[Any, ...]
    channels: tuple[Channel, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def is_newer(self) -> bool:
        """Whether the version is one that this program does not know yet."""
        return _number(self.version) > _number(KNOWN[-1])

    def named(self, ndim: int) -> NamedAxes:
        """Return the axes that an array of `ndim` dimensions has."""
        if self.axes is None and ndim == len(CANONICAL) and self.version in ("", "0.1", "0.2"):
            return NamedAxes(CANONICAL, (None,) * ndim)  # versions up to 0.2 had five dimensions and no names
        named = name_axes(self.axes, ndim)
        return NamedAxes("yx", (None, None), named.faults) if ndim == 2 and not self.axes else named

    def placement(self, level: int, ndim: int) -> Placement:
        """Return where the pixels of a level lie, one number per dimension."""
        old = self.version in KNOWN[:3] or (not self.version and not _has_entries(self.axes))
        placement = read_placement(self.transforms[level], ndim, needed=not old)
        if self.is_newer:  # there the transformations of the image lead on, to other systems of coordinates
            return placement
        return placement.followed_by(read_placement(self.fields.get("coordinateTransformations"), ndim, needed=False))


def read_multiscale(attributes: Mapping[str, Any], root: Path, index: int = 0) -> Multiscale | None:
    """Return an image that the attributes of the group at `root` describe; None if they describe none, or fewer.

    Raises
    ------
    StorageError
        If they describe one that cannot be read: without levels, or with levels outside the group.
    """
    inner = ngff_attributes(attributes)
    if "multiscales" not in inner:
        return None
    entries = inner["multiscales"]
    if index and isinstance(entries, list) and index >= len(entries):
        return None
    if not isinstance(entries, list) or not entries or not isinstance(entries[index], Mapping):
        raise StorageError(f"The metadata of {root} list no image: {_remedy(root)}.")
    fields = entries[index]
    datasets = _datasets(fields, root)
    given = inner.get("version") if inner is not attributes else fields.get("version", inner.get("version"))
    version, version_faults = _version(given, fields, needed=inner is not attributes)
    channels, channel_faults = read_channels(inner)
    paths = tuple(_checked_path(dataset.get("path"), root) for dataset in datasets)
    outside = inner is attributes and (root / "zarr.json").is_file()
    faults = {
        f"list {len(entries)} images, of which the first is read{_how_to_open_others(entries, root)}": (
            len(entries) > 1 and index == 0
        ),
        "list one array as several levels": len(set(paths)) < len(paths),
        "stand outside of the entry 'ome', in which version 0.5 has them": outside,
        f"name axes without a type, as was done up to version {KNOWN[2]}": (
            version in KNOWN[3:] and isinstance(fields.get("axes"), list) and not _has_entries(fields["axes"])
        ),
    }
    return Multiscale(
        root,
        version,
        _axes(fields, datasets),
        fields,
        paths,
        tuple(dataset.get("coordinateTransformations") for dataset in datasets),
        channels,
        (*version_faults, *(fault for fault, holds in faults.items() if holds), *channel_faults),
    )


def calibration_of(
    multiscale: Multiscale, level: int, letters: str, shapes: Sequence[tuple[int, ...]]
) -> tuple[Calibration, list[str]]:
    """Return the calibration of a level whose axes are `letters`, and what is wrong with it.

    Parameters
    ----------
    multiscale
        The image.
    level
        Which one.
    letters
        Its axes, one per dimension.
    shapes
        Of the levels, the full resolution first: by the lengths follows what a lower level leaves out.
    """
    ndim = len(letters)
    named = multiscale.named(ndim)
    counted = isinstance(multiscale.axes, list) and len(multiscale.axes) not in (0, ndim)
    placement = Placement(None, (0.0,) * ndim) if counted else multiscale.placement(level, ndim)
    faults = [f"say that the level {quoted(multiscale.paths[level])} {fault}" for fault in placement.faults]
    scale, translate = placement.scale, placement.translate
    if scale is None and level > 0 and not counted:
        full = multiscale.placement(0, ndim)
        steps = [long / short for long, short in zip(shapes[0], shapes[level], strict=True)]
        base = full.scale or (1.0,) * ndim
        scale = tuple(size * step for size, step in zip(base, steps, strict=True))
        translate = tuple(
            first + size * (step - 1) / 2 for first, size, step in zip(full.translate, base, steps, strict=True)
        )
    known, scale = scale is not None, scale or (1.0,) * ndim
    if not all(math.isfinite(number) for number in (*scale, *translate)):
        faults.append("give numbers of more than 300 digits, which are left out")
    # a unit without a length would make a micrometer of a pixel
    units = named.units if len(named.units) == ndim and known else (None,) * ndim
    return Calibration(
        dict(zip(letters, scale, strict=True)),
        dict(zip(letters, translate, strict=True)),
        dict(zip(letters, units, strict=True)),
        channel_names(multiscale.channels),
    ), faults


def _datasets(fields: Mapping[str, Any], root: Path) -> list[Mapping[str, Any]]:
    datasets = fields.get("datasets")
    if not isinstance(datasets, list) or not datasets:
        raise StorageError(f"The metadata of {root} list no level, so there is no image to read: {_remedy(root)}.")
    if len(datasets) > MOST_LEVELS:
        raise StorageError(
            f"The metadata of {root} list {len(datasets)} levels, more than any image has ({MOST_LEVELS}): "
            f"{_remedy(root)}."
        )
    if not all(isinstance(dataset, Mapping) for dataset in datasets):
        raise StorageError(f"The metadata of {root} list a level without a path: {_remedy(root)}.")
    return datasets


def _how_to_open_others(entries: Sequence[Any], root: Path) -> str:
    """Say how the second image is opened: by the array of its full resolution."""
    with suppress(StorageError, IndexError, AttributeError):
        name = _checked_path(_datasets(entries[1], root)[0].get("path"), root)
        return f", and another one is opened by its array ({root.name}/{name})"
    return ""


def _checked_path(name: Any, root: Path) -> str:
    """Return the name of an array inside the group, and never one of a file elsewhere.

    Raises
    ------
    StorageError
        If it leads elsewhere, or is none.
    """
    if not isinstance(name, str) or not name.strip("/. "):
        what = "without a path" if name is None or isinstance(name, str) else f"whose path is {quoted(name)}, no text"
        raise StorageError(f"The metadata of {root} list a level {what}: {_remedy(root)}.")
    if not lies_inside(name, root):
        raise StorageError(
            f"The metadata of {root} name the level {quoted(name)}, which lies outside it and is not read: open that "
            "place itself, or export the image again."
        )
    return name


def lies_inside(name: str, root: Path) -> bool:
    """Whether the path `name`, which a file gives, leads to a place inside the folder `root`, links followed."""
    windows, posix = PureWindowsPath(name), PurePosixPath(name)
    if "\0" in name or posix.is_absolute() or windows.is_absolute() or windows.drive or ".." in windows.parts:
        return False
    try:
        real = root.resolve()
        return real in (real / name).resolve().parents
    except (OSError, RuntimeError):  # a circle of links
        return False


def _axes(fields: Mapping[str, Any], datasets: Sequence[Mapping[str, Any]]) -> Any:
    """Return the axes; since version 0.6 they stand in the system of coordinates that the levels are placed in."""
    systems = fields.get("coordinateSystems")
    if "axes" in fields or not isinstance(systems, list):
        return fields.get("axes")
    known = [system for system in systems if isinstance(system, Mapping)]
    first = datasets[0].get("coordinateTransformations")
    output = first[-1].get("output") if isinstance(first, list) and first and isinstance(first[-1], Mapping) else None
    wanted = output.get("name") if isinstance(output, Mapping) else output
    chosen = next((system for system in known if system.get("name") == wanted), known[0] if known else {})
    return chosen.get("axes")


def _version(given: Any, fields: Mapping[str, Any], *, needed: bool) -> tuple[str, list[str]]:
    """Return the version as text, and what is wrong with it."""
    if given is None:
        return "", ["do not say their version"] if needed else []
    version = str(given) if isinstance(given, str | float) else ""
    number = _number(version)
    if number > _number(KNOWN[-1]):
        return version, [
            f"are of OME-Zarr version {quoted(version)}, newer than {KNOWN[-1]}, the last that this program knows, and "
            "are read as far as they are understood"
        ]
    if version not in KNOWN:
        return "", [f"are of version {quoted(given)}, which is none of OME-Zarr"]
    if version in KNOWN[:3] and _has_entries(fields.get("axes")):
        return KNOWN[3], [f"are of version {version} by their own word, but describe axes as version {KNOWN[3]} does"]
    return version, []


def _has_entries(axes: Any) -> bool:
    """Whether axes are described as since version 0.4, by more than their name."""
    return isinstance(axes, list) and any(isinstance(axis, Mapping) for axis in axes)


def _number(version: str) -> tuple[int, ...]:
    """Return ``(0, 6)`` for ``"0.6.dev1"``; ``(0, 0)`` for what is no version."""
    parts = version[:20].split(".")
    if len(parts) < 2 or not all(part.isascii() and part.isdigit() for part in parts[:2]):
        return (0, 0)
    return int(parts[0]), int(parts[1])


def _remedy(root: Path) -> str:
    """Say what else can be opened."""
    inside = sorted(
        folder.name for folder in root.iterdir() if any((folder / name).is_file() for name in ("zarr.json", ".zarray"))
    )
    arrays = f"open the array inside ({root.name}/{inside[0]}), or " if inside else ""
    return f"{arrays}export the image again"

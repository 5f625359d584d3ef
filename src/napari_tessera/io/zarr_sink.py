"""OME-Zarr outputs."""

import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from napari_tessera.core.axes import CANONICAL, move_axes
from napari_tessera.core.errors import InvalidInputError, OutputExistsError, StorageError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.regions import Region
from napari_tessera.core.tiles import BlockGrid
from napari_tessera.io.channel_colors import COLORS
from napari_tessera.io.ledger import Fingerprint, describe_spec
from napari_tessera.io.levels import factors_of, is_averaged, plan_levels, region_above, shrink
from napari_tessera.io.ngff import multiscale_attributes, ngff_attributes
from napari_tessera.io.partial import PartialFolder, remove
from napari_tessera.io.places import LABELS, labels_to_keep
from napari_tessera.io.write_units import WriteUnits, checked_chunks, count_units, shard_shape
from napari_tessera.io.writing import PathSink, publish_folder, writing
from napari_tessera.io.zarr_folders import METADATA_KEY, is_zarr

NgffVersion = Literal["0.4", "0.5"]


class ZarrSink(PathSink):
    """An OME-Zarr image that is called ``<name>.partial`` until `finish`; one that it replaces leaves it its labels.

    NGFF asks for the axis order ``tczyx``, and so they are stored; `write` takes them in the order of `spec`. Inside
    another OME-Zarr (``store.ome.zarr/labels/nuclei``) the image takes that store's version, and is listed among its
    labels. A large image is followed by smaller copies of itself, as levels of one pyramid.

    Parameters
    ----------
    path
        Final name.
    spec
        What is written.
    overwrite
        Whether `finish` may replace a zarr of that name.
    chunks
        Chunk shape, in the order of ``spec.axes``; None: whole planes cut into squares.
    metadata
        JSON-ready fields to keep with the image.
    version
        Version of NGFF.
    levels
        Whether a large image gets smaller copies.
    fingerprint
        What decides the pixels: a run with the same goes on with what this one has left unfinished.
    shard
        Edge of shards, which hold many chunks in one file each, in pixels; None: a file for each chunk.
    """

    def __init__(
        self,
        path: Path,
        spec: ImageSpec,
        *,
        overwrite: bool,
        chunks: Sequence[int] | None = None,
        metadata: Mapping[str, Any] | None = None,
        version: NgffVersion = "0.5",
        levels: bool = True,
        fingerprint: Fingerprint | None = None,
        shard: int | None = None,
    ) -> None:
        super().__init__(path, spec, overwrite=overwrite)
        self._chunks = checked_chunks(chunks, spec)
        self._unit = self._chunks if shard is None else shard_shape(spec.shape, self._chunks, shard)
        self._sharded = shard is not None
        self._axes = "".join(axis for axis in CANONICAL if axis in spec.axes)
        self._kept_labels = labels_to_keep(path, spec)
        # labels that stay are not converted, and one image has one version
        self._version: NgffVersion = _version_inside(path, itself=self._kept_labels is not None) or version
        if self._sharded and self._version == "0.4":
            raise InvalidInputError(f"{path} is of OME-Zarr 0.4, which knows no shards: leave out --shard.")
        self._metadata = dict(metadata or {})
        stored = spec.ordered(self._axes)
        self._levels = plan_levels(stored) if levels else (stored,)
        with writing(path):
            units = math.prod(count_units(spec.shape, self._unit))
            self._folder = PartialFolder(path, overwrite, fingerprint=self._described(fingerprint), units=units)
            self._ledger = self._folder.ledger
            try:
                self._group, self._array = self._open()
            except BaseException:
                self._folder.release()
                raise
        self._units = WriteUnits(
            spec.shape, self._unit, spec.dtype, store=self._put, load=self._load, ledger=self._ledger
        )
        self._steps = self._write_levels()

    def _described(self, fingerprint: Fingerprint | None) -> Fingerprint | None:
        """Return the fingerprint with what the file adds to it."""
        if fingerprint is None:
            return None
        return fingerprint.with_fields(
            {
                "format": f"OME-Zarr {self._version}",
                "result": describe_spec(self._spec),
                "levels": len(self._levels),
                "chunks": list(self._chunks),
                "write unit": list(self._unit),
            }
        )

    def _open(self) -> tuple[zarr.Group, zarr.Array[Any]]:
        """Return what an earlier run has left, cleared of what it was just writing; or begin anew."""
        if self._ledger is not None and self._ledger.complete:
            try:
                group = zarr.open_group(str(self.partial), mode="r+", zarr_format=_zarr_format(self._version))
                array = group["0"]
            except (OSError, ValueError, KeyError) as error:
                raise OutputExistsError(
                    f"{self.partial} is damaged: begin anew with --overwrite, or move it elsewhere."
                ) from error
            for left in self.partial.rglob("*.partial"):
                left.unlink()
            remove(self.partial / LABELS)
            assert isinstance(array, zarr.Array)
            return group, array
        self._folder.clear()
        self._group = zarr.create_group(
            str(self.partial),
            zarr_format=_zarr_format(self._version),
            attributes=self._attributes(self._levels[:1]),
        )
        return self._group, self._create_level(0)

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of one unit of storage."""
        return self._chunks

    @property
    def write_unit(self) -> tuple[int, ...]:
        """Shape of what is written at once: a shard, or a chunk."""
        return self._unit

    @property
    def partial(self) -> Path:
        """Where the output lies until it is finished."""
        return self._folder.path

    @property
    def kept(self) -> Path | None:
        """The same, where what was finished stays; None as long as that is nothing."""
        return None if self._is_empty else self.partial

    @property
    def _is_empty(self) -> bool:
        assert self._units is not None
        return not self._units.written and (self._ledger is None or self._ledger.is_empty)

    def _attributes(self, levels: Sequence[ImageSpec]) -> dict[str, Any]:
        attributes = multiscale_attributes(levels, self._version, self._metadata.get(COLORS, ()))
        if self.path.parent.name == LABELS:
            inner = attributes.get("ome", attributes)
            inner["image-label"] = {"version": self._version, "source": {"image": "../../"}}
        if self._metadata:
            attributes[METADATA_KEY] = self._metadata
        return attributes

    def _create_level(self, index: int) -> zarr.Array[Any]:
        level = self._levels[index]
        by_axis, unit = self._spec.by_axis(self.chunks), self._spec.by_axis(self._unit)
        chunks = tuple(min(by_axis[axis], length) for axis, length in level.sizes.items())
        shards = tuple(
            chunk * min(unit[axis] // by_axis[axis], -(-length // chunk))
            for chunk, (axis, length) in zip(chunks, level.sizes.items(), strict=True)
        )
        return self._group.create_array(
            str(index),
            shape=level.shape,
            dtype=level.dtype,
            chunks=chunks,
            shards=shards if self._sharded else None,
            fill_value=0,
            overwrite=index > 0,  # an earlier run may have begun with it
            **_format_options(self._version, level),
        )

    def _store(self, region: Region, pixels: NDArray[Any]) -> None:
        assert self._units is not None
        self._units.write(region, pixels)

    def _stored(self, region: Region) -> Region:
        by_axis = self._spec.by_axis(region)
        return tuple(by_axis[axis] for axis in self._axes)

    def _put(self, region: Region, pixels: NDArray[Any]) -> None:
        self._array[self._stored(region)] = move_axes(pixels, self._spec.axes, self._axes)

    def _load(self, region: Region) -> NDArray[Any]:
        return move_axes(_read(self._array, self._stored(region)), self._axes, self._spec.axes)

    def write_levels(self) -> Iterator[None]:
        """Write the smaller copies of a large image, a chunk per step; `finish` takes the steps that are left.

        Raises
        ------
        StorageError
            If the disk is full.
        """
        return self._steps

    def _write_levels(self) -> Iterator[None]:
        self._flush()
        above, averaged = self._array, is_averaged(self._spec)
        for index, level in enumerate(self._levels[1:], start=1):
            factors = factors_of(self._levels[index - 1])
            with writing(self.path):
                array = self._create_level(index)
            unit, none = array.shards or array.chunks, (0,) * len(level.shape)
            units = WriteUnits(
                level.shape, unit, level.dtype, store=array.__setitem__, load=partial(_read, array), ledger=None
            )
            for tile in BlockGrid(level.shape, unit, array.chunks, none, (1,) * len(level.shape)):
                with writing(self.path):
                    pixels = np.asarray(above[region_above(tile.inner, factors, above.shape)])
                    units.write(tile.inner, shrink(pixels, factors, averaged=averaged))
                yield
            above = array
        if len(self._levels) > 1:
            with writing(self.path):
                self._group.attrs.update(self._attributes(self._levels))

    def _flush(self) -> None:
        assert self._units is not None
        with writing(self.path):
            self._units.flush()

    def finish(self) -> None:
        """Give the folder its final name, and list it if it is a label image inside another zarr."""
        for _ in self._steps:
            pass
        if self._kept_labels is not None:
            with writing(self.path):
                _take_over(self._kept_labels, self.partial / self._kept_labels.name)
        self._folder.before_move()
        publish_folder(self.partial, self.path, self._overwrite)
        self._folder.finish(self.path)
        if self.path.parent.name == LABELS and is_zarr(self.path.parent.parent):
            with writing(self.path):
                _list_label(self.path)

    def abort(self) -> None:
        """Leave ``<name>.partial`` behind, so that the regions that are finished can be looked at, or gone on with."""
        if self._is_empty:
            self._folder.discard()
            return
        with suppress(StorageError):  # a full disk may be why it is given up
            self._flush()
        self._folder.release()


def _read(array: zarr.Array[Any], region: Region) -> NDArray[Any]:
    return np.array(array[region])


def _zarr_format(version: NgffVersion) -> Literal[2, 3]:
    return 2 if version == "0.4" else 3


def _format_options(version: NgffVersion, spec: ImageSpec) -> dict[str, Any]:
    """Return compression with bit shuffling (small and quick for images), and how chunks and dimensions are named."""
    codec: Literal["lz4", "zstd"] = "lz4" if spec.dtype.kind == "f" else "zstd"
    level = 5 if codec == "lz4" else 3
    if version == "0.4":
        return {
            "compressors": {"id": "blosc", "cname": codec, "clevel": level, "shuffle": 2},  # 2: by bits
            "chunk_key_encoding": {"name": "v2", "separator": "/"},
        }
    return {
        "compressors": BloscCodec(cname=codec, clevel=level, shuffle="bitshuffle"),
        "dimension_names": list(spec.axes),
    }


def _take_over(labels: Path, target: Path) -> None:
    """Put the labels of an image that is replaced into the new one, while they stay in the old one until it goes."""

    def link(source: str, copy: str) -> None:
        try:
            os.link(source, copy)
        except OSError:  # a disk that knows no second names
            shutil.copy2(source, copy)

    shutil.copytree(labels, target, copy_function=link)


def _version_inside(path: Path, *, itself: bool = False) -> NgffVersion | None:
    """Return the NGFF version of the zarr that `path` lies in (or is, with `itself`), or None if it lies in none."""
    for folder in [*([path] if itself else []), *path.absolute().parents]:
        if (folder / "zarr.json").is_file():
            return "0.5"
        if (folder / ".zgroup").is_file():
            return "0.4"
    return None


def _list_label(path: Path) -> None:
    """Add the image at `path` to the list of label images that its parent keeps."""
    version = _version_inside(path) or "0.5"
    group = zarr.open_group(str(path.parent), mode="a", zarr_format=_zarr_format(version))
    known = list(ngff_attributes(group.attrs.asdict()).get("labels") or ())
    labels = sorted({*known, path.name})
    group.attrs.update({"labels": labels} if version == "0.4" else {"ome": {"version": version, "labels": labels}})

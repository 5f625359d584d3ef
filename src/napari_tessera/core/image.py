"""What an image is: its specification, and the protocols through which it is read and written piece by piece."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.core import regions
from napari_tessera.core.axes import spatial_axes, validate_axes
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.regions import Region
from napari_tessera.core.units import unit_name

T = TypeVar("T")

_UNWRITABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Characters that UTF-8 or XML lacks, that steer a terminal, or turn the direction of text: names in files may hold
them."""

_LONGEST_NAME = 200


def writable_text(text: str) -> str:
    """Return `text` with a question mark for each character that no file format holds or that steers a terminal."""
    return _UNWRITABLE.sub("?", text)


def short_name(text: str) -> str:
    """Return a name from a file as it may be shown: without characters that steer a terminal, and not endless."""
    plain = writable_text(text)
    return plain if len(plain) <= _LONGEST_NAME else f"{plain[: _LONGEST_NAME - 1]}…"


def plain_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the type that numpy names by kind and size: of two equal ones of 64 bits, zarr knows one only."""
    found: np.dtype[Any] = np.dtype(dtype)
    return np.dtype(found.str) if found.kind in "iu" else found


@dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """Everything about an image but its pixels.

    Attributes
    ----------
    axes
        One letter of ``tczyx`` per dimension, in the order of `shape`.
    shape
        Length of each dimension.
    dtype
        Numpy dtype of the pixels.
    scale, translate
        Size of one step, and position of the first pixel's centre, per dimension, in `units`.
    units
        Unit name per dimension (``"micrometer"``, ``"second"``, …), or None where nothing is known; other spellings of
        known units (``"um"``) become their name.
    channel_names
        Names along axis ``c``; empty if there are none.
    name
        What to call the image in front of a person; characters that UTF-8 or XML does not have, or that steer a
        terminal, become question marks, here and in `channel_names`, and what is longer than 200 is shortened.
    """

    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: tuple[float, ...] = ()
    translate: tuple[float, ...] = ()
    units: tuple[str | None, ...] = ()
    channel_names: tuple[str, ...] = ()
    name: str = field(default="image", compare=False)

    def __post_init__(self) -> None:
        validate_axes(self.axes, len(self.shape))
        ndim = len(self.shape)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "dtype", plain_dtype(self.dtype))
        object.__setattr__(self, "scale", tuple(float(s) for s in self.scale) or (1.0,) * ndim)
        object.__setattr__(self, "translate", tuple(float(t) for t in self.translate) or (0.0,) * ndim)
        object.__setattr__(self, "units", tuple(map(_unit, self.units)) or (None,) * ndim)
        object.__setattr__(self, "name", short_name(self.name))
        object.__setattr__(self, "channel_names", tuple(short_name(str(name)) for name in self.channel_names))
        for what in ("scale", "translate", "units"):
            if len(getattr(self, what)) != ndim:
                raise InvalidInputError(f"{what} {getattr(self, what)} must have one entry per axis of {self.axes!r}.")
        if not all(np.isfinite(s) and s != 0 for s in self.scale):
            raise InvalidInputError(f"scale {self.scale} must be finite and not zero.")

    @property
    def sizes(self) -> Mapping[str, int]:
        """Length per axis letter."""
        return self.by_axis(self.shape)

    @property
    def spatial(self) -> str:
        """The spatial axes, in the order of the array."""
        return spatial_axes(self.axes)

    @property
    def channels(self) -> int:
        """Number of channels; 1 without a channel axis."""
        return self.sizes.get("c", 1)

    @property
    def full_region(self) -> Region:
        """The region that covers the whole image."""
        return regions.whole(self.shape)

    def by_axis(self, values: Iterable[T]) -> dict[str, T]:
        """Return `values`, one per dimension, under the letters of the axes."""
        return dict(zip(self.axes, values, strict=True))

    def ordered(self, axes: str) -> Self:
        """Return the specification with the dimensions `axes`, in that order.

        Dimensions that are not named are left out, and one that is new has a single step of length 1.
        """
        found = {axis: at for at, axis in enumerate(self.axes)}
        return replace(
            self,
            axes=axes,
            shape=tuple(self.shape[found[axis]] if axis in found else 1 for axis in axes),
            scale=tuple(self.scale[found[axis]] if axis in found else 1.0 for axis in axes),
            translate=tuple(self.translate[found[axis]] if axis in found else 0.0 for axis in axes),
            units=tuple(self.units[found[axis]] if axis in found else None for axis in axes),
            channel_names=self.channel_names if "c" in axes else (),
        )

    def cropped(self, region: Region) -> Self:
        """Return the specification of `region` alone, which stays where it lies."""
        starts = zip(self.translate, self.scale, regions.start(region), strict=True)
        return replace(
            self,
            shape=regions.size(region),
            translate=tuple(position + step * at for position, step, at in starts),
        )

    def scaled(self, factors: Sequence[float], shape: Sequence[int], centred: bool = True) -> Self:
        """Return the specification of the same ground in steps that are larger.

        Parameters
        ----------
        factors
            How many steps of this image are one of the other, per dimension.
        shape
            Length of each dimension of the other image.
        centred
            Whether a pixel stands for the middle of the steps that it covers, as their mean does, or for the first.

        Returns
        -------
        The specification; the first pixel has moved with the middle if `centred`.
        """
        shift = 0.5 if centred else 0.0
        steps = tuple(zip(self.translate, self.scale, factors, strict=True))
        return replace(
            self,
            shape=tuple(shape),
            scale=tuple(step * factor for _, step, factor in steps),
            translate=tuple(at + shift * step * (factor - 1) for at, step, factor in steps),
        )

    def with_dtype(self, dtype: DTypeLike) -> Self:
        """Return the same specification with another dtype."""
        return replace(self, dtype=np.dtype(dtype))

    def without(self, axis: str) -> Self:
        """Return the specification with `axis` taken out (unchanged if it is not there)."""
        if axis not in self.axes:
            return self
        return self.ordered(self.axes.replace(axis, ""))

    def with_leading(self, axis: str, length: int, channel_names: tuple[str, ...] = ()) -> Self:
        """Return the specification with a new first dimension, in steps of length 1.

        Parameters
        ----------
        axis, length
            Its letter, and how long it is.
        channel_names
            Names along it if it is ``c``; else the names of the channels stay.
        """
        return replace(
            self,
            axes=axis + self.axes,
            shape=(length, *self.shape),
            scale=(1.0, *self.scale),
            translate=(0.0, *self.translate),
            units=(None, *self.units),
            channel_names=channel_names if axis == "c" else self.channel_names,
        )


def _unit(text: str | None) -> str | None:
    name = unit_name(text)
    return None if name is None else short_name(name)


@runtime_checkable
class ImageSource(Protocol):
    """An image that is read region by region; adapters for arrays and files live in ``io``.

    Adapters derive from this protocol to inherit the shorthands `axes`, `shape`, `dtype`, `scale`, `units` and `name`.
    """

    @property
    def spec(self) -> ImageSpec:
        """Axes, shape, dtype and physical calibration."""
        ...

    def read(self, region: Region) -> NDArray[Any]:
        """Return the pixels of `region` as a numpy array with the axes of `spec`; safe to call from several threads."""
        ...

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Shape of one unit of storage; None for an image that has none."""
        return None

    @property
    def axes_guessed(self) -> bool:
        """Whether the axes follow from the number of dimensions alone, named by neither file nor caller."""
        return False

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the image before working with it, as sentences."""
        return ()

    @property
    def base(self) -> "ImageSource | None":
        """The image whose pixels these are, seen otherwise; None for one of its own."""
        return None

    @property
    def axes(self) -> str:
        """Axis letters, one per dimension."""
        return self.spec.axes

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each dimension."""
        return self.spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the pixels."""
        return self.spec.dtype

    @property
    def scale(self) -> tuple[float, ...]:
        """Step size per dimension."""
        return self.spec.scale

    @property
    def units(self) -> tuple[str | None, ...]:
        """Unit name per dimension."""
        return self.spec.units

    @property
    def name(self) -> str:
        """What to call the image."""
        return self.spec.name


class DerivedSource(ImageSource):
    """What images share that are another image, seen otherwise: they say how its pixels are read.

    Parameters
    ----------
    base
        The other image.
    spec
        Specification of this one; None: that of `base`.
    """

    def __init__(self, base: ImageSource, spec: ImageSpec | None = None) -> None:
        self._base = base
        self._spec = base.spec if spec is None else spec

    @property
    def spec(self) -> ImageSpec:
        """Axes, shape, dtype and physical calibration as they are seen."""
        return self._spec

    @property
    def base(self) -> ImageSource:
        """The other image."""
        return self._base

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the other image, as sentences."""
        return self._base.notes

    @property
    def axes_guessed(self) -> bool:
        """Whether the axes are those that were guessed for the other image."""
        return self._spec.axes == self._base.axes and self._base.axes_guessed


@runtime_checkable
class ImageSink(Protocol):
    """An output that is written region by region and appears as complete only once `finish` has returned."""

    @property
    def spec(self) -> ImageSpec:
        """Axes, shape, dtype and calibration of what is written."""
        ...

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Shape of one unit of storage; None for an output that has none."""
        return None

    @property
    def write_unit(self) -> tuple[int, ...] | None:
        """Shape of what is written at once: a chunk, or a shard of many; None for an output that has none."""
        return self.chunks

    @property
    def kept(self) -> Path | None:
        """Folder in which the finished part of an output stays that is given up; None where nothing is kept."""
        return None

    @property
    def earlier_devices(self) -> frozenset[str]:
        """Kinds of the devices on which earlier runs have made a part of this output."""
        return frozenset()

    def holds(self, region: Region) -> bool:  # noqa: ARG002
        """Whether all of `region` is complete already, made by an earlier run that this one goes on with."""
        return False

    def settle(self, region: Region) -> None:  # noqa: ARG002
        """Take note that `region` is complete: what has not been written of it is 0."""
        return

    def recall(self, name: str) -> Any | None:  # noqa: ARG002
        """Return what an earlier run has left under `name` with `remember`; None if that is nothing."""
        return None

    def remember(self, name: str, value: Any) -> None:  # noqa: ARG002
        """Keep a JSON-ready value for a run that goes on with this one: what the image as a whole decides."""
        return

    def write(self, region: Region, pixels: NDArray[Any]) -> None:
        """Store `pixels` at `region`."""
        ...

    def write_levels(self) -> Iterator[None]:
        """Write what is derived of all pixels, as coarser levels are, piece by piece; `finish` does what is left."""
        return iter(())

    def finish(self) -> None:
        """Make the output visible under its final name."""
        ...

    def abort(self) -> None:
        """End early: keep what can be told apart as unfinished, remove what would look complete."""
        ...

"""Annotated parts of images that are too large for memory: a training reads of them what a patch needs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.axes import move_axes
from napari_tessera.core.image import ImageSource
from napari_tessera.core.regions import Region


@dataclass(frozen=True)
class StoredPart:
    """A part of one plane of an image or of labels.

    Attributes
    ----------
    source
        The image, safe to read from several threads.
    region
        One slice per axis of `source` but ``c``, of length one along ``t`` and ``z``.
    axes
        ``cyx`` of an image, which has one channel where its source has no such axis, and ``yx`` of labels.
    made
        Makes of pixels in the order of `axes` what is learnt from, of the same shape.
    """

    source: ImageSource
    region: Region
    axes: str
    made: Callable[[NDArray[Any]], NDArray[Any]]

    @property
    def shape(self) -> tuple[int, ...]:
        """(c, y, x) or (y, x)."""
        lengths = dict(zip(self._stored_axes, regions.size(self.region), strict=True))
        return tuple(lengths.get(axis, self.source.spec.channels) for axis in self.axes)

    def read(self, region: Region) -> NDArray[Any]:
        """Return the pixels of `region`, (y, x), of the part; of an image all channels."""
        return self.made(read_plane(self.source, self._placed(region), self.axes))

    def cropped(self, region: Region) -> "StoredPart":
        """Return the part in `region`, (y, x)."""
        return replace(self, region=self._placed(region))

    @property
    def _stored_axes(self) -> str:
        return self.source.axes.replace("c", "")

    def _placed(self, region: Region) -> Region:
        """Return where `region`, (y, x), of the part lies in the source."""
        by_axis = dict(zip(self._stored_axes, self.region, strict=True))
        origin = (by_axis["y"].start, by_axis["x"].start)
        by_axis |= zip("yx", regions.moved(region, origin), strict=True)
        return tuple(by_axis[axis] for axis in self._stored_axes)


def read_plane(image: ImageSource, region: Region, axes: str = "cyx") -> NDArray[Any]:
    """Read one plane or a part of it.

    Parameters
    ----------
    image
        Any image.
    region
        One slice per axis of the image but ``c``, of length one along ``t`` and ``z``.
    axes
        ``cyx``, or ``yx`` for labels.

    Returns
    -------
    ndarray
        In the order of `axes`, with all channels, of the dtype of the image.
    """
    by_axis = dict(zip(image.axes.replace("c", ""), region, strict=True))
    by_axis["c"] = slice(0, image.spec.channels)
    pixels = image.read(tuple(by_axis[axis] for axis in image.axes))
    return move_axes(pixels, image.axes, axes)

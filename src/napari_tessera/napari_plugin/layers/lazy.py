"""Images of files as arrays that napari reads as it shows them."""

from typing import Any

import numpy as np

from napari_tessera.core.image import ImageSource
from napari_tessera.io.arrays import ArraySource

_EDGE = 1024

LARGE = 2**26
"""Results of more bytes than this are read piece by piece; others at once, in a moment, and can be painted in."""


class _Pixels:
    """The pixels of an image, sliced like an array; what cannot be read is told in one sentence."""

    def __init__(self, source: ImageSource) -> None:
        self.source = source
        self.path = getattr(source, "path", None)
        self.shape = source.shape
        self.dtype = source.dtype
        self.ndim = len(source.shape)

    def __getitem__(self, region: Any) -> Any:
        parts = region if isinstance(region, tuple) else (region,)
        read: list[slice] = []
        within: list[Any] = []
        for part, length in zip((*parts, *[slice(None)] * (self.ndim - len(parts))), self.shape, strict=True):
            if isinstance(part, slice) and (part.step or 1) > 0:
                start, stop, step = part.indices(length)
                read.append(slice(start, max(start, stop)))
                within.append(slice(None, None, step))
            elif isinstance(part, int | np.integer):
                at = int(part) % length
                read.append(slice(at, at + 1))
                within.append(0)
            else:
                read.append(slice(0, length))
                within.append(part)
        return self.source.read(tuple(read))[tuple(within)]


class _Stored(_Pixels):
    """The same of a zarr on a disk, which jobs find again by `store_path` and read themselves."""

    def __init__(self, source: ArraySource) -> None:
        super().__init__(source)
        self.store_path = source.array.store_path  # type: ignore[attr-defined]


def lazy(source: ImageSource) -> Any:
    """Return `source` as a dask array of its own chunks, named as those that dask itself makes of a zarr."""
    import dask.array
    from dask.base import tokenize

    stored = isinstance(source, ArraySource) and hasattr(source.array, "store_path")
    pixels = _Stored(source) if isinstance(source, ArraySource) and stored else _Pixels(source)
    chunks = source.chunks or tuple(
        min(length, _EDGE) if axis in "yx" else 1 for axis, length in source.spec.sizes.items()
    )
    name = (
        f"from-{'zarr' if stored else 'image'}-{tokenize(str(getattr(source, 'path', None)), source.name, id(pixels))}"
    )
    meta = None
    return dask.array.from_array(pixels, chunks=chunks, name=name, meta=meta, lock=False, asarray=False)

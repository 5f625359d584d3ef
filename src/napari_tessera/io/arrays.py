"""Arrays as images: numpy, dask and zarr arrays behind one `ImageSource`, and an `ImageSink` in memory."""

import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError, OutOfMemoryError, StorageError, TesseraError
from napari_tessera.core.image import ImageSink, ImageSource, ImageSpec, Region
from napari_tessera.io.memory import zeros

# What the readers of numpy, tifffile, imagecodecs and zarr raise when they meet bytes that make no sense.
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    struct.error,
    zlib.error,
)


class ArrayLike(Protocol):
    """What numpy, dask and zarr arrays have in common."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each dimension."""
        ...

    @property
    def dtype(self) -> Any:
        """Type of the elements."""
        ...

    def __getitem__(self, region: Any, /) -> Any:
        """Return part of the array."""
        ...


class ArraySource(ImageSource):
    """An image in any array that can be sliced.

    Parameters
    ----------
    array
        A numpy, dask or zarr array, dimensions named by ``spec.axes``.
    spec
        Specification of the image; its dtype is what `read` returns (native byte order).
    path
        The file that the array lives in; None for one in memory. An error in reading names it.
    axes_guessed
        Whether the axes of `spec` are a guess by the number of dimensions.
    """

    def __init__(
        self, array: ArrayLike, spec: ImageSpec, *, path: Path | None = None, axes_guessed: bool = False
    ) -> None:
        if tuple(array.shape) != spec.shape:
            raise InvalidInputError(
                f"The array has shape {tuple(array.shape)}, not {spec.shape}: describe it by its own shape."
            )
        self.array = array
        self.path = path
        self.axes_guessed = axes_guessed
        self._spec = spec

    def __repr__(self) -> str:
        sizes = " × ".join(f"{axis} {length}" for axis, length in self._spec.sizes.items())
        origin = self.path or type(self.array).__name__
        return f"<{type(self).__name__} {self._spec.name!r}: {sizes}, {self._spec.dtype}, of {origin}>"

    @property
    def spec(self) -> ImageSpec:
        """Axes, shape, dtype and physical calibration."""
        return self._spec

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Shape of one unit of storage, or None for an array that has none."""
        chunks = getattr(self.array, "chunks", None)
        if not chunks:
            return None
        return tuple(max(chunk) if isinstance(chunk, tuple) else int(chunk) for chunk in chunks)

    def read(self, region: Region) -> NDArray[Any]:
        """Return a copy of the pixels of `region`.

        Raises
        ------
        InvalidInputError
            If the region does not lie within the image.
        StorageError
            If the file is damaged.
        """
        check_region(region, self._spec.shape)
        if self.path is None:
            return self._read(region)
        with reading(self.path):
            return self._read(region)

    def _read(self, region: Region) -> NDArray[Any]:
        part = self.array[region]
        if hasattr(part, "compute"):  # dask; in this thread, because only the pipeline owns threads
            part = part.compute(scheduler="synchronous")
        return np.array(part, dtype=self._spec.dtype, order="C")


class RespecifiedSource(ImageSource):
    """The pixels of one image under another specification of the same shape and dtype."""

    def __init__(self, source: ImageSource, spec: ImageSpec) -> None:
        self.source = source
        self._spec = spec

    @property
    def spec(self) -> ImageSpec:
        """The specification that replaces that of the source."""
        return self._spec

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Shape of one unit of storage, or None for an array that has none."""
        return getattr(self.source, "chunks", None)

    @property
    def axes_guessed(self) -> bool:
        """Whether the axes are those that were guessed for the source."""
        return self._spec.axes == self.source.axes and getattr(self.source, "axes_guessed", False)

    def read(self, region: Region) -> NDArray[Any]:
        """Return the pixels of `region`."""
        return self.source.read(region)


class MemorySink(ImageSink):
    """An output in memory; `array` is zero where nothing has been written."""

    def __init__(self, spec: ImageSpec) -> None:
        self._spec = spec
        self.array: NDArray[Any] = zeros(spec)

    @property
    def spec(self) -> ImageSpec:
        """Axes, shape, dtype and calibration of what is written."""
        return self._spec

    def write(self, region: Region, pixels: NDArray[Any]) -> None:
        """Store `pixels` at `region`."""
        self.array[region] = checked_pixels(region, pixels, self._spec)

    def finish(self) -> None:
        """Do nothing: the array is there all the time."""

    def abort(self) -> None:
        """Do nothing: what was written stays."""


def check_region(region: Region, shape: tuple[int, ...]) -> None:
    """Raise InvalidInputError unless `region` lies within an image of `shape`."""
    fits = len(region) == len(shape) and all(
        part.step in (None, 1) and part.start is not None and 0 <= part.start <= part.stop <= length
        for part, length in zip(region, shape, strict=True)
    )
    if not fits:
        raise InvalidInputError(f"Region {region} does not lie within an image of shape {shape}: clip it to the image.")


def checked_pixels(region: Region, pixels: NDArray[Any], spec: ImageSpec) -> NDArray[Any]:
    """Return `pixels` in the dtype of `spec`, refusing any that `region` or the dtype cannot hold.

    Raises
    ------
    InvalidInputError
        For a region outside the image, another shape, or a dtype whose values may not fit.
    """
    check_region(region, spec.shape)
    expected = tuple(part.stop - part.start for part in region)
    if pixels.shape != expected:
        raise InvalidInputError(f"Pixels of shape {pixels.shape} do not fill a region of shape {expected}.")
    if not np.can_cast(pixels.dtype, spec.dtype, "safe"):
        raise InvalidInputError(
            f"Pixels of dtype {pixels.dtype} do not fit into {spec.dtype}: convert them, or create the output as "
            f"{pixels.dtype}."
        )
    return pixels.astype(spec.dtype, copy=False)


def checked_dtype(dtype: Any, what: str) -> np.dtype[Any]:
    """Return `dtype` in native byte order, or raise InvalidInputError if `what` does not hold numbers."""
    native: np.dtype[Any] = np.dtype(dtype).newbyteorder("=")
    if native.kind not in "biuf":
        raise InvalidInputError(f"{what} holds values of type {native}: convert them to integers or floats.")
    return native


def check_not_empty(shape: tuple[int, ...], what: str) -> None:
    """Raise InvalidInputError for an image without pixels."""
    if math.prod(shape) == 0:
        raise InvalidInputError(f"{what} has shape {tuple(shape)}, so no pixels: choose another image.")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file makes its reader raise into one sentence.

    Raises
    ------
    StorageError, OutOfMemoryError
        In place of the errors that the readers raise.
    """
    try:
        yield
    except TesseraError:
        raise
    except PermissionError as error:
        raise StorageError(f"{path} may not be read: ask for permission, or copy it to a folder of yours.") from error
    except MemoryError as error:
        raise OutOfMemoryError(
            f"There is not enough memory to read {path}: close other programs, or save it in smaller tiles or chunks."
        ) from error
    except _DAMAGE as error:
        reason = " ".join(str(error).split()).rstrip(".")[:160] or type(error).__name__
        raise StorageError(
            f"{path} cannot be read ({reason}): it is damaged or incomplete; copy or export it again."
        ) from error

"""Arrays as images: numpy, dask and zarr arrays behind one `ImageSource`, and an `ImageSink` in memory."""

import csv
import lzma
import math
import re
import struct
import tokenize
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.errors import InvalidInputError, OutOfMemoryError, StorageError, TesseraError
from napari_tessera.core.image import DerivedSource, ImageSink, ImageSource, ImageSpec, plain_dtype, writable_text
from napari_tessera.core.regions import Region
from napari_tessera.io.memory import zeros

# What the readers of numpy, tifffile, imagecodecs and zarr raise when they meet bytes that make no sense.
DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    SyntaxError,
    csv.Error,
    struct.error,
    tokenize.TokenError,
    zlib.error,
    lzma.LZMAError,
)

_PYTHON = re.compile(
    r"argument|unpack|broadcast|reshape|shape|literal|digits|object|dtype|buffer|slice|index|operand|array|\(\)|'"
)
"""Words of Python and numpy about values, which say nothing about a file."""


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


class Samples:
    """An array of which some positions along one dimension are left out; that dimension goes if one stays.

    Parameters
    ----------
    array
        Numpy or zarr array.
    axis
        The dimension.
    kept
        Ascending positions along it.
    """

    def __init__(self, array: Any, axis: int, kept: Sequence[int]) -> None:
        self.array, self._axis, self._kept = array, axis, list(kept)
        self.shape = self._adjusted(array.shape, len(kept))
        self.dtype = array.dtype
        chunks = getattr(array, "chunks", None)
        self.chunks = self._adjusted(chunks, min(len(kept), chunks[axis])) if chunks else None

    def _adjusted(self, lengths: Sequence[int], length: int) -> tuple[int, ...]:
        middle = (length,) if len(self._kept) > 1 else ()
        return (*lengths[: self._axis], *middle, *lengths[self._axis + 1 :])

    def __getitem__(self, region: Region) -> NDArray[Any]:
        """Return part of the array."""
        if len(self._kept) == 1:
            return np.asarray(self.array[(*region[: self._axis], self._kept[0], *region[self._axis :])])
        wanted = self._kept[region[self._axis]]
        first, stop = (wanted[0], wanted[-1] + 1) if wanted else (0, 0)
        read = (*region[: self._axis], slice(first, stop), *region[self._axis + 1 :])
        return np.asarray(self.array[read]).take(np.array(wanted, int) - first, self._axis)


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
    notes
        What a person should know about the image before working with it, as sentences: further images in its file.
    palette
        Whether the file gives the pixels colours that do not simply get brighter with them.
    """

    def __init__(
        self,
        array: ArrayLike,
        spec: ImageSpec,
        *,
        path: Path | None = None,
        axes_guessed: bool = False,
        notes: tuple[str, ...] = (),
        palette: bool = False,
    ) -> None:
        if tuple(array.shape) != spec.shape:
            raise InvalidInputError(
                f"The array has shape {tuple(array.shape)}, not {spec.shape}: describe it by its own shape."
            )
        self.array = array
        self.path = path
        self._axes_guessed = axes_guessed
        self._notes = notes
        self.palette = palette
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

    @property
    def axes_guessed(self) -> bool:
        """Whether the axes are a guess by the number of dimensions."""
        return self._axes_guessed

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the image before working with it, as sentences."""
        return self._notes

    def noted(self, *notes: str) -> None:
        """Add what a person should know about the image."""
        self._notes = (*self._notes, *notes)

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


class RespecifiedSource(DerivedSource):
    """The pixels of one image under another specification of the same shape and dtype."""

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Shape of one unit of storage, or None for an array that has none."""
        return self.base.chunks

    def read(self, region: Region) -> NDArray[Any]:
        """Return the pixels of `region`."""
        return self.base.read(region)


class SqueezedSource(DerivedSource):
    """An image without some of its axes of length one, and with others of that length.

    Parameters
    ----------
    source
        The image.
    axes
        Those to have, in the order of `source` as far as it has them; what is left out must be of length one.
    """

    def __init__(self, source: ImageSource, axes: str) -> None:
        own = source.spec
        at = {axis: index for index, axis in enumerate(own.axes)}
        wanted = "".join(sorted(axes, key=lambda axis: at.get(axis, -1)))
        super().__init__(source, own.ordered(wanted))

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Shape of one unit of storage, or None for an array that has none."""
        if self.base.chunks is None:
            return None
        own = self.base.spec.by_axis(self.base.chunks)
        return tuple(own.get(axis, 1) for axis in self.axes)

    def read(self, region: Region) -> NDArray[Any]:
        """Return the pixels of `region`."""
        check_region(region, self._spec.shape)
        by_axis = self.spec.by_axis(region)
        pixels = self.base.read(tuple(by_axis.get(axis, slice(0, 1)) for axis in self.base.axes))
        return pixels.reshape(regions.size(region))


def unwrapped(image: ImageSource) -> ImageSource:
    """Return the image that has the pixels of one which was given another specification, once or several times."""
    while isinstance(image, RespecifiedSource):
        image = image.base
    return image


class MemorySink(ImageSink):
    """An output in memory; an array which covers all of it is taken over in place of being copied.

    Parameters
    ----------
    spec
        What is written.

    Attributes
    ----------
    array
        The result; 0 where nothing has been written.
    """

    def __init__(self, spec: ImageSpec) -> None:
        self._spec = spec
        self.array: NDArray[Any] = zeros(spec)

    @property
    def spec(self) -> ImageSpec:
        """Axes, shape, dtype and calibration of what is written."""
        return self._spec

    def write(self, region: Region, pixels: NDArray[Any]) -> None:
        """Store `pixels` at `region`."""
        pixels = checked_pixels(region, pixels, self._spec)
        if region == self._spec.full_region and pixels.flags.c_contiguous and pixels.flags.writeable:
            self.array = pixels
        else:
            self.array[region] = pixels

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
    native = np.dtype(dtype)
    if native.kind in "biuf":
        native = plain_dtype(native.newbyteorder("="))
    else:
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
    except DAMAGE as error:
        raise StorageError(
            f"{path} cannot be read{_reason(error)}: it is damaged or incomplete; copy or export it again."
        ) from error


def _reason(error: BaseException) -> str:
    """Return what a reader says about a file, in brackets; nothing where it is Python that speaks, of itself."""
    own = type(error).__module__ in ("builtins", "struct", "tokenize") and not isinstance(error, OSError)
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = writable_text(" ".join(said.split())).rstrip(".")[:160]
    if not text or (own and (not isinstance(error, ValueError | RuntimeError) or _PYTHON.search(text))):
        return ""
    return "" if isinstance(error, RecursionError) else f" ({text})"

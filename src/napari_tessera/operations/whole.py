"""An operation on a frame that lies in memory: the definition that tiled results are held to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block, Components, Connected, Fitted, Global, Local, Operation

T = TypeVar("T")


@dataclass(frozen=True)
class WholeFrame:
    """A `Survey` of one block that covers its frame."""

    block: Block

    @property
    def spec(self) -> ImageSpec:
        """Specification of the frame."""
        return self.block.spec

    @property
    def others(self) -> Mapping[str, NDArray[Any]]:
        """The further inputs."""
        return self.block.others

    def reduce(self, measure: Callable[[Block], T], combine: Callable[[T, T], T]) -> T:  # noqa: ARG002
        """Measure the one block."""
        return measure(self.block)


def run_whole(operation: Operation, block: Block) -> NDArray[Any]:
    """Apply `operation` to a block that covers its whole frame.

    Parameters
    ----------
    operation
        Of any family.
    block
        ``block.region`` is the full region of ``block.spec``.

    Returns
    -------
    ndarray
        What `operation` gives for the frame; ``operation.output_spec(block.spec)`` describes it.
    """
    operation.check_frame(block.spec)
    match operation:
        case Local() | Global():
            return operation.compute(block)
        case Fitted():
            return operation.fit(WholeFrame(block)).compute(block)
        case Connected():
            return _connect(operation, block)
    raise TypeError(f"{type(operation).__name__} belongs to no family: derive it from one.")


def _connect(operation: Connected, block: Block) -> NDArray[Any]:
    from skimage.measure import label

    parts = operation.parts(block)
    numbers, count = label(
        parts.astype(np.int64, copy=False),
        background=0,
        connectivity=operation.connections(block.spec),
        return_num=True,
    )
    components = measure_components(operation, block, parts, numbers, count)
    decided = np.asarray(operation.decide(components))
    lookup = np.concatenate([np.zeros(1, decided.dtype), decided])
    return operation.paint(block, lookup[numbers])


def measure_components(
    operation: Connected, block: Block, parts: NDArray[Any], numbers: NDArray[Any], count: int
) -> Components:
    """Describe the components `numbers` (1 … `count`, one per pixel of `block`) of a whole frame."""
    sizes = np.bincount(numbers.ravel(), minlength=count + 1)[1:].astype(np.int64)
    values = np.zeros(count + 1, np.int64)
    values[numbers.ravel()] = parts.ravel()
    on_border = np.zeros(count + 1, bool)
    for axis, length in enumerate(numbers.shape):
        for end in (0, length - 1):
            on_border[numbers.take(end, axis)] = True
    marks = operation.marks(block)
    marked = np.zeros(count + 1, bool)
    if marks is not None:
        marked[numbers[marks]] = True
    surroundings = operation.surroundings(block)
    around = np.zeros((count, 2), np.int64)
    if surroundings is not None:
        around = labels_around(numbers, surroundings, count, operation.connections(block.spec))
    return Components(values[1:], sizes, on_border[1:], marked[1:], around, block.spec)


def labels_around(
    numbers: NDArray[Any], surroundings: NDArray[Any], count: int, connectivity: int
) -> NDArray[np.int64]:
    """Return the lowest and highest non-zero value of `surroundings` next to each component, int64 (count, 2)."""
    from scipy.ndimage import generate_binary_structure

    low = np.full(count + 1, np.iinfo(np.int64).max)
    high = np.zeros(count + 1, np.int64)
    offsets = np.argwhere(generate_binary_structure(numbers.ndim, connectivity)) - 1
    for offset in offsets:
        here = tuple(slice(max(0, -step), n - max(0, step)) for step, n in zip(offset, numbers.shape, strict=True))
        there = tuple(slice(max(0, step), n - max(0, -step)) for step, n in zip(offset, numbers.shape, strict=True))
        own, other = numbers[here].ravel(), surroundings[there].ravel().astype(np.int64)
        touching = (own != 0) & (other != 0)
        np.minimum.at(low, own[touching], other[touching])
        np.maximum.at(high, own[touching], other[touching])
    low[high == 0] = 0
    return np.stack([low[1:], high[1:]], axis=1)


def prepared(image: NDArray[Any]) -> NDArray[Any]:
    """Return pixels as operations take them: bool as uint8 (0 and 1), float16 as float32, the rest as it is."""
    if image.dtype == np.bool_:
        return image.view(np.uint8)
    return image.astype(np.float32) if image.dtype == np.float16 else image


def with_image(block: Block, image: NDArray[Any]) -> Block:
    """Return `block` with other pixels of the same shape."""
    return replace(block, image=image, spec=block.spec.with_dtype(image.dtype))

"""An operation on a frame that lies in memory: the definition that tiled results are held to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.regions import Region
from napari_tessera.operations.base import Block, Components, Connected, Family, Fitted, Operation, of_family
from napari_tessera.operations.labels.components import labels_around, number_components, numbers_at, numbers_on_border
from napari_tessera.operations.reductions.statistics import TOO_LARGE

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

    def reduce_around(
        self,
        measure: Callable[[Block, Region], T],
        combine: Callable[[T, T], T],  # noqa: ARG002
        halo: Sequence[int],  # noqa: ARG002
    ) -> T:
        """Measure the one block, around which there is nothing."""
        return measure(self.block, self.spec.full_region)


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

    Raises
    ------
    InvalidInputError
        If the operation refuses the frame, or what it gives for finite intensities is not finite.
    """
    operation.check_frame(block.spec)
    with quiet():
        result = of_family(ON_WHOLE, operation)(operation, block)
    check_finite_result(operation, result)
    return result


def quiet() -> np.errstate:
    """Return a context in which numpy does not warn of what `check_finite_result` tells of."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def check_finite_result(operation: Operation, result: NDArray[Any]) -> None:
    """Raise InvalidInputError if finite intensities gave NaN or infinity: they are too large to compute with."""
    if operation.needs_finite and not all_finite(result):
        raise InvalidInputError(TOO_LARGE)


def all_finite(pixels: NDArray[Any]) -> bool:
    """Whether no pixel is NaN or infinite."""
    if pixels.dtype.kind != "f":
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        # A sum tells in one pass without a mask; it may overflow, which is then looked into.
        return bool(np.isfinite(np.add.reduce(pixels, axis=None)) or np.isfinite(pixels).all())


def _connect(operation: Connected, block: Block) -> NDArray[Any]:
    connectivity = operation.connections(block.spec)
    found = number_components(np.asarray(operation.parts(block)), connectivity)
    components = Components(
        values=found.values,
        sizes=found.sizes,
        on_border=numbers_on_border(found.numbers, len(found)),
        marked=numbers_at(found.numbers, operation.marks(block), len(found)),
        around=labels_around(found.numbers, operation.surroundings(block), len(found), connectivity),
        spec=block.spec,
    )
    decided = decide(operation, components)
    block.check()
    return operation.paint(block, np.concatenate([np.zeros(1, decided.dtype), decided])[found.numbers])


def _compute(operation: Any, block: Block) -> NDArray[Any]:
    return np.asarray(operation.compute(block))


def _fit(operation: Fitted, block: Block) -> NDArray[Any]:
    return operation.fit(WholeFrame(block)).compute(block)


ON_WHOLE: Mapping[Family, Callable[[Any, Block], NDArray[Any]]] = {
    "local": _compute,
    "fitted": _fit,
    "connected": _connect,
    "mapped": _compute,
    "paged": _compute,
    "global": _compute,
}
"""How each family is applied to a block that covers its frame."""


def decide(operation: Connected, components: Components) -> NDArray[Any]:
    """Return what `operation` decides on each component, shape (components,).

    Raises
    ------
    TypeError
        If it does not give one value for each.
    """
    decided = np.asarray(operation.decide(components))
    if decided.shape != (len(components),):
        raise TypeError(
            f"{operation.name()} decided values of shape {decided.shape} on {len(components)} components, not one each."
        )
    return decided


def prepared(image: NDArray[Any]) -> NDArray[Any]:
    """Return pixels as operations take them; see `prepared_dtype`. A view where nothing needs to change."""
    if image.dtype == np.bool_:
        return image.view(np.uint8)
    return image.astype(prepared_dtype(image.dtype), copy=False)


def prepared_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype as which operations get pixels of `dtype`.

    bool becomes uint8 (0 and 1), float16 becomes float32, floats wider than float64 become that; all else stays.
    """
    if dtype == np.bool_:
        return np.dtype(np.uint8)
    if dtype == np.float16:
        return np.dtype(np.float32)
    if dtype.kind == "f" and dtype.itemsize > 8:
        return np.dtype(np.float64)
    return dtype.newbyteorder("=")

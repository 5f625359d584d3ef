"""How far a network sees, worked out from the stages on its longest way; the contract test proves it by gradients.

An output region that starts at a multiple of the stride is followed back through the stages, as the position of its
first row among the rows of each stage's input. All stages are symmetric, so the last row sees as far the other way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import lcm
from operator import mul

Lengths = tuple[int, ...]
"""One number per axis, in the order z, y, x, or y, x."""


@dataclass(frozen=True)
class Convolution:
    """A convolution, or another look at neighbours, that keeps the size: `kernel` rows (odd), `dilation` rows apart."""

    kernel: Lengths
    dilation: Lengths

    def scale(self, axis: int) -> tuple[int, int]:
        """Return by what the number of rows is multiplied, and by what it is divided."""
        del axis
        return 1, 1

    def first_row(self, row: int, axis: int) -> int:
        """Return the first row of the input that row `row` of the output sees."""
        return row - self.kernel[axis] // 2 * self.dilation[axis]


@dataclass(frozen=True)
class Down:
    """Pooling, or a convolution, over blocks of `factor` rows that do not overlap."""

    factor: Lengths

    def scale(self, axis: int) -> tuple[int, int]:
        """Return by what the number of rows is multiplied, and by what it is divided."""
        return 1, self.factor[axis]

    def first_row(self, row: int, axis: int) -> int:
        """Return the first row of the input that row `row` of the output sees."""
        return row * self.factor[axis]


@dataclass(frozen=True)
class Up:
    """Enlargement by `factor`: each row becomes a block of rows, or lies between two where it is interpolated."""

    factor: Lengths
    interpolated: bool = False

    def scale(self, axis: int) -> tuple[int, int]:
        """Return by what the number of rows is multiplied, and by what it is divided."""
        return self.factor[axis], 1

    def first_row(self, row: int, axis: int) -> int:
        """Return the first row of the input that row `row` of the output sees."""
        factor = self.factor[axis]
        if self.interpolated and factor > 1:  # its middle, in rows of the input, lies at (row + 1/2) / factor - 1/2
            return (2 * row + 1 - factor) // (2 * factor)
        return row // factor


Stage = Convolution | Down | Up


def stride_of(stages: Sequence[Stage], dimensions: int) -> Lengths:
    """Return per axis the multiples at which regions must start to see the same grid of down-sampling, in pixels.

    Raises
    ------
    ValueError
        If the stages do not give as many rows as they take.
    """
    return tuple(_stride_along(stages, axis) for axis in range(dimensions))


def _stride_along(stages: Sequence[Stage], axis: int) -> int:
    ups, downs = zip((1, 1), *(stage.scale(axis) for stage in stages), strict=True)
    sizes = [down / up for up, down in zip(accumulate(ups, mul), accumulate(downs, mul), strict=True)]
    if sizes[-1] != 1 or any(size < 1 or size != int(size) for size in sizes):
        raise ValueError(f"The stages do not end at the size at which they begin along axis {axis}, or exceed it.")
    return lcm(*map(int, sizes))


def halo_of(stages: Sequence[Stage], dimensions: int) -> Lengths:
    """Return per axis how far beyond a region that starts at a multiple of the stride the input matters, in pixels."""
    return tuple(_halo_along(stages, axis) for axis in range(dimensions))


def _halo_along(stages: Sequence[Stage], axis: int) -> int:
    row = 0
    for stage in reversed(stages):
        row = stage.first_row(row, axis)
    return -row

"""The histogram that is drawn for thresholds: few bins, of the whole displayed frame. Knows no Qt."""

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.napari_plugin.layers.looking import Look
from napari_tessera.operations.base import Operation
from napari_tessera.operations.whole import prepared

BINS = 256
MOST_COUNTED = 2**24
"""Of frames with more pixels than this, every second, third, … along each dimension is counted."""


@dataclass(frozen=True)
class HistogramTask:
    """A histogram to compute: of the frame of `look` that `operation` would work on; `key` tells it from others."""

    number: int
    operation: Operation
    look: Look

    @property
    def key(self) -> Hashable:
        """Tells whether two tasks have the same histogram."""
        axes = self.operation.frame_axes(self.look.spec.axes)
        fixed = [(axis, self.look.span(axis).start) for axis in self.look.spec.axes if axis not in axes]
        return self.look.key, axes, tuple(fixed)


@dataclass(frozen=True)
class HistogramData:
    """How often grey levels occur.

    Attributes
    ----------
    counts
        (bins,), int64.
    low, high
        Where the grey levels begin and end; whole numbers reach half a grey level to both sides.
    width
        Of a bin, in grey levels; the last may reach beyond `high`.
    integer
        Whether grey levels are whole numbers.
    step
        Every how manieth pixel was counted along each dimension; 1 for all.
    """

    task: HistogramTask
    counts: NDArray[np.int64]
    low: float
    high: float
    integer: bool
    width: float
    step: int = 1


def compute_histogram(task: HistogramTask, check: Callable[[], None]) -> HistogramData | None:
    """Count the grey levels; None if there are none to count."""
    look = task.look
    axes = task.operation.frame_axes(look.spec.axes)
    region = tuple(slice(0, length) if axis in axes else look.span(axis) for axis, length in look.spec.sizes.items())
    size = math.prod(part.stop - part.start for part in region)
    dimensions = sum(axis in "zyx" for axis in axes)
    step = max(1, math.ceil((size / MOST_COUNTED) ** (1 / dimensions)))
    check()
    pixels = look.source.read(region)
    thin = tuple(slice(None, None, step if axis in axes and axis in "zyx" else 1) for axis in look.spec.axes)
    values = np.ascontiguousarray(prepared(pixels[thin])).reshape(-1)
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    if values.size == 0 or values.dtype.kind not in "iuf":
        return None
    check()
    counts, low, high, width = _count(values)
    return HistogramData(task, counts, low, high, values.dtype.kind in "iu", width, step)


def _count(values: NDArray[Any]) -> tuple[NDArray[np.int64], float, float, float]:
    integer = values.dtype.kind in "iu"
    lowest, highest = values.min().item(), values.max().item()
    if integer and highest - lowest < 2**16:
        levels = np.bincount((values - values.dtype.type(lowest)).astype(np.intp, copy=False))
        width = max(1, math.ceil(levels.size / BINS))
        padded = np.zeros(math.ceil(levels.size / width) * width, np.int64)
        padded[: levels.size] = levels
        counts = padded.reshape(-1, width).sum(axis=1)
        return counts, lowest - 0.5, highest + 0.5, width
    low, high = float(lowest), float(highest)
    if high <= low:
        return np.array([values.size], np.int64), low - 0.5, low + 0.5, 1.0
    counts = np.zeros(BINS, np.int64)
    for start in range(0, values.size, 2**20):  # in pieces, so that no large temporary arrays are made
        piece = values[start : start + 2**20].astype(np.float64)
        counts += np.bincount(np.clip(((piece - low) * (BINS / (high - low))).astype(np.intp), 0, BINS - 1), None, BINS)
    return counts, low, high, (high - low) / BINS

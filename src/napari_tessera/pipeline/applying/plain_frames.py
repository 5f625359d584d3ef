"""Frames of a series in which an operation finds nothing to tell apart: told of, not the end of the run."""

import threading
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.core.errors import NoContrastError
from napari_tessera.core.image import ImageSink, ImageSpec
from napari_tessera.operations.base import Block, Local, Operation
from napari_tessera.operations.parameters import parameter

_NOTED = "plain"

MOST_NAMED = 8
"""Frames that a warning names one by one."""


@dataclass
class PlainFrames:
    """Which frames of a run were plain; frames may be noted from several threads."""

    found: dict[str, NoContrastError] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, where: str, error: NoContrastError, sink: ImageSink | None = None) -> None:
        """Note a frame by its place in the image, in `sink` as well: a run that goes on does not look at it again."""
        with self._lock:
            self.found[where] = error
            if sink is not None:
                sink.remember(_NOTED, {where: str(error) for where, error in self.found.items()})

    def go_on(self, sink: ImageSink | None) -> None:
        """Take over what an earlier run has noted in `sink`."""
        noted = None if sink is None else sink.recall(_NOTED)
        if isinstance(noted, dict):
            self.found |= {where: NoContrastError(text) for where, text in noted.items()}

    def conclude(self, operation: Operation, frames: int) -> str:
        """Return what to say of plain frames, if there were any.

        Raises
        ------
        NoContrastError
            If all frames were plain.
        """
        if not self.found:
            return ""
        places = sorted(self.found, key=lambda where: (len(where), where))
        if len(places) == frames:
            raise self.found[places[0]]
        named = "; ".join(places[:MOST_NAMED]) + "; …" * (len(places) > MOST_NAMED)
        many = len(places) > 1
        result = {"labels": "background", "points": "empty"}.get(operation.output, "what it was")
        return (
            f"{f'{len(places)} frames show' if many else 'One frame shows'} too little for {operation.title}, and the "
            f"result there is {result}: {named}."
        )


class StandIn(Local):
    """What stands for the result of a plain frame: an image as it is, background in place of labels."""

    title: ClassVar = "Stand-in"

    result: Any = parameter(..., "Specification of the frame's result.")
    keeps: bool = parameter(..., "Whether the frame is passed on.")

    @classmethod
    def of(cls, operation: Operation, spec: ImageSpec) -> "StandIn":
        """Return what stands for the result of `operation` on a frame of `spec`."""
        result = operation.output_spec(spec)
        return cls(
            result=result, keeps=operation.output == "image" and (result.axes, result.shape) == (spec.axes, spec.shape)
        )

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:  # noqa: ARG002
        """Return that of the result."""
        announced: np.dtype[Any] = self.result.dtype
        return announced

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the block in the type of the result, or zeros."""
        if self.keeps:
            return block.image.astype(self.result.dtype)
        here = block.spec.by_axis(block.image.shape)
        cut = {axis for axis, length in block.spec.sizes.items() if self.result.sizes.get(axis) == length}
        shape = [here[axis] if axis in cut else length for axis, length in self.result.sizes.items()]
        return np.zeros(shape, self.result.dtype)

"""What jobs have made, each kind with names and types of its own, and how that comes through the pipe of the worker.

A Python program reads the fields; `Result.value` gives the same as the plain data that ``--json`` prints.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from napari_tessera.config.base import Config
from napari_tessera.config.model import ClassSpec
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.jobs import JobEvent, Result, event_from_dict, event_to_dict


@dataclass(frozen=True)
class _Made(Result):
    @property
    def value(self) -> Mapping[str, Any]:
        """The fields as plain data, without those that the job has nothing to say about."""
        return {key: kept for key, kept in _plain(self).items() if kept is not None}


@dataclass(frozen=True)
class TrainResult(_Made):
    """A trained model.

    Attributes
    ----------
    model
        Its folder.
    metrics
        Figures of the last validation by name; empty if nothing was held out.
    doubt
        What a person should know about the figures, as a sentence; empty if they can be taken as they are.
    steps
        How many it has learnt in all.
    """

    model: Path
    metrics: Mapping[str, float] = field(default_factory=dict)
    doubt: str = ""
    steps: int = 0


@dataclass(frozen=True)
class PredictResult(_Made):
    """A prediction that was written.

    Attributes
    ----------
    tiles, tile
        How many there were, and the shape of one, in the order of the model's axes.
    seconds, device
        How long it took, and where.
    classes
        What the numbers mean.
    out
        The file; None if it went into a sink of the caller's.
    """

    tiles: int
    tile: tuple[int, ...]
    seconds: float
    device: str
    classes: tuple[ClassSpec, ...]
    out: Path | None = None


@dataclass(frozen=True)
class ApplyResult(_Made):
    """The result of an operation that was written.

    Attributes
    ----------
    operation
        Its name.
    tiles, threads, seconds
        How many tiles there were, how many threads computed, and how long it took.
    points
        How many points the operation gave; None if it gives none.
    out
        The file; None if it went into a sink of the caller's.
    """

    operation: str
    tiles: int
    threads: int
    seconds: float
    points: int | None = None
    out: Path | None = None


@dataclass(frozen=True)
class PointsResult(ApplyResult):
    """Points that are not written yet, and never leave the process that found them.

    Attributes
    ----------
    found
        float64 (N, looped axes and dimensions of a frame).
    """

    found: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)), compare=False)

    @property
    def value(self) -> Mapping[str, Any]:
        """The fields as plain data, with the points themselves."""
        rest = super().value
        return {**{key: kept for key, kept in rest.items() if key != "found"}, "points": self.found}


@dataclass(frozen=True)
class RecipeOutput:
    """A file that a recipe has made: of which image, which of its outputs, and where."""

    image: Path
    output: str
    out: Path


@dataclass(frozen=True)
class RecipeResult(_Made):
    """What a recipe has made of one image or of a folder.

    Attributes
    ----------
    outputs
        All files.
    images, finished_before
        How many images there were, and how many of them an earlier run had done.
    steps, seconds
        Of the recipe, and of the run.
    """

    outputs: tuple[RecipeOutput, ...]
    images: int
    finished_before: int
    steps: int
    seconds: float


@dataclass(frozen=True)
class DemoResult(_Made):
    """What the demo has made.

    Attributes
    ----------
    out, seconds
        Its folder, and how long it took.
    samples
        Figures by name, of each sample by its name.
    """

    out: Path
    seconds: float
    samples: Mapping[str, Mapping[str, Any]]


_KINDS: Mapping[str, type[Result]] = {
    "": Result,
    "train": TrainResult,
    "predict": PredictResult,
    "apply": ApplyResult,
    "recipe": RecipeResult,
    "demo": DemoResult,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def event_to_wire(event: JobEvent) -> dict[str, Any]:
    """Return `event` as JSON-ready fields from which `event_from_wire` makes it again, whatever its kind."""
    told = event_to_dict(event)
    return {**told, "of": _NAMES[type(event)]} if isinstance(event, Result) else told


def event_from_wire(fields: Mapping[str, Any]) -> JobEvent:
    """Invert `event_to_wire`.

    Raises
    ------
    InvalidInputError
        If the fields describe no event.
    """
    told = dict(fields)
    kind = _KINDS.get(told.pop("of", ""))
    if kind is None:
        raise InvalidInputError(f"{fields!r} is not a job event: check that both ends run the same version.")
    if kind is Result:
        return event_from_dict(told)
    made: Result = TypeAdapter(kind).validate_python(told["value"])
    return made


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Config):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value

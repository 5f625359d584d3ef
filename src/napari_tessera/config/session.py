"""What the files of a session folder say: ``session.yaml``, and ``layer.yaml`` beside each journalled annotation."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from napari_tessera.config.base import Config
from napari_tessera.config.files import FileConfig
from napari_tessera.core.version import __version__

SESSION_FILE = "session.yaml"
LAYER_FILE = "layer.yaml"

MOST_BYTES = 2**48
"""Of labels: a description that says more is damaged."""


def now() -> str:
    """Return the time as ISO 8601 with its offset, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class LabelClass(Config):
    """What a person calls an id of a labels layer, and the colour that it is shown in; either may be missing."""

    id: int
    name: str = ""
    color: str | None = Field(default=None, pattern=r"^#[0-9a-fA-F]{6}([0-9a-fA-F]{2})?$")


class LayerHeader(Config):
    """Everything about a labels layer but its pixels."""

    image_name: str
    """Of the image that is annotated, as a person knows it."""
    layer_name: str
    shape: tuple[int, ...] = Field(min_length=1, max_length=32)
    dtype: str
    axes: str = ""
    """One letter of ``tczyx`` per dimension; empty where they are not known."""
    scale: tuple[float, ...] = ()
    translate: tuple[float, ...] = ()
    units: tuple[str | None, ...] = ()
    classes: tuple[LabelClass, ...] = ()
    """Names and colours that were chosen; ids that are not listed have none."""
    image_path: str | None = None
    """Where the image was opened from, if it lies in a file."""
    created: str = Field(default_factory=now)
    package_version: str = Field(default=__version__)
    extra: dict[str, Any] = Field(default_factory=dict)
    """What else a viewer wants back: plain values only."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if min(self.shape) < 0:
            raise ValueError(f"shape {self.shape} has a negative length")
        try:
            dtype = np.dtype(self.dtype)
        except (TypeError, ValueError, SyntaxError) as error:
            raise ValueError(f"there is no type of numbers {self.dtype!r}") from error
        if dtype.kind not in "biu":
            raise ValueError(f"labels are integers, not {self.dtype}")
        if math.prod(self.shape) * dtype.itemsize > MOST_BYTES:
            raise ValueError(f"no computer holds labels of shape {self.shape}")
        for what in ("axes", "scale", "translate", "units"):
            if len(getattr(self, what)) not in (0, len(self.shape)):
                raise ValueError(f"{what} {getattr(self, what)!r} needs one entry per dimension of {self.shape}")
        return self


REMOVED = "removed"
"""What is set in `LayerHeader.extra` while a layer is out of the viewer because a person took it out."""


def is_removed(extra: Any) -> bool:
    """Return whether `extra` says that a person took the layer out of the viewer."""
    return isinstance(extra, Mapping) and extra.get(REMOVED) is True


class LayerSpec(FileConfig):
    """How far the journal of a layer has been folded into its chunks."""

    kind: ClassVar[str] = "annotation"
    current_version: ClassVar[int] = 2
    """2: chunks end with a checksum; an array that was begun before keeps its own, and its description says so."""

    schema_version: int = 2

    generation: int = Field(ge=1)
    """Which ``labels-<generation>.zarr`` the chunks lie in."""
    folded: int = Field(ge=0, le=2**62)
    """Sequence number of the last record that the chunks and the header hold."""
    complete: bool
    """False while the array that the layer began with has not been written as a whole."""
    changed: float = Field(ge=0)
    """Time of that record, in seconds since 1970."""
    header: LayerHeader


class SessionSpec(FileConfig):
    """The header of a session folder."""

    kind: ClassVar[str] = "session"

    name: str = ""
    """As the person called it; empty for a session that nobody has named."""
    created: str = Field(default_factory=now)
    package_version: str = Field(default=__version__)
    closed: bool = False
    """Whether the program that wrote it last ended as it should."""


class SessionList(FileConfig):
    """Session folders that lie elsewhere than in the home of all sessions."""

    kind: ClassVar[str] = "session-list"

    paths: tuple[str, ...] = ()

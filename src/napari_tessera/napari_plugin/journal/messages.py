"""What the GUI thread tells the writer's thread: references, never copies of what was painted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_tessera.napari_plugin.journal.describing import LayerFacts
from napari_tessera.napari_plugin.painting.history_reading import Edits

Key = int
"""Number of a watched layer in this process; keys are never used twice."""


@dataclass(frozen=True)
class Protect:
    """Watch over a layer from now on.

    Attributes
    ----------
    array
        Its data, which the GUI thread goes on changing.
    empty
        Whether all of it is known to be 0; saves reading it.
    at_once
        Whether to write it now, rather than with the first change.
    copied
        The same pixels, if there are so few that the GUI thread could copy them at once.
    folder
        The journal that it goes on with, which holds the array already unless it is to be written at once; None begins
        a new one.
    """

    key: Key
    facts: LayerFacts
    array: NDArray[Any]
    empty: bool = False
    at_once: bool = False
    copied: NDArray[Any] | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class Changed:
    """Something was painted, undone or redone."""

    key: Key
    edits: Sequence[Edits]
    nbytes: int
    time: float


@dataclass(frozen=True)
class Replaced:
    """The layer has another array.

    Attributes
    ----------
    array
        The layer's own, which the GUI thread goes on changing.
    copied
        The same pixels, if there are so few that the GUI thread could copy them at once.
    """

    key: Key
    facts: LayerFacts
    array: NDArray[Any]
    copied: NDArray[Any] | None
    time: float


@dataclass(frozen=True)
class Described:
    """Name, place, colours, … of the layer have changed."""

    key: Key
    facts: LayerFacts


@dataclass(frozen=True)
class Suspected:
    """Pixels may have changed in a way that napari does not tell."""

    key: Key
    surely: bool = False
    """True if something has changed for certain, and what is not known."""


@dataclass(frozen=True)
class Gone:
    """The layer cannot be watched any more: it was deleted, or has data of another kind."""

    key: Key
    why: str = ""


@dataclass(frozen=True)
class Barrier:
    """Everything that the GUI thread has done until now has been told."""

    number: int


@dataclass(frozen=True)
class Command:
    """Something to be done with the session's folder by the thread that owns it.

    Attributes
    ----------
    run
        Called with the `SessionWriter`; its errors and its result go to `done`, in the writer's thread.
    """

    run: Callable[[Any], Any]
    done: Callable[[Any], None]


@dataclass(frozen=True)
class Pictured:
    """A small picture of what is annotated."""

    picture: NDArray[Any] = field(repr=False)


Message = Protect | Changed | Replaced | Described | Suspected | Gone | Barrier | Command | Pictured

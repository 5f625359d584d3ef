"""Jobs: generators of events that know nothing of who listens, and the token through which they are cancelled."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, overload

from napari_tessera.core.errors import InvalidInputError, JobCancelledError


@dataclass(frozen=True)
class Progress:
    """How far a job has come.

    Attributes
    ----------
    done, total
        Work done and to do, in `unit`; `total` is None where it cannot be known.
    unit
        What is counted: ``"step"``, ``"tile"``, …
    message
        One short line for the person who waits.
    seconds_left
        Estimated time to the end, or None.
    """

    done: int
    total: int | None
    unit: str = "step"
    message: str = ""
    seconds_left: float | None = None


@dataclass(frozen=True)
class Metric:
    """A number worth plotting.

    Attributes
    ----------
    step
        When it was measured.
    name, value
        What it is (``"validation Dice"``).
    note
        Why it must not be taken at face value, as a sentence; empty if it may.
    """

    step: int
    name: str
    value: float
    note: str = ""


@dataclass(frozen=True)
class Preview:
    """An intermediate result in a file.

    Attributes
    ----------
    image
        Index of the input image that is shown.
    region
        ``(start, stop)`` per dimension of the labels of that image.
    path
        A ``.npy`` file with the class labels of the region; the reader removes it.
    """

    image: int
    region: tuple[tuple[int, int], ...]
    path: str


@dataclass(frozen=True)
class Warning:  # noqa: A001  the vocabulary's word for it
    """Something the person should know although the job goes on."""

    text: str


@dataclass(frozen=True)
class Result:
    """The last event of a job that reached its end; one that has made something has a kind of its own."""

    @property
    def value(self) -> Mapping[str, Any]:
        """What the job has made as plain data by name: numbers, texts, lists and dictionaries."""
        return {}


JobEvent = Progress | Metric | Preview | Warning | Result
Job = Iterator[JobEvent]
R = TypeVar("R", bound=Result)

_EVENTS: Mapping[str, type[JobEvent]] = {
    kind.__name__.lower(): kind for kind in (Progress, Metric, Preview, Warning, Result)
}


def event_to_dict(event: JobEvent) -> dict[str, Any]:
    """Return `event` as JSON-ready fields, with its kind under ``"event"``."""
    if isinstance(event, Result):
        return {"event": "result", "value": dict(event.value)}
    return {"event": type(event).__name__.lower(), **asdict(event)}


def event_from_dict(fields: Mapping[str, Any]) -> JobEvent:
    """Invert `event_to_dict`; of a result only that there is one (`pipeline.results` knows the kinds).

    Raises
    ------
    InvalidInputError
        If the fields describe no event.
    """
    values = dict(fields)
    kind = _EVENTS.get(values.pop("event", ""))
    if kind is None:
        raise InvalidInputError(f"{fields!r} is not a job event: check that both ends run the same version.")
    if kind is Result:
        return Result()
    if kind is Preview:
        values["region"] = tuple((int(start), int(stop)) for start, stop in values["region"])
    return kind(**values)


class CancelToken:
    """A flag that one thread sets and a job checks between batches and tiles.

    A plain attribute and no lock: a process killed inside ``Event.is_set`` would leave the lock taken.
    """

    def __init__(self) -> None:
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether the job has been asked to stop."""
        return self._cancelled

    def cancel(self) -> None:
        """Ask the job to stop at its next check."""
        self._cancelled = True

    def raise_if_cancelled(self) -> None:
        """Leave the job if it was asked to stop.

        Raises
        ------
        JobCancelledError
            Once `cancel` has been called.
        """
        if self._cancelled:
            raise JobCancelledError("Cancelled; what was finished is kept.")


@overload
def drain(job: Job, on_event: Callable[[JobEvent], None] | None = ...) -> Result: ...


@overload
def drain(job: Job, on_event: Callable[[JobEvent], None] | None, kind: type[R]) -> R: ...


def drain(job: Job, on_event: Callable[[JobEvent], None] | None = None, kind: type[Result] = Result) -> Result:
    """Run a job to its end and return its result.

    Parameters
    ----------
    job
        What is run.
    on_event
        Is given each event as it comes.
    kind
        Kind of the result.

    Raises
    ------
    TypeError
        If it is of another kind, which is a mistake in the program.
    """
    result = Result()
    for event in job:
        if on_event is not None:
            on_event(event)
        if isinstance(event, Result):
            result = event
    if not isinstance(result, kind):
        raise TypeError(f"The job gave a {type(result).__name__}, not a {kind.__name__}.")
    return result

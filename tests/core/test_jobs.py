import json

import pytest

from napari_tessera.core.errors import InvalidInputError, JobCancelledError
from napari_tessera.core.jobs import (
    CancelToken,
    Job,
    JobEvent,
    Metric,
    Preview,
    Progress,
    Result,
    Warning,
    drain,
    event_from_dict,
    event_to_dict,
)

EVENTS = [
    Progress(3, 10, "tile", "reading", 2.5),
    Progress(3, None),
    Metric(7, "loss", 0.25),
    Preview(1, ((0, 5), (2, 9)), "/tmp/preview.npy"),
    Warning("Little annotation."),
    Result(),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_survive_json(event: JobEvent) -> None:
    fields = json.loads(json.dumps(event_to_dict(event)))
    assert fields["event"] == type(event).__name__.lower()
    assert event_from_dict(fields) == event


@pytest.mark.parametrize("fields", [{}, {"event": "party"}, {"done": 1}])
def test_what_is_no_event_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match="same version"):
        event_from_dict(fields)


def test_draining_hands_on_each_event_and_returns_the_result() -> None:
    seen: list[JobEvent] = []
    assert drain(iter(EVENTS), seen.append) is EVENTS[-1]
    assert seen == EVENTS


def test_draining_refuses_a_result_of_another_kind() -> None:
    class Made(Result):
        pass

    assert isinstance(drain(iter([Made()]), None, Made), Made)
    with pytest.raises(TypeError, match="not a Made"):
        drain(iter(EVENTS), None, Made)


def test_a_cancelled_job_stops_at_its_next_check() -> None:
    token = CancelToken()

    def job() -> Job:
        for step in range(100):
            token.raise_if_cancelled()
            yield Progress(step, 100)

    seen: list[JobEvent] = []

    def cancel_after_three(event: JobEvent) -> None:
        seen.append(event)
        if len(seen) == 3:
            token.cancel()

    with pytest.raises(JobCancelledError):
        drain(job(), cancel_after_three)
    assert len(seen) == 3
    assert token.cancelled

"""What jobs have made comes through the pipe of the worker as it was, and is printed as it always was."""

import json
from pathlib import Path

import numpy as np
import pytest

from napari_tessera.config.model import ClassSpec
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.jobs import Progress, Result, Warning, event_to_dict
from napari_tessera.pipeline.results import (
    ApplyResult,
    DemoResult,
    PointsResult,
    PredictResult,
    RecipeOutput,
    RecipeResult,
    TrainResult,
    event_from_wire,
    event_to_wire,
)

CELLS = (ClassSpec(id=1, name="background", color="#808080"), ClassSpec(id=2, name="cell", color="#ff8000"))
TRAINED = TrainResult(Path("model"), {"validation Dice": 0.5}, "Little is held out.", 12)
PREDICTED = PredictResult(18, (64, 64), 1.5, "cpu", CELLS, Path("out.tif"))
APPLIED = ApplyResult("otsu", 4, 2, 0.25, out=Path("out.tif"))
FOUND = PointsResult("peaks", 4, 2, 0.25, 2, found=np.array([[1.0, 2.0], [3.0, 4.0]]))
RUN = RecipeResult((RecipeOutput(Path("a.tif"), "labels", Path("out/a.tif")),), 1, 0, 3, 2.0)
SHOWN = DemoResult(Path("demo"), 9.0, {"nuclei": {"steps": 5, "dice_held_out": 0.9}})


@pytest.mark.parametrize(
    "event",
    [TRAINED, PREDICTED, APPLIED, RUN, SHOWN, Result(), Progress(1, 2), Warning("Little.")],
    ids=lambda event: type(event).__name__,
)
def test_events_come_through_the_pipe_as_they_were(event):
    assert event_from_wire(json.loads(json.dumps(event_to_wire(event)))) == event


@pytest.mark.parametrize("fields", [{"event": "result", "of": "party", "value": {}}, {"event": "party"}, {}])
def test_what_is_no_event_is_refused(fields):
    with pytest.raises(InvalidInputError, match="same version"):
        event_from_wire(fields)


def test_what_is_printed_of_results():
    classes = [entry.model_dump(mode="json") for entry in CELLS]
    metrics = {"validation Dice": 0.5}
    assert TRAINED.value == {"model": "model", "metrics": metrics, "doubt": "Little is held out.", "steps": 12}
    assert PREDICTED.value == {
        "tiles": 18, "tile": [64, 64], "seconds": 1.5, "device": "cpu", "classes": classes, "out": "out.tif",
    }  # fmt: skip
    assert APPLIED.value == {"operation": "otsu", "tiles": 4, "threads": 2, "seconds": 0.25, "out": "out.tif"}
    assert RUN.value["outputs"] == [{"image": "a.tif", "output": "labels", "out": "out/a.tif"}]
    assert event_to_dict(SHOWN) == {"event": "result", "value": SHOWN.value}
    assert FOUND.value["points"] is FOUND.found
    assert "found" not in FOUND.value

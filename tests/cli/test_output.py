import io
import json
from pathlib import Path

import numpy as np

from napari_tessera.cli.output import ProgressBar, emit_error, event_listener, to_json
from napari_tessera.core.jobs import Metric, Progress, Result, Warning, event_from_dict


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_json_takes_paths_numpy_numbers_and_what_is_not_finite():
    value = {
        "path": Path("a") / "b",
        1: np.float32(0.5),
        "inf": float("inf"),
        "nan": np.nan,
        "list": (np.int64(3), None),
    }
    assert json.loads(to_json(value)) == {
        "path": str(Path("a") / "b"),
        "1": 0.5,
        "inf": None,
        "nan": None,
        "list": [3, None],
    }
    assert "\n" not in to_json({"text": "two\nlines"})


def test_events_as_json_lines_read_back(capsys):
    listen = event_listener(as_json=True)
    events = [Progress(1, 2, "tile", "over", 3.5), Metric(4, "loss", 0.25), Warning("look")]
    for event in events:
        listen(event)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [event_from_dict(json.loads(line)) for line in captured.err.splitlines()] == events


def test_errors_are_one_line(capsys):
    emit_error("first\n  second", as_json=True)
    captured = capsys.readouterr()
    assert captured.err == "napari-tessera: error: first second\n"
    assert json.loads(captured.out) == {"error": "first second"}


def test_bar_on_a_terminal_redraws_one_line():
    stream = Terminal()
    bar = ProgressBar(stream)
    bar(Metric(1, "validation Dice", 0.9123))
    bar(Progress(0, 4, "step"))
    bar(Metric(1, "validation Dice", 0.9123))
    bar(Progress(2, 4, "step", "half", 61))
    bar(Progress(4, 4, "step"))
    lines = stream.getvalue().split("\r")
    assert "step 2/4 · validation Dice 0.912 · 1:01 left · half" in lines[2]
    assert lines[2].count("#") * 2 == lines[2].count("#") + lines[2].count(".", 0, lines[2].index("]"))
    assert stream.getvalue().endswith("\n")
    assert stream.getvalue().count("\n") == 1


def test_a_shorter_line_wipes_the_longer_one():
    stream = Terminal()
    bar = ProgressBar(stream)
    bar(Progress(1, 4, "step", "a long message"))
    bar(Progress(2, 4, "step"))
    first, second = stream.getvalue().split("\r")[1:]
    assert len(second) == len(first)


def test_without_a_terminal_a_line_now_and_then():
    stream, clock = io.StringIO(), Clock()
    bar = ProgressBar(stream, clock)
    for step in range(100):
        clock.now = step * 0.5
        bar(Progress(step + 1, 100, "step"))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 6  # one every ten seconds, and the last
    assert "step 100/100" in lines[-1]


def test_figures_of_an_earlier_job_are_not_shown_on():
    stream = Terminal()
    bar = ProgressBar(stream)
    bar(Progress(1, 4, "step"))
    bar(Metric(1, "loss", 0.5))
    bar(Progress(2, 4, "step"))
    bar(Progress(1, 4, "tile"))
    assert "loss 0.500" in stream.getvalue().split("\r")[2]
    assert "loss" not in stream.getvalue().split("\r")[3]


def test_losses_are_left_to_the_events():
    stream = Terminal()
    bar = ProgressBar(stream)
    bar(Progress(1, 4, "step"))
    bar(Metric(1, "validation loss", 0.3))
    bar(Metric(1, "validation error", 0.021))
    bar(Progress(2, 4, "step"))
    assert "validation error 0.021" in stream.getvalue()
    assert "loss" not in stream.getvalue()


def test_what_a_figure_is_worth_is_said_once():
    stream = io.StringIO()
    bar = ProgressBar(stream)
    for step in (50, 100):
        bar(Metric(step, "validation Dice", 1.0, "Only 40 pixels are held out."))
        bar(Metric(step, "validation error", 0.0, "Only 40 pixels are held out."))
    bar(Metric(150, "validation Dice", 1.0, "All are right."))
    assert stream.getvalue().splitlines() == ["note: Only 40 pixels are held out.", "note: All are right."]


def test_warnings_get_a_line_and_results_none():
    stream = Terminal()
    bar = ProgressBar(stream)
    bar(Progress(1, None, "tile"))
    bar(Warning("little annotation"))
    bar(Result())
    assert "\rwarning: little annotation\n" in stream.getvalue()
    assert stream.getvalue().endswith("annotation\n")

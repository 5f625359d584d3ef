import subprocess

import pytest

from napari_tessera.cli import demo
from napari_tessera.core.jobs import Progress, Result

FIGURES = {
    "nuclei": {"scribbled_share": 0.01, "training_seconds": 5.0, "dice_unlabelled": 0.95, "dice_held_out": 0.94},
    "tissue": {"scribbled_share": 0.03, "training_seconds": 4.0},
}


@pytest.fixture
def job(monkeypatch):
    """Replace the work by its result, and remember what was asked for."""
    asked = []

    def demo_job(out, cancel):
        asked.append(out)
        yield Progress(1, 1)
        yield Result({"out": str(out), "seconds": 9.0, "samples": FIGURES})

    monkeypatch.setattr("napari_tessera.pipeline.demo.demo_job", demo_job)
    return asked


def test_headless_says_the_figures(call, job, tmp_path):
    outcome = call("demo", "--no-gui", "--out", tmp_path)
    assert outcome.status == 0
    assert job == [tmp_path]
    assert "Dice on a held-out image: 0.940" in outcome.out
    assert "scribbles over 1.0% of the pixels" in outcome.out


def test_without_a_display_it_works_headless_and_says_why(call, job, monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "window_obstacle", lambda: "there is no display")
    outcome = call("demo", "--out", tmp_path)
    assert outcome.status == 0
    assert "there is no display" in outcome.err
    assert job == [tmp_path]


def test_json_is_headless(call, job, monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "window_obstacle", lambda: "")
    assert call("demo", "--json", "--out", tmp_path).json["samples"] == FIGURES


@pytest.mark.parametrize("status", [0, 3])
def test_with_a_display_napari_opens_in_a_process_of_its_own(call, job, monkeypatch, tmp_path, status):
    started = []

    def run(command, check):
        started.append(command)
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr(demo, "window_obstacle", lambda: "")
    monkeypatch.setattr(subprocess, "run", run)
    assert call("demo", "--out", tmp_path).status == status
    assert started[0][1:3] == ["-m", "napari_tessera.napari_plugin.demo"]
    assert job == []

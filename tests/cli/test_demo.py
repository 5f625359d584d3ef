import subprocess

import pytest

from napari_tessera.cli import demo
from napari_tessera.core.jobs import Progress
from napari_tessera.pipeline.results import DemoResult
from napari_tessera.pipeline.samples.samples import SAMPLES


def figures(dice, rarer, error):
    kinds = {"dice": dice, "minority_dice": rarer, "error": error}
    return {f"{kind}_{where}": value for kind, value in kinds.items() for where in ("unlabelled", "held_out")}


FIGURES = {
    "nuclei": {"scribbled_share": 0.01, "training_seconds": 5.0, **figures(0.94, 0.93, 0.021)},
    "membranes": {"scribbled_share": 0.02, "training_seconds": 6.0, **figures(0.84, 0.61, 0.125)},
    "tissue": {"scribbled_share": 0.03, "training_seconds": 4.0},
}


@pytest.fixture
def job(monkeypatch):
    """Replace the work by its result, and remember what was asked for."""
    asked = []

    def demo_job(out, cancel, samples=tuple(FIGURES)):
        asked.append((out, *samples))
        yield Progress(1, 1)
        yield DemoResult(out, seconds=9.0, samples={name: FIGURES[name] for name in samples})

    monkeypatch.setattr("napari_tessera.pipeline.demo.demo_job", demo_job)
    return asked


def test_headless_says_the_figures(call, job, tmp_path):
    outcome = call("demo", "--no-gui", "--out", tmp_path)
    assert outcome.status == 0
    assert job == [(tmp_path, "nuclei", "membranes", "tissue")]
    assert "Dice on a held-out image: 0.940, of the rarer class 0.930, error 2.1%" in outcome.out
    assert "Dice on a held-out image: 0.840, of the rarer class 0.610, error 12.5%" in outcome.out
    assert "scribbles over 1.0% of the pixels" in outcome.out


def test_without_a_display_it_works_headless_and_says_why(call, job, monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "window_obstacle", lambda: "there is no display")
    outcome = call("demo", "--out", tmp_path)
    assert outcome.status == 0
    assert "there is no display" in outcome.err
    assert job == [(tmp_path, *FIGURES)]


@pytest.mark.parametrize("name", SAMPLES)
def test_each_sample_can_be_named(call, job, tmp_path, name):
    assert call("demo", "--no-gui", "--sample", name, "--out", tmp_path).status == 0
    assert job == [(tmp_path, name)]


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

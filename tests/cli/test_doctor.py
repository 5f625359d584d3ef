import importlib.metadata
import subprocess
import sys

import pytest

from napari_tessera.cli import checks
from napari_tessera.cli.checks import PYTORCH_PAGE


@pytest.fixture
def no_display(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


def by_name(findings):
    return {finding["name"]: finding for finding in findings}


def test_a_computer_without_a_screen_is_healthy(call, no_display):
    outcome = call("doctor", "--json")
    assert outcome.status == 0
    assert outcome.json["healthy"] is True
    found = by_name(outcome.json["findings"])
    assert {"python", "napari-tessera", "torch", "napari", "Qt", "display", "memory", "temporary files"} <= set(found)
    assert found["display"]["state"] == "note"
    assert found["python"]["value"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")


def test_whatever_lacks_has_a_remedy(call, no_display):
    for finding in call("doctor", "--json").json["findings"]:
        assert (finding["state"] == "ok") == (finding["remedy"] == ""), finding


def test_text_marks_remedies(call, no_display):
    text = call("doctor").out
    assert "note  display: none\n      → " in text
    assert "command line" in text.splitlines()[-1]


def test_torch_that_cannot_be_loaded_is_a_failure(call, no_display, monkeypatch):
    monkeypatch.setitem(sys.modules, "napari_tessera.nn.devices", None)
    outcome = call("doctor", "--json")
    assert outcome.status == 1
    finding = by_name(outcome.json["findings"])["torch"]
    assert finding["state"] == "problem"
    assert PYTORCH_PAGE in finding["remedy"]
    assert "FAIL" in call("doctor").out


def test_missing_napari_is_a_note_that_names_the_extra(call, no_display, monkeypatch):
    real = importlib.metadata.version

    def version(name):
        if name in {"napari", "PyQt6", "PySide6", "PyQt5"}:
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    outcome = call("doctor", "--json")
    assert outcome.status == 0
    found = by_name(outcome.json["findings"])
    assert "napari-tessera[all]" in found["napari"]["remedy"]
    assert "napari-tessera[all]" in found["Qt"]["remedy"]


def test_a_card_that_torch_cannot_use_links_pytorch(monkeypatch):
    from napari_tessera.nn import devices

    monkeypatch.setattr(devices, "describe_devices", lambda: {"torch": "2.13.0+cpu"})
    monkeypatch.setattr(checks, "_nvidia_cards", lambda: "GPU 0: NVIDIA Test")
    gpu = checks.check_torch()[1]
    assert "NVIDIA Test" in gpu.value
    assert PYTORCH_PAGE in gpu.remedy


def test_a_usable_card_is_named(monkeypatch):
    from napari_tessera.nn import devices

    monkeypatch.setattr(devices, "describe_devices", lambda: {"torch": "2.13.0", "cuda:0": "Test, 8 GiB"})
    assert [finding.name for finding in checks.check_torch()] == ["torch", "GPU cuda:0"]


@pytest.mark.parametrize(
    ("stdout", "name", "value"),
    [
        ('{"binding": "PyQt6 6.0", "opengl": "4.5"}\n', "OpenGL", "4.5"),
        ('{"binding": "PyQt6 6.0", "opengl": ""}\n', "OpenGL", "no context"),
        ("", "Qt", "cannot start: no plugin"),
    ],
)
def test_qt_is_tried_in_a_process_of_its_own(monkeypatch, stdout, name, value):
    answer = subprocess.CompletedProcess([], 0, stdout, "qt: starting\nno plugin\n")
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: answer)
    finding = next(finding for finding in checks._probe_qt() if finding.name == name)
    assert finding.value == value
    assert (finding.state == "ok") == (value == "4.5")


def test_qt_that_hangs_is_reported(monkeypatch):
    def hang(*args, **kwargs):
        raise subprocess.TimeoutExpired("qt", 60)

    monkeypatch.setattr(subprocess, "run", hang)
    assert checks._probe_qt()[0].state == "note"


def test_memory_is_plausible():
    memory = checks.total_memory()
    assert memory is None or 2**28 < memory < 2**50


def test_what_keeps_the_window_from_opening(monkeypatch, no_display):
    assert checks.window_obstacle() == "there is no display"
    monkeypatch.setenv("DISPLAY", ":7")
    assert checks.window_obstacle() == ""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert checks.window_obstacle() == "napari is not installed"


@pytest.mark.gui
def test_with_a_screen_qt_and_opengl_are_found(call):
    found = by_name(call("doctor", "--json").json["findings"])
    assert found["Qt"]["state"] == found["OpenGL"]["state"] == found["display"]["state"] == "ok"

"""Benchmarks say whether limits are kept, and end with a status that says so too."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    """Import a benchmark as if its folder were that of the program."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load
    sys.modules.pop("limits", None)


@pytest.mark.parametrize(("value", "verdict"), [(1.1, "reached"), (1.15, "reached"), (1.16, "missed")])
def test_a_limit_is_reached_or_missed(load, capsys, value, verdict):
    assert load("limits").reached("ratio", value, 1.15, "×") is (verdict == "reached")
    assert capsys.readouterr().out == f"ratio: {value:.2f}× (limit 1.15×): {verdict}\n"


@pytest.mark.parametrize(("added", "status"), [(0.1, 0), (0.2, 1)])
def test_a_slow_import_fails(load, monkeypatch, added, status):
    module = load("import_time")
    monkeypatch.setattr(module, "seconds", lambda code: 0.01 + added * ("import" in code))
    assert module.main() == status


@pytest.mark.parametrize(("limit", "status"), [(1e9, 0), (0, 1)])
def test_a_slow_step_fails(load, monkeypatch, limit, status):
    module = load("training_step")
    monkeypatch.setattr(module, "LIMIT", limit)
    monkeypatch.setattr(sys, "argv", ["training_step.py", "--rounds", "1", "--batch", "1", "--edge", "32"])
    assert module.main() == status


@pytest.mark.parametrize(("limit", "status"), [(1e9, 0), (0, 1)])
def test_a_slow_prediction_fails(load, monkeypatch, limit, status):
    module = load("tiled_prediction")
    monkeypatch.setattr(module, "LIMIT", limit)
    sizes = ["--size", "64", "--depth", "1", "--width", "4", "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", ["tiled_prediction.py", *sizes])
    assert module.main() == status


def test_the_report_keeps_what_failed_scripts_said(load, monkeypatch, tmp_path):
    module = load("run")
    for name, status in (("good", 0), ("bad", 3)):
        (tmp_path / f"{name}.py").write_text(f"print('{name} said'); raise SystemExit({status})")
    monkeypatch.setattr(module, "HERE", tmp_path)
    monkeypatch.setattr(module, "REPORT", tmp_path / "out" / "report.md")
    monkeypatch.setattr(module, "SCRIPTS", ("bad", "good"))
    monkeypatch.setattr(module, "describe_computer", lambda: "a computer\n")
    monkeypatch.setattr(sys, "argv", ["run.py"])
    assert module.main() == 1
    text = (tmp_path / "out" / "report.md").read_text()
    assert "bad said" in text
    assert "status 3" in text
    assert "good said" in text
    monkeypatch.setattr(module, "SCRIPTS", ("good",))
    assert module.main() == 0


def test_the_scripts_find_what_they_share():
    done = subprocess.run(
        [sys.executable, str(FOLDER / "out_of_core.py"), "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

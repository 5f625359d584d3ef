"""The rules of the layers, held by import-linter, and that these tests would notice a breach."""

import re
import subprocess
import sys
import tomllib
from html import escape
from pathlib import Path

import pytest

pytest.importorskip("importlinter")

ROOT = Path(__file__).parents[2]


def lint_imports(config: Path) -> subprocess.CompletedProcess[str]:
    code = f"import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports({str(config)!r}))"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_contracts_are_kept():
    outcome = lint_imports(ROOT / "pyproject.toml")
    assert outcome.returncode == 0, outcome.stdout
    assert "0 broken" in outcome.stdout


def test_a_breach_is_noticed(tmp_path):
    breach = tmp_path / "importlinter.toml"
    breach.write_text(
        """
        [tool.importlinter]
        root_packages = ["napari_tessera"]
        [[tool.importlinter.contracts]]
        name = "upside down"
        type = "layers"
        layers = ["napari_tessera.core", "napari_tessera.config"]
        """
    )
    outcome = lint_imports(breach)
    assert outcome.returncode != 0
    assert "upside down BROKEN" in outcome.stdout


def test_every_package_stands_in_a_layer():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    named = {name.strip(" ()") for layer in layers for name in layer.split("|")}
    source = ROOT / "src" / "napari_tessera"
    packages = {folder.name for folder in source.iterdir() if (folder / "__init__.py").exists()}
    assert packages <= named


def test_no_behaviour_hangs_on_a_heading_of_the_menu() -> None:
    """Headings are for people and may be renamed; what an operation does is said by its traits."""
    asking = re.compile(r"\.group\s*(==|!=|\bin\b|\bnot in\b)")
    found = [path.name for path in (ROOT / "src").rglob("*.py") if asking.search(path.read_text(encoding="utf-8"))]
    assert found == ["operation_picker.py"]  # which draws the menu


def test_the_picture_of_the_layers_shows_the_imports(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    from make_layers_picture import PICTURE, Layers, draw, read_layers  # type: ignore[import-not-found]

    layers = read_layers()
    assert escape(layers.words()) in PICTURE.read_text(encoding="utf-8"), "run `make layers`"
    assert ("pipeline", "nn") in layers.arrows
    assert ("cli", "core") not in layers.arrows  # reached by way of others
    assert "catalogue" in draw(layers)
    assert draw(Layers({"top": ["inner"], "ground": []}, [("top", "ground")])).count("<line") == 1

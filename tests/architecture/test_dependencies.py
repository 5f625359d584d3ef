"""What the package imports is what it declares: nothing may be there by the grace of another library only."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "napari_tessera"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DISTRIBUTIONS = {
    "yaml": "pyyaml",
    "skimage": "scikit-image",
    "cv2": "opencv-python-headless",
    "google_crc32c": "google-crc32c",
}


def imported(path: Path) -> Iterator[str]:
    """Yield the top-level name of every import in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def declared(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w-]+", requirement)[0].lower() for requirement in requirements}


def used_by(files: Iterator[Path]) -> set[str]:
    names = {name for path in files for name in imported(path)} - set(sys.stdlib_module_names) - {"napari_tessera"}
    return {DISTRIBUTIONS.get(name, name) for name in names}


def test_the_base_package_declares_what_it_imports() -> None:
    base = used_by(path for path in SOURCE.rglob("*.py") if "napari_plugin" not in path.parts)
    assert {"numpy", "torch", "pyyaml", "scikit-image"} <= base
    assert base <= declared(PROJECT["dependencies"])

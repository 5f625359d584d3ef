"""napari's private names stand in one place of the plugin, which knows what to do where they are missing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[2] / "src" / "napari_tessera" / "napari_plugin"
MODULES = sorted(PLUGIN.rglob("*.py"))
ALLOWED = {
    "painting/napari_private.py": None,
    "painting/canvas.py": {"_qt_viewer", "_qt_window"},  # the canvas has no public name
    "jobs/leaving.py": {"_quit_app"},  # tells a person who quits from a script that closes a window
    "forms/panel_shell.py": {"_dock"},  # the plugin's own, of another panel
    "filtering/operation_panel.py": {"_planes", "_z"},  # how names of parameters end
}
"""What each may touch beside its own; None: whatever it needs."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and len(name) > 1


def private_names(text: str) -> Iterator[str]:
    """Yield private names of other objects that the source code asks for, as attributes or as texts."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            inherited = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "super"
            if not (own or inherited):
                yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            if is_private(node.value):
                yield node.value
        elif isinstance(node, ast.Import | ast.ImportFrom):
            modules = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            if "napari" in ast.unparse(node):
                yield from (part for module in modules for part in module.split(".") if is_private(part))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PLUGIN)))
def test_private_names_of_napari_stand_in_one_place(path: Path) -> None:
    name = path.relative_to(PLUGIN).as_posix()
    allowed = ALLOWED.get(name, set())
    if allowed is not None:
        assert set(private_names(path.read_text(encoding="utf-8"))) - allowed == set()


def test_what_is_allowed_is_used() -> None:
    for name, allowed in ALLOWED.items():
        found = set(private_names((PLUGIN / name).read_text(encoding="utf-8")))
        assert found
        assert allowed is None or found == allowed


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("layer._slice.image", {"_slice"}),
        ("getattr(layer, '_undo_history', ())", {"_undo_history"}),
        ("from napari._qt import qt_viewer", {"_qt"}),
        ("self._layer()._block_history", {"_block_history"}),
        ("self._layer.data", set()),
        ("super()._on_event(event)", set()),
        ("type(layer).__name__", set()),
    ],
)
def test_private_names_are_noticed(text: str, found: set[str]) -> None:
    assert set(private_names(text)) == found

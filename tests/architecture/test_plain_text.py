"""Text from outside is shown as plain text: what Qt might take for formatting is given to it by `plain_text` alone."""

import ast
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[2] / "src" / "napari_tessera" / "napari_plugin"
MODULES = sorted(path for path in PLUGIN.rglob("*.py") if path.name != "plain_text.py")
NAMES = ("why_not", "text", "error")
"""What variables are called in which texts from outside come along."""
ESCAPED = {"journal/offering.py": 2, "filtering/operation_panel.py": 1}
"""Labels without a text of their own that hold a picture, or formatting of ours around escaped names."""


def calls(text: str) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]


def offences(text: str) -> list[str]:
    """Return what shows a made-up text in a way in which Qt decides how it is meant."""
    found = []
    for call in calls(text):
        name = ast.unparse(call.func)
        if name.startswith("notifications.show_"):
            found.append(name)
        if name.endswith(".setToolTip") and any(
            isinstance(part, ast.Name) and part.id in NAMES for part in ast.walk(call)
        ):
            found.append(ast.unparse(call))
        if name.startswith("QMessageBox.") and not all(
            isinstance(text, ast.Constant) or ast.unparse(text).startswith("as_plain(") for text in call.args[1:]
        ):
            found.append(name)
        if name == "QLabel" and any(isinstance(part, ast.Name) and part.id in NAMES for part in ast.walk(call)):
            found.append(ast.unparse(call))
    return found


def test_the_modules_are_found() -> None:
    assert len(MODULES) > 50


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PLUGIN)))
def test_made_up_texts_are_plain(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert offences(text) == []
    empty = [call for call in calls(text) if ast.unparse(call) == "QLabel()"]
    allowed = ESCAPED.get(path.relative_to(PLUGIN).as_posix(), 0)
    assert len(empty) <= allowed, "a label whose text is set later: use PlainLabel"


@pytest.mark.parametrize(
    "text",
    [
        "notifications.show_error(str(error))",
        "self.button.setToolTip(why_not or 'x')",
        "QMessageBox.question(parent, 'Title', f'Remove {x}?')",
        "QLabel(f'… {text}')",
    ],
)
def test_offences_are_noticed(text: str) -> None:
    assert offences(text)

"""Modules, functions and classes stay small; what people see comes from the command line or the window only."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "napari_tessera"
MODULES = sorted(SOURCE.rglob("*.py"))

OUTERMOST = {
    "pipeline/worker.py",
    "napari_plugin/jobs/thread_job.py",
    "napari_plugin/filtering/live_preview.py",
    "napari_plugin/jobs/runner.py",
    "napari_plugin/journal/writing.py",
    "cli/commands.py",
    "io/journal/sessions.py",
    "napari_plugin/journal/restoring.py",
    "napari_plugin/journal/images.py",
}
"""Where a thread, a process or a command ends: whatever went wrong there must still reach the person. And where one
thing that is damaged, in whatever way, must not hide the others: a session, a layer, an image of another program."""

MODULE_LINES, FUNCTION_LINES, CLASS_LINES = 400, 60, 300


def too_long(text: str, nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield what is longer than allowed in the source code `text`, which consists of `nodes`."""
    lines = len(text.splitlines())
    if lines > MODULE_LINES:
        yield f"module of {lines} lines"
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            limit = CLASS_LINES if isinstance(node, ast.ClassDef) else FUNCTION_LINES
            if length > limit:
                yield f"{node.name} of {length} lines"


@dataclass(frozen=True)
class Findings:
    """What is looked for in a module: it is parsed once, and nothing of that stays."""

    too_long: list[str]
    calls: set[str]
    catching_all: list[int]


@cache
def findings(path: Path) -> Findings:
    """Look at the source code of a module."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    nodes = list(ast.walk(tree))
    return Findings(
        list(too_long(text, nodes)),
        {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)},
        [node.lineno for node in nodes if isinstance(node, ast.ExceptHandler) and swallows_everything(node)],
    )


def test_modules_are_found():
    assert len(MODULES) > 20


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_is_too_long(path):
    assert findings(path).too_long == []


def test_long_things_are_noticed():
    def found(text):
        return list(too_long(text, ast.walk(ast.parse(text))))

    body = "\n".join(["    x = 1"] * 61)
    assert found(f"def f():\n{body}\n") == ["f of 62 lines"]
    assert found("\n" * 401) == ["module of 401 lines"]
    methods = "\n".join(f"    def f{i}(self):\n        return {i}\n" for i in range(101))
    assert found(f"class C:\n{methods}") == ["C of 303 lines"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_shortcuts(path):
    """No print outside the command line, no bare or catch-all except, no unsafe loader, no unbounded one."""
    calls = findings(path).calls
    if "cli" not in path.parts:
        assert "print" not in calls
    assert not calls & {"yaml.load", "yaml.safe_load", "pickle.load", "pickle.loads", "eval", "exec", "os.system"}
    if path.relative_to(SOURCE).as_posix() not in OUTERMOST:
        assert findings(path).catching_all == []


def swallows_everything(node: ast.AST) -> bool:
    """Whether `node` catches errors without naming them, and does not pass them on."""
    if not isinstance(node, ast.ExceptHandler):
        return False
    names_none = node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
    return names_none and not any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))


def test_swallowed_errors_are_noticed():
    handlers = [
        handler
        for text in ("try: f()\nexcept Exception: pass", "try: f()\nexcept BaseException:\n    g()\n    raise")
        for handler in ast.walk(ast.parse(text))
    ]
    assert sum(map(swallows_everything, handlers)) == 1

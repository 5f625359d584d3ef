"""Docstrings of functions with three parameters or more name each, in the packages that have come so far."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import napari_tessera

SOURCE = Path(napari_tessera.__file__).parent

COMPLETE = ("core", "operations/growing", "operations/growing/finishing")
"""Packages in which nothing is missing. The list may only grow."""

_SECTION = re.compile(r"Parameters\n-+\n(.*?)(?:\n\n[A-Z]\w+\n-+\n|\Z)", re.DOTALL)


def missing(text: str) -> Iterator[str]:
    """Yield each public function of three parameters or more with those that its docstring does not name."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        if any(ast.unparse(decorator) == "overload" for decorator in node.decorator_list):
            continue
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        names = [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]
        section = _SECTION.search(ast.get_docstring(node) or "")
        lines = section.group(1).splitlines() if section else []
        named = {name.strip() for line in lines if line and not line.startswith(" ") for name in line.split(",")}
        if len(names) > 2 and set(names) - named:
            yield f"{node.name}: {', '.join(name for name in names if name not in named)}"


@pytest.mark.parametrize("package", COMPLETE)
def test_each_parameter_is_named(package: str) -> None:
    modules = list((SOURCE / package).glob("*.py"))
    assert modules
    assert {path.name: found for path in modules if (found := list(missing(path.read_text("utf-8"))))} == {}


def test_what_is_missing_is_noticed():
    section = "\n    Parameters\n    ----------\n    a, b\n        Two.\n\n    Returns\n    -------\n    c\n    "
    assert list(missing(f'def f(a, b, c):\n    """Do.\n{section}"""')) == ["f: c"]
    assert list(missing('def f(a, b, c):\n    """Do."""')) == ["f: a, b, c"]
    assert list(missing('def f(self, a, b):\n    """Do."""')) == []
    assert list(missing(f'def f(a, b):\n    """Do.\n{section}"""')) == []

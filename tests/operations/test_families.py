"""Families are siblings, what treats them differently knows each, and headings are for people alone."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import pytest

import napari_tessera
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import (
    Block,
    Connected,
    Family,
    Fitted,
    Global,
    Local,
    Mapped,
    Operation,
    of_family,
)
from napari_tessera.operations.describe import FAMILIES, GROUPS, by_group, describe_operation
from napari_tessera.operations.paging import Paged
from napari_tessera.operations.registry import all_operations
from napari_tessera.operations.whole import ON_WHOLE, run_whole

BASES = (Local, Fitted, Connected, Mapped, Paged, Global)

READERS_OF_HEADINGS = {"operations/describe.py", "napari_plugin/filtering/operation_picker.py"}
"""They list operations under their headings, in front of a person."""


def test_no_family_is_a_kind_of_another():
    assert {base.family for base in BASES} == set(get_args(Family))
    for base in BASES:
        assert [other for other in BASES if issubclass(base, other)] == [base]


def test_every_operation_has_the_family_of_its_base():
    for operation in all_operations().values():
        assert [base.family for base in BASES if issubclass(operation, base)] == [operation.family]


@pytest.mark.parametrize("entries", [ON_WHOLE, FAMILIES])
def test_each_family_has_an_entry(entries: Any) -> None:
    assert set(entries) == set(get_args(Family))


def test_an_operation_of_no_family_is_refused_with_the_remedy():
    class Stray(Operation):
        """Belong nowhere."""

        title: ClassVar = "Stray"

    block = Block(np.zeros((2, 2)), ImageSpec(axes="yx", shape=(2, 2), dtype=np.dtype("f8")), (slice(0, 2),) * 2)
    with pytest.raises(TypeError, match="Stray belongs to no family: derive it from one"):
        run_whole(Stray(), block)
    with pytest.raises(TypeError, match="belongs to no family"):
        of_family(FAMILIES, Stray())


def test_programs_that_read_the_list_know_the_families_that_they_knew():
    told = {describe_operation(operation).to_dict()["family"] for operation in all_operations().values()}
    assert told == {"local", "fitted", "connected", "global"}
    assert describe_operation(all_operations()["resize"]).family == "local"
    assert describe_operation(all_operations()["grow_regions"]).family == "global"


def test_headings_can_be_renamed_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    operations = list(all_operations().values())
    before = [_without_heading(operation) for operation in operations]
    members = list(by_group(operations).values())
    for operation in operations:
        monkeypatch.setattr(operation, "group", f"Renamed {operation.group}")
    assert [_without_heading(operation) for operation in operations] == before
    renamed = by_group(operations)
    assert all(heading.startswith("Renamed ") for heading in renamed)
    assert sorted(map(len, renamed.values())) == sorted(map(len, members))


def test_nothing_but_lists_reads_a_heading():
    root = Path(napari_tessera.__file__).parent
    readers = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if any(_reads_of_headings(ast.parse(path.read_text("utf-8"))))
    }
    assert readers == READERS_OF_HEADINGS


def _without_heading(operation: type[Operation]) -> dict[str, Any]:
    return {key: value for key, value in describe_operation(operation).to_dict().items() if key != "group"}


def _reads_of_headings(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what reads an operation's heading, or compares something with the text of one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "group" and not _is_click(node):
            yield node
        if isinstance(node, ast.Compare):
            yield from (one for one in ast.walk(node) if isinstance(one, ast.Constant) and one.value in GROUPS)


def _is_click(node: ast.Attribute) -> bool:
    """Whether it is the decorator of a group of commands."""
    return isinstance(node.value, ast.Name) and node.value.id == "click"

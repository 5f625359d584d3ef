"""Which operations there are. A module put into ``operations/catalogue`` is found; nothing else lists it."""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any, TypeVar

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.spelling import did_you_mean
from napari_tessera.operations import catalogue
from napari_tessera.operations.base import Operation

_operations: dict[str, type[Operation]] = {}

OperationType = TypeVar("OperationType", bound=Operation)


def register(operation: type[OperationType]) -> type[OperationType]:
    """Make an operation known under its name; a class decorator.

    Raises
    ------
    TypeError
        If it lacks a title, a group, a summary or the help of a parameter, or if its name is taken.
    """
    name = operation.name()
    if name in _operations and _operations[name].__qualname__ != operation.__qualname__:
        raise TypeError(f"There are two operations called {name!r}: rename one.")
    lacking = [what for what in ("title", "group", "family") if not getattr(operation, what, "")]
    lacking += ["a docstring"] * (not operation.__dict__.get("__doc__"))
    lacking += [f"help for {field!r}" for field, info in operation.model_fields.items() if not info.description]
    if lacking:
        raise TypeError(f"The operation {name!r} lacks {', '.join(lacking)}.")
    _operations[name] = operation
    return operation


def unregister(name: str) -> None:
    """Forget an operation; for tests that registered one."""
    _operations.pop(name, None)


def all_operations() -> Mapping[str, type[Operation]]:
    """Return every operation by name: the modules of the catalogue by name, in each the order of definition."""
    _load()
    ordered = sorted(_operations.items(), key=lambda entry: entry[1].__module__)  # whichever was imported first
    return MappingProxyType(dict(ordered))


def find_operation(name: str) -> type[Operation]:
    """Return the operation called `name`; hyphens count as underscores.

    Raises
    ------
    InvalidInputError
        If there is none, naming the nearest.
    """
    known = all_operations()
    name = name.replace("-", "_").lower()
    if name in known:
        return known[name]
    advice = did_you_mean(name, known, "`napari-tessera apply --list` names them")
    raise InvalidInputError(f"There is no operation {name!r}: {advice}")


def build_operation(name: str, parameters: Mapping[str, Any]) -> Operation:
    """Return the operation called `name` with `parameters`; those left out have their defaults.

    Raises
    ------
    InvalidInputError
        For an unknown operation or parameter, or a value that is not allowed.
    """
    return find_operation(name).parse(parameters)


@cache
def _load() -> None:
    for module in sorted(info.name for info in pkgutil.iter_modules(catalogue.__path__)):
        import_module(f"{catalogue.__name__}.{module}")

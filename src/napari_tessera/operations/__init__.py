"""The classical tools: one class per operation, from which form, command, recipe step and reference page are derived.

``napari_tessera.operations.Median`` and its like are looked up in the registry when first used.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if not name[:1].isupper():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from napari_tessera.operations.registry import all_operations

    for operation in all_operations().values():
        if operation.__name__ == name:
            return operation
    raise AttributeError(f"There is no operation {name!r}: `napari-tessera apply --list` names them.")


def __dir__() -> list[str]:
    from napari_tessera.operations.registry import all_operations

    return sorted(operation.__name__ for operation in all_operations().values())

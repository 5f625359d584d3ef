"""The classical tools: one class per operation, from which form, command, recipe step and reference page are derived.

``napari_tessera.operations.Median`` and its like are looked up in the registry when first used.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if not name[:1].isupper():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from napari_tessera.core.spelling import did_you_mean
    from napari_tessera.operations.registry import all_operations

    known = {operation.__name__: operation for operation in all_operations().values()}
    if name in known:
        return known[name]
    advice = did_you_mean(name, known, "`napari-tessera apply --list` names them")
    raise AttributeError(f"There is no operation {name!r}: {advice}")


def __dir__() -> list[str]:
    from napari_tessera.operations.registry import all_operations

    return sorted(operation.__name__ for operation in all_operations().values())

"""The settings of a training as they were called before they stood in groups (schema version 1).

Files, ``--set`` and scripts may go on using these names.
"""

from collections.abc import Mapping
from typing import Any

from napari_tessera.core.errors import InvalidInputError

FLAT_NAMES: Mapping[str, str] = {
    "intensity": "data.intensity",
    "patch_size": "data.patch_size",
    "batch_size": "data.batch_size",
    "prior": "data.prior",
    "class_names": "data.class_names",
    "class_colors": "data.class_colors",
    "smoothness": "objective.smoothness.weight",
    "learning_rate": "optimiser.learning_rate",
    "weight_decay": "optimiser.weight_decay",
    "validation": "validation.hold_out",
    "validation_fraction": "validation.fraction",
    "validate_every": "validation.every",
    "final_run": "validation.final_run",
    "max_steps": "stop.max_steps",
    "max_seconds": "stop.max_seconds",
    "patience": "stop.patience",
}
"""Where each setting that has moved stands now; what is not here is called as ever."""


def moved(name: str, value: Any) -> str:
    """Return what the setting `name`, dotted maybe, is called now.

    ``validation`` is a group now: as a word it is what was called so.
    """
    head, dot, rest = name.partition(".")
    if head not in FLAT_NAMES or (head == "validation" and (rest or not isinstance(value, str))):
        return name
    return FLAT_NAMES[head] + dot + rest


def grouped(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return `fields` with settings that stand where they did put into their groups.

    Raises
    ------
    InvalidInputError
        If a setting is given by both names.
    """
    result: dict[str, Any] = {name: value for name, value in fields.items() if _known_as(name, value) == name}
    for name, value in fields.items():
        dotted = _known_as(name, value)
        if dotted != name:
            _put(result, dotted, name, value)
    return result


def _known_as(name: Any, value: Any) -> Any:
    return moved(name, value) if isinstance(name, str) else name


def _put(fields: dict[str, Any], dotted: str, name: str, value: Any) -> None:
    """Put `value` where `dotted` says, leaving the groups themselves alone, which others may hold."""
    *groups, last = dotted.split(".")
    inner = fields
    for group in groups:
        inner[group] = dict(inner.get(group) or {})  # of settings that are built already, what they hold
        inner = inner[group]
    if last in inner:
        raise InvalidInputError(f"The setting {dotted} is given twice, as {name} too: give it once.")
    inner[last] = value

"""Steps that bring the fields of an older file up to the newest schema, one version at a time.

To change a file format: raise `current_version` of its class, add the step here, and keep a golden file of the old
version under ``tests/config/golden``.
"""

from collections.abc import Callable, Mapping
from typing import Any

from napari_tessera.config.flat_names import grouped

Fields = dict[str, Any]


def _before_priors(training: Any) -> Any:
    """Return the settings of a training that took all classes for equally common and held out to its end."""
    return {"prior": "equal", "final_run": 0.0, **training} if isinstance(training, Mapping) else training


def _in_groups(training: Any) -> Any:
    """Return the settings of a training with each in its group."""
    return {**grouped(training), "schema_version": 2} if isinstance(training, Mapping) else training


STEPS: Mapping[tuple[str, int], Callable[[Fields], Fields]] = {
    ("annotation", 1): lambda fields: fields,  # the chunks' own description says what is new
    ("tessera-training", 1): grouped,
    ("tessera-model", 3): lambda fields: {
        **fields,
        "method": "network",
        "task": "classes",
        "training": _in_groups(fields.get("training")),
    },
    ("tessera-model", 2): lambda fields: {**fields, "weights": "weights.safetensors"},  # the only name there was
    ("tessera-model", 1): lambda fields: {**fields, "training": _before_priors(fields.get("training"))},
}
"""``(kind, version)`` → the function that turns fields of that version into fields of the next."""


def migrate(
    kind: str,
    fields: Fields,
    current_version: int,
    steps: Mapping[tuple[str, int], Callable[[Fields], Fields]] = STEPS,
) -> Fields:
    """Return `fields` at `current_version`; fields that are there already come back unchanged."""
    while fields["schema_version"] < current_version:
        version = fields["schema_version"]
        fields = {**steps[kind, version](fields), "schema_version": version + 1}
    return fields

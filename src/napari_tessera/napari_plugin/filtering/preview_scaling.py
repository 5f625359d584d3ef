"""Parameters in pixels, when a preview is computed on fewer pixels than the image has."""

from typing import Any

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.base import Operation
from napari_tessera.operations.describe import Bounds, ParameterDescription, describe_operation

_POWERS = {"pixels": 1, "pixel": 1, "cycles per pixel": -1}
"""By unit, how a number shrinks with the image: frequencies grow."""


def scaled_to(operation: Operation, factor: float) -> tuple[Operation, tuple[str, ...]]:
    """Return `operation` for pixels `factor` times as large, and what to say about that.

    Lengths in pixels are divided by `factor` and kept within their bounds; an odd window stays odd.
    """
    if factor <= 1:
        return operation, ()
    notes = (f"Preview at 1/{factor:g} of the resolution: approximate. Zoom in for the exact one.",)
    changed: dict[str, Any] = {}
    for parameter in describe_operation(type(operation)).parameters:
        power = _power(operation, parameter)
        if power:
            changed[parameter.name] = _scaled(getattr(operation, parameter.name), factor**power, parameter.bounds)
    try:
        return type(operation).parse({**operation.model_dump(), **changed}), notes
    except InvalidInputError:  # values that depend on each other, and are too close at this size
        return operation, notes


def _power(operation: Operation, parameter: ParameterDescription) -> int:
    if operation.family == "connected" and parameter.name.endswith("size"):  # of objects and holes: areas
        return 2 if getattr(operation, "unit", "pixels") == "pixels" else 0
    return _POWERS.get(parameter.unit, 0)


def _scaled(value: Any, factor: float, bounds: Bounds) -> Any:
    if isinstance(value, tuple):
        return tuple(_scaled(part, factor, bounds) for part in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    smaller: float = value / factor
    if isinstance(value, int):
        smaller = 2 * round((smaller - 1) / 2) + 1 if bounds.odd else round(smaller)
    smaller = max(smaller, bounds.low) if bounds.low is not None and not bounds.above else smaller
    smaller = min(smaller, bounds.high) if bounds.high is not None and not bounds.below else smaller
    return type(value)(smaller)

"""What was set for each operation, and for each image what belongs to that image alone."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from napari.layers import Layer

from napari_tessera.operations.base import Operation

GREY_LEVELS = "grey levels"
"""Unit of parameters that are grey levels of an image; those that divide it are drawn in the histogram."""
_POSITIONS = ("corners",)
"""Parameters that are places in an image."""


def of_an_image(operation: type[Operation]) -> frozenset[str]:
    """Return the parameters that mean something for one image only: thresholds, and places in it."""
    levels = hasattr(operation, "levels")
    return frozenset(
        name
        for name, field in operation.model_fields.items()
        if name in _POSITIONS or (levels and _unit(field.json_schema_extra) == GREY_LEVELS)
    )


def _unit(extra: object) -> object:
    return extra.get("unit") if isinstance(extra, dict) else None


class RememberedSettings:
    """What a person has set."""

    def __init__(self) -> None:
        self._anywhere: dict[str, dict[str, Any]] = {}
        self._of_images: WeakKeyDictionary[Layer, dict[str, dict[str, Any]]] = WeakKeyDictionary()

    def keep(self, operation: type[Operation], image: Layer | None, values: Mapping[str, Any]) -> None:
        """Remember what was set for `operation` on `image`."""
        own = of_an_image(operation)
        self._anywhere[operation.name()] = {name: value for name, value in values.items() if name not in own}
        if image is not None:
            of_image = self._of_images.setdefault(image, {})
            of_image[operation.name()] = {name: value for name, value in values.items() if name in own}

    def of(self, operation: type[Operation], image: Layer | None) -> dict[str, Any]:
        """Return what was set for `operation`: on `image`, or anywhere where it does not matter on which."""
        here = self._of_images.get(image, {}) if image is not None else {}
        return {**self._anywhere.get(operation.name(), {}), **here.get(operation.name(), {})}

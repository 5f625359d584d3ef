"""Calibration by axis letter, as files give it, and its way into an `ImageSpec`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from napari_tessera.core.axes import validate_axes
from napari_tessera.core.image import ImageSpec


@dataclass(frozen=True)
class Calibration:
    """What a file says about its axes; a letter that is missing has scale 1, translate 0 and no unit.

    So has one whose scale makes no sense: a unit beside a length that nobody gave would make a micrometer of a pixel.
    `faults` are parts of sentences that follow "The description of the file …".
    """

    scale: Mapping[str, float] = field(default_factory=dict)
    translate: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str | None] = field(default_factory=dict)
    channel_names: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    def spec(self, axes: str, shape: tuple[int, ...], dtype: Any, name: str) -> ImageSpec:
        """Return the specification of an array of `axes`; values that make no sense are left out.

        Raises
        ------
        InvalidInputError
            If `axes` are none, or do not name the dimensions of `shape`.
        """
        validate_axes(axes, len(shape))
        names = self.channel_names if len(self.channel_names) == dict(zip(axes, shape, strict=True)).get("c") else ()
        return ImageSpec(
            axes=axes,
            shape=shape,
            dtype=dtype,
            scale=tuple(_usable(self.scale.get(axis), 1.0) for axis in axes),
            translate=tuple(_usable(self.translate.get(axis), 0.0, zero=True) for axis in axes),
            units=tuple(self.units.get(axis) if _is_length(self.scale.get(axis)) else None for axis in axes),
            channel_names=names,
            name=name,
        )


def level_spec(full: ImageSpec, shape: tuple[int, ...], name: str) -> ImageSpec:
    """Return the specification of a lower level of `full`: its pixels cover the same ground in fewer, larger steps."""
    ratios = [length / short for length, short in zip(full.shape, shape, strict=True)]
    return replace(
        full.scaled(ratios, shape),
        name=name,
    )


def _is_length(value: float | None) -> bool:
    """Whether a scale can be used; one that is not given is 1 in the unit that is."""
    return value is None or bool(np.isfinite(value) and value != 0)


def _usable(value: float | None, default: float, *, zero: bool = False) -> float:
    if value is None or not np.isfinite(value) or (value == 0 and not zero):
        return default
    return float(value)

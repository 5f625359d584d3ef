"""Scale and position of a level by the transformations that NGFF gives it, and what is wrong with them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_MOST_STEPS = 1000


@dataclass(frozen=True)
class Placement:
    """How the pixels of a level lie, one number per dimension.

    Attributes
    ----------
    scale
        Length of a step; None if it is not given, or not as one number per dimension.
    translate
        Position of the first pixel.
    faults
        What is wrong with the metadata, each as the part of a sentence that follows "the level …".
    """

    scale: tuple[float, ...] | None
    translate: tuple[float, ...]
    faults: tuple[str, ...] = ()

    def followed_by(self, other: "Placement") -> "Placement":
        """Return the placement that a transformation of all levels makes of this one."""
        if other.scale is None:
            return Placement(self.scale, _sum(self.translate, other.translate), (*self.faults, *other.faults))
        own = self.scale or (1.0,) * len(other.scale)
        return Placement(
            _product(own, other.scale),
            _sum(_product(self.translate, other.scale), other.translate),
            (*self.faults, *other.faults),
        )


def read_placement(transforms: Any, ndim: int, *, needed: bool) -> Placement:
    """Return what ``coordinateTransformations`` say for an array of `ndim` dimensions.

    Parameters
    ----------
    transforms
        As it stands in the file: whatever it is, nothing is raised.
    needed
        Whether there has to be a scale.
    """
    scale: tuple[float, ...] | None = None
    translate = (0.0,) * ndim
    faults: list[str] = []
    moved = False
    for kind, transform in _steps(transforms):
        numbers = _numbers(transform.get(kind), ndim, nonzero=kind == "scale")
        if kind == "identity":
            continue
        if kind not in ("scale", "translation"):
            faults.append(f"has a transformation of type {quoted(kind)}, which is not understood and left out")
        elif numbers is None:
            faults.append(f"has a {kind} that is not one fit number for each of {ndim} dimensions and is left out")
        elif kind == "translation":
            translate, moved = _sum(translate, numbers), True
        else:
            if scale is not None:
                faults.append("has more than one scale, which are multiplied")
            elif moved:
                faults.append("gives its translation before its scale, which then holds for both")
            scale, translate = _product(scale or (1.0,) * ndim, numbers), _product(translate, numbers)
    if scale is None and needed and not faults:
        faults.append("does not say the size of its pixels")
    return Placement(scale, translate, tuple(dict.fromkeys(faults)))


def quoted(value: Any) -> str:
    """Return text of a file for a sentence: in quotes, short, and without what cannot be printed."""
    text = "".join(character if character.isprintable() else "?" for character in str(value)[:200])
    return f"'{text if len(text) <= 40 else text[:39] + '…'}'"


def _steps(transforms: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the transformations with their type, those of a sequence (version 0.6) one by one."""
    waiting = [transforms]
    for _ in range(_MOST_STEPS):
        if not waiting:
            return
        value = waiting.pop(0)
        if isinstance(value, list):
            waiting = [*value[:_MOST_STEPS], *waiting]
        elif isinstance(value, Mapping) and value.get("type") == "sequence":
            waiting.insert(0, value.get("transformations"))
        elif isinstance(value, Mapping):
            yield str(value.get("type")), value
        elif value is not None:
            yield str(value), {}


def _numbers(values: Any, ndim: int, *, nonzero: bool) -> tuple[float, ...] | None:
    if not isinstance(values, list) or len(values) != ndim:
        return None
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return None
    try:
        numbers = tuple(float(value) for value in values)
    except OverflowError:
        return None
    fit = all(math.isfinite(number) and (number != 0 or not nonzero) for number in numbers)
    return numbers if fit else None


def _product(one: tuple[float, ...], other: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(a * b for a, b in zip(one, other, strict=True))


def _sum(one: tuple[float, ...], other: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(a + b for a, b in zip(one, other, strict=True))

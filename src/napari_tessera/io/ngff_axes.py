"""The axes that an OME-Zarr names, as letters of ``tczyx``, with their units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_tessera.core.axes import CANONICAL
from napari_tessera.core.units import MICROMETERS, unit_name
from napari_tessera.io.ngff_transforms import quoted

_KINDS = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
_BY_KIND = {"time": "t", "channel": "c"}
_MOST_AXES = 10


@dataclass(frozen=True)
class NamedAxes:
    """What a file says of its axes.

    Attributes
    ----------
    letters
        One per dimension; None if they cannot be told, and then `faults` says why.
    units
        One per dimension of the file.
    faults
        What is wrong, each as the part of a sentence that follows "the metadata …".
    """

    letters: str | None
    units: tuple[str | None, ...] = ()
    faults: tuple[str, ...] = ()


def name_axes(entries: Any, ndim: int) -> NamedAxes:
    """Return the axes of an array of `ndim` dimensions by the ``axes`` of its metadata, whatever these are.

    A name of our own counts, in small letters or capitals; then the type; what is left of type ``space`` becomes what
    is missing of ``zyx``, and anything else ``z`` or ``t``, beginning with the last, as in TIFF files.
    """
    if not isinstance(entries, list) or not entries:
        return NamedAxes(None, faults=("name no axes",))
    if len(entries) != ndim:
        return NamedAxes(None, faults=(f"name {len(entries)} axes, but the array has {ndim} dimensions",))
    if ndim > _MOST_AXES:
        return NamedAxes(None, faults=(f"name {ndim} axes",))
    names = [_text(entry if isinstance(entry, str) else _field(entry, "name")) for entry in entries]
    kinds = [_text(_field(entry, "type")).lower() for entry in entries]
    letters = _assign(names, kinds)
    faults = [*_name_faults(names, kinds, letters), *_kind_faults(names, kinds, letters)]
    units, unit_faults = _units(entries, letters)
    if None in letters or not {"y", "x"} <= set(letters):
        lacking = " and ".join(axis for axis in "yx" if axis not in letters)
        twice = "one of them twice" if len(set(names)) < len(names) else "one of which is none of t, c, z, y and x"
        what = f"without {lacking}" if lacking else twice
        return NamedAxes(None, units, (f"name the axes {_listed(names)}, {what}",))
    return NamedAxes("".join(map(str, letters)), units, (*faults, *unit_faults))


def _assign(names: Sequence[str], kinds: Sequence[str]) -> list[str | None]:
    letters: list[str | None] = [None] * len(names)

    def give(at: int, letter: str) -> None:
        if letters[at] is None and len(letter) == 1 and letter in CANONICAL and letter not in letters:
            letters[at] = letter

    for spelling in (str, str.lower):
        for at, name in enumerate(names):
            give(at, spelling(name))
    for at, kind in enumerate(kinds):
        give(at, _BY_KIND.get(kind, ""))
    known = [name.lower() in CANONICAL and bool(name) for name in names]  # an axis that is named twice is no other one
    for wanted, free in (("space", "xyz"), ("", "zt")):
        for at in reversed(range(len(names))):
            if not known[at] and (kinds[at] == wanted or not wanted):
                give(at, next((letter for letter in free if letter not in letters), ""))
    return letters


def _name_faults(names: Sequence[str], kinds: Sequence[str], letters: Sequence[str | None]) -> list[str]:
    return [
        f"have an axis {quoted(name)}, which is taken for {letter}" if name else f"name no axis {letter}"
        for name, kind, letter in zip(names, kinds, letters, strict=True)
        if letter is not None and name.lower() != letter and not (name and _BY_KIND.get(kind) == letter)
    ]


def _kind_faults(names: Sequence[str], kinds: Sequence[str], letters: Sequence[str | None]) -> list[str]:
    return [
        f"call the axis {quoted(name)} one of type {quoted(kind)}, and it is taken for {_KINDS[letter]}"
        for name, kind, letter in zip(names, kinds, letters, strict=True)
        if letter is not None and kind and name.lower() == letter and kind != _KINDS[letter]
    ]


def _units(entries: Sequence[Any], letters: Sequence[str | None]) -> tuple[tuple[str | None, ...], list[str]]:
    units: list[str | None] = []
    faults = []
    for entry, letter in zip(entries, letters, strict=True):
        given = _field(entry, "unit")
        if given is None:
            given = _field(entry, "units")  # so in examples of the specification
        unit = unit_name(given) if isinstance(given, str) else None
        length = unit in MICROMETERS
        wrong = letter is not None and (
            (letter == "t" and length) or (letter in "zyx" and str(unit).endswith(("second", "minute", "hour", "day")))
        )
        if wrong or (given is not None and not isinstance(given, str)):
            faults.append(f"give the axis {letter} the unit {quoted(given)}, which it cannot have and is left out")
            unit = None
        units.append(unit)
    return tuple(units), faults


def _field(entry: Any, name: str) -> Any:
    return entry.get(name) if isinstance(entry, Mapping) else None


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(quoted(name) if name else "(no name)" for name in names)

"""Names of units: what files call them, and the one name that each has here (that of NGFF)."""

import re
from collections.abc import Iterator, Mapping

_PREFIXES: Mapping[str, tuple[str, int]] = {
    # prefix → symbol and power of ten, those of microscopes first: where a unit is written in capitals, they are meant
    "": ("", 0),
    "nano": ("n", -9),
    "micro": ("µ", -6),
    "milli": ("m", -3),
    "centi": ("c", -2),
    "pico": ("p", -12),
    "femto": ("f", -15),
    "kilo": ("k", 3),
    "deci": ("d", -1),
    "hecto": ("h", 2),
    "mega": ("M", 6),
    "giga": ("G", 9),
    "tera": ("T", 12),
    "peta": ("P", 15),
    "exa": ("E", 18),
    "zetta": ("Z", 21),
    "yotta": ("Y", 24),
    "atto": ("a", -18),
    "zepto": ("z", -21),
    "yocto": ("y", -24),
}
_OTHERS: Mapping[str, tuple[str, ...]] = {
    # name → its symbol in the OME schema, then what else it is called
    "angstrom": ("Å", "Å", "A", "ångström"),
    "inch": ("in", "inches"),
    "foot": ("ft", "feet"),
    "yard": ("yd",),
    "mile": ("mi",),
    "parsec": ("pc",),
    "minute": ("min",),
    "hour": ("h", "hr"),
    "day": ("d",),
}
_MORE: Mapping[str, tuple[str, ...]] = {
    "micrometer": ("um", "micron"),
    "microsecond": ("us", "usec"),
    "millisecond": ("msec",),
    "second": ("sec",),
}
_NO_UNIT = frozenset({"", "pixel", "pixels", "px", "voxel", "voxels", "none", "arbitrary unit", "reference frame"})
_GREEK_MU = re.compile(r"\\u00b5|\\u03bc|μ", re.IGNORECASE)


def _spellings() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each unit with its symbol first, then what else it is called."""
    for prefix, (symbol, _) in _PREFIXES.items():
        for name, base, other in (("meter", "m", "metre"), ("second", "s", "second")):
            full = prefix + name
            yield full, (symbol + base, prefix + other, *_MORE.get(full, ()))
    yield from _OTHERS.items()


_SPELLINGS = dict(_spellings())
_EXACT = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in (name, *spellings)}
_ANY_CASE = {spelling.lower(): name for spelling, name in reversed(_EXACT.items())}

OME_SYMBOLS: Mapping[str, str] = {name: spellings[0] for name, spellings in _SPELLINGS.items()}
"""Unit name → the symbol that the OME schema uses for it."""

MICROMETERS: Mapping[str, float] = {
    **{f"{prefix}meter": float(f"1e{power + 6}") for prefix, (_, power) in _PREFIXES.items()},
    "angstrom": 1e-4,
    "inch": 25_400.0,
    "foot": 304_800.0,
    "yard": 914_400.0,
    "mile": 1_609_344_000.0,
    "parsec": 3.0856775814913673e22,
}
"""Length unit → how many micrometers it has."""


def unit_name(text: str | None) -> str | None:
    """Return the one name of the unit that `text` means: None for pixels or nothing, `text` itself if it is unknown.

    Capitals count only where they tell units apart: ``mm`` and ``Mm``.
    """
    if text is None or text.strip().lower() in _NO_UNIT:
        return None
    plain = _GREEK_MU.sub("µ", text.strip())
    lower = _GREEK_MU.sub("µ", plain.lower())
    single = lower.removesuffix("s")
    return _EXACT.get(plain) or _ANY_CASE.get(lower) or _ANY_CASE.get(single) or text.strip()

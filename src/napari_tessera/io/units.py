"""Names of units: what files call them, and the one name that each has here (that of NGFF)."""

from collections.abc import Mapping

_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "angstrom": ("Å", "Å", "a", "ångström"),
    "picometer": ("pm", "picometre"),
    "nanometer": ("nm", "nanometre"),
    "micrometer": ("µm", "μm", "um", "micron", "microns", "micrometre", r"\u00b5m"),
    "millimeter": ("mm", "millimetre"),
    "centimeter": ("cm", "centimetre"),
    "meter": ("m", "metre"),
    "inch": ("in", "inches"),
    "nanosecond": ("ns",),
    "microsecond": ("µs", "μs", "us"),
    "millisecond": ("ms", "msec"),
    "second": ("s", "sec", "seconds"),
    "minute": ("min", "minutes"),
    "hour": ("h", "hr", "hours"),
    "day": ("d", "days"),
}
_NAMES = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in (name, *spellings)}
_NO_UNIT = frozenset({"", "pixel", "pixels", "px", "none", "arbitrary unit", "reference frame"})

OME_SYMBOLS: Mapping[str, str] = {name: spellings[0] for name, spellings in _SPELLINGS.items()}
"""Unit name → the symbol that the OME schema uses for it."""

MICROMETERS: Mapping[str, float] = {
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
    "inch": 25_400.0,
}
"""Length unit → how many micrometers it has."""


def unit_name(text: str | None) -> str | None:
    """Return the one name of the unit that `text` means: None for pixels or nothing, `text` itself if it is unknown."""
    if text is None or text.strip().lower() in _NO_UNIT:
        return None
    stripped = text.strip()
    return _NAMES.get(stripped) or _NAMES.get(stripped.lower()) or stripped

"""File names from the names that people give to things."""

import re
from collections.abc import Callable

_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
"""Names that Windows keeps for devices, with any suffix."""


def file_name(name: str) -> str:
    """Return `name` as a file name that every system accepts."""
    cut = re.sub(r'[<>:"/\\|?*\x00-\x1f]+', "-", name).strip(" .-")[:80].strip(" .-") or "unnamed"
    return f"_{cut}" if _RESERVED.fullmatch(cut) else cut


def naming_remark(name: str) -> str:
    """Return a sentence about what `name` becomes as the name of a folder; empty if it stays as it was typed."""
    called = file_name(name)
    typed = " ".join(name.split())
    if not typed or called == name.strip():
        return ""
    return f"It is called {called!r}: not every system takes {typed[:80]!r} as the name of a folder."


def free_name(name: str, taken: Callable[[str], bool]) -> str:
    """Return `name`, or the first of ``name 2``, ``name 3``, … that is not taken."""
    candidate, number = name, 2
    while taken(candidate):
        candidate, number = f"{name} {number}", number + 1
    return candidate

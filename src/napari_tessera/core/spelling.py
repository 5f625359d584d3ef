"""What somebody may have meant by a name that there is not: one way for settings, operations, inputs and options."""

import difflib
from collections.abc import Iterable

_MOST = 3

_AS_NEAR = 0.15
"""Names whose likeness, 0 to 1, is so much below that of the nearest are not meant."""


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return the names in `known` that are spelt most like `name`, at most three, the nearest first.

    Capitals, hyphens and underscores make no difference. Of dotted names the last part may be meant alone.
    """
    names = list(dict.fromkeys(known))
    for last_part in (False, True):
        by_spelling: dict[str, list[str]] = {}
        for one in names:
            by_spelling.setdefault(_plain(one.rpartition(".")[2] if last_part else one), []).append(one)
        found = difflib.get_close_matches(_plain(name), by_spelling, n=_MOST)
        if found and found[0] == _plain(name):
            return by_spelling[found[0]][:_MOST]
        if found:
            likeness = [difflib.SequenceMatcher(None, one, _plain(name)).ratio() for one in found]
            found = [one for one, alike in zip(found, likeness, strict=True) if alike >= likeness[0] - _AS_NEAR]
            return [one for spelling in found for one in by_spelling[spelling]][:_MOST]
    return []


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return the end of a sentence about an unknown name.

    Parameters
    ----------
    name, known
        What was written, and what there is.
    otherwise
        What to say if nothing is near, without its full stop.

    Returns
    -------
    What it may have been meant for, or else `otherwise`.
    """
    near = nearest(name, known)
    return f"did you mean {' or '.join(near)}?" if near else f"{otherwise}."


def _plain(name: str) -> str:
    return name.strip().lstrip("-").replace("-", "_").casefold()

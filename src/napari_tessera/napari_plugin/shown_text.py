"""Names, texts and times as a person reads them: cleaned and shortened; no widget is made here."""

import re
import time
import unicodedata
from datetime import datetime

LONGEST_NAME = 80
"""Characters of a name that are shown; of a longer one its beginning and its end."""
LONGEST_TEXT = 2000
_LONGEST_WORD = 200
_WORD = re.compile(rf"\S{{{_LONGEST_WORD + 1},}}")
_HARMFUL = ("Cc", "Cf", "Cs", "Zl", "Zp")
_KEPT = frozenset("\u200b\u200c\u200d\u00ad")
"""Invisible characters that some scripts need, and that cannot turn a text around."""


def clean(text: object, longest: int = LONGEST_TEXT) -> str:
    """Return a text without control characters and in a length that can be shown.

    Line breaks and tabs stay. What turns the direction of writing around is left out: by it a name could show
    otherwise than it is.
    """
    shown = "".join(letter for letter in str(text) if _is_harmless(letter))
    return shortened(_WORD.sub(lambda found: shortened(found[0], _LONGEST_WORD), shown), longest)


def shortened(text: str, longest: int = LONGEST_NAME) -> str:
    """Return a text of at most `longest` characters: its beginning and its end, where it is longer."""
    if len(text) <= longest:
        return text
    end = (longest - 1) // 2
    return f"{text[: longest - 1 - end]}…{text[-end:]}"


def shown_name(name: object) -> str:
    """Return a name on one line, cleaned and shortened, for a list or a sentence."""
    return clean(" ".join(str(name).split()), LONGEST_NAME)


def as_plain(text: object) -> str:
    """Return a cleaned text that Qt does not take for rich text, wherever it decides by what it sees.

    An invisible space that cannot be broken at stands behind each ``<``: after it no tag can begin.
    """
    return clean(text).replace("<", "<\u2060").replace("&lt;", "&\u2060lt;")


def _is_harmless(letter: str) -> bool:
    return letter in "\n\t" or letter in _KEPT or unicodedata.category(letter) not in _HARMFUL


def moment(when: float, now: float | None = None) -> str:
    """Return a time as a person says it: ``today 14:05``, ``yesterday 9:30``, ``3 March 2026 14:05``."""
    try:
        then = datetime.fromtimestamp(when).astimezone()
    except (ValueError, OverflowError, OSError):
        return "at an unknown time"
    today = datetime.fromtimestamp(time.time() if now is None else now).astimezone()
    days = (today.date() - then.date()).days
    clock = then.strftime("%H:%M")
    if days in (0, 1):
        return f"{('today', 'yesterday')[days]} {clock}"
    return f"{then.day} {then.strftime('%B %Y')} {clock}"

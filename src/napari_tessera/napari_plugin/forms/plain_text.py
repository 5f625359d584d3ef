"""Text that comes from files or layers, shown as it is: Qt would take ``<b>`` in a name for formatting.

Labels are `PlainLabel`. Where Qt itself decides how a text is meant (tooltips, message boxes, napari's notifications),
it gets `as_plain(text)`, which it cannot take for formatting.
"""

import re
import unicodedata
from typing import Any

from napari.utils import notifications
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QWidget

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


def set_tooltip(widget: Any, text: object) -> None:
    """Give a widget, action or item a tooltip that is shown as plain text."""
    widget.setToolTip(as_plain(text))


def show_info(text: object) -> None:
    """Show a notification of napari's with a text that may hold names."""
    notifications.show_info(as_plain(text))


def show_warning(text: object) -> None:
    """Show a warning of napari's with a text that may hold names."""
    notifications.show_warning(as_plain(text))


def show_error(text: object) -> None:
    """Show an error of napari's with a text that may hold names."""
    notifications.show_error(as_plain(text))


class PlainLabel(QLabel):
    """A label whose text is never formatting, and never makes a dock wider than the person has made it."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)

    def setText(self, text: str | None) -> None:  # noqa: N802  Qt calls it by this name
        """Show `text` cleaned."""
        super().setText(clean(text or ""))

    def setToolTip(self, text: str | None) -> None:  # noqa: N802  Qt calls it by this name
        """Show `text` cleaned while the mouse rests."""
        super().setToolTip(as_plain(text or ""))

    def setWordWrap(self, on: bool) -> None:  # noqa: N802  Qt calls it by this name
        """Break lines between words; a word that is too long for the dock is cut off, not the dock widened."""
        super().setWordWrap(on)
        self.setMinimumWidth(1 if on else 0)


def _is_harmless(letter: str) -> bool:
    return letter in "\n\t" or letter in _KEPT or unicodedata.category(letter) not in _HARMFUL

"""Text that comes from files or layers, shown as it is: Qt would take ``<b>`` in a name for formatting.

Labels are `PlainLabel`. Where Qt itself decides how a text is meant (tooltips, message boxes, napari's notifications),
it gets `as_plain(text)`, which it cannot take for formatting.
"""

from typing import Any

from napari.utils import notifications
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QWidget

from napari_tessera.napari_plugin.shown_text import as_plain, clean


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

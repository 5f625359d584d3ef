"""A text in napari's status bar that stays there while the mouse moves."""

from typing import Any

from napari.components import ViewerModel

_BETWEEN = "  ·  "


class StatusText:
    """Puts a text beside what napari says of the pixel under the mouse, and again whenever napari says it anew."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._text = ""
        self._plain: Any = viewer.status
        self._connected = False

    def show(self, text: str) -> None:
        """Show `text`; an empty one leaves the status bar to napari."""
        self._text = text
        events = self._viewer.events.status
        if bool(text) != self._connected:
            self._connected = bool(text)
            (events.connect if text else events.disconnect)(self._on_status)
            self._plain = self._viewer.status if text else self._plain
        self._write()
        self._viewer.help = text  # what the status bar shows while the mouse is elsewhere

    def _on_status(self, _event: object) -> None:
        status = self._viewer.status
        if not self._text or _ends_with(status, self._text):
            return
        self._plain = status
        self._write()

    def _write(self) -> None:
        plain = self._plain
        if isinstance(plain, dict) and plain.get("coordinates"):
            coordinates = f"{plain['coordinates']}{_BETWEEN}{self._text}" if self._text else plain["coordinates"]
            self._viewer.status = {**plain, "coordinates": coordinates}


def _ends_with(status: Any, text: str) -> bool:
    return isinstance(status, dict) and str(status.get("coordinates", "")).endswith(text)

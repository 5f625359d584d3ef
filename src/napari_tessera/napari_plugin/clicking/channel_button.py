"""A button whose menu says which channels a click looks at."""

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QMenu, QPushButton

MOST = 64
"""Channels in the menu; more than these are reached with their slider, as the one on screen."""


class ChannelButton(QPushButton):
    """Shows the chosen channels and opens a menu of them.

    Signals
    -------
    changed()
        Others are chosen.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setToolTip("Which channels count: a pixel joins if it is near to the region in all of them together.")
        self._menu = QMenu(self)
        self.setMenu(self._menu)
        self._count = 0
        self._shown = QAction()
        self._channels: list[QAction] = []
        self.set_count(1, colors=False)

    @property
    def channels(self) -> tuple[int, ...] | None:
        """Numbers of the chosen ones; None: the one on screen, or all colours."""
        chosen = tuple(number for number, action in enumerate(self._channels) if action.isChecked())
        return chosen or None

    def set_count(self, count: int, *, colors: bool) -> None:
        """Offer `count` channels; of colours all are on screen."""
        if (count, colors) == (self._count, self._shown.data()):
            return
        self._count = count
        self._menu.clear()
        self._shown = self._add("All colours" if colors else "The one on screen", self._choose_shown)
        self._shown.setData(colors)
        self._shown.setChecked(True)
        self._menu.addSeparator()
        names = ("Red", "Green", "Blue") if colors else [f"Channel {number}" for number in range(min(count, MOST))]
        self._channels = [self._add(name, self._choose_channel) for name in names]
        self._menu.addSeparator()
        every = self._add("All channels", self._choose_all)
        every.setCheckable(False)
        self._tell()

    def choose(self, channels: tuple[int, ...] | None) -> None:
        """Choose channels by number; None: the one on screen."""
        for number, action in enumerate(self._channels):
            action.setChecked(channels is not None and number in channels)
        self._tell()

    def _add(self, text: str, then: object) -> QAction:
        action = QAction(text, self._menu)
        action.setCheckable(True)
        action.triggered.connect(then)
        self._menu.addAction(action)
        return action

    def _choose_shown(self) -> None:
        self.choose(None)

    def _choose_channel(self) -> None:
        self._tell()

    def _choose_all(self) -> None:
        self.choose(tuple(range(len(self._channels))))

    def _tell(self) -> None:
        chosen = self.channels
        self._shown.setChecked(chosen is None)
        if chosen is None:
            self.setText(self._shown.text())
        elif len(chosen) == len(self._channels):
            self.setText("All channels")
        else:
            self.setText(", ".join(self._channels[number].text() for number in chosen))
        self.changed.emit()

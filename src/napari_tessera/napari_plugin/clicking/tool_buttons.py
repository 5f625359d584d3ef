"""The tools as buttons of which one is pressed."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QButtonGroup, QGridLayout, QPushButton, QWidget

from napari_tessera.napari_plugin.clicking.correct_tools import TOOLS
from napari_tessera.napari_plugin.forms.plain_text import set_tooltip

GROW = "grow"
GROW_KEY = "W"
_GROW_TOOLTIP = "Press on an object: its region grows. Drag right for more, left for less; release to keep it."
_COLUMNS = 4

TOOL_KEYS: dict[str, str] = {GROW: GROW_KEY, **{name: info.key for name, info in TOOLS.items()}}
"""The letters that take tools while the mode is on: such as napari uses neither for viewers nor for image and labels
layers."""


class ToolButtons(QWidget):
    """One button per tool.

    Signals
    -------
    chosen(str)
        The person has pressed the button of a tool.
    """

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self.buttons: dict[str, QPushButton] = {}
        tooltips = {GROW: _GROW_TOOLTIP, **{name: info.tooltip for name, info in TOOLS.items()}}
        shortcut = "Shortcut over the image, while you click"
        self._tooltips = {name: f"{words} {shortcut}: {TOOL_KEYS[name]}." for name, words in tooltips.items()}
        titles = {GROW: "Grow", **{name: info.title for name, info in TOOLS.items()}}
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        for place, (name, title) in enumerate(titles.items()):
            button = QPushButton(f"{title} ({TOOL_KEYS[name]})")
            button.setCheckable(True)
            button.setMinimumWidth(0)
            button.setToolTip(self._tooltips[name])
            button.clicked.connect(lambda _checked=False, name=name: self.chosen.emit(name))
            self._group.addButton(button)
            layout.addWidget(button, place // _COLUMNS, place % _COLUMNS)
            self.buttons[name] = button
        self.buttons[GROW].setChecked(True)

    def take(self, name: str) -> None:
        """Take a tool as if its button were pressed."""
        self.buttons[name].click()

    def set_why_not(self, why_not: str) -> None:
        """Disable all with a reason, or enable them."""
        for name, button in self.buttons.items():
            button.setEnabled(not why_not)
            set_tooltip(button, why_not or self._tooltips[name])

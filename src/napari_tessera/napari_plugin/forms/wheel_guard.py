"""The wheel over a panel scrolls it: a setting under the pointer changes only where it has the focus."""

from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt, QTimer, Signal
from qtpy.QtWidgets import QAbstractSlider, QAbstractSpinBox, QComboBox, QScrollBar, QWidget

_CHANGED_BY_WHEEL = (QComboBox, QAbstractSpinBox, QAbstractSlider)


class WheelGuard(QObject):
    """Keeps the wheel from the settings below a widget, those that are added later as well.

    Signals
    -------
    contents_changed()
        Widgets have been added; once for many of them.
    """

    contents_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self.contents_changed)

    def watch(self, root: QWidget) -> None:
        """Guard what is in `root`, and `root`."""
        for widget in (root, *root.findChildren(QWidget)):
            widget.installEventFilter(self)
            if takes_wheel(widget) and widget.focusPolicy() == Qt.FocusPolicy.WheelFocus:
                widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802  Qt calls it by this name
        """Pass the wheel on to what is behind a setting; take up what is added."""
        kind = event.type()
        if kind == QEvent.Type.Wheel:
            if takes_wheel(watched) and not watched.hasFocus():
                event.ignore()  # and so Qt offers it to the parent, up to the area that scrolls
                return True
        elif kind == QEvent.Type.ChildPolished and isinstance(event.child(), QWidget):
            self.watch(event.child())
            self._timer.start()
        return False


def takes_wheel(widget: QObject) -> bool:
    """Return whether the wheel would change the value of `widget`."""
    return isinstance(widget, _CHANGED_BY_WHEEL) and not isinstance(widget, QScrollBar)

"""What every widget of the plugin stands in: contents that scroll, a footer that stays, a place beside the others."""

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer, Signal
from qtpy.QtWidgets import QDockWidget, QHBoxLayout, QMainWindow, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from napari_tessera.napari_plugin.forms.help_button import HelpButton
from napari_tessera.napari_plugin.forms.tab_order import order_tabs
from napari_tessera.napari_plugin.forms.wheel_guard import WheelGuard

LEAST_HEIGHT = 40
"""What is left of the scrolled part where there is next to no room, in pixels; the footer stands below it."""

_PAGES = {"Filter & threshold": "filtering", "Click to segment": "clicking", "Sessions": "sessions"}
"""The page of the documentation on a widget; those that are not named are told of in the tutorial."""
_CHANGES_OF_HEIGHT = (QEvent.Type.LayoutRequest, QEvent.Type.ShowToParent, QEvent.Type.HideToParent)


class PanelShell(QWidget):
    """Base of the plugin's widgets.

    Docked in napari it becomes a tab beside a widget of its kind that is there already, so that five of them need no
    more room than one. The wheel scrolls it and changes no setting without the focus; Tab goes through it in order.

    Signals
    -------
    place_changed()
        The tab has come to the front, or gone behind another.

    Parameters
    ----------
    title
        What the widget is called in front of a person, as in the manifest.
    tab
        What stands on its tab, if that is to be shorter: five tabs share the width of one widget.
    """

    place_changed = Signal()

    def __init__(self, title: str, tab: str = "") -> None:
        super().__init__()
        self.title = title
        self._tab = tab or title
        self.help_button = HelpButton(_PAGES.get(title, "tutorial"))
        self._dock: QDockWidget | None = None
        self._behind = False
        self._guard = WheelGuard(self)
        self._guard.contents_changed.connect(lambda: order_tabs(self))

    def set_content(self, content: QWidget, *footer: QWidget) -> None:
        """Show `content`, scrolled where there is too little room, and below it `footer`, which stays in sight."""
        scroll = _HighArea(content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(scroll, 1)
        *upper, lowest = footer or (QWidget(),)
        row = QWidget()
        beside = QHBoxLayout(row)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.addWidget(lowest, 1)
        beside.addWidget(self.help_button, 0, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom)
        layout.addWidget(_below_each_other([*upper, row]))
        self._guard.watch(self)
        order_tabs(self)

    def show_panel(self) -> None:
        """Bring the widget's tab to the front, also where its dock was closed."""
        if self._dock is not None:
            self._dock.show()
            self._dock.raise_()

    def event(self, event: Any) -> bool:
        """Notice that napari has docked the widget, or closed its dock."""
        if event.type() == QEvent.Type.ParentChange:
            dock = self.parent()
            if isinstance(dock, QDockWidget) and dock is not self._dock:
                self._dock, self._behind = dock, False
                # the text of a tab and of a menu takes & for the mark of a shortcut
                dock.setWindowTitle(self._tab.replace("&", "&&"))
                dock.installEventFilter(self)
                dock.visibilityChanged.connect(self._note_place)
                QTimer.singleShot(0, self._settle)
            elif dock is None:  # napari has closed it, and deletes it
                self._dock, self._behind = None, False
        return bool(super().event(event))

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802  Qt calls it by this name
        """Bring the tab to the front where napari's menu would close it: nobody saw it, so it was asked for."""
        if (
            event is not None
            and event.type() == QEvent.Type.Hide
            and self._behind
            and isinstance(watched, QDockWidget)
            and watched.isHidden()
        ):
            QTimer.singleShot(0, self._come_forward)
        return bool(super().eventFilter(watched, event))

    def _note_place(self, seen: bool) -> None:
        dock, before = self._dock, self._behind
        self._behind = not seen and dock is not None and not dock.isHidden() and bool(_tabs_of(dock))
        if self._behind is not before:
            self.place_changed.emit()

    def _come_forward(self) -> None:
        dock, window = self._dock, self.window()
        if dock is None or self.parent() is not dock or not isinstance(window, QMainWindow):
            return  # taken out of the window meanwhile
        if window.dockWidgetArea(dock) != Qt.DockWidgetArea.NoDockWidgetArea:
            self.show_panel()

    def _settle(self) -> None:
        """Become a tab beside the other widgets of the plugin in the same window; a second copy of one yields to it."""
        dock = self._dock
        window = dock.parent() if dock is not None else None
        if dock is None or self.parent() is not dock or not isinstance(window, QMainWindow) or dock.isFloating():
            return
        others = [panel for panel in window.findChildren(PanelShell) if panel is not self and panel.in_window]
        same = [panel for panel in others if panel.title == self.title]
        if same and dock.objectName() == dock_name(self.title):
            same[0].show_panel()
            dock.destroyOnClose() if hasattr(dock, "destroyOnClose") else dock.close()
            self.deleteLater()
            return
        area = window.dockWidgetArea(dock)
        for other in reversed(others):
            beside = other._dock  # noqa: SLF001  of the same class
            if beside is not None and window.dockWidgetArea(beside) == area and not beside.isFloating():
                if beside not in window.tabifiedDockWidgets(dock):
                    window.tabifyDockWidget(beside, dock)
                dock.show()
                dock.raise_()
                return

    @property
    def behind(self) -> bool:
        """Whether another tab lies before the widget."""
        return self._behind

    @property
    def in_window(self) -> bool:
        """Whether the widget has a place in a window, seen or not."""
        return self._dock is not None and self.parent() is self._dock


def dock_name(title: str) -> str:
    """Return what napari calls the dock of the widget `title` when it is opened from a menu."""
    return f"{title} (Tessera)"


def _tabs_of(dock: QDockWidget) -> list[QDockWidget]:
    window = dock.parent()
    return window.tabifiedDockWidgets(dock) if isinstance(window, QMainWindow) else []


class _HighArea(QScrollArea):
    """Shows `content` scrolled up and down where there is too little room, and never cut at the side."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setMinimumHeight(LEAST_HEIGHT)

    def minimumSizeHint(self) -> QSize:  # noqa: N802  Qt calls it by this name
        """Return the width that the content needs now: napari's style, which comes with the dock, makes it wider."""
        content, bar = self.widget(), self.verticalScrollBar()
        needed = content.minimumSizeHint().width() if content is not None else 0
        return QSize(needed + (bar.sizeHint().width() if bar is not None else 0) + _frame(self), LEAST_HEIGHT)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Follow the content."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return bool(super().eventFilter(watched, event))


class LowArea(QScrollArea):
    """Shows `content` as high as it is, up to `most` pixels; a single line of it where there is no room for more."""

    def __init__(self, content: QWidget, most: int) -> None:
        super().__init__()
        self._most = most
        hidden = content.isHidden() and content.testAttribute(Qt.WidgetAttribute.WA_WState_ExplicitShowHide)
        self.setWidget(content)  # which shows it
        content.setHidden(hidden)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.setVisible(not hidden)

    def sizeHint(self) -> QSize:  # noqa: N802  Qt calls it by this name
        """Return the height of the content, but no more than is allowed."""
        return QSize(super().sizeHint().width(), min(self._height_of_content(), self._most))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return the height of one line."""
        return QSize(0, min(self._height_of_content(), self.fontMetrics().lineSpacing()))

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        """Lines break elsewhere in another width."""
        super().resizeEvent(event)
        self.updateGeometry()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Follow the content."""
        if event is not None and event.type() in _CHANGES_OF_HEIGHT:
            content = self.widget()
            self.setVisible(content is not None and not content.isHidden())
            self.updateGeometry()
        return bool(super().eventFilter(watched, event))

    def _height_of_content(self) -> int:
        content, viewport = self.widget(), self.viewport()
        if content is None or viewport is None:
            return 0
        width = self.width() - _frame(self)  # without a scroll bar, which is not needed where all of it is seen
        height = content.heightForWidth(width) if content.hasHeightForWidth() else content.sizeHint().height()
        return height + _frame(self)


def _frame(area: QScrollArea) -> int:
    """Return by how much `area` is larger than what it shows: a style sheet may draw a frame where there is none."""
    return 2 * area.frameWidth()


def in_a_row(*widgets: QWidget) -> QWidget:
    """Return a widget that holds others side by side, without margins."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    return row


def _below_each_other(widgets: Sequence[QWidget]) -> QWidget:
    footer = QWidget()
    layout = QVBoxLayout(footer)
    layout.setContentsMargins(9, 4, 9, 6)
    layout.setSpacing(4)
    for widget in widgets:
        layout.addWidget(widget)
    return footer

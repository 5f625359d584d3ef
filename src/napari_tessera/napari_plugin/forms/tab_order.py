"""Tab goes through a panel as it is read: from top to bottom, and in a row from left to right."""

from collections.abc import Iterator

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QGridLayout, QLayout, QScrollArea, QWidget


def order_tabs(root: QWidget) -> None:
    """Let Tab go through what is in `root` in the order in which it stands there."""
    before: QWidget | None = None
    for widget in in_order(root):
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.focusProxy() is None:
            if before is not None:
                QWidget.setTabOrder(before, widget)
            before = widget


def in_order(root: QWidget) -> Iterator[QWidget]:
    """Yield the widgets in `root` that lie in layouts and scroll areas, hidden ones too, as they are read."""
    if isinstance(root, QScrollArea):
        inner = root.widget()
        if inner is not None:
            yield inner
            yield from in_order(inner)
        return
    layout = root.layout()
    if layout is not None:
        yield from _in_layout(layout)


def _in_layout(layout: QLayout) -> Iterator[QWidget]:
    for index in sorted(range(layout.count()), key=lambda index: _place(layout, index)):
        item = layout.itemAt(index)
        widget, inner = (item.widget(), item.layout()) if item is not None else (None, None)
        if widget is not None:
            yield widget
            yield from in_order(widget)
        elif inner is not None:
            yield from _in_layout(inner)


def _place(layout: QLayout, index: int) -> tuple[int, int]:
    if isinstance(layout, QGridLayout):
        row, column, *_ = layout.getItemPosition(index)
        return int(row), int(column)
    if isinstance(layout, QFormLayout):
        row, role = layout.getItemPosition(index)
        return int(row), 0 if role == QFormLayout.ItemRole.LabelRole else 1
    return index, 0

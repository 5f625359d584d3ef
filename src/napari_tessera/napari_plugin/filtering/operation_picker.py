"""The chooser of operations: a search box over a tree with one branch per group."""

from typing import Any

from qtpy.QtCore import QEvent, QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QLineEdit, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from napari_tessera.napari_plugin.forms.plain_text import PlainLabel
from napari_tessera.operations.base import Operation
from napari_tessera.operations.describe import GROUPS
from napari_tessera.operations.registry import all_operations

_NAME = Qt.ItemDataRole.UserRole
_ROWS = 11
_TELLING = 3
"""From so many letters on, the beginning of a word counts as the word: somebody is still typing it."""


class OperationPicker(QWidget):
    """Lists every registered operation.

    Signals
    -------
    operation_changed()
        Another operation is chosen.
    accepted()
        The person has pressed Enter on it: the form is what they want next.
    """

    operation_changed = Signal()
    accepted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._chosen = ""
        self._best: QTreeWidgetItem | None = None
        self.search = QLineEdit()
        self.search.setClearButtonEnabled(True)
        self.search.setToolTip("Type a part of a name, or what you want to do; Enter takes what fits best.")
        self.search.textChanged.connect(self._filter)
        self.search.returnPressed.connect(self._accept)
        self.search.installEventFilter(self)
        self.tree = QTreeWidget()
        self.tree.setHeaderHidden(True)
        self.tree.setStyleSheet("QTreeView::item { padding: 2px 0px; }")
        self.tree.setRootIsDecorated(True)
        self.tree.setIndentation(14)
        self.tree.setUniformRowHeights(True)
        self.tree.setExpandsOnDoubleClick(False)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.tree.setToolTip("Every operation by group; click one to see its settings and a preview.")
        self.tree.currentItemChanged.connect(self._choose)
        self.tree.itemClicked.connect(self._unfold)
        self.tree.itemActivated.connect(self._activate)
        self.nothing = PlainLabel()
        self.nothing.setWordWrap(True)
        self.nothing.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.search)
        layout.addWidget(self.nothing)
        layout.addWidget(self.tree)
        self._items: dict[str, QTreeWidgetItem] = {}
        self.update_operations()

    @property
    def operation(self) -> type[Operation] | None:
        """The chosen operation."""
        return all_operations().get(self._chosen)

    @operation.setter
    def operation(self, operation: type[Operation]) -> None:
        self.choose(operation.name())

    def choose(self, name: str) -> None:
        """Choose the operation called `name`, and show where in the tree it stands."""
        if name not in self._items:
            self.update_operations()  # registered since
        item = self._items.get(name)
        if item is None:
            return
        self.search.clear()
        self.tree.collapseAll()
        self.tree.setCurrentItem(item)
        self.tree.scrollToItem(item, QAbstractItemView.ScrollHint.PositionAtCenter)

    def update_operations(self) -> None:
        """List what is registered now."""
        operations = all_operations()
        with QSignalBlocker(self.tree):
            self._best = None
            self.tree.clear()
            self._items = {}
            for group in _ordered({operation.group for operation in operations.values()}):
                branch = QTreeWidgetItem([group])
                branch.setFlags(Qt.ItemFlag.ItemIsEnabled)
                self.tree.addTopLevelItem(branch)
                for name, operation in operations.items():
                    if operation.group == group:
                        self._items[name] = _leaf(branch, name, operation)
            if self._chosen in self._items:
                self.tree.setCurrentItem(self._items[self._chosen])
        self.search.setPlaceholderText(f"Search {len(operations)} operations …")
        row = self.tree.sizeHintForRow(0)
        self.tree.setFixedHeight(_ROWS * max(row, 18) + 4)

    def _filter(self, text: str) -> None:
        wanted = text.lower().split()
        operations = all_operations()
        best: tuple[int, QTreeWidgetItem | None] = (0, None)
        for name, item in self._items.items():
            score = match(operations[name], wanted) if name in operations else 0
            item.setHidden(not score)
            if wanted and score > best[0]:
                best = (score, item)
        for index in range(self.tree.topLevelItemCount()):
            branch = self.tree.topLevelItem(index)
            assert branch is not None
            leaves = [leaf for at in range(branch.childCount()) if (leaf := branch.child(at)) is not None]
            branch.setHidden(all(leaf.isHidden() for leaf in leaves))
            branch.setExpanded(bool(wanted) or any(leaf is self._items.get(self._chosen) for leaf in leaves))
        self._mark(best[1])
        self.nothing.setText(f"Nothing found for “{text.strip()}”: try another word, such as blur, edges or threshold.")
        self.nothing.setVisible(bool(wanted) and self._best is None)
        if self._best is not None:
            self.tree.scrollToItem(self._best)

    def _mark(self, best: QTreeWidgetItem | None) -> None:
        """Show in bold what Enter takes."""
        for item, bold in ((self._best, False), (best, True)):
            if item is not None:
                font = item.font(0)
                font.setBold(bold)
                item.setFont(0, font)
        self._best = best

    def _accept(self) -> None:
        if self.search.text().strip() and self._best is None:
            return
        if self._best is not None:
            self.choose(self._best.data(0, _NAME))
        if self._chosen:
            self.accepted.emit()

    def _activate(self, item: QTreeWidgetItem, _column: int = 0) -> None:
        if item.data(0, _NAME):
            self.accepted.emit()

    def _unfold(self, item: QTreeWidgetItem, _column: int = 0) -> None:
        if item.data(0, _NAME) is None:
            item.setExpanded(not item.isExpanded())

    def _choose(self, item: QTreeWidgetItem | None, _previous: object = None) -> None:
        name = item.data(0, _NAME) if item is not None else None
        if name and name != self._chosen:
            self._chosen = name
            self.operation_changed.emit()

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802  Qt calls it by this name
        """Go from the search box into the list with the arrow key."""
        if watched is self.search and event.type() == QEvent.Type.KeyPress and event.key() == Qt.Key.Key_Down:
            first = self._best or self._items.get(self._chosen)
            if first is not None:
                self.tree.setCurrentItem(first)
            self.tree.setFocus()
            return True
        return bool(super().eventFilter(watched, event))


def match(operation: type[Operation], wanted: list[str]) -> int:
    """Return how well `operation` fits the words searched for; 0 for not at all.

    Every word must occur in title, name, group, summary, or among the words that the class names besides (``also``);
    those at the beginning of the title count most. A word that the class names besides counts as much as one in the
    title and more, so that ``noise`` finds what takes it away before what adds it.
    """
    title, name, also = operation.title.lower(), operation.name(), " ".join(operation.also)
    everything = f"{title} {name} {name.replace('_', ' ')} {operation.group} {operation.summary()} {also}".lower()
    if not all(word in everything for word in wanted):
        return 0
    phrase = " ".join(wanted)
    known = any(word == phrase or (len(phrase) >= _TELLING and word.startswith(phrase)) for word in operation.also)
    score = 1 + 8 * known + (name == "_".join(wanted))
    for word in wanted:
        named = f" {word}" in f" {also}"
        places = (word in title or named, f" {word}" in f" {title}", name.startswith(word), title.startswith(word))
        score += sum(2**place for place, found in enumerate(places) if found)
    return score


def _ordered(groups: set[str]) -> list[str]:
    return [group for group in GROUPS if group in groups] + sorted(groups - set(GROUPS))


def _leaf(branch: QTreeWidgetItem, name: str, operation: type[Operation]) -> QTreeWidgetItem:
    leaf = QTreeWidgetItem(branch, [operation.title])
    leaf.setData(0, _NAME, name)
    leaf.setToolTip(0, f"{operation.summary()}.")
    return leaf

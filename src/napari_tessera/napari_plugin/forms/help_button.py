"""A button that shows the page of the documentation on a widget, which comes with the package."""

import re
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QTextBrowser, QToolButton, QVBoxLayout, QWidget

_PACKAGE = Path(__file__).parents[2]
_PLACES = (_PACKAGE / "help", _PACKAGE.parents[1] / "docs")
"""Where the pages are: in a package that was built, and in a checkout."""
_PICTURE = re.compile(r"!\[[^\]]*\]\([^)]*\)(\{[^}]*\})?\n?")
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]*\)")


class HelpButton(QToolButton):
    """Shows the page called `page` in a window of its own."""

    def __init__(self, page: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.page = page
        self.dialog: QDialog | None = None
        self.setText("?")
        self.setToolTip("How this works: the page of the documentation.")
        self.clicked.connect(self.show_page)

    def show_page(self) -> None:
        """Show the page, or bring its window to the front."""
        if self.dialog is None:
            self.dialog = page_window(self.page, self.window())
            self.dialog.destroyed.connect(self._forget)
        self.dialog.show()
        self.dialog.raise_()

    def _forget(self) -> None:
        self.dialog = None


def page_window(page: str, parent: QWidget | None) -> QDialog:
    """Return a window that shows a page, and that is deleted when it is closed."""
    dialog = QDialog(parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle("Tessera: help")
    browser = QTextBrowser()
    browser.setOpenExternalLinks(True)
    browser.setMarkdown(page_text(page))
    layout = QVBoxLayout(dialog)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(browser)
    dialog.resize(640, 560)
    return dialog


def page_text(page: str) -> str:
    """Return a page as Markdown without pictures and without links to other pages, which are not there."""
    for place in _PLACES:
        path = place / f"{page}.md"
        if path.is_file():
            return _LINK.sub(r"\1", _PICTURE.sub("", path.read_text(encoding="utf-8")))
    return "The documentation was not installed with the package: see the project's page on PyPI."

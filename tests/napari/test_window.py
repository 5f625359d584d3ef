"""All widgets in one window of a small screen, opened from different places."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QDockWidget, QLabel, QMainWindow, QTabBar, QTextBrowser

from napari_tessera.napari_plugin.filtering.filter_widget import DISPLAY_NAME, FilterWidget
from napari_tessera.napari_plugin.forms.panel_shell import PanelShell, dock_name
from napari_tessera.napari_plugin.operation_commands import open_operation

pytestmark = pytest.mark.gui

PLUGIN = "napari-tessera"
TITLES = ("Train", "Predict", "Click to segment", "Sessions", DISPLAY_NAME)


def test_five_widgets_fit_into_a_small_window_as_tabs_and_there_is_one_of_each(viewer, runner):
    viewer.window.resize(1280, 800)
    panels = [viewer.window.add_plugin_dock_widget(PLUGIN, title)[1] for title in TITLES]
    QApplication.processEvents()
    docks = [panel.parent() for panel in panels]
    window = docks[0].parent()
    assert isinstance(window, QMainWindow)
    assert set(window.tabifiedDockWidgets(docks[0])) == set(docks[1:])
    assert window.width() <= 1280
    assert window.height() <= 800
    assert max(panel.minimumSizeHint().height() for panel in panels) <= 150
    window.resizeDocks(docks[:1], [1], Qt.Orientation.Horizontal)  # as narrow as they get
    QApplication.processEvents()
    (bar,) = [bar for bar in window.findChildren(QTabBar) if bar.count() == len(docks)]
    assert {bar.tabText(at) for at in range(bar.count())} == {"Train", "Predict", "Click", "Sessions", "Filter"}
    assert bar.tabRect(bar.count() - 1).right() <= bar.width()  # none is cut
    titles = {label.text() for panel in docks for label in panel.titleBarWidget().findChildren(QLabel)}
    assert any("Filter & threshold" in title for title in titles)

    filtering = open_operation("median")  # from the Layers menu
    assert filtering is panels[-1]
    panels[0].show_panel()
    viewer.window.add_dock_widget(FilterWidget(viewer, runner), name=dock_name(DISPLAY_NAME))  # as that menu does
    QApplication.processEvents()
    left = [panel for panel in window.findChildren(PanelShell) if isinstance(panel.parent(), QDockWidget)]
    assert [panel for panel in left if panel.title == DISPLAY_NAME] == [filtering]
    assert not filtering.visibleRegion().isEmpty()
    for panel in panels:
        panel.close()


def test_an_operation_of_the_layers_menu_opens_the_widget_with_its_help(viewer):
    viewer.window.resize(1280, 800)
    widget = open_operation("otsu")
    assert widget.operation.name() == "otsu"
    assert [panel for panel in viewer.window.dock_widgets.values() if isinstance(panel, FilterWidget)] == [widget]
    widget.help_button.click()
    (page,) = widget.help_button.dialog.findChildren(QTextBrowser)
    assert page.toPlainText().startswith("Filter & threshold")
    assert "](" not in page.toPlainText()
    widget.help_button.dialog.close()
    widget.help_button.dialog.deleteLater()
    widget.close()

"""All widgets in one window of a small screen, opened from different places."""

import gc
from weakref import ref

import numpy as np
import pytest
from qtpy.QtCore import QCoreApplication, QEvent, Qt
from qtpy.QtWidgets import QApplication, QDialog, QDockWidget, QLabel, QMainWindow, QPushButton, QTabBar, QTextBrowser

from napari_tessera.napari_plugin.clicking.click_widget import ClickWidget
from napari_tessera.napari_plugin.filtering.filter_widget import DISPLAY_NAME, FilterWidget
from napari_tessera.napari_plugin.forms.help_button import HelpButton
from napari_tessera.napari_plugin.forms.panel_shell import PanelShell, dock_name
from napari_tessera.napari_plugin.jobs import leaving
from napari_tessera.napari_plugin.operation_commands import open_operation
from napari_tessera.napari_plugin.prediction.predict_widget import PredictWidget
from napari_tessera.napari_plugin.sessions.sessions_widget import SessionsWidget
from napari_tessera.napari_plugin.training.train_widget import TrainWidget

from .conftest import fake_job

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
    widget.close()


def close_by_hand(dock, qtbot):
    qtbot.mouseClick(dock.findChild(QPushButton, "QTitleBarCloseButton"), Qt.MouseButton.LeftButton)


def is_collected(reference):
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    return reference() is None


@pytest.mark.parametrize("kind", [TrainWidget, PredictWidget, FilterWidget, ClickWidget, SessionsWidget])
def test_a_dock_that_is_closed_by_hand_takes_its_widget_with_it(viewer, runner, qtbot, kind):
    viewer.add_image(np.zeros((30, 20), np.uint8))
    panel = kind(viewer) if kind is SessionsWidget else kind(viewer, runner)
    dock, itself = viewer.window.add_dock_widget(panel, name=panel.title), ref(panel)
    del panel
    close_by_hand(dock, qtbot)
    del dock
    qtbot.waitUntil(lambda: is_collected(itself), timeout=120_000)


def test_a_dock_that_is_closed_by_hand_in_a_training_takes_its_widget_with_it(viewer, runner, qtbot, monkeypatch):
    monkeypatch.setattr(leaving, "sure_to_leave", lambda *_: True)
    viewer.add_image(np.zeros((30, 20), np.uint8))
    train = TrainWidget(viewer, runner)
    dock, itself = viewer.window.add_dock_widget(train, name="Train"), ref(train)
    train.new_button.click()
    viewer.layers.selection.active.paint((5, 5), 2)
    qtbot.waitUntil(train.train_button.isEnabled, timeout=120_000)
    train.run(fake_job("slow"), "Getting ready …")
    train._leaving.watch()
    del train
    close_by_hand(dock, qtbot)
    del dock
    qtbot.waitUntil(lambda: is_collected(itself), timeout=120_000)
    qtbot.waitUntil(lambda: not runner.state.busy, timeout=120_000)


def test_a_help_window_is_gone_once_it_is_closed(viewer, qtbot):
    window = QMainWindow()
    qtbot.addWidget(window)
    button = HelpButton("filtering", window)
    for close in (QDialog.close, QDialog.reject):  # by its frame, and by Escape
        button.click()
        button.click()
        assert len(window.findChildren(QDialog)) == 1
        close(button.dialog)
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        assert window.findChildren(QDialog) == []
        assert button.dialog is None

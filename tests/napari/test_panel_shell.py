"""What all widgets stand in: the wheel, the Tab key, the room they take, and their tabs."""

from collections.abc import Iterator
from typing import Any

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QDockWidget,
    QFormLayout,
    QLabel,
    QLineEdit,
    QMainWindow,
    QPushButton,
    QScrollArea,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_tessera.core.jobs import Metric, Progress
from napari_tessera.napari_plugin.forms.panel_shell import LowArea, PanelShell, in_a_row
from napari_tessera.napari_plugin.jobs.job_kind import Figures
from napari_tessera.napari_plugin.jobs.job_panel import MOST_TEXT, JobPanel

pytestmark = pytest.mark.gui


class Panel(PanelShell):
    """A long form with a button below it; its parts are made in another order than that in which they stand."""

    def __init__(self, title: str = "Cut & paste") -> None:
        super().__init__(title)
        self.button = QPushButton("Go")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.number = QSpinBox()
        self.choice = QComboBox()
        self.choice.addItems(["a", "b", "c"])
        self.tick = QCheckBox()
        content = QWidget()
        self.box = QVBoxLayout(content)
        form = QFormLayout()
        for name, widget in (("Choice", self.choice), ("Tick", self.tick), ("Number", self.number)):
            form.addRow(name, widget)
        self.box.addLayout(form)
        self.box.addWidget(self.slider)
        for line in range(60):
            self.box.addWidget(QLabel(str(line)))
        self.panel = JobPanel()
        self.set_content(content, self.panel, in_a_row(self.button))

    @property
    def scrolled(self) -> int:
        return self.findChildren(QScrollArea)[0].verticalScrollBar().value()


@pytest.fixture
def window(qapp: Any) -> Iterator[QMainWindow]:
    window = QMainWindow()
    window.setCentralWidget(QWidget())
    window.resize(800, 500)
    window.show()
    QTest.qWaitForWindowExposed(window)
    window.activateWindow()
    QTest.qWaitForWindowActive(window)
    yield window
    window.close()
    window.deleteLater()


def dock(window: QMainWindow, panel: QWidget) -> QDockWidget:
    holder = QDockWidget("any name", window)
    holder.setWidget(panel)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, holder)
    QApplication.processEvents()
    return holder


def turn(widget: QWidget) -> None:
    """Turn the wheel over `widget` by one notch, towards the person: who does not take it leaves it to the parent."""
    keys, phase = Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase
    while widget is not None:
        at = QPointF(widget.rect().center())
        where = at, QPointF(widget.mapToGlobal(at.toPoint()))
        event = QWheelEvent(*where, QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton, keys, phase, False)
        QApplication.sendEvent(widget, event)
        if event.isAccepted():
            return
        widget = widget.parentWidget()  # type: ignore[assignment]


def test_the_wheel_scrolls_the_panel_and_changes_no_setting_on_its_way(window):
    panel = Panel()
    dock(window, panel)
    later = QSpinBox()
    panel.box.insertWidget(0, later)  # forms of operations come and go
    QApplication.processEvents()
    panel.slider.setValue(5)
    before = panel.scrolled
    for widget in (panel.choice, panel.number, panel.slider, later):
        turn(widget)
        assert panel.scrolled > before
        before = panel.scrolled
    assert (panel.choice.currentIndex(), panel.number.value(), panel.slider.value(), later.value()) == (0, 0, 5, 0)
    assert later.focusPolicy() == panel.choice.focusPolicy() == Qt.FocusPolicy.StrongFocus


def test_the_wheel_changes_the_setting_that_has_the_focus(window):
    panel = Panel()
    dock(window, panel)
    panel.choice.setFocus()
    turn(panel.choice)
    assert panel.choice.currentIndex() == 1
    assert panel.scrolled == 0


def test_tab_goes_through_a_panel_as_it_is_read(window):
    panel = Panel()
    dock(window, panel)
    first = QLineEdit()
    panel.box.insertWidget(0, first)
    QApplication.processEvents()
    first.setFocus()
    seen = []
    for _ in range(6):
        seen.append(QApplication.focusWidget())
        QTest.keyClick(seen[-1], Qt.Key.Key_Tab)
    assert seen == [first, panel.choice, panel.tick, panel.number, panel.slider, panel.button]


def test_the_button_stays_in_sight_in_a_low_window(window):
    panel = Panel()
    holder = dock(window, panel)
    panel.panel.begin("Working")
    panel.panel.show_progress(Progress(1, 3, "tile", "A long sentence about what is being done. " * 20))
    QApplication.processEvents()
    assert panel.minimumSizeHint().height() <= 150
    assert panel.panel.height() <= MOST_TEXT + 40
    window.resizeDocks([holder], [300], Qt.Orientation.Horizontal)
    window.resize(800, 170)
    QApplication.processEvents()
    assert panel.rect().contains(panel.button.mapTo(panel, panel.button.rect().bottomRight()))
    assert panel.rect().contains(panel.panel.bar.mapTo(panel, panel.panel.bar.rect().bottomRight()))


def test_what_is_said_takes_room_only_while_it_is_there(window):
    text = QLabel()
    text.hide()
    area = LowArea(text, 100)
    dock(window, in_a_row(area))
    assert not area.isVisible()
    text.setText("One sentence.")
    text.show()
    QApplication.processEvents()
    assert area.isVisible()
    assert text.visibleRegion().boundingRect().height() >= text.fontMetrics().height()


FRAMED = "QScrollArea { border: 1px solid red; } QPushButton { min-width: 400px; }"
"""A style as that of napari, which a widget gets with its dock: wider buttons, and frames where there were none."""


def test_nothing_is_cut_at_the_side_whatever_style_comes_with_the_dock(window):
    panel = Panel()
    panel.box.addWidget(QPushButton("Wide"))
    dock(window, panel)
    window.setStyleSheet(FRAMED)
    QApplication.processEvents()
    area = panel.findChildren(QScrollArea)[0]
    assert area.viewport().width() >= area.widget().minimumSizeHint().width() >= 400


def test_what_is_said_needs_no_scroll_bar_in_a_frame(window):
    text = QLabel("Two lines of a text that is broken where it has to be. " * 2)
    text.setWordWrap(True)
    area = LowArea(text, 200)
    window.setStyleSheet(FRAMED)
    box = QWidget()
    QVBoxLayout(box).addWidget(area)
    holder = dock(window, box)
    window.resizeDocks([holder], [260], Qt.Orientation.Horizontal)
    QApplication.processEvents()
    assert not area.verticalScrollBar().isVisible()
    assert area.height() > 2 * text.fontMetrics().lineSpacing()


def test_a_panel_knows_when_another_tab_lies_before_it(window):
    first, second = Panel("Train"), Panel("Click")
    places = []
    first.place_changed.connect(lambda: places.append(first.behind))
    dock(window, first)
    dock(window, second)
    QApplication.processEvents()
    first.show_panel()
    QApplication.processEvents()
    assert places == [True, False]


def test_widgets_are_tabs_beside_each_other_and_keep_their_title(window):
    docks = [dock(window, Panel(title)) for title in ("Cut & paste", "Click", "Train")]
    other = dock(window, QLabel("of another plugin"))
    QApplication.processEvents()
    assert set(window.tabifiedDockWidgets(docks[0])) == set(docks[1:])
    assert window.tabifiedDockWidgets(other) == []
    assert docks[0].windowTitle() == "Cut && paste"  # which a tab shows as Cut & paste
    seen = [holder for holder in docks if not holder.widget().visibleRegion().isEmpty()]
    assert seen == docks[-1:]


def test_hiding_what_nobody_sees_brings_it_to_the_front(window):
    first, second = (dock(window, Panel(title)) for title in ("Click", "Train"))
    QApplication.processEvents()
    first.setVisible(not first.isVisible())  # as napari's menu does it
    QApplication.processEvents()
    assert not first.widget().visibleRegion().isEmpty()
    first.setVisible(not first.isVisible())
    QApplication.processEvents()
    assert first.isHidden()
    assert not second.widget().visibleRegion().isEmpty()


def test_a_panel_shows_the_figures_of_its_kind_of_job_only(qtbot):
    plain = JobPanel()
    qtbot.addWidget(plain)
    plain.show_metric(Metric(1, "validation Dice", 0.9))
    assert plain.figure.text() == ""
    text = lambda found: f"{found['objects']:.0f} objects" if "objects" in found else ""  # noqa: E731
    counting = JobPanel(Figures(text, "How many."))
    qtbot.addWidget(counting)
    counting.show_metric(Metric(1, "loss", 0.3))
    assert not counting.figure.isVisibleTo(counting)
    counting.show_metric(Metric(2, "objects", 7))
    assert counting.figure.text() == "7 objects"
    assert counting.figure.toolTip() == "How many."

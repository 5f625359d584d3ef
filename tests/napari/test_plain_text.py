"""Names from files and layers are shown as they are: no formatting, no control characters, no endless lines."""

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLabel, QWidget

from napari_tessera.napari_plugin.forms.plain_text import PlainLabel, show_error
from napari_tessera.napari_plugin.prediction.predict_widget import PredictWidget
from napari_tessera.napari_plugin.shown_text import LONGEST_NAME, as_plain, clean, shown_name
from napari_tessera.napari_plugin.training.train_widget import TrainWidget

from .test_predicting import model_spec

pytestmark = pytest.mark.gui

EVIL = "<b>evil</b> <img src='http://example.org/x.png'>\u202e\x1b[31m\x00\ntext"


@pytest.mark.parametrize("text", [EVIL, "<b>evil", "&lt;b>evil", "evil <a href='x'>click</a>", "<?xml evil"])
def test_qt_takes_nothing_for_formatting(text):
    assert not Qt.mightBeRichText(as_plain(text))
    assert as_plain(as_plain(text)) == as_plain(text)


def test_control_characters_go_and_the_rest_stays():
    assert clean(EVIL) == "<b>evil</b> <img src='http://example.org/x.png'>[31m\ntext"
    assert clean("Zellen µm 核 👩‍🔬\tα") == "Zellen µm 核 👩‍🔬\tα"
    assert "\n" not in shown_name(EVIL)


def test_long_names_keep_their_beginning_and_their_end():
    name = "first" + "x" * 5000 + "last"
    shown = shown_name(name)
    assert len(shown) == LONGEST_NAME
    assert shown.startswith("first")
    assert shown.endswith("last")
    assert len(clean(f"The layer {name!r} is gone.")) < 300


def shown_texts(widget):
    """Return every text that is seen in a widget or while the mouse rests on it, with whether Qt may format it."""
    for part in [widget, *widget.findChildren(QWidget)]:
        yield part.toolTip(), Qt.mightBeRichText(part.toolTip())
        if isinstance(part, QLabel):
            plain = part.textFormat() == Qt.TextFormat.PlainText
            yield part.text(), not plain and Qt.mightBeRichText(part.text())
        if isinstance(part, QComboBox):
            for index in range(part.count()):
                yield part.itemText(index), False  # items of lists are never formatted
                tip = part.itemData(index, Qt.ItemDataRole.ToolTipRole) or ""
                yield tip, Qt.mightBeRichText(tip)


def test_names_in_the_window_are_plain_text(open_viewer, runner, session_folder):
    folder = session_folder / "models" / "<b>evil model"
    folder.mkdir(parents=True)
    spec = model_spec()
    classes = (spec.classes[0], spec.classes[1].model_copy(update={"name": EVIL}))
    spec.model_copy(update={"name": EVIL, "classes": classes}).save(folder / "model.yaml")
    viewer = open_viewer(show=True)
    viewer.add_image(np.zeros((8, 9)), name=EVIL)
    known = {1: {"name": EVIL, "color": "#ff0000"}, 2: {"name": "evil" * 500, "color": "#00ff00"}}
    viewer.add_labels(
        np.zeros((8, 9), np.uint8), name=f"labels {EVIL}", rotate=5, metadata={"tessera": {"classes": known}}
    )
    for make in (TrainWidget, PredictWidget):
        widget = make(viewer, runner)
        viewer.window.add_dock_widget(widget)
        widget.panel.say_error(f"The layer {EVIL} cannot be used.")
        texts = [(text, formatted) for text, formatted in shown_texts(widget) if "evil" in text]
        assert len(texts) >= 4
        for text, formatted in texts:
            assert not formatted, text
            assert not set(text) & set("\u202e\x1b\x00"), text
            assert len(text) < 1000
        assert widget.minimumSizeHint().width() < 700
    show_error(EVIL)
    assert not Qt.mightBeRichText(notification_manager.records[-1].message)


def test_a_label_is_drawn_as_its_text(qtbot):
    plain, formatted = PlainLabel("<h1>evil</h1>"), QLabel("<h1>evil</h1>")
    for label in (plain, formatted):
        qtbot.addWidget(label)
    assert plain.sizeHint().width() == plain.fontMetrics().horizontalAdvance("<h1>evil</h1>")
    assert formatted.sizeHint().height() > plain.sizeHint().height()

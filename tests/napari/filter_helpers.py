"""What tests of Filter & threshold share: an image, and the steps of a person."""

import numpy as np
from qtpy.QtCore import Qt

from napari_tessera.napari_plugin.layers.view_tracker import camera_of


def cells(shape=(120, 100), seed=0):
    rng = np.random.default_rng(seed)
    array = rng.integers(0, 60, shape).astype(np.uint8)
    array[..., 20:60, 30:70] += 150
    return array


def save(widget, layers, path, qtbot):
    with qtbot.waitSignal(widget.recipes.said) as said:
        widget.recipes.save(layers, path)
    assert said.args == [f"Saved: {path}", False]


def apply_to(widget, name, layer, qtbot):
    widget.choose(name, layer)
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    return widget.viewer.layers[-1]


def preview_of(widget):
    return widget.preview.shown.layer


def settled(widget, qtbot, *, whole=False):
    if whole:  # the dock has taken room from the canvas
        camera_of(widget.viewer).zoom *= 0.7
    qtbot.wait(30)
    qtbot.waitUntil(lambda: not widget.preview.engine.busy, timeout=120_000)
    qtbot.wait(30)


def click(qtbot, button):
    assert button.isEnabled(), button.toolTip()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def finished(widget, qtbot):
    qtbot.waitUntil(lambda: not widget.why_busy, timeout=120_000)

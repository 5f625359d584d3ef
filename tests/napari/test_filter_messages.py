"""What is said, once and in the words of the window, and what is shown after an error."""

import threading

import numpy as np
import pytest
from napari.utils import notifications
from qtpy.QtCore import QCoreApplication, QEvent

from napari_tessera.napari_plugin.filtering import applying
from napari_tessera.napari_plugin.filtering.filter_widget import FilterWidget
from napari_tessera.napari_plugin.forms.wording import in_words
from napari_tessera.napari_plugin.jobs.runner import RunState

from .conftest import fake_job
from .filter_helpers import cells, click, finished, preview_of, settled

pytestmark = pytest.mark.gui


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("use it with the operation 'replace_invalid'.", "use it with the operation 'Replace invalid pixels'."),
        ("make one with 'grey', or use 'channel'", "make one with 'Grey', or use 'Choose a channel'"),
        ("The input 'psf' is empty", "The input 'PSF' is empty"),
        ("Setting sigma_z = 3: too large", "Sigma z = 3: too large"),
        ("set it (--pixel-size on the command line), or give it as 'step_z'.", "set it, or give it as 'Step z'."),
        ("the layer 'median' is gone", "the layer 'median' is gone"),
        ("with 'no_such'", "with 'no_such'"),
    ],
)  # fmt: skip
def test_operations_are_called_by_their_titles(sentence, words):
    assert in_words(sentence) == words


def test_an_error_is_said_once(widget, viewer, qtbot):
    viewer.add_image(np.full((20, 20), 7, np.uint8))
    widget.choose("otsu")
    settled(widget, qtbot)
    assert "constant" in widget.note.text()
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    assert "constant" in widget.panel.status.text()
    assert widget.note.text() == ""
    assert not widget.note.isVisible()


def test_an_error_names_titles(widget, viewer, qtbot):
    array = cells().astype(np.float32)
    array[tuple(length // 2 for length in array.shape)] = np.nan  # the dock may cover the corners
    viewer.add_image(array)
    widget.choose("median")
    qtbot.waitUntil(lambda: "'Replace invalid pixels'" in widget.note.text(), timeout=120_000)
    widget.panel_of_operation.form.set_values({"size": 4})
    assert widget.note.text().startswith("Size = 4")


def test_the_preview_goes_with_what_it_was_of(widget, viewer, qtbot):
    array = cells()
    viewer.add_image(array, name="cells")
    widget.choose("median")
    settled(widget, qtbot, whole=True)
    assert preview_of(widget).name == "cells · preview of Median filter"
    widget.panel_of_operation.form.set_values({"size": 4})
    settled(widget, qtbot)
    assert preview_of(widget) is None
    widget.panel_of_operation.form.set_values({"size": 5})
    settled(widget, qtbot)
    assert preview_of(widget) is not None
    viewer.dims.ndisplay = 3
    settled(widget, qtbot)
    assert preview_of(widget) is None
    viewer.dims.ndisplay = 2
    settled(widget, qtbot)
    assert preview_of(widget) is not None


def test_cancelled_is_said_when_the_image_is_gone(widget, viewer, qtbot, monkeypatch):
    def slow(_operation, _inputs, _open_sink, cancel, *_args):
        while not cancel.cancelled:
            threading.Event().wait(0.01)
        cancel.raise_if_cancelled()
        yield

    monkeypatch.setattr(applying, "apply_into", slow)
    viewer.add_image(cells())
    widget.choose("median")
    click(qtbot, widget.apply_button)
    viewer.layers.clear()
    click(qtbot, widget.cancel_button)
    finished(widget, qtbot)
    assert "Cancelled" in widget.panel.status.text()
    widget.choose("gaussian")
    assert "Open an image" in widget.panel.status.text()


def test_a_failure_of_the_worker_is_said_once(widget, viewer, runner, qtbot, monkeypatch):
    shown = []
    monkeypatch.setattr(notifications, "show_error", shown.append)
    widget.run(fake_job("refuses"), "Getting ready …")
    qtbot.waitUntil(lambda: runner.state is RunState.FAILED, timeout=120_000)
    assert "annotation is empty" in widget.panel.status.text()
    assert shown == []
    widget.hide()
    widget.run(fake_job("refuses"), "Getting ready …")
    qtbot.waitUntil(lambda: bool(shown), timeout=120_000)
    assert "annotation is empty" in shown[0]


@pytest.mark.parametrize("timers_first", [False, True])
def test_a_widget_that_qt_deletes_lets_go(viewer, runner, qtbot, timers_first):
    """At the end of the application Qt deletes widgets without closing them, and the timers in them in any order."""
    widget = FilterWidget(viewer, runner)
    viewer.add_image(cells(), name="cells")
    widget.choose("median")
    settled(widget, qtbot)
    assert len(viewer.layers) == 2
    thread = widget.preview.engine._worker._thread
    engine = widget.preview.engine
    for one in (*([engine._soon, engine._settled, engine._patience] if timers_first else []), widget):
        one.deleteLater()
        QCoreApplication.sendPostedEvents(one, QEvent.Type.DeferredDelete)
    assert not widget._open
    thread.join(2)
    assert not thread.is_alive()
    assert not runner._users
    assert [layer.name for layer in viewer.layers] == ["cells"]  # the preview has gone too
    viewer.add_image(cells())  # nobody listens any more


def refused(widget, qtbot):
    settled(widget, qtbot)
    assert not widget.apply_button.isEnabled()
    reason = widget.apply_button.toolTip()
    assert widget.note.text() == reason
    return reason


def test_what_an_operation_does_not_take_cannot_be_applied(widget, viewer, qtbot):
    colors, grey = viewer.add_image(cells((20, 20, 3)), rgb=True), viewer.add_image(cells((20, 20)))
    widget.choose("otsu", colors)
    assert "'Grey'" in refused(widget, qtbot)
    widget.preview_box.setChecked(False)
    assert "'Grey'" in refused(widget, qtbot)
    widget.choose("otsu", grey)
    assert widget.apply_button.isEnabled()
    assert not widget.note.isVisible()


def test_what_does_not_fit_can_be_applied_once_it_does(widget, viewer, qtbot):
    image, other = viewer.add_image(cells((20, 20))), viewer.add_image(cells((20, 30)), name="other")
    widget.choose("add", image)
    widget.panel_of_operation.inputs.rows["other"].picker.layer = other
    assert "shape (20, 30)" in refused(widget, qtbot)
    other.data = cells((20, 20))
    assert widget.apply_button.isEnabled()


def test_points_that_are_put_can_be_grown_from(widget, viewer, qtbot):
    image, points = viewer.add_image(cells((20, 20))), viewer.add_points(ndim=2)
    widget.choose("grow_regions", image)
    assert "has no points" in refused(widget, qtbot)
    points.add([5, 5])
    assert widget.apply_button.isEnabled()


@pytest.mark.parametrize(("name", "further"), [("convolve", "kernel"), ("richardson_lucy", "psf")])
def test_a_kernel_that_is_larger_than_the_image_cannot_be_applied(widget, viewer, qtbot, name, further):
    image, kernel = viewer.add_image(cells((20, 20))), viewer.add_image(np.ones((5, 31)), name="kernel")
    widget.preview_box.setChecked(False)
    widget.choose(name, image)
    row = widget.panel_of_operation.inputs.rows[further]
    row.box.setChecked(True)
    row.picker.layer = kernel
    assert "larger than the image of shape (20, 20)" in refused(widget, qtbot)
    kernel.data = np.ones((5, 11))
    assert widget.apply_button.isEnabled()


def test_points_that_make_no_warp_cannot_be_applied(widget, viewer, qtbot):
    image = viewer.add_image(cells((20, 20)))
    points = viewer.add_points([[1, 1], [1, 9]], name="landmarks")
    widget.choose("polynomial_warp", image)
    for row in widget.panel_of_operation.inputs.rows.values():
        row.picker.layer = points
    assert "needs 6 pairs of points" in refused(widget, qtbot)
    points.add([[9, 1], [9, 9], [4, 7], [12, 3]])
    assert widget.apply_button.isEnabled()

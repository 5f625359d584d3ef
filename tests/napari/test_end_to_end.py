"""Scribble, train, predict and correct in a real viewer with the real worker; networks and images are tiny."""

import time

import dask.array
import numpy as np
import psutil
import pytest
from qtpy.QtCore import Qt, QTimer

from napari_tessera.core.jobs import Preview
from napari_tessera.napari_plugin.jobs.runner import JobRunner, RunState
from napari_tessera.napari_plugin.layers.images import hex_color
from napari_tessera.napari_plugin.prediction import prediction_inputs
from napari_tessera.napari_plugin.prediction.predict_widget import PredictWidget
from napari_tessera.napari_plugin.training.train_widget import TrainWidget

pytestmark = [pytest.mark.gui, pytest.mark.slow]

PATIENCE = 240_000  # a busy machine may take long; what is asserted is not the time


@pytest.fixture(scope="module")
def real_runner(qapp):
    runner = JobRunner()
    yield runner
    runner.close()


@pytest.fixture
def runner(real_runner):
    real_runner.attach("test")  # keeps the worker warm from test to test
    yield real_runner
    if real_runner.state.busy:
        real_runner.close()


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


def squares(shape=(64, 80), dtype=np.uint8):
    """Bright squares on dark ground with a little noise, and scribbles on some of them."""
    truth = np.zeros(shape, bool)
    for y in range(4, shape[0] - 10, 20):
        for x in range(4, shape[1] - 10, 20):
            truth[y : y + 10, x : x + 10] = True
    noise = np.random.default_rng(0).integers(0, 30, shape)
    image = (truth * 180 + 20 + noise).astype(dtype)
    scribbles = np.zeros(shape, np.uint8)
    for y in range(4, shape[0] - 10, 20):
        for x in range(4, shape[1] - 10, 20):
            scribbles[y + 4, x + 2 : x + 8] = 2
            scribbles[y + 14, x : x + 10] = 1
    return image, scribbles, truth


def dock(viewer, runner, steps=150):
    train, predict = TrainWidget(viewer, runner), PredictWidget(viewer, runner)
    viewer.window.add_dock_widget(train, name="Train")
    viewer.window.add_dock_widget(predict, name="Predict", tabify=True)
    small = {"stop.max_steps": steps, "network.base_width": 8, "data.patch_size": 32, "data.batch_size": 4}
    train.settings.set_values({**small, "network.depth": 2})
    return train, predict


def paint(qtbot, train, layer, numbers):
    """Paint in a layer from the outside, and wait until Train has counted that."""
    layer.data[:] = numbers
    layer.refresh()
    qtbot.waitUntil(lambda: any((train.painted().counts or {}).get(number) for number in (1, 2)), timeout=PATIENCE)


def click(qtbot, button):
    qtbot.waitUntil(button.isEnabled, timeout=PATIENCE)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def press(qtbot, widget, button):
    click(qtbot, button)
    qtbot.waitUntil(lambda: not widget.runner.state.busy, timeout=PATIENCE)
    assert widget.runner.state is RunState.DONE, widget.runner.message


CASES = {
    "2D": (lambda i: {"data": i}, None),
    "anisotropic and translated": (
        lambda i: {"data": i, "scale": (0.5, 0.25), "translate": (7, -3), "units": ("um", "um")},
        None,
    ),
    "stack": (lambda i: {"data": np.stack([i] * 3), "scale": (4, 1, 1)}, None),
    "2D+t+c": (lambda i: {"data": np.stack([np.stack([i, 255 - i])] * 2), "axis_labels": ("t", "c", "y", "x")}, None),
    "channels": (lambda i: {"data": np.stack([i, 255 - i])}, "cyx"),
    "RGB": (lambda i: {"data": np.stack([i, 255 - i, i], axis=-1), "rgb": True}, None),
    "multiscale": (lambda i: {"data": [i, i[::2, ::2]], "multiscale": True}, None),
    "dask": (lambda i: {"data": dask.array.from_array(i, chunks=33)}, None),
    "float32": (lambda i: {"data": i.astype(np.float32) / 7}, None),
    "uint16": (lambda i: {"data": i.astype(np.uint16) * 100}, None),
    "bool": (lambda i: {"data": i > 120}, None),
}


@pytest.mark.parametrize("case", CASES)
def test_train_and_predict(viewer, runner, qtbot, case):
    make, axes = CASES[case]
    image, scribbles, truth = squares()
    layer = viewer.add_image(name="cells", **make(image))
    train, predict = dock(viewer, runner)
    if axes:
        train.pairs.rows[0].axes.axes = axes
        predict.axes.axes = axes
    qtbot.mouseClick(train.new_button, Qt.MouseButton.LeftButton)
    painted = viewer.layers.selection.active
    paint(qtbot, train, painted, scribbles)  # of all planes
    press(qtbot, train, train.train_button)
    assert "Trained" in train.panel.status.text()
    press(qtbot, predict, predict.predict_button)
    result = predict.prediction.layer
    assert result.name == "cells · model"
    assert result.data.shape == painted.data.shape
    np.testing.assert_array_equal(result.scale, painted.scale)
    np.testing.assert_array_equal(result.translate, painted.translate)
    assert result.units == painted.units
    assert set(np.unique(result.data)) <= {0, 2}
    assert hex_color(result, 2) == hex_color(painted, 2)
    found = np.asarray(result.data) == 2
    dice = 2 * (found & truth).sum() / (found.sum() + np.broadcast_to(truth, found.shape).sum())
    assert dice > 0.7
    assert layer.name == "cells"


def test_the_whole_round(viewer, runner, qtbot, session_folder):
    """Previews come, probabilities come, a prediction becomes scribbles, and the training goes on with them."""
    image, scribbles, _ = squares()
    viewer.add_image(image, name="cells")
    train, predict = dock(viewer, runner)
    qtbot.mouseClick(train.new_button, Qt.MouseButton.LeftButton)
    paint(qtbot, train, viewer.layers.selection.active, scribbles)
    train.name.setText("squares")
    previews = []
    runner.event_received.connect(lambda event: previews.append(event) if isinstance(event, Preview) else None)
    press(qtbot, train, train.train_button)
    assert previews
    rows, columns = previews[-1].region
    assert rows == (0, 64)
    assert columns[0] < 40 < columns[1]
    assert viewer.layers["cells · preview of training"].data.shape == (64, columns[1] - columns[0])
    assert viewer.layers["cells · preview of training"].data.any()
    assert "Dice" in train.panel.figure.text()
    assert not any((session_folder / "scratch").iterdir())

    predict.probabilities_box.setChecked(True)
    press(qtbot, predict, predict.predict_button)
    qtbot.waitUntil(lambda: any("probability" in layer.name for layer in viewer.layers), timeout=PATIENCE)
    probabilities = viewer.layers["cells · squares · probability of object"]
    labels = viewer.layers["cells · squares"]
    np.testing.assert_array_equal(probabilities.data > 0.5, labels.data == 2)

    assert predict.prediction.layer is labels
    qtbot.mouseClick(predict.scribbles_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "cells · squares · annotation" in viewer.layers, timeout=120_000)
    corrected = viewer.layers["cells · squares · annotation"]
    np.testing.assert_array_equal(corrected.data, np.where(labels.data == 2, 2, 1))
    assert corrected.mode == "paint"
    assert viewer.layers.selection.active is corrected
    train.pairs.rows[0].annotation.layer = corrected
    press(qtbot, train, train.continue_button)
    assert [folder.name for folder in train.home.model_folders()] == ["squares"]

    press(qtbot, train, train.train_button)  # the name is taken: nothing is overwritten
    assert train.name.text() == "squares 2"
    assert predict.models.list.currentText() == "squares 2"


def test_large_results_are_read_piece_by_piece(viewer, runner, qtbot, monkeypatch):
    monkeypatch.setattr(prediction_inputs, "LARGE", 1000)
    image, scribbles, _ = squares()
    viewer.add_image(image, name="cells", scale=(2, 2))
    train, predict = dock(viewer, runner, steps=5)
    qtbot.mouseClick(train.new_button, Qt.MouseButton.LeftButton)
    paint(qtbot, train, viewer.layers.selection.active, scribbles)
    press(qtbot, train, train.train_button)
    press(qtbot, predict, predict.predict_button)
    result = viewer.layers["cells · model"]
    full = result.data[0] if result.multiscale else result.data
    assert isinstance(full, dask.array.Array)
    assert full.shape == image.shape


def test_what_cannot_be_predicted_is_refused_with_a_reason(viewer, runner, qtbot, session_folder):
    image, scribbles, _ = squares()
    viewer.add_image(image, name="grey")
    train, predict = dock(viewer, runner, steps=3)
    qtbot.mouseClick(train.new_button, Qt.MouseButton.LeftButton)
    paint(qtbot, train, viewer.layers.selection.active, scribbles)
    press(qtbot, train, train.train_button)
    colour = viewer.add_image(np.stack([image] * 3, axis=-1), rgb=True, name="colour")
    predict.image.layer = colour
    assert not predict.predict_button.isEnabled()
    assert "trained on images with 1 channel, this one has 3" in predict.predict_button.toolTip()
    predict.image.layer = viewer.layers["grey"]
    assert predict.predict_button.isEnabled()
    (weights,) = (session_folder / "models" / "model").glob("weights-*.safetensors")
    weights.write_bytes(weights.read_bytes()[:100])
    qtbot.mouseClick(predict.predict_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not runner.state.busy, timeout=PATIENCE)
    assert runner.state is RunState.FAILED
    assert "damaged" in predict.panel.status.text()
    predict.models.add_folder(session_folder)
    assert "not a model of napari-tessera" in predict.panel.status.text()


@pytest.mark.parametrize(("bad", "word"), [(np.nan, "NaN"), (None, "same intensity everywhere")])
def test_images_that_cannot_be_used_are_refused(viewer, runner, qtbot, bad, word, session_folder):
    image, scribbles, _ = squares(dtype=np.float32)
    if bad is None:
        image[:] = 3
    else:
        image[5, 5] = bad
    viewer.add_image(image)
    train, _ = dock(viewer, runner)
    qtbot.mouseClick(train.new_button, Qt.MouseButton.LeftButton)
    paint(qtbot, train, viewer.layers.selection.active, scribbles)
    click(qtbot, train.train_button)
    qtbot.waitUntil(lambda: not runner.state.busy, timeout=PATIENCE)
    assert runner.state is RunState.FAILED
    assert word.lower() in train.panel.status.text().lower()
    assert not list((session_folder / "models").glob("*/model.yaml"))


def test_a_worker_killed_mid_training_goes_on_from_its_checkpoint(viewer, runner, qtbot, session_folder):
    image, scribbles, _ = squares()
    viewer.add_image(image)
    train, _ = dock(viewer, runner, steps=100_000)
    qtbot.mouseClick(train.new_button, Qt.MouseButton.LeftButton)
    paint(qtbot, train, viewer.layers.selection.active, scribbles)
    validated = []
    runner.event_received.connect(
        lambda event: validated.append(event.step) if getattr(event, "name", "").endswith("Dice") else None
    )
    click(qtbot, train.train_button)
    header = session_folder / "models" / "model" / "model.yaml"
    qtbot.waitUntil(lambda: len(set(validated)) > 1, timeout=PATIENCE)
    assert header.exists()
    saved = min(validated)
    psutil.Process(runner.worker_pid).kill()
    qtbot.waitUntil(lambda: runner.state is RunState.FAILED, timeout=120_000)
    assert "press Continue" in train.panel.status.text()
    validated.clear()
    qtbot.mouseClick(train.continue_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(validated) > 0, timeout=PATIENCE)
    assert validated[0] > saved > 0  # with each validation comes a checkpoint
    qtbot.mouseClick(train.cancel_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: runner.state is RunState.CANCELLED, timeout=PATIENCE)
    assert header.exists()


class Beats:
    """Beats of a timer of 5 ms while strokes are painted every 30 ms: what the GUI thread did between two of them.

    Attributes
    ----------
    gaps
        Seconds from beat to beat; other processes on the same cores make them longer.
    work
        Seconds of the core's time that the GUI thread took from beat to beat, which they do not.
    """

    def __init__(self, qtbot, layer, seconds):
        rng = np.random.default_rng(0)
        beats = []
        heart, brush = QTimer(), QTimer()
        heart.timeout.connect(lambda: beats.append((time.perf_counter(), time.thread_time())))
        brush.timeout.connect(lambda: layer.paint(tuple(rng.integers(20, 1000, 2)), int(rng.integers(2, 9))))
        heart.start(5)
        brush.start(30)
        qtbot.wait(int(seconds * 1000))
        heart.stop()
        brush.stop()
        self.gaps, self.work = np.diff(beats, axis=0).T


def test_the_window_stays_alive_while_training(viewer, runner, qtbot):
    """A training takes next to nothing of the GUI thread; idle and training in the same run."""
    image, scribbles, _ = squares((1024, 1024))
    viewer.add_image(image)
    train, _ = dock(viewer, runner, steps=100_000)
    qtbot.mouseClick(train.new_button, Qt.MouseButton.LeftButton)
    layer = viewer.layers.selection.active
    paint(qtbot, train, layer, scribbles)
    Beats(qtbot, layer, 1)  # the first strokes compile shaders
    idle = Beats(qtbot, layer, 4)
    click(qtbot, train.train_button)
    qtbot.waitUntil(lambda: "of 100000" in train.panel.bar.text(), timeout=PATIENCE)
    busy = Beats(qtbot, layer, 6)
    assert runner.state is RunState.RUNNING
    runner.cancel()
    figures = {
        f"{name}, {kind}": np.round(np.percentile(values, [50, 99, 100]) * 1000, 1)
        for name, beats in (("idle", idle), ("training", busy))
        for kind, values in (("gaps", beats.gaps), ("work", beats.work))
    }
    # what the GUI thread itself does between two beats, whatever else runs on the computer
    assert np.percentile(busy.work, 99) < max(0.05, 2 * np.percentile(idle.work, 99)), figures
    assert busy.work.max() < max(0.2, 2 * idle.work.max()), figures

"""The Predict widget: what stays of an interrupted prediction, which model is chosen, predictions made annotation."""

import dask.array
import numpy as np
import psutil
import pytest
from napari.layers import Image, Labels
from qtpy.QtCore import Qt

from napari_tessera.config.model import ClassSpec, ModelSpec
from napari_tessera.config.networks import UNetConfig
from napari_tessera.config.prediction import PredictionConfig
from napari_tessera.config.training import Annotation, IntensityConfig, TrainingConfig
from napari_tessera.core.image import ImageSpec
from napari_tessera.io.creating import create_image
from napari_tessera.io.partial import partial_of
from napari_tessera.napari_plugin.annotation.annotating import scribbled_classes, scribbles_from
from napari_tessera.napari_plugin.home import current_home
from napari_tessera.napari_plugin.jobs.runner import RunState
from napari_tessera.napari_plugin.prediction import prediction_inputs
from napari_tessera.napari_plugin.prediction.predict_widget import PredictWidget
from napari_tessera.napari_plugin.prediction.prediction_inputs import PredictionInputs, open_result
from napari_tessera.napari_plugin.training.training_job import TRAINING
from napari_tessera.pipeline.learning.annotation import BACKGROUND_COLOR
from napari_tessera.pipeline.results import TrainResult

from .conftest import fake_job

pytestmark = pytest.mark.gui

DENSE = {0: ("background", "#808080"), 1: ("cell", "#ff0000"), 2: ("dust", "#00ff00")}


@pytest.fixture
def viewer(open_viewer):
    return open_viewer()


@pytest.fixture
def predict(viewer, runner, session_folder):
    save_model(session_folder, "old")
    widget = PredictWidget(viewer, runner)
    viewer.window.add_dock_widget(widget, name="Predict")
    return widget


def model_spec(name="m"):
    return ModelSpec(
        name=name,
        package_version="0.1.0",
        created="2026-01-02T03:04:05+00:00",
        network=UNetConfig(depth=1),
        input_axes="cyx",
        channel_names=(),
        channels=1,
        pixel_size={"y": 1.0, "x": 1.0},
        units={"y": None, "x": None},
        intensity=IntensityConfig(),
        classes=(ClassSpec(id=0, name="background", color="#808080"), ClassSpec(id=2, name="cell", color="#ff0000")),
        training=TrainingConfig(annotation=Annotation.SCRIBBLES),
        metrics={},
        weights_sha256="0" * 64,
        finished=True,
    )


def save_model(session_folder, name):
    folder = session_folder / "models" / name
    folder.mkdir(parents=True)
    model_spec(name).save(folder / "model.yaml")
    return folder


def half_done(layer, tmp_path, output="labels", axes="yx"):
    """Return the inputs of a prediction whose first tile is written, as an aborted sink leaves it."""
    inputs = PredictionInputs(
        layer, axes, tmp_path / "model", model_spec(), PredictionConfig(output=output), current_home()
    )
    shape = tuple(layer.data.shape)
    if output == "labels":
        spec = ImageSpec(axes=axes, shape=shape, dtype=np.dtype(np.uint8))
    else:
        spec = ImageSpec(axes=f"c{axes}", shape=(2, *shape), dtype=np.dtype(np.float32))
    sink = create_image(inputs.out, spec, chunks=tuple(min(n, 16) for n in spec.shape))
    region = tuple(slice(0, min(n, 16)) for n in spec.shape)
    sink.write(region, np.full([part.stop for part in region], 1 if output == "probabilities" else 2, spec.dtype))
    sink.abort()
    return inputs


def test_cancelling_shows_what_is_finished(predict, viewer, qtbot, tmp_path):
    image = viewer.add_image(np.zeros((32, 40)), name="cells", scale=(2, 3))
    inputs = predict._inputs = half_done(image, tmp_path)
    predict.run(fake_job("slow"), "Getting ready …")
    qtbot.waitUntil(lambda: "of 6000" in predict.panel.bar.text(), timeout=120_000)
    qtbot.mouseClick(predict.cancel_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: predict.runner.state is RunState.CANCELLED, timeout=120_000)
    part = viewer.layers["cells · m · cancelled"]
    assert (part.data[:16, :16] == 2).all()
    assert np.count_nonzero(part.data) == 256
    assert tuple(part.scale) == (2, 3)
    assert predict.panel.status.text() == "Cancelled; what was finished is in the layer 'cells · m · cancelled'."
    assert not partial_of(inputs.out).exists()
    assert not inputs.out.exists()


def test_a_worker_killed_while_predicting_leaves_what_is_finished(predict, viewer, qtbot, tmp_path):
    image = viewer.add_image(np.zeros((32, 40)), name="cells")
    predict._inputs = half_done(image, tmp_path, "probabilities")
    predict.run(fake_job("slow"), "Getting ready …")
    qtbot.waitUntil(lambda: "of 6000" in predict.panel.bar.text(), timeout=120_000)
    psutil.Process(predict.runner.worker_pid).kill()
    qtbot.waitUntil(lambda: predict.runner.state is RunState.FAILED, timeout=120_000)
    part = viewer.layers["cells · m · unfinished · probability of cell"]
    assert part.data[:16, :16].min() == 1
    assert part.data.sum() == 256
    assert "press Predict" in predict.panel.status.text()
    assert "Continue" not in predict.panel.status.text()


def test_nothing_finished_adds_no_layer(viewer, tmp_path):
    inputs = PredictionInputs(Image(np.zeros((9, 9))), "yx", tmp_path, model_spec(), PredictionConfig(), current_home())
    assert inputs.finished_part("cancelled") == []
    create_image(inputs.out, ImageSpec(axes="yx", shape=(9, 9), dtype=np.dtype(np.uint8))).abort()
    assert inputs.finished_part("cancelled") == []
    assert not partial_of(inputs.out).exists()


def test_a_large_part_stays_on_disk_and_its_name_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction_inputs, "LARGE", 100)
    image = Image(np.zeros((32, 40)), name="cells")
    inputs = half_done(image, tmp_path)
    (part,) = inputs.finished_part("cancelled")
    assert isinstance(part.data, dask.array.Array)
    assert int(part.data.sum()) == 512
    assert half_done(image, tmp_path).out != inputs.out
    assert int(part.data.sum()) == 512


@pytest.mark.parametrize("large", [False, True])
def test_results_come_in_the_order_of_the_image(tmp_path, monkeypatch, large):
    monkeypatch.setattr(prediction_inputs, "LARGE", 0 if large else 10**6)
    spec = ImageSpec(axes="ctyx", shape=(2, 3, 8, 9), dtype=np.dtype(np.uint8))  # stored as tcyx
    pixels = np.arange(2 * 3 * 8 * 9).reshape(spec.shape).astype(np.uint8)
    sink = create_image(tmp_path / "p.ome.zarr", spec)
    sink.write(spec.full_region, pixels)
    sink.finish()
    result = open_result(tmp_path / "p.ome.zarr", "ctyx")
    assert isinstance(result, np.ndarray) is not large
    np.testing.assert_array_equal(np.asarray(result), pixels)


@pytest.mark.parametrize(("kind", "chosen"), [("quick", "new"), ("slow", "old"), ("refuses", "old")])
def test_only_a_finished_training_changes_the_chosen_model(predict, qtbot, session_folder, kind, chosen):
    old, new = session_folder / "models" / "old", save_model(session_folder, "new")
    assert predict.models.folder == old
    predict.runner.start(fake_job(kind), TRAINING)
    if kind == "quick":
        predict.runner.event_received.emit(TrainResult(new))
    elif kind == "slow":
        predict.runner.cancel()
    qtbot.waitUntil(lambda: not predict.runner.state.busy, timeout=120_000)
    assert predict.models.folder == session_folder / "models" / chosen


@pytest.mark.parametrize(
    ("dtype", "pixels", "expected", "shift"),
    [
        (np.uint8, [0, 1], [1, 2], 1),
        (np.uint8, [0, 1, 2], [1, 2, 3], 1),
        (np.uint8, [0, 2, 3], [1, 2, 3], 0),
        (np.uint8, [0, 1, 255], [1, 2, 256], 1),
        (np.uint16, [0, 1, 65535], [1, 2, 65536], 1),
        (np.int32, [0, 1, 7], [1, 2, 8], 1),
        (bool, [False, True], [1, 2], 1),
    ],
)
def test_no_class_becomes_background(dtype, pixels, expected, shift):
    scribbles = scribbles_from(np.array(pixels, dtype))
    np.testing.assert_array_equal(scribbles.array, expected)
    assert scribbles.shift == shift
    if max(expected) < 250 and dtype is not bool:
        assert scribbles.array.dtype == dtype


def test_a_class_that_was_not_found_counts_too():
    assert scribbles_from(np.array([0, 2], np.uint8), {0, 1, 2}).array.tolist() == [1, 3]
    background = ("background", BACKGROUND_COLOR)  # the grey of a prediction would not be seen on a grey image
    assert scribbled_classes(DENSE, 1) == {1: background, 2: DENSE[1], 3: DENSE[2]}
    coloured = ("soil", "#102030")
    assert scribbled_classes({0: coloured}, 0) == {1: coloured}


def test_scribbles_keep_names_and_colours_and_say_what_moved(predict, viewer, qtbot):
    known = {number: {"name": name, "color": color} for number, (name, color) in DENSE.items()}
    metadata = {"tessera": {"role": "prediction", "classes": known}}
    layer = viewer.add_labels(np.array([[0, 1, 2]], np.uint8), name="p", metadata=metadata)
    predict.prediction.layer = layer
    predict.scribbles_button.click()
    qtbot.waitUntil(lambda: "p · annotation" in viewer.layers, timeout=120_000)
    made = viewer.layers["p · annotation"]
    assert made.data.tolist() == [[1, 2, 3]]
    assert made.contour > 0  # outlines: filled, it would cover the image
    assert made.metadata["tessera"]["classes"][2] == {"name": "cell", "color": "#ff0000"}
    assert "1 is now 2" in predict.panel.status.text()


def test_scribbles_that_come_after_closing_are_dropped(predict, viewer):
    layer = Labels(np.zeros((4, 4), np.uint8), name="p")
    viewer.window.remove_dock_widget(predict)
    predict.correcting.show_scribbles(layer, scribbles_from(layer.data))
    assert len(viewer.layers) == 0

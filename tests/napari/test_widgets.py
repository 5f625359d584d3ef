"""Train and Predict in a real viewer, with jobs that are made for the tests."""

import subprocess
import sys

import numpy as np
import psutil
import pytest
from qtpy.QtCore import Qt

from napari_tessera.config.prediction import PredictionConfig
from napari_tessera.config.training import Annotation, TrainingConfig
from napari_tessera.core.errors import AnnotationError
from napari_tessera.core.jobs import CancelToken, Metric, Preview, Progress
from napari_tessera.napari_plugin.forms.config_form import settings_form
from napari_tessera.napari_plugin.jobs.job_panel import duration, progress_text
from napari_tessera.napari_plugin.jobs.runner import RunState
from napari_tessera.napari_plugin.layers.images import hex_color
from napari_tessera.napari_plugin.layers.view_tracker import camera_of, visible_region
from napari_tessera.napari_plugin.prediction.predict_widget import SETTINGS as PREDICT_SETTINGS
from napari_tessera.napari_plugin.prediction.predict_widget import PredictWidget
from napari_tessera.napari_plugin.training.class_table import default_classes
from napari_tessera.napari_plugin.training.train_widget import SETTINGS as TRAIN_SETTINGS
from napari_tessera.napari_plugin.training.train_widget import TrainWidget
from napari_tessera.napari_plugin.training.training_inputs import Pair, TrainingInputs

from .conftest import fake_job

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer(open_viewer):
    return open_viewer()


@pytest.fixture
def train(viewer, runner, qtbot):
    widget = TrainWidget(viewer, runner)
    viewer.window.add_dock_widget(widget, name="Train")
    return widget


def click(qtbot, button):
    assert button.isEnabled(), button.toolTip()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_an_empty_viewer_says_what_to_do(train):
    assert not train.train_button.isEnabled()
    assert "Open an image" in train.panel.status.text()
    assert "Open an image" in train.train_button.toolTip()
    assert not train.new_button.isEnabled()


def test_every_control_explains_itself(train, viewer, runner):
    from qtpy.QtWidgets import QAbstractSpinBox, QCheckBox, QComboBox, QLineEdit, QPushButton

    predict = PredictWidget(viewer, runner)
    try:
        for widget in (train, predict):
            for kind in (QPushButton, QComboBox, QAbstractSpinBox, QCheckBox, QLineEdit):
                for control in widget.findChildren(kind):
                    if control.objectName() == "qt_spinbox_lineedit":
                        continue
                    assert control.toolTip(), (type(control), getattr(control, "text", str)())
    finally:
        predict.close()


@pytest.mark.parametrize("kwargs", [{}, {"scale": (2, 0.5), "translate": (3, 4), "units": ("um", "um")}])
def test_a_new_annotation_layer_fits_and_is_ready_to_paint(train, viewer, qtbot, kwargs):
    image = viewer.add_image(np.random.default_rng(0).random((60, 80)), name="cells", **kwargs)
    click(qtbot, train.new_button)
    layer = viewer.layers.selection.active
    assert layer.name == "cells · annotation"
    assert layer.data.shape == (60, 80)
    np.testing.assert_array_equal(layer.scale, image.scale)
    np.testing.assert_array_equal(layer.translate, image.translate)
    assert layer.units == image.units
    assert layer.mode == "paint"
    assert layer.selected_label == 1  # background
    assert train.pairs.rows[0].annotation.layer is layer
    assert layer.metadata["tessera"]["classes"][1]["name"] == "background"
    qtbot.waitUntil(lambda: not train.train_button.isEnabled(), timeout=120_000)  # nothing is painted yet
    layer.data_setitem((np.array([5, 6]), np.array([7, 8])), 1)
    qtbot.waitUntil(train.train_button.isEnabled, timeout=120_000)


@pytest.mark.parametrize(
    ("make", "axes", "shape"),
    [
        (lambda v: v.add_image(np.zeros((4, 30, 20))), None, (4, 30, 20)),
        (lambda v: v.add_image(np.zeros((2, 30, 20))), "cyx", (30, 20)),
        (lambda v: v.add_image(np.zeros((30, 20, 3), np.uint8), rgb=True), None, (30, 20)),
        (lambda v: v.add_image([np.zeros((32, 20)), np.zeros((16, 10))]), None, (32, 20)),
    ],
)
def test_annotation_has_the_dimensions_of_the_image_without_channels(train, viewer, qtbot, make, axes, shape):
    make(viewer)
    if axes:
        train.pairs.rows[0].axes.axes = axes
    click(qtbot, train.new_button)
    assert viewer.layers.selection.active.data.shape == shape
    assert train.pairs.problem == ""


def test_colours_and_names_of_classes_reach_the_layer(train, viewer, qtbot):
    viewer.add_image(np.zeros((30, 20)))
    click(qtbot, train.new_button)
    layer = viewer.layers.selection.active
    click(qtbot, train.classes.add_button)
    train.classes.set_color(3, "#123456")
    assert hex_color(layer, 3) == "#123456"
    assert sorted(layer.metadata["tessera"]["classes"]) == [1, 2, 3]
    click(qtbot, train.classes.remove_button)
    assert sorted(train.classes.classes) == [1, 2]


def test_a_sample_brings_its_classes(viewer, runner):
    viewer.open_sample("napari-tessera", "nuclei")
    train = TrainWidget(viewer, runner)
    viewer.window.add_dock_widget(train)
    assert train.classes.classes[2][0] == "nucleus"
    assert train.why_not == ""
    layer = train.pairs.rows[0].annotation.layer
    assert layer.metadata["tessera"]["classes"][2]["name"] == "nucleus"
    assert hex_color(layer, 2) == train.classes.classes[2][1]


def test_annotation_that_lies_askew_is_refused_before_starting(train, viewer):
    viewer.add_image(np.zeros((30, 20)), name="cells")
    viewer.add_labels(np.zeros((31, 20), np.uint8), name="strokes", rotate=5)
    assert not train.train_button.isEnabled()
    assert "'strokes' is rotated" in train.train_button.toolTip()


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.full((30, 20), 2, np.int32), "one class only"),
        (np.tile(np.array([1, 2], np.int32), (30, 10)) * np.int32(-1), "negative number -2"),
    ],
)
def test_annotation_that_nothing_can_be_learnt_from(train, viewer, qtbot, labels, sentence, session_folder):
    viewer.add_image(np.zeros((30, 20)))
    viewer.add_labels(labels)
    click(qtbot, train.train_button)
    qtbot.waitUntil(lambda: train.runner.state is RunState.FAILED, timeout=120_000)
    assert sentence in train.panel.status.text()
    assert "Traceback" not in train.panel.status.text()
    assert train.train_button.isEnabled()
    assert not any((session_folder / "scratch").iterdir())
    assert not (session_folder / "models").exists()


def inputs_for(train, pairs, annotation=Annotation.SCRIBBLES):
    classes = {1: ("background", "#808080"), 2: ("cell", "#ff0000"), 3: ("dust", "#00ff00")}
    out = train.home.models / "m"
    return TrainingInputs(pairs, annotation, classes, {"max_steps": 7}, out, train.home)


def test_the_request_says_what_was_chosen(train, viewer):
    image = viewer.add_image(np.zeros((30, 20), np.uint16), scale=(0.5, 0.5), units=("um", "um"))
    labels = viewer.add_labels(np.tile(np.array([1, 2], np.uint8), (30, 10)), scale=(0.5, 0.5), units=("um", "um"))
    inputs = inputs_for(train, [Pair(image, "yx", labels)])
    request = inputs(CancelToken())
    assert request.config.max_steps == 7
    assert request.config.class_names == {1: "background", 2: "cell"}  # class 3 is not painted
    assert request.config.class_colors == {1: "#808080", 2: "#ff0000"}
    assert request.images[0].units == ("micrometer", "micrometer")
    np.testing.assert_array_equal(np.load(request.labels[0].path), labels.data)
    inputs.clean()
    assert not request.labels[0].path.exists()


def test_several_layers_annotate_one_image_together(train, viewer):
    image = viewer.add_image(np.zeros((30, 20)))
    labels = viewer.add_labels(np.pad(np.ones((10, 20), np.uint8), ((0, 20), (0, 0))))
    points = viewer.add_points([[15, 10]], size=6)
    shapes = viewer.add_shapes([[[20, 2], [20, 8], [28, 8], [28, 2]]], shape_type="rectangle")
    inputs = inputs_for(train, [Pair(image, "yx", labels), Pair(image, "yx", points, 2), Pair(image, "yx", shapes, 3)])
    request = inputs(CancelToken())
    assert len(request.images) == len(request.labels) == 1
    merged = np.load(request.labels[0].path)
    assert (merged[5, 5], merged[15, 10], merged[24, 5], merged[29, 19]) == (1, 2, 3, 0)
    inputs.clean()


def test_objects_need_no_classes(train, viewer):
    image = viewer.add_image(np.zeros((30, 20)))
    labels = viewer.add_labels(np.arange(600, dtype=np.int32).reshape(30, 20))
    request = inputs_for(train, [Pair(image, "yx", labels)], Annotation.OBJECTS)(CancelToken())
    assert request.config.annotation is Annotation.OBJECTS
    with pytest.raises(AnnotationError, match="objects"):
        inputs_for(train, [Pair(image, "yx", labels)], Annotation.DENSE)(CancelToken())


def test_an_empty_annotation_that_nobody_has_counted_is_refused(train, viewer):
    image, labels = viewer.add_image(np.zeros((30, 20))), viewer.add_labels(np.zeros((30, 20), np.uint8))
    with pytest.raises(AnnotationError, match="The annotation is empty"):
        inputs_for(train, [Pair(image, "yx", labels)])(CancelToken())


def test_points_ask_for_a_class(train, viewer):
    viewer.add_image(np.zeros((30, 20)))
    viewer.add_points([[1, 1]])
    row = train.pairs.rows[0]
    assert row.number.isVisibleTo(train)
    viewer.add_labels(np.zeros((30, 20), np.uint8))
    row.annotation.layer = viewer.layers[-1]
    assert not row.number.isVisibleTo(train)


def test_pairs_are_added_and_taken_away(train, viewer, qtbot):
    viewer.add_image(np.zeros((30, 20)))
    viewer.add_labels(np.zeros((30, 20), np.uint8))
    click(qtbot, train.add_pair_button)
    assert len(train.pairs.pairs) == 2
    train.pairs.rows[1].removed.emit()
    assert len(train.pairs.pairs) == 1


def test_pickers_follow_the_viewer(train, viewer):
    first = viewer.add_image(np.zeros((30, 20)), name="first")
    second = viewer.add_image(np.zeros((30, 20)), name="second")
    picker = train.pairs.rows[0].image
    picker.layer = first
    second.name = "renamed"
    assert {picker.itemText(i) for i in range(picker.count())} == {"first", "renamed"}
    assert picker.layer is first
    viewer.layers.remove(first)
    assert picker.layer is second
    viewer.layers.clear()
    assert picker.layer is None


def painted():
    labels = np.zeros((30, 20), np.uint8)
    labels[2:4, :9], labels[20:24, :9] = 1, 2
    return labels


def start_fake(widget, kind, seconds=0.0):
    widget.run(fake_job(kind, seconds), "Getting ready …")


def test_progress_metric_and_cancel(train, viewer, qtbot):
    viewer.add_image(np.zeros((30, 20)))
    viewer.add_labels(painted())
    start_fake(train, "slow")
    qtbot.waitUntil(lambda: "of 6000 · 60 s left" in train.panel.bar.text(), timeout=120_000)
    assert not train.train_button.isEnabled()
    assert train.train_button.toolTip() == "Train is running."
    click(qtbot, train.cancel_button)
    qtbot.waitUntil(lambda: train.runner.state is RunState.CANCELLED, timeout=120_000)
    assert train.panel.status.text() == "Cancelled; what was finished is kept."
    assert train.train_button.isEnabled()
    assert not train.cancel_button.isEnabled()


def test_the_other_widget_waits_and_says_why(train, viewer, runner, qtbot):
    predict = PredictWidget(viewer, runner)
    viewer.window.add_dock_widget(predict)
    start_fake(train, "slow")
    assert not predict.predict_button.isEnabled()
    assert "Train is still running" in predict.predict_button.toolTip()
    assert not predict.cancel_button.isEnabled()
    runner.cancel()


def test_a_killed_worker_leaves_the_widget_usable(train, viewer, qtbot):
    viewer.add_image(np.zeros((30, 20)))
    viewer.add_labels(painted())
    start_fake(train, "slow")
    qtbot.waitUntil(lambda: "of 6000" in train.panel.bar.text(), timeout=120_000)
    psutil.Process(train.runner.worker_pid).kill()
    qtbot.waitUntil(lambda: train.runner.state is RunState.FAILED, timeout=120_000)
    assert "press Continue" in train.panel.status.text()
    assert train.train_button.isEnabled()


def test_closing_the_widget_mid_run_leaves_no_process(viewer, runner, qtbot, no_process_left):
    train = TrainWidget(viewer, runner)
    viewer.window.add_dock_widget(train, name="Train")
    start_fake(train, "deaf")
    qtbot.waitUntil(lambda: train.panel.bar.text() != "Getting ready …", timeout=120_000)
    process = psutil.Process(runner.worker_pid)
    viewer.window.remove_dock_widget(train)
    qtbot.waitUntil(lambda: not process.is_running(), timeout=120_000)
    viewer.add_image(np.zeros((5, 5)))  # the closed widget no longer listens


def test_closing_napari_mid_run_leaves_no_process(make_napari_viewer, runner, qtbot, no_process_left):
    viewer = make_napari_viewer()
    train = TrainWidget(viewer, runner)
    viewer.window.add_dock_widget(train, name="Train")
    start_fake(train, "deaf")
    qtbot.waitUntil(lambda: train.panel.bar.text() != "Getting ready …", timeout=120_000)
    process = psutil.Process(runner.worker_pid)
    viewer.close()
    qtbot.waitUntil(lambda: not process.is_running(), timeout=120_000)


def test_one_of_two_widgets_closing_spares_the_worker(train, viewer, runner, qtbot):
    predict = PredictWidget(viewer, runner)
    viewer.window.add_dock_widget(predict)
    pid = runner.worker_pid
    viewer.window.remove_dock_widget(predict)
    start_fake(train, "quick")
    qtbot.waitUntil(lambda: runner.state is RunState.DONE, timeout=120_000)
    assert runner.worker_pid == pid  # the same did that


def test_previews_show_in_their_place(train, viewer, qtbot, tmp_path):
    from napari_tessera.napari_plugin.layers.images import placement
    from napari_tessera.napari_plugin.training.preview_layer import PreviewLayer

    image = viewer.add_image(np.zeros((30, 20)), scale=(2, 2), translate=(10, 10))
    painted = viewer.add_labels(np.zeros((30, 20), np.uint8))
    painted.mode = "paint"
    preview = PreviewLayer(viewer, [image], [placement(image, "yx")], {2: "#ff0000"}, [painted])
    for number, region in enumerate([((5, 10), (2, 8)), ((5, 10), (2, 8)), ((0, 30), (0, 20))]):
        path = tmp_path / f"{number}.npy"
        shape = tuple(stop - start for start, stop in region)
        np.save(path, np.full(shape, 2, np.uint8))
        preview.show(Preview(0, region, str(path)))
        assert not path.exists()
        assert preview.layer.data.shape == shape
        corner = [start for start, _ in region]
        np.testing.assert_allclose(preview.layer.data_to_world((0, 0)), image.data_to_world(corner))
    assert viewer.layers.selection.active is painted
    assert painted.mode == "paint"
    assert list(viewer.layers).index(preview.layer) < list(viewer.layers).index(painted)
    assert train.pairs.rows[0].annotation.layer is painted


def test_a_preview_of_another_image_takes_all_of_its_placement(viewer, tmp_path):
    from napari_tessera.napari_plugin.layers.images import placement
    from napari_tessera.napari_plugin.training.preview_layer import PreviewLayer

    images = [
        viewer.add_image(np.zeros((30, 20)), scale=(2, 2)),
        viewer.add_image(np.zeros((30, 20)), scale=(0.5, 3), translate=(100, 7), rotate=30),
    ]
    preview = PreviewLayer(viewer, images, [placement(image, "yx") for image in images], {2: "#ff0000"})
    for number, which in enumerate([0, 1, 1, 0]):
        path = tmp_path / f"{number}.npy"
        np.save(path, np.full((5, 6), 2, np.uint8))
        preview.show(Preview(which, ((5, 10), (2, 8)), str(path)))
        for index in ((0, 0), (4, 5)):
            expected = images[which].data_to_world(np.add(index, (5, 2)))
            np.testing.assert_allclose(preview.layer.data_to_world(index), expected)
        preview.layer.opacity = 0.2
    assert preview.layer.opacity == 0.2
    assert [layer.name for layer in viewer.layers if "preview" in layer.name] == [
        f"{images[0].name} · preview of training"
    ]


def test_a_preview_that_is_gone_is_passed_over(viewer, tmp_path):
    from napari_tessera.napari_plugin.training.preview_layer import PreviewLayer

    preview = PreviewLayer(viewer, [viewer.add_image(np.zeros((4, 4)))], [{}], {})
    preview.show(Preview(0, ((0, 1), (0, 1)), str(tmp_path / "none.npy")))
    assert preview.layer is None


def test_the_visible_region_follows_camera_and_sliders(open_viewer, qtbot):
    viewer = open_viewer(show=True)
    layer = viewer.add_image(np.zeros((5, 400, 300)), scale=(3, 2, 2), translate=(0, 50, 0))
    viewer.dims.set_point(0, 6)
    qtbot.waitUntil(lambda: visible_region(viewer, layer, "zyx") == ((2, 3), (0, 400), (0, 300)), timeout=120_000)
    camera = camera_of(viewer)
    camera.center = (0, 50 + 400, 300)
    camera.zoom *= 8

    def zoomed():
        plane, rows, columns = visible_region(viewer, layer, "zyx")  # type: ignore[misc]
        around = 0 < rows[0] < 200 < rows[1] < 400 and 0 < columns[0] < 150 < columns[1] < 300
        return plane == (2, 3) and around

    qtbot.waitUntil(zoomed, timeout=120_000)
    layer.visible = False
    assert visible_region(viewer, layer, "zyx") is None
    layer.visible = True
    viewer.dims.ndisplay = 3
    assert visible_region(viewer, layer, "zyx") is None


def test_untouched_forms_are_the_defaults(qtbot):
    for settings, fields in ((TrainingConfig, TRAIN_SETTINGS), (PredictionConfig, PREDICT_SETTINGS)):
        form = settings_form(settings, fields)
        qtbot.addWidget(form)
        assert form.changes() == {}


def test_forms_keep_to_bounds_and_give_what_was_changed(qtbot):
    form = settings_form(TrainingConfig, TRAIN_SETTINGS)
    qtbot.addWidget(form)
    form.set_values({"network.depth": 99, "stop.max_seconds": 90, "optimiser.learning_rate": 0.0})
    changes = form.changes()
    assert changes["network.depth"] == 6
    assert changes["stop.max_seconds"] == 90
    assert changes["optimiser.learning_rate"] > 0
    TrainingConfig(annotation=Annotation.DENSE).with_overrides(changes)


def test_settings_that_may_be_left_out_begin_with_what_is_offered(qtbot):
    form = settings_form(TrainingConfig, TRAIN_SETTINGS, {"stop.max_seconds": 600})
    qtbot.addWidget(form)
    assert form.changes() == {}
    form.controls["stop.max_seconds"].box.setChecked(True)
    assert form.changes() == {"stop.max_seconds": 600}


def test_texts_for_people():
    assert progress_text(Progress(350, 1200, seconds_left=125)) == "step 350 of 1200 · 2 min left"
    assert progress_text(Progress(3, None, unit="tile")) == "tile 3"
    assert [duration(s) for s in (4.4, 89, 100, 7800)] == ["4 s", "89 s", "2 min", "2 h 10 min"]


def test_metrics_show(train):
    train.panel.show_metric(Metric(50, "loss", 0.3))
    assert train.panel.figure.text() == ""
    train.panel.show_metric(Metric(50, "validation Dice", 0.9123))
    train.panel.show_metric(Metric(50, "validation weakest Dice", 0.8))
    train.panel.show_metric(Metric(50, "validation error", 0.0214))
    assert train.panel.figure.text() == "Validation: Dice 0.912, weakest class 0.800, error 2.1 %"
    train.panel.show_progress(Progress(50, 100))
    assert not train.panel.status.isVisibleTo(train)  # the figure stands in one place only
    assert train.panel.figure.isVisibleTo(train)


def test_figures_that_mean_little_are_shown_with_the_reason(train):
    train.panel.show_metric(Metric(50, "validation Dice", 1.0, "Only 40 pixels are held out."))
    assert train.panel.figure.text() == "Validation: Dice 1.000\nOnly 40 pixels are held out."
    train.panel.begin("Starting")
    train.panel.show_metric(Metric(50, "training error", 0.5))
    assert train.panel.figure.text() == "Training: error 50.0 %"


def test_continue_needs_a_checkpoint(train, viewer, session_folder):
    viewer.add_image(np.zeros((30, 20)))
    viewer.add_labels(np.ones((30, 20), np.uint8))  # of empty ones nothing can be learnt, once they are counted
    train.name.setText("cells")
    checkpoint = session_folder / "models" / "cells" / "checkpoint" / "state.safetensors"
    checkpoint.parent.mkdir(parents=True)
    train.refresh()
    assert not train.continue_button.isEnabled()
    checkpoint.write_bytes(b"x")
    train.refresh()
    assert train.continue_button.isEnabled()


def test_classes_are_named_by_their_number():
    assert default_classes(Annotation.SCRIBBLES, 3)[3][0] == "class 3"
    assert default_classes(Annotation.DENSE, 3)[2][0] == "class 2"


def test_an_added_class_is_named_by_its_number(train, qtbot):
    click(qtbot, train.classes.add_button)
    assert train.classes.classes[3][0] == "class 3"


NO_TORCH = """
import sys, time
import napari, numpy as np
from qtpy.QtWidgets import QApplication
viewer = napari.Viewer(show=False)
viewer.open_sample("napari-tessera", "nuclei")
_, train = viewer.window.add_plugin_dock_widget("napari-tessera", "Train")
viewer.window.add_plugin_dock_widget("napari-tessera", "Predict")
viewer.layers["nuclei · annotation"].data[:] = 0
train.train_button.click()
end = time.monotonic() + 60
while train.runner.state.busy and time.monotonic() < end:
    QApplication.processEvents()
assert "empty" in train.runner.message, train.runner.message
viewer.close()
print("torch" in sys.modules, train.runner.worker_pid)
"""


def test_the_window_process_never_imports_torch(tmp_path):
    # in a process of its own: other tests of this one may have imported it
    done = subprocess.run(
        [sys.executable, "-c", NO_TORCH], capture_output=True, text=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.stdout.split()[-2:] == ["False", "None"], done.stdout + done.stderr


def test_the_widgets_are_in_the_menu(viewer, qtbot):
    from napari_tessera.napari_plugin.jobs import runner as runner_module

    for title in ("Train", "Predict"):
        _, widget = viewer.window.add_plugin_dock_widget("napari-tessera", title)
        assert widget.title == title
    shared = runner_module.shared_runner()
    assert shared is widget.runner
    process = psutil.Process(shared.worker_pid)
    viewer.window.remove_dock_widget("all")
    qtbot.waitUntil(lambda: not process.is_running(), timeout=120_000)

"""Further inputs of operations: what can be chosen, what it does to the form, and what is said about points."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points
from qtpy.QtCore import Qt

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.napari_plugin.filtering import applying
from napari_tessera.napari_plugin.filtering.filter_widget import DISPLAY_NAME, FilterWidget
from napari_tessera.napari_plugin.filtering.operation_inputs import (
    OperationInputs,
    frequencies,
    gather,
    in_spectrum,
)
from napari_tessera.napari_plugin.forms.layer_picker import LayerPicker
from napari_tessera.napari_plugin.recipes.recording_layers import hash_positions
from napari_tessera.napari_plugin.training.pair_list import PairRow
from napari_tessera.operations.registry import build_operation, find_operation
from napari_tessera.pipeline.api import apply

from .filter_helpers import apply_to, cells, click, finished, preview_of, settled

pytestmark = pytest.mark.gui


def stripes(period, shape=(64, 64)):
    x = np.arange(shape[-1])
    return np.broadcast_to(100 + 50 * np.sin(2 * np.pi * x / period), shape).astype(np.float32)


@pytest.mark.parametrize("name", ["wiener", "constrained_least_squares", "richardson_lucy", "convolve"])
def test_what_a_layer_takes_the_place_of_is_disabled(widget, viewer, name):
    layer = viewer.add_image(cells(), name="cells")
    viewer.add_image(np.ones((3, 3), np.float32) / 9, name="small")
    widget.choose(name, layer)
    (input_name,) = widget.panel_of_operation.inputs.rows
    replaced = ["weights"] if name == "convolve" else ["blur", "sigma", "length", "angle"]
    form, row = widget.panel_of_operation.form, widget.panel_of_operation.inputs.rows[input_name]
    assert form.controls[replaced[0]].isEnabled()
    row.box.setChecked(True)
    for parameter in replaced:
        assert not form.controls[parameter].isEnabled(), parameter
        word = "PSF" if input_name == "psf" else "Kernel"
        assert f"because {word} is given" in form.controls[parameter].toolTip()
    row.box.setChecked(False)
    assert form.controls[replaced[0]].isEnabled()
    if name != "convolve":
        assert not form.controls["length"].isEnabled()  # the blur is no motion
        assert "Blur is motion" in form.controls["length"].toolTip()


def test_no_picker_lists_a_preview(qtbot):
    viewer = ViewerModel()
    image = viewer.add_image(cells(), name="cells")
    viewer.add_image(cells(), name="preview", metadata={"tessera": {"role": "preview"}})
    viewer.add_labels(np.zeros((120, 100), np.uint8), name="preview", metadata={"tessera": {"role": "preview"}})
    picker = LayerPicker(viewer, (Image, Labels), "None")
    row = PairRow(viewer, removable=False)
    for widget in (picker, row):
        qtbot.addWidget(widget)
    assert picker.layers == (image,)
    assert row.image.layers == (image,)
    assert row.annotation.layers == ()
    picker.disconnect_viewer()
    row.image.disconnect_viewer()
    row.annotation.disconnect_viewer()


def test_a_points_layer_without_points_is_said(widget, viewer, qtbot):
    layer = viewer.add_image(cells(), name="cells")
    viewer.add_points(np.zeros((0, 2)), name="seeds")
    widget.choose("grow_regions", layer)
    settled(widget, qtbot)
    assert "'seeds' has no points" in widget.note.text()
    assert widget.panel.status.text() == ""  # not twice
    assert not widget.apply_button.isEnabled()
    assert "'seeds' has no points" in widget.apply_button.toolTip()


def test_a_seed_outside_is_told_in_the_preview(make_napari_viewer, runner, qtbot):
    viewer = make_napari_viewer(show=True)  # in a new window, the docks take room from the canvas
    viewer.window.resize(1100, 800)
    widget = FilterWidget(viewer, runner)
    viewer.window.add_dock_widget(widget, name=DISPLAY_NAME)
    layer = viewer.add_image(cells(), name="cells", scale=(2, 2))
    seeds = viewer.add_points([[40.0, 50.0], [300.0, 50.0]], name="seeds")
    widget.choose("grow_regions", layer)
    settled(widget, qtbot)
    assert "Point 1 of 'seeds' lies outside the image (y = 150, x = 25" in widget.note.text()
    assert preview_of(widget) is None
    seeds.data = [[40.0, 50.0]]
    settled(widget, qtbot)
    assert preview_of(widget) is not None
    assert widget.note.text() != ""  # on the visible part only
    widget.close()


def test_frequencies_are_no_seeds(widget, viewer, qtbot):
    layer = viewer.add_image(stripes(8), name="striped", scale=(0.5, 0.5))
    found = apply_to(widget, "suggest_notches", layer, qtbot)
    assert isinstance(found, Points)
    assert in_spectrum(found)
    placed = viewer.add_points([[5.0, 5.0]], name="placed")
    assert not in_spectrum(placed)
    in_units = viewer.add_points([[0.1, 0.1]], name="in units", units=("1/um", "1/um"))
    assert in_spectrum(in_units)
    widget.choose("grow_regions", layer)
    assert widget.panel_of_operation.inputs.rows["seeds"].picker.layers == (placed,)
    widget.choose("notch_filter", layer)
    picker = widget.panel_of_operation.inputs.rows["centres"].picker
    assert placed in picker.layers
    assert picker.layer is in_units


def test_nothing_found_makes_no_layer_and_is_said(widget, viewer, qtbot):
    rng = np.random.default_rng(0)
    layer = viewer.add_image(rng.normal(size=(64, 64)).astype(np.float32), name="noise")
    widget.choose("suggest_notches", layer)
    widget.panel_of_operation.form.set_values({"contrast": 50.0})
    click(qtbot, widget.apply_button)
    finished(widget, qtbot)
    assert len(viewer.layers) == 1
    assert "Suggest notches has found nothing" in widget.panel.status.text()


def test_frequencies_of_a_series_belong_to_their_time_point(widget, viewer, qtbot):
    series = np.stack([stripes(8), stripes(4)])
    layer = viewer.add_image(series, name="series", scale=(3, 0.3, 0.3), axis_labels=("t", "y", "x"))
    widget.choose("suggest_notches", layer)
    widget.panel_of_operation.form.set_values({"count": 1})
    found = apply_to(widget, "suggest_notches", layer, qtbot)
    assert found.data.shape == (2, 3)
    widget.choose("notch_filter", layer)
    widget.panel_of_operation.inputs.rows["centres"].picker.layer = found
    made = apply_to(widget, "notch_filter", layer, qtbot)
    assert made.data.shape == series.shape
    operation = build_operation("notch_filter", {})
    np.testing.assert_array_equal(frequencies(found, layer, "tyx", operation), np.asarray(found.data))
    for time in range(2):
        own = found.data[found.data[:, 0] == time][:, 1:]
        expected = apply(operation, series[time], centres=own * 0.3)  # without a scale: cycles per pixel
        np.testing.assert_allclose(made.data[time], expected, atol=1e-3)
    recipe = made.metadata["tessera"]["recipe"]
    assert [step["operation"] for step in recipe["steps"]] == ["suggest_notches", "notch_filter"]
    assert not recipe["arrays"]


def test_frequencies_without_a_time_hold_for_all(viewer):
    layer = viewer.add_image(np.stack([stripes(8)] * 2), axis_labels=("t", "y", "x"))
    points = viewer.add_points([[0.0, 0.125]])
    found = frequencies(points, layer, "tyx", build_operation("notch_filter", {}))
    np.testing.assert_array_equal(found, [[0.0, 0.125]])
    with pytest.raises(InvalidInputError, match="2 dimensions"):
        frequencies(points, layer, "zyx", build_operation("notch_filter", {}))


def test_positions_that_were_found_are_known_again():
    """A way through the world and back leaves rounding; what an operation found must have the same hash after it."""
    rng = np.random.default_rng(0)
    layer = Image(rng.random((4, 30, 40)), scale=(2, 0.3, 0.7), translate=(1, 0.1, 5))
    positions = rng.uniform(0, 29, (50, 3))
    positions[:, 0] %= 4
    positions = np.clip(positions, 0, [3, 29, 39])
    points = Points(positions, scale=layer.scale, translate=layer.translate)
    given = gather({"seeds": points}, build_operation("grow_regions", {}), layer, "zyx", None)
    assert hash_positions(given.arrays["seeds"]) == hash_positions(positions)


def test_points_with_more_columns_than_the_image_lie_on_it(viewer):
    """Beside a series, napari gives points a time; a plane is there at every time."""
    layer = viewer.add_image(cells())
    points = viewer.add_points([[3.0, 40.0, 50.0]])
    work = applying.Application(build_operation("grow_regions", {}), layer, "yx", {"seeds": points}, None)
    np.testing.assert_array_equal(work._given.arrays["seeds"], [[40.0, 50.0]])


def test_an_image_is_combined_with_itself_only_if_that_is_chosen(viewer):
    layer = viewer.add_image(cells(), name="cells")
    inputs = OperationInputs(viewer, find_operation("flat_field"), layer)
    assert inputs.layers() == {}
    assert "This needs flat" in inputs.why_not
    assert "Choose a layer" in inputs.why_not
    inputs.rows["flat"].picker.layer = layer
    assert inputs.layers() == {"flat": layer}
    inputs.disconnect_viewer()
    other = viewer.add_image(cells(), name="empty field")
    inputs = OperationInputs(viewer, find_operation("flat_field"), layer)
    assert inputs.layers() == {"flat": other}
    inputs.disconnect_viewer()


def test_an_input_called_as_a_parameter_is_told_from_it(viewer):
    inputs = OperationInputs(viewer, find_operation("projective"), None)
    label = inputs.layout().labelForField(inputs.rows["corners"])
    assert label.text() == "Corners (layer)"
    inputs.disconnect_viewer()


def test_long_names_keep_their_end_where_they_are_too_long(viewer, qtbot):
    """Names of results begin alike; the chosen one is drawn with its end, and its list has the whole name as a tip."""
    name = "a very long name of a layer that is not short · Median filter"
    viewer.add_image(cells(), name=name)
    picker = LayerPicker(viewer, (Image,), "")
    qtbot.addWidget(picker)
    picker.resize(160, 28)
    picker.show()
    drawn = picker.grab().toImage()
    assert picker.itemData(0, Qt.ItemDataRole.ToolTipRole) == name
    viewer.layers[0].name = name.replace("Median", "Gamma")
    assert picker.grab().toImage() != drawn
    picker.disconnect_viewer()

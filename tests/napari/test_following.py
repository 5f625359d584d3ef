"""What pickers choose by themselves, and what starts anew on another image."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_tessera.napari_plugin.clicking.click_widget import ClickWidget
from napari_tessera.napari_plugin.clicking.new_labels import new_labels
from napari_tessera.napari_plugin.filtering.filter_widget import FilterWidget
from napari_tessera.napari_plugin.filtering.histogram_data import HistogramData, HistogramTask, _count
from napari_tessera.napari_plugin.filtering.histogram_view import HistogramView
from napari_tessera.napari_plugin.filtering.operation_panel import share_above, suggested_levels
from napari_tessera.napari_plugin.forms.layer_picker import LayerPicker
from napari_tessera.napari_plugin.layers.notes import METADATA_KEY
from napari_tessera.napari_plugin.prediction.predict_widget import PredictWidget
from napari_tessera.napari_plugin.recipes.recipe_bar import replay_layer
from napari_tessera.napari_plugin.recipes.recording_layers import remembered
from napari_tessera.napari_plugin.training.pair_list import PairRow
from napari_tessera.operations.registry import build_operation

pytestmark = pytest.mark.gui


def image(name, high=255, dtype=np.uint8, **known):
    data = np.linspace(0, high, 600).astype(dtype).reshape(20, 30)
    return Image(data, name=name, metadata={METADATA_KEY: known} if known else {})


def annotation(name="annotation"):
    known = {"classes": {1: {"name": "background", "color": "#888888"}, 2: {"name": "cell", "color": "#ff0000"}}}
    return Labels(np.zeros((20, 30), np.uint8), name=name, metadata={METADATA_KEY: known})


@pytest.fixture
def model(qapp):
    return ViewerModel()


@pytest.fixture
def filtering(model, runner):
    model.add_layer(image("raw"))
    widget = FilterWidget(model, runner)
    yield widget
    widget.close()


def data_for(widget, layer):
    """Give the widget the histogram of `layer`, as the preview does once it has counted."""
    counts, low, high, width = _count(layer.data.reshape(-1))
    task = HistogramTask(0, widget.panel_of_operation.build(), None)
    integer = layer.data.dtype.kind == "u"
    widget.panel_of_operation.show_histogram(HistogramData(task, counts, low, high, integer, width))


def test_a_picker_follows_what_is_selected_and_what_is_added(model):
    picker = LayerPicker(model, (Image,), "", follow=True)
    first, second = model.add_layer(image("first")), model.add_layer(image("second"))
    assert picker.layer is second
    model.layers.selection.active = first
    assert picker.layer is first
    model.add_layer(Labels(np.zeros((20, 30), int)))
    assert picker.layer is first
    with picker.held():
        model.layers.selection.active = second
    assert picker.layer is first
    picker.layer = None  # which is no layer to choose
    assert picker.layer is first
    picker.choose(None)
    assert picker.layer is None
    picker.layer = first
    picker.disconnect_viewer()
    model.layers.selection.active = None
    model.layers.selection.active = second
    assert picker.layer is first


def test_a_preview_that_comes_and_goes_changes_no_choice(model):
    picker = LayerPicker(model, (Image,), "", follow=True)
    first, second = model.add_layer(image("first")), model.add_layer(image("second"))
    picker.layer = first  # while the other one is selected
    preview = model.add_layer(image("preview", role="preview"))
    model.layers.selection.active = second  # as the preview gives it back
    assert picker.layer is first
    model.layers.remove(preview)
    assert picker.layer is first


def test_a_picker_takes_no_probability_annotation_or_preview_by_accident(model):
    raw = model.add_layer(image("raw"))
    model.add_layer(image("raw · probability of cell", role="prediction"))
    model.add_layer(image("raw · preview", role="preview"))
    cells = model.add_layer(Labels(np.zeros((20, 30), int), name="cells"))
    painted = model.add_layer(annotation())
    images = LayerPicker(model, (Image,), "", follow=True)
    labels = LayerPicker(model, (Labels,), "", follow=True)
    assert (images.layer, labels.layer) == (raw, cells)
    model.layers.selection.active = model.layers["raw · probability of cell"]
    model.layers.selection.active = painted
    assert (images.layer, labels.layer) == (raw, cells)
    images.layer = model.layers["raw · probability of cell"]  # on purpose it can be chosen
    assert images.layer.name == "raw · probability of cell"
    model.layers.remove(images.layer)
    assert images.layer is raw


def test_a_picker_that_was_opened_late_takes_the_selected_layer(model, runner):
    first = model.add_layer(image("first"))
    model.add_layer(image("second"))
    model.layers.selection.active = first
    widget = PredictWidget(model, runner)
    assert widget.image.layer is first
    widget.close()


def test_a_result_is_what_the_next_operation_works_on(filtering, model):
    raw = model.layers["raw"]
    filtering.choose("median", raw)
    filtering._show(image("raw · median"))
    assert filtering.layer is raw  # another setting is tried on the same image
    filtering.picker.choose("otsu")
    assert filtering.layer is model.layers["raw · median"]
    labels = Labels(np.zeros((20, 30), int), name="raw · median · otsu")
    filtering._show(labels)
    filtering.picker.choose("fill_holes")
    assert filtering.layer is labels


def test_a_result_is_not_gone_on_with_once_another_layer_is_selected(filtering, model):
    raw = model.layers["raw"]
    filtering.choose("median", raw)
    filtering._show(image("raw · median"))
    model.layers.selection.active = raw
    filtering.picker.choose("otsu")
    assert filtering.layer is raw


def test_thresholds_start_anew_on_another_image_and_are_kept_for_the_first(filtering, model):
    form = lambda: filtering.panel_of_operation.form.values()["threshold"]  # noqa: E731
    raw = model.layers["raw"]
    filtering.choose("manual_threshold", raw)
    default = form()
    filtering.panel_of_operation.form.set_values({"threshold": 77.0})
    filtering.choose("median", raw)
    filtering.panel_of_operation.form.set_values({"size": 7})
    filtering.choose("manual_threshold", raw)
    assert form() == 77
    bright = model.add_layer(image("bright", 60000, np.uint16))
    assert filtering.layer is bright
    assert form() == default
    assert filtering.panel_of_operation.histogram.data is None
    filtering.images.layer = raw
    assert form() == 77
    filtering.images.layer = bright
    filtering.choose("median", bright)
    assert filtering.panel_of_operation.form.values()["size"] == 7


def test_defaults_of_thresholds_come_from_the_image(filtering, model):
    bright = model.add_layer(image("bright", 60000, np.uint16))
    filtering.choose("manual_threshold", bright)
    panel = filtering.panel_of_operation
    data_for(filtering, bright)
    found = panel.form.values()["threshold"]
    assert 20000 < found < 40000
    assert not panel.differs
    panel.form.set_values({"threshold": 5.0})
    assert panel.differs
    panel.reset()
    assert panel.form.values()["threshold"] == found
    assert not panel.differs


def test_the_histogram_of_16_bits_ends_where_the_grey_levels_end(qapp):
    values = np.array([7, 7, 20, 65535], np.uint16)
    counts, low, high, width = _count(values)
    assert (counts.sum(), low, high) == (4, 6.5, 65535.5)
    assert len(counts) * width >= high - low
    data = HistogramData(
        HistogramTask(0, build_operation("manual_threshold", {}), None), counts, low, high, True, width
    )
    view = HistogramView()
    view.resize(300, 130)
    view.show_data(data)
    assert view.value_at(1e6) == 65535
    assert view.value_at(-1e6) == 7
    assert max(suggested_levels(data, 2)) <= 65535
    assert share_above(data, 60000) == 0.25


def test_replay_takes_the_selected_layer_and_says_which(filtering, model):
    raw, other = model.layers["raw"], model.add_layer(image("other"))
    filtering.images.layer = raw
    assert replay_layer(model, filtering.layer) is other
    assert "'other'" in filtering.recipes.replay_button.toolTip()
    model.layers.selection.active = raw
    assert "'raw'" in filtering.recipes.replay_button.toolTip()
    model.add_layer(annotation())
    assert replay_layer(model, filtering.layer) is raw


def test_undo_brings_back_how_labels_were_made(filtering, model):
    """The button Save recipe stays, and saves what made the pixels that are there."""
    from napari_tessera.napari_plugin.filtering.writing_into import write_result
    from napari_tessera.napari_plugin.recipes.recording_layers import result_metadata
    from napari_tessera.pipeline.recipes.identity import identify_array
    from napari_tessera.pipeline.recipes.recording import record

    def made(name):
        pixels = identify_array(np.zeros((20, 30), np.uint8), "yx")
        return result_metadata(record(build_operation(name, {}), {"image": pixels}), name)

    first = np.zeros((20, 30), np.uint8)
    layer = model.add_layer(Labels(first.copy(), metadata=made("otsu")))
    filtering.recipes.follow(layer)
    after = first.astype(np.int64)
    after[3:9, 3:9] = 1
    write_result(layer, after, (slice(3, 9), slice(3, 9)), made("triangle"))
    filtering.recipes.refresh()
    assert "recipe" not in layer.metadata[METADATA_KEY]  # of another type: a recipe would not give the same bytes
    assert not filtering.recipes.save_button.isEnabled()
    layer.undo()
    assert remembered(layer).recipe.steps[0].operation == "otsu"
    assert filtering.recipes.save_button.isEnabled()
    layer.redo()
    assert remembered(layer).recipe is None
    layer.undo()
    write_result(layer, after.astype(np.uint8), (slice(3, 9), slice(3, 9)), made("triangle"))
    assert remembered(layer).recipe.steps[0].operation == "triangle"
    layer.undo()
    assert remembered(layer).sha256 == "otsu"


# The pair of Train


@pytest.fixture
def row(model):
    """Return the first row of Train over two images, each with an annotation of its own; the first one is selected."""
    first = model.add_layer(image("first"))
    model.add_layer(image("second"))
    for name in ("first", "second"):
        model.add_layer(annotation(f"{name} · annotation"))
    model.layers.selection.active = first
    row = PairRow(model, removable=False)
    yield row
    row.disconnect_viewer()
    row.deleteLater()


def chosen(row):
    return tuple(picker.layer and picker.layer.name for picker in (row.image, row.annotation))


def test_the_first_pair_follows_the_selected_image_with_what_annotates_it(row, model):
    assert chosen(row) == ("first", "first · annotation")
    model.layers.selection.active = model.layers["second"]
    assert chosen(row) == ("second", "second · annotation")
    model.layers.selection.active = model.layers["first · annotation"]
    assert chosen(row) == ("first", "first · annotation")
    model.add_layer(image("first · median"))
    assert chosen(row) == ("first · median", "first · annotation")
    model.add_layer(image("third"))
    assert chosen(row) == ("third", None)  # strokes on another image are not learnt from by accident
    model.add_layer(annotation("third · annotation"))
    assert chosen(row) == ("third", "third · annotation")


def test_strokes_are_taken_before_labels_of_objects_of_the_same_image(model):
    model.add_layer(image("first"))
    model.add_layer(annotation("first · annotation"))
    model.add_layer(Labels(np.zeros((20, 30), np.uint16), name="first · objects"))
    row = PairRow(model, removable=False)
    assert chosen(row) == ("first", "first · annotation")
    row.disconnect_viewer()
    row.deleteLater()


def test_the_pair_follows_no_probability_and_no_preview(row, model):
    model.add_layer(image("first · probability of cell", role="prediction"))
    model.add_layer(image("first · preview", role="preview"))
    cells = model.add_layer(Labels(np.zeros((20, 30), int), name="cells"))
    model.layers.selection.active = cells
    assert chosen(row) == ("first", "first · annotation")


def test_the_pair_stays_once_the_person_has_chosen_or_while_it_is_learnt(row, model):
    row.hold(True)
    model.layers.selection.active = model.layers["second"]
    assert chosen(row) == ("first", "first · annotation")
    row.hold(False)
    at = row.annotation.findText("second · annotation")
    row.annotation.setCurrentIndex(at)
    row.annotation.activated.emit(at)
    assert chosen(row) == ("second", "second · annotation")
    row.image.setCurrentIndex(row.image.findText("first"))
    assert chosen(row) == ("first", "second · annotation")
    model.layers.selection.active = None
    model.layers.selection.active = model.layers["second"]
    model.add_layer(image("third"))
    assert chosen(row) == ("first", "second · annotation")


def test_labels_of_no_image_by_name_go_to_the_image_that_they_lie_on(model):
    small = model.add_layer(Image(np.zeros((10, 10), np.uint8), name="small"))
    drawn = model.add_layer(Labels(np.zeros((20, 30), np.uint8), name="Labels"))
    row = PairRow(model, removable=False)
    assert chosen(row) == ("small", "Labels")
    drawn.translate = (50, 0)
    assert "lies beside" in row.problem  # what does not fit is shown with what to do about it
    drawn.translate = (0, 0)
    model.add_layer(image("large"))
    assert chosen(row) == ("large", "Labels")
    model.layers.selection.active = small
    assert chosen(row) == ("small", None)
    model.layers.remove(drawn)
    assert "New annotation layer" in row.problem
    row.disconnect_viewer()
    row.deleteLater()


# The labels of Click to segment


@pytest.fixture
def clicking(model, runner):
    model.add_layer(image("first"))
    widget = ClickWidget(model, runner)
    yield widget
    widget.close()


def labelled(name, shape=(20, 30)):
    return Labels(np.zeros(shape, np.uint16), name=name)


def test_objects_are_made_in_no_labels_of_another_image(clicking, model):
    mine = model.add_layer(labelled("first · objects"))
    assert clicking.labels.layer is mine
    second = model.add_layer(image("second"))
    assert clicking.labels.layer is None
    clicking.target_with_labels()
    made = clicking.labels.layer
    assert made.name == "second · objects"
    model.layers.selection.active = model.layers["first"]
    assert clicking.labels.layer is mine
    model.layers.selection.active = made  # to be corrected, on its image
    assert (clicking.images.layer, clicking.labels.layer) == (second, made)
    model.add_layer(image("second · median"))
    assert clicking.labels.layer is made


def test_labels_of_another_size_are_those_of_another_image(clicking, model):
    large = model.add_layer(Image(np.zeros((40, 50), np.uint8), name="large"))
    drawn = model.add_layer(labelled("Labels", (40, 50)))
    assert clicking.labels.layer is drawn
    model.layers.selection.active = model.layers["first"]
    assert clicking.labels.layer is None
    model.layers.selection.active = None
    clicking.labels.layer = drawn
    clicking.images.layer = model.layers["first"]
    clicking.labels.choose(drawn)
    clicking.target_with_labels()
    assert clicking.labels.layer is not drawn
    assert "for 'Labels' does not lie on 'first'" in clicking.messages._texts[1]
    clicking.labels.setCurrentIndex(clicking.labels.layers.index(drawn))
    clicking.labels.activated.emit(clicking.labels.currentIndex())  # on purpose they can be chosen
    clicking.target_with_labels()
    assert (clicking.images.layer.name, clicking.labels.layer) == ("first", drawn)
    model.layers.remove(large)
    assert clicking.labels.layer is drawn


def result(name, role="result"):
    return Labels(np.ones((20, 30), np.uint8), name=name, metadata={METADATA_KEY: {"role": role}})


@pytest.mark.parametrize("role", ["result", "prediction"])
def test_objects_are_made_in_no_result_by_accident(clicking, model, role):
    threshold = model.add_layer(result("first · Otsu threshold", role))
    other = model.add_layer(result("first · Li threshold", role))
    assert clicking.labels.layer is None
    model.layers.remove_selected()  # napari selects the one below
    assert model.layers.selection.active is threshold
    assert clicking.labels.layer is None
    clicking.target_with_labels()
    made = clicking.labels.layer
    assert made.name == "first · objects"
    assert "'first · Otsu threshold', choose it" in clicking.messages._texts[1]
    model.add_layer(other)
    assert clicking.labels.layer is made
    model.layers.selection.active = made
    model.layers.selection.active = threshold  # by hand
    assert clicking.labels.layer is threshold
    clicking.target_with_labels()
    assert clicking.labels.layer is threshold


def test_a_widget_that_was_opened_late_makes_objects_in_what_was_begun_for_them(model, runner):
    first = model.add_layer(image("first"))
    begun = new_labels(model, first, "yx")
    begun.name = "mine"
    model.add_layer(result("first · Otsu threshold"))
    model.add_layer(labelled("truth"))
    model.layers.selection.active = model.layers[2]
    widget = ClickWidget(model, runner)
    assert widget.labels.layer is begun
    model.layers.selection.active = model.layers["truth"]
    assert widget.labels.layer is model.layers["truth"]
    widget.close()


def test_no_preview_comes_from_behind_another_tab(filtering, model):
    filtering.choose("median", model.layers["raw"])
    assert filtering.preview._target is not None
    filtering._behind = True
    filtering.place_changed.emit()
    assert filtering.preview._target is None
    model.add_layer(image("other"))
    assert filtering.preview._target is None
    filtering._behind = False
    filtering.place_changed.emit()
    assert filtering.preview._target.layer is model.layers["other"]

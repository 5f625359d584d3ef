"""What is noted of a layer: read as what it means, told of when it changes, and plain data for whoever looks."""

import json

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_tessera.napari_plugin.layers.notes import (
    METADATA_KEY,
    change_notes,
    class_entries,
    is_annotation,
    noted,
    notes_in,
    notes_of,
    taken_unasked,
)

pytestmark = pytest.mark.gui

CLASSES = {1: ("background", "#808080"), 2: ("nucleus", "#ff8000")}


def labels(metadata=None):
    return Labels(np.zeros((4, 5), np.uint8), metadata=metadata)


def test_a_change_is_told_and_keeps_the_rest() -> None:
    layer = labels({"mine": 1, METADATA_KEY: {"role": "result", "sha256": "abc"}})
    heard = []
    layer.events.metadata.connect(lambda _: heard.append(notes_of(layer).classes))
    change_notes(layer, {"classes": class_entries(CLASSES), "sha256": None})
    assert heard == [CLASSES]
    assert layer.metadata["mine"] == 1
    assert layer.metadata[METADATA_KEY] == {
        "role": "result",
        "classes": {1: {"name": "background", "color": "#808080"}, 2: {"name": "nucleus", "color": "#ff8000"}},
    }
    json.dumps(layer.metadata)


def test_what_is_noted_is_replaced_not_changed() -> None:
    """Copies of the layer and whoever has read the notes keep what they have."""
    layer = labels(noted({"locked": [3]}))
    before = notes_of(layer)
    assert notes_of(layer).fields is before.fields
    change_notes(layer, {"locked": [3, 4]})
    assert before.locked == {3}
    assert notes_of(layer).locked == {3, 4}


def test_without_notes_nothing_stays_in_the_metadata() -> None:
    layer = labels(noted({"recipe": {}, "sha256": "abc"}))
    change_notes(layer, {"recipe": None, "sha256": None})
    assert layer.metadata == {}
    assert notes_of(layer).fields is notes_of(layer).fields


@pytest.mark.parametrize(
    "odd",
    [3, "text", None, {"classes": 3}, {"classes": {"x": 1}}, {"locked": 3}, {"locked_at": 4}, {"channel_names": 5}],
)
def test_what_makes_no_sense_counts_as_not_noted(odd) -> None:
    notes = notes_in({METADATA_KEY: odd})
    assert notes.role == ""
    assert notes.classes == notes.locked_places == {}
    assert notes.locked == frozenset()
    assert notes.channel_names == ()


def test_odd_classes_are_told_apart() -> None:
    assert not notes_in(noted({"classes": class_entries(CLASSES)})).has_odd_classes
    assert notes_in(noted({"classes": {**class_entries(CLASSES), "x": 1}})).has_odd_classes
    assert notes_in(noted({"classes": 3})).has_odd_classes


def test_what_must_be_chosen_by_hand() -> None:
    assert taken_unasked(labels())
    assert not taken_unasked(labels(noted({"role": "preview"})))
    assert not taken_unasked(labels(noted({"classes": class_entries(CLASSES)})))
    assert not taken_unasked(Image(np.zeros((4, 5)), metadata=noted({"role": "prediction"})))
    assert is_annotation(labels(noted({"classes": class_entries(CLASSES)})))
    assert not is_annotation(labels(noted({"classes": class_entries(CLASSES), "role": "prediction"})))

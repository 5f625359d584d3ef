import json
from typing import Any

import dask.array
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.measure import label

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.io.opening import open_image
from napari_tessera.pipeline.judging import evaluation
from napari_tessera.pipeline.judging.evaluation import IOU_THRESHOLDS, Evaluation, evaluate

LABELS = arrays.arrays(np.uint8, (6, 7), elements=st.integers(0, 3))


def _evaluate(predicted: np.ndarray, truth: np.ndarray, **options: Any) -> Evaluation:
    return evaluate(open_image(predicted), open_image(truth), **options)


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum()) if a.any() or b.any() else 1.0


def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum() if a.any() or b.any() else 1.0


@settings(max_examples=80, deadline=None)
@given(LABELS, LABELS)
def test_figures_are_those_of_their_definitions(predicted: np.ndarray, truth: np.ndarray) -> None:
    result = _evaluate(predicted, truth, ids="classes")
    assert result.dice == pytest.approx(_dice(predicted > 0, truth > 0))
    assert result.jaccard == pytest.approx(_jaccard(predicted > 0, truth > 0))
    foreground, both = 2 * np.count_nonzero(truth) <= truth.size, set(np.unique([predicted, truth])) - {0}
    if len(both) < 2:
        rare, found = (truth > 0, predicted > 0) if foreground else (truth == 0, predicted == 0)
        assert result.minority_class is None
    else:
        sizes = {each: np.count_nonzero(truth == each) for each in np.unique(truth)}
        assert sizes[result.minority_class] == min(sizes.values())
        rare, found = (one == result.minority_class for one in (truth, predicted))
    assert result.minority_dice == pytest.approx(_dice(found, rare))
    assert result.pixel_error == pytest.approx(((predicted > 0) != (truth > 0)).mean())
    assert result.class_error == pytest.approx((predicted != truth).mean())
    ids = set(np.unique(predicted)) | set(np.unique(truth))
    assert set(result.classes) == ids - {0}
    for each, overlap in result.classes.items():
        assert overlap.dice == pytest.approx(_dice(predicted == each, truth == each))
        assert overlap.jaccard == pytest.approx(_jaccard(predicted == each, truth == each))
    if result.classes:
        assert result.mean_dice == pytest.approx(np.mean([overlap.dice for overlap in result.classes.values()]))
        assert result.mean_jaccard == pytest.approx(np.mean([overlap.jaccard for overlap in result.classes.values()]))


@settings(max_examples=60, deadline=None)
@given(LABELS, LABELS)
def test_objects_are_matched_as_by_comparing_each_with_each(predicted: np.ndarray, truth: np.ndarray) -> None:
    predicted, truth = label(predicted, connectivity=1), label(truth, connectivity=1)
    result = _evaluate(predicted, truth, instances=True).instances
    assert result is not None
    overlaps = [
        _jaccard(predicted == left, truth == right)
        for left in range(1, predicted.max() + 1)
        for right in range(1, truth.max() + 1)
    ]
    assert (result.predicted_objects, result.true_objects) == (predicted.max(), truth.max())
    expected = []
    for threshold in IOU_THRESHOLDS:
        found = sum(overlap > threshold for overlap in overlaps)
        objects = int(predicted.max()) + int(truth.max()) - found
        expected.append(found / objects if objects else 1.0)
    assert list(result.average_precision.values()) == pytest.approx(expected)
    assert result.ap50 == pytest.approx(expected[0])
    assert result.mean_average_precision == pytest.approx(np.mean(expected))


def test_calling_everything_foreground_is_seen_through() -> None:
    truth = np.ones((10, 10), int)
    truth[:2] = 0
    everything = _evaluate(np.ones_like(truth), truth)
    assert everything.dice > 0.85
    assert everything.minority_dice == 0


def test_of_several_classes_the_rarest_counts() -> None:
    truth = np.ones((10, 10), int)
    truth[:4], truth[9, 8:] = 0, 2
    predicted = np.where(truth == 2, 1, truth)
    result = _evaluate(predicted, truth)
    assert (result.minority_class, result.minority_dice) == (2, 0)
    assert result.dice == 1
    assert _evaluate(predicted, truth, ids="objects").minority_dice == 1


def test_thresholds_go_from_0_50_to_0_95() -> None:
    assert IOU_THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    objects = _evaluate(np.eye(3, dtype=int), np.eye(3, dtype=int), instances=True).instances
    assert objects is not None
    assert list(objects.average_precision) == [f"{threshold:.2f}" for threshold in IOU_THRESHOLDS]


def test_empty_images_agree() -> None:
    empty = np.zeros((4, 5), np.uint8)
    result = _evaluate(empty, empty, instances=True)
    assert (result.dice, result.jaccard, result.pixel_error) == (1, 1, 0)
    assert result.instances is not None
    assert result.instances.mean_average_precision == 1
    assert _evaluate(empty, empty).mean_dice == 1


def test_a_class_that_is_missed_altogether_counts() -> None:
    truth = np.array([[0, 1, 2, 2]])
    result = _evaluate(np.array([[0, 1, 1, 1]]), truth, ids="classes")
    assert result.dice == 1
    assert result.classes[2].dice == 0
    assert result.mean_dice == pytest.approx((0.5 + 0) / 2)


def test_a_mask_against_objects_compares_the_foreground_and_says_so() -> None:
    truth = np.zeros((20, 20), np.uint16)
    truth[2:8, 2:8], truth[10:18, 10:18] = 41, 907
    result = _evaluate(truth > 0, truth)
    assert (result.dice, result.jaccard, result.pixel_error) == (1, 1, 0)
    assert "compare the foreground" in result.note
    result = _evaluate(truth > 0, truth, instances=True)
    assert "one object" in result.note
    assert result.instances is not None
    assert (result.instances.predicted_objects, result.instances.true_objects) == (1, 2)


def test_many_ids_are_objects_and_not_classes() -> None:
    truth = np.arange(100).reshape(10, 10)
    result = _evaluate(truth, truth)
    assert result.classes == {}
    assert result.mean_dice is result.mean_jaccard is result.class_error is None
    assert result.dice == 1


@pytest.mark.parametrize("high", [5, 5_000, 3_000_000_000])
def test_ids_of_any_size_and_blocks_of_any_number(monkeypatch: pytest.MonkeyPatch, high: int) -> None:
    rng = np.random.default_rng(0)
    predicted, truth = rng.integers(0, high, (2, 3, 23, 31))
    truth = np.where(rng.random(truth.shape) < 0.7, predicted, truth)
    whole = _evaluate(predicted, truth, instances=True)
    monkeypatch.setattr(evaluation, "_BLOCK", 7)
    monkeypatch.setattr(evaluation, "_MOST_BINS", 10)
    assert _evaluate(predicted, truth, instances=True) == whole
    assert whole.pixel_error == ((predicted != 0) != (truth != 0)).mean()


def test_objects_that_are_numbered_otherwise_get_no_figures_of_classes() -> None:
    truth = np.repeat(np.arange(6), 6).reshape(6, 6)
    turned = np.array([0, 3, 4, 5, 1, 2])[truth]
    result = _evaluate(turned, truth)
    assert (result.dice, result.classes, result.mean_dice, result.class_error) == (1, {}, None, None)
    assert "5 ids and the truth 5 ids" in result.note
    assert "--instances" in result.note
    assert set(_evaluate(turned, truth, ids="classes").classes) == {1, 2, 3, 4, 5}
    same = _evaluate(truth, truth)
    assert set(same.classes) == {1, 2, 3, 4, 5}
    assert same.note == ""
    assert _evaluate(truth, truth, ids="objects").classes == {}


def test_masks_that_use_different_ids_are_compared_by_their_foreground() -> None:
    truth = np.array([[0, 1, 1, 0]])
    result = _evaluate(truth * 2, truth)
    assert (result.dice, result.classes) == (1, {})
    assert "the id 2 and the truth the id 1" in result.note
    assert _evaluate(truth, truth).note == ""


@pytest.mark.parametrize(
    ("predicted", "axes", "says"),
    [
        (np.zeros((4, 5), np.float32), "yx", "pixels of type float32, as probabilities have: predict labels"),
        (np.zeros((2, 4, 5), np.uint8), "cyx", "2 channels, as probabilities have: predict labels"),
    ],
)
def test_probabilities_are_no_labels(predicted: np.ndarray, axes: str, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        evaluate(open_image(predicted, axes=axes), open_image(np.zeros((4, 5), np.uint8)))


def test_negative_ids_are_ids() -> None:
    labels = np.array([[-1, 0, 2]], np.int16)
    assert set(_evaluate(labels, labels).classes) == {-1, 2}


def test_images_are_read_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0

    def block(data: np.ndarray) -> np.ndarray:
        nonlocal largest
        largest = max(largest, data.size)
        return data

    monkeypatch.setattr(evaluation, "_BLOCK", 16)
    lazy = dask.array.ones((4, 64, 64), chunks=(1, 16, 16), dtype=np.uint8).map_blocks(block, dtype=np.uint8)
    image = open_image(lazy)
    largest_read = []
    original = image.read
    monkeypatch.setattr(image, "read", lambda region: largest_read.append(1) or original(region))
    assert evaluate(image, image).dice == 1
    assert largest <= 16 * 16
    assert len(largest_read) == 2 * 4 * 16


def test_axes_may_come_in_another_order() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (2, 5, 6)).astype(np.uint8)
    turned = open_image(np.ascontiguousarray(labels.transpose(1, 2, 0)), axes="yxz")
    assert evaluate(open_image(labels), turned).class_error == 0
    single = open_image(labels[:1])
    assert evaluate(single, open_image(labels[0])).class_error == 0
    assert evaluate(open_image(labels[0]), single).class_error == 0


def test_names_of_axes_do_not_matter_where_shapes_agree() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (2, 5, 6)).astype(np.uint8)
    assert evaluate(open_image(labels), open_image(labels, axes="tyx")).class_error == 0


@pytest.mark.parametrize("shape", [(5, 7), (2, 5, 6), (6, 5)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInputError, match="truth of the same image"):
        _evaluate(np.zeros((5, 6), int), np.zeros(shape, int))


def test_floats_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="The truth holds float64"):
        _evaluate(np.zeros((5, 6), int), np.zeros((5, 6)))


def test_the_figures_are_ready_for_json() -> None:
    labels = np.array([[0, 1, 2]])
    fields = json.loads(json.dumps(_evaluate(labels, labels, instances=True).to_dict()))
    assert fields["instances"]["ap50"] == 1
    fields = json.loads(json.dumps(_evaluate(labels, labels).to_dict()))
    assert fields["dice"] == 1
    assert fields["classes"]["2"] == {"dice": 1, "jaccard": 1}
    assert "instances" not in fields


def test_ids_beyond_63_bits_are_themselves() -> None:
    large = np.array([[0, 2**64 - 1], [2**63, 1]], np.uint64)
    assert set(_evaluate(large, large, ids="classes").classes) == {1, 2**63, 2**64 - 1}
    other = _evaluate(large, np.array([[0, -1], [7, 1]], np.int64), ids="classes")
    assert (other.classes[-1].dice, other.classes[2**64 - 1].dice, other.classes[1].dice) == (0, 0, 1)
    assert _evaluate(large, large, instances=True).instances.predicted_objects == 3

"""Compare a prediction with the truth: Dice, Jaccard and pixel error, of the foreground, of classes and of objects.

Both images are read block by block. What is kept is how many pixels each pair of ids shares, so memory grows with the
number of ids and not with the image.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.axes import move_axes
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSource
from napari_tessera.core.regions import Region
from napari_tessera.core.tiles import TileGrid
from napari_tessera.io.opening import as_labels, notes_about
from napari_tessera.pipeline.known_labels import COLORED_LABELS, holds_colors
from napari_tessera.pipeline.label_likeness import MOST_CLASSES, intensity_levels

IOU_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""Overlaps at which objects are matched."""

LEAST_AGREEMENT = 0.5
"""Where both images have foreground, classes have the same id in at least this share of the pixels."""

_BLOCK = 2048
_MOST_BINS = 1 << 20


@dataclass(frozen=True)
class Overlap:
    """Agreement of two regions; both are 1 where neither image has a pixel of it."""

    dice: float
    jaccard: float


@dataclass(frozen=True)
class ObjectMatch:
    """How many objects were found.

    Average precision at a threshold is TP / (TP + FP + FN), as in the 2018 Data Science Bowl
    (doi:10.1038/s41592-019-0612-7): a predicted and a true object match where their intersection over union is above
    the threshold. It is 1 where neither image has an object.

    Attributes
    ----------
    predicted_objects, true_objects
        Number of ids but 0.
    average_precision
        Threshold (``"0.50"`` to ``"0.95"``) → value.
    ap50, mean_average_precision
        The value at 0.5, and the mean over all thresholds.
    """

    predicted_objects: int
    true_objects: int
    average_precision: Mapping[str, float]
    ap50: float
    mean_average_precision: float


@dataclass(frozen=True)
class Evaluation:
    """Quality of a prediction.

    Attributes
    ----------
    dice, jaccard
        Of the foreground: pixels that are not 0 in the prediction against those that are not 0 in the truth. They hold
        for class labels, masks and objects alike, and are 1 where both images are empty.
    minority_dice
        Dice of the class, background included, that has the fewest pixels in the truth; where ids are no classes, of
        foreground or background. Where the foreground fills the image, `dice` is high even for a prediction that calls
        everything foreground; this one is not.
    minority_class
        The id of that class; None where ids are no classes, or where there is one beside the background.
    pixel_error
        Share of pixels that are foreground in one image only.
    mean_dice, mean_jaccard
        Mean over `classes`; None where ids are no classes.
    class_error
        Share of pixels whose id differs; None likewise.
    classes
        Id → Dice and Jaccard, for every id but 0 in either image; empty where ids are no classes.
    instances
        Figures per object, if they were asked for.
    note
        What a person should know about what was compared; may be empty.
    """

    dice: float
    jaccard: float
    minority_dice: float
    minority_class: int | None
    pixel_error: float
    mean_dice: float | None
    mean_jaccard: float | None
    class_error: float | None
    classes: Mapping[int, Overlap]
    instances: ObjectMatch | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON-ready fields; `instances` is left out if it was not asked for."""
        fields = asdict(self)
        fields["classes"] = {str(label): values for label, values in fields["classes"].items()}
        if self.instances is None:
            del fields["instances"]
        return fields


@dataclass(frozen=True)
class _Pairs:
    """Pixels shared by each pair of ids: three arrays of one length, int64; ids beyond that are Python's integers."""

    predicted: NDArray[Any]
    truth: NDArray[Any]
    pixels: NDArray[np.int64]


Meaning = Literal["auto", "classes", "objects"]
"""What ids but 0 stand for."""


def evaluate(
    predicted: ImageSource, truth: ImageSource, *, instances: bool = False, ids: Meaning = "auto", anyway: bool = False
) -> Evaluation:
    """Compare predicted labels or a mask with the truth.

    Parameters
    ----------
    predicted, truth
        Integer or bool images of the same shape; axes may differ in order, and by axes of length one.
    instances
        Take ids as objects and also count how many were found.
    ids
        Whether figures per id make sense: ``classes`` have the same id in both images, ``objects`` have any. ``auto``
        takes ids for classes if there are no more than 64, and most pixels that are foreground in both images have
        the same id in both.
    anyway
        Compare also what looks like intensities.

    Raises
    ------
    InvalidInputError
        If the shapes differ, or an image holds floats or looks like intensities.
    """
    predicted, truth = as_labels(predicted), as_labels(truth)
    notes = dict.fromkeys((*notes_about(predicted), *notes_about(truth)))
    _check_labels(predicted, truth)
    pairs = _count_pairs(predicted, truth, anyway=anyway)
    found = np.union1d(pairs.predicted, pairs.truth)
    found = found[found != 0]
    are_classes = not instances and (_look_like_classes(pairs, len(found)) if ids == "auto" else ids == "classes")
    classes = {int(label): _overlap(pairs, label) for label in found} if are_classes else {}
    foreground = _Pairs((pairs.predicted != 0).astype(np.int64), (pairs.truth != 0).astype(np.int64), pairs.pixels)
    overlap = _overlap(foreground, 1)
    minority = _rarest_class(pairs) if len(classes) > 1 else None
    return Evaluation(
        dice=overlap.dice,
        jaccard=overlap.jaccard,
        minority_dice=(
            _overlap(foreground, _rarer(foreground)) if minority is None else _overlap(pairs, minority)
        ).dice,
        minority_class=minority,
        pixel_error=_error(foreground),
        mean_dice=_mean([value.dice for value in classes.values()]) if are_classes else None,
        mean_jaccard=_mean([value.jaccard for value in classes.values()]) if are_classes else None,
        class_error=_error(pairs) if are_classes else None,
        classes=classes,
        instances=_match_objects(pairs) if instances else None,
        note=" ".join(filter(None, (*notes, _note(pairs, instances, are_classes)))),
    )


def _check_labels(predicted: ImageSource, truth: ImageSource) -> None:
    """Refuse what is no labels, and probabilities in particular."""
    if truth.dtype.kind not in "biu":
        raise InvalidInputError(f"The truth holds {truth.dtype}: convert it to integers, for labels or a mask.")
    for source in (predicted, truth):
        if holds_colors(source.spec):
            raise InvalidInputError(COLORED_LABELS.format(name=source.name))
    channels = predicted.spec.sizes.get("c", 1)
    if predicted.dtype.kind not in "biu" or (channels > 1 and truth.spec.sizes.get("c", 1) == 1):
        what = f"{channels} channels" if channels > 1 else f"pixels of type {predicted.dtype}"
        raise InvalidInputError(
            f"The prediction has {what}, as probabilities have: predict labels (--output labels) and evaluate those, "
            "or make labels of it with a threshold."
        )


def _check_no_intensities(predicted: ImageSource, truth: ImageSource) -> None:
    """Refuse integers that are grey levels, of which all figures would be nonsense."""
    for what, source in (("prediction", predicted), ("truth", truth)):
        if levels := intensity_levels(source):
            raise InvalidInputError(
                f"The {what} {source.name} looks like intensities and not like labels, as most of its {levels} numbers "
                "lie scattered: give labels or a mask, or insist with --anyway (anyway=True)."
            )


def _look_like_classes(pairs: _Pairs, ids: int) -> bool:
    both = (pairs.predicted != 0) & (pairs.truth != 0)
    same = both & (pairs.predicted == pairs.truth)
    return ids <= MOST_CLASSES and pairs.pixels[same].sum() >= LEAST_AGREEMENT * pairs.pixels[both].sum()


def _count_pairs(predicted: ImageSource, truth: ImageSource, *, anyway: bool) -> _Pairs:
    """Count the pixels of each pair of ids; once there are many, make sure that they are ids, unless `anyway`."""
    truth_axes = _matching_axes(predicted, truth)
    block = tuple(_BLOCK if axis in "yx" else 1 for axis in predicted.axes)
    totals: dict[tuple[int, int], int] = {}
    for tile in TileGrid(predicted.shape, block):
        first = predicted.read(tile.inner)
        second = truth.read(_translate(tile.inner, predicted.axes, truth_axes))
        second = move_axes(second, truth_axes, predicted.axes)
        for left, right, pixels in _block_pairs(first.ravel(), second.ravel()):
            totals[left, right] = totals.get((left, right), 0) + pixels
        if len(totals) > MOST_CLASSES and not anyway:
            _check_no_intensities(predicted, truth)
            anyway = True
    large = any(id_ > np.iinfo(np.int64).max for pair in totals for id_ in pair)
    keys = np.array(list(totals), object if large else np.int64).reshape(-1, 2)
    return _Pairs(keys[:, 0], keys[:, 1], np.array(list(totals.values()), np.int64))


def _matching_axes(predicted: ImageSource, truth: ImageSource) -> str:
    """Return how to name the axes of `truth` so that they fit those of `predicted`."""
    if predicted.shape == truth.shape:  # a file without metadata may call time z
        return predicted.axes
    here, there = predicted.spec.sizes, truth.spec.sizes
    same = all(here.get(axis, 1) == there.get(axis, 1) for axis in {*here, *there})
    if not same:
        raise InvalidInputError(
            f"The prediction has shape {predicted.shape} ({predicted.axes}), the truth {truth.shape} ({truth.axes}): "
            "choose the truth of the same image, or name its axes."
        )
    return truth.axes


def _translate(region: Region, source: str, target: str) -> Region:
    by_axis = dict(zip(source, region, strict=True))
    return tuple(by_axis.get(axis, slice(0, 1)) for axis in target)


def _block_pairs(first: NDArray[Any], second: NDArray[Any]) -> list[tuple[int, int, int]]:
    """Count the pairs of ids in two arrays of the same length, any integer dtype."""
    first_ids, first = _compact(first)
    second_ids, second = _compact(second)
    width = len(second_ids)
    joint = first * width + second
    if len(first_ids) * width <= _MOST_BINS:
        counts = np.bincount(joint, minlength=len(first_ids) * width)
        found = np.flatnonzero(counts)
        counts = counts[found]
    else:
        found, counts = np.unique(joint, return_counts=True)
    left, right = first_ids[found // width], second_ids[found % width]
    return list(zip(left.tolist(), right.tolist(), counts.tolist(), strict=True))


def _compact(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return candidates for the ids in `values`, and the position of each value among them."""
    low, high = int(values.min()), int(values.max())
    if low >= 0 and high < 1024:  # no sorting for class labels
        return np.arange(high + 1), values.astype(np.int64)
    ids, positions = np.unique(values, return_inverse=True)
    return ids, positions.reshape(-1)


def _overlap(pairs: _Pairs, label: int) -> Overlap:
    predicted, truth = pairs.predicted == label, pairs.truth == label
    shared = int(pairs.pixels[predicted & truth].sum())
    sizes = int(pairs.pixels[predicted].sum()) + int(pairs.pixels[truth].sum())
    if sizes == 0:
        return Overlap(1.0, 1.0)
    return Overlap(2 * shared / sizes, shared / (sizes - shared))


def _error(pairs: _Pairs) -> float:
    return int(pairs.pixels[pairs.predicted != pairs.truth].sum()) / int(pairs.pixels.sum())


def _mean(values: list[float]) -> float:
    """Return the mean; 1 for no values, because two images without any class agree."""
    return float(np.mean(values)) if values else 1.0


def _rarer(pairs: _Pairs) -> int:
    """Return 0 or 1, whichever has fewer pixels in the truth of a mask; 1 if they have as many."""
    return int(pairs.pixels[pairs.truth == 1].sum() <= pairs.pixels[pairs.truth == 0].sum())


def _rarest_class(pairs: _Pairs) -> int:
    """Return the id, 0 included, that has the fewest pixels in the truth, which has one at least."""
    ids, positions = np.unique(pairs.truth, return_inverse=True)
    sizes = np.zeros(len(ids), np.int64)
    np.add.at(sizes, positions, pairs.pixels)
    rarest = ids[sizes == sizes.min()].tolist()
    return int(min(rarest, key=lambda label: _overlap(pairs, label).dice))  # of equal ones that which was found worst


def _match_objects(pairs: _Pairs) -> ObjectMatch:
    predicted_sizes = _sizes(pairs.predicted, pairs.pixels)
    true_sizes = _sizes(pairs.truth, pairs.pixels)
    both = (pairs.predicted != 0) & (pairs.truth != 0)
    unions = [
        predicted_sizes[left] + true_sizes[right] - shared
        for left, right, shared in zip(
            pairs.predicted[both].tolist(), pairs.truth[both].tolist(), pairs.pixels[both].tolist(), strict=True
        )
    ]
    overlaps = pairs.pixels[both] / np.array(unions, float)
    precision = {}
    for threshold in IOU_THRESHOLDS:
        found = int((overlaps > threshold).sum())  # above one half, so no object matches two
        objects = len(predicted_sizes) + len(true_sizes) - found
        precision[f"{threshold:.2f}"] = found / objects if objects else 1.0
    return ObjectMatch(
        predicted_objects=len(predicted_sizes),
        true_objects=len(true_sizes),
        average_precision=precision,
        ap50=precision["0.50"],
        mean_average_precision=_mean(list(precision.values())),
    )


def _sizes(ids: NDArray[Any], pixels: NDArray[np.int64]) -> dict[int, int]:
    """Return the size in pixels of every id but 0."""
    labels, positions = np.unique(ids, return_inverse=True)
    sizes = np.zeros(len(labels), np.int64)
    np.add.at(sizes, positions, pixels)
    return {label: size for label, size in zip(labels.tolist(), sizes.tolist(), strict=True) if label != 0}


def _note(pairs: _Pairs, instances: bool, are_classes: bool) -> str:
    predicted = set(pairs.predicted.tolist()) - {0}
    truth = set(pairs.truth.tolist()) - {0}
    if instances and len(predicted) == 1 < len(truth):
        return "The prediction has one id, so all of its foreground counts as one object: separate the objects first."
    if instances:
        return "Each id counts as one object."
    if are_classes and len(predicted) > 1 < len(truth):
        return ""
    if are_classes and predicted == truth:
        return ""
    return (
        f"The prediction has {_ids(predicted)} and the truth {_ids(truth)}: dice, jaccard and pixel_error compare the "
        "foreground, whatever its ids; --instances compares ids as objects, --classes as classes."
    )


def _ids(ids: set[int]) -> str:
    return f"the id {next(iter(ids))}" if len(ids) == 1 else f"{len(ids)} ids"

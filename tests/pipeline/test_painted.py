"""What an annotation holds, and whether it looks like what it is said to be."""

import pytest

from napari_tessera.config.training import Annotation
from napari_tessera.pipeline.learning.painted import Remedy, describe_counts, find_doubt, listed

STROKES, MASKS, OBJECTS = Annotation.SCRIBBLES, Annotation.DENSE, Annotation.OBJECTS


@pytest.mark.parametrize(
    ("numbers", "annotation", "sentence", "remedy"),
    [
        ((0, 2, 3), STROKES, "No background (1) is painted, found 2 and 3.", Remedy.PAINT),
        ((0, 1, 2, 7), STROKES, "Found 1, 2 and 7: is 7 a class, painted with 10 pixels?", None),
        ((0, 1, 2, 7, 8), STROKES, "is 7 or 8 a class, painted with 20 pixels?", None),
        ((0, 1, 7), MASKS, "is 7 a class", None),
        (tuple(range(41)), STROKES, "Found 40 ids: these look like objects", Remedy.OBJECTS),
        (tuple(range(41)), MASKS, "Found 40 ids: these look like objects", Remedy.OBJECTS),
        ((0, 1), STROKES, "Found 1 alone", Remedy.MASKS),
        ((1, 2), MASKS, "No pixel is 0, found 1 and 2", Remedy.STROKES),
    ],
)
def test_what_looks_like_something_else_is_doubted(numbers, annotation, sentence, remedy) -> None:
    doubt = find_doubt(dict.fromkeys(numbers, 10), annotation, known=(1, 2))
    assert doubt is not None
    assert sentence in doubt.sentence
    assert doubt.remedy is remedy


@pytest.mark.parametrize(
    ("numbers", "annotation", "known"),
    [
        ((0, 1, 2), STROKES, (1, 2)),
        ((0, 1, 2, 3), STROKES, (1, 2)),  # the next number is what a person takes for a further class
        ((0, 1, 2, 7), STROKES, (1, 2, 7)),
        ((0, 255), MASKS, (0, 1)),  # a mask of 8 bits
        ((0, 1, 2), MASKS, (0, 1)),
        (tuple(range(13)), STROKES, range(1, 13)),
        (tuple(range(41)), OBJECTS, ()),
        ((0,), STROKES, (1, 2)),
        ((0, 2), STROKES, (1, 2)),  # refused with what is missing
    ],
)
def test_what_was_meant_is_not_doubted(numbers, annotation, known) -> None:
    assert find_doubt(dict.fromkeys(numbers, 10), annotation, known) is None


def test_background_alone_is_a_beginning_in_a_layer_for_strokes() -> None:
    doubt = find_doubt({0: 50, 1: 10}, STROKES, (1, 2), begun_here=True)
    assert doubt is not None
    assert "paint what you look for with 2" in doubt.sentence
    assert doubt.remedy is Remedy.CLASS
    assert find_doubt({0: 50, 1: 10, 2: 1}, STROKES, (1, 2), begun_here=True) is None


def test_what_was_erased_does_not_count() -> None:
    assert find_doubt({0: 50, 1: 10, 2: 10, 7: 0}, STROKES, (1, 2)) is None


@pytest.mark.parametrize(
    ("counts", "annotation", "line"),
    [
        ({0: 9}, STROKES, "Nothing is painted yet."),
        ({}, MASKS, "Nothing is painted yet."),
        ({0: 9, 1: 1, 2: 1234}, STROKES, "Found 1 (1 pixel) and 2 (1,234 pixels)."),
        ({0: 9, 1: 5}, MASKS, "Found 0 (9 pixels) and 1 (5 pixels)."),
        ({0: 9, 4: 1}, OBJECTS, "Found 1 object."),
        (dict.fromkeys(range(41), 5), OBJECTS, "Found 40 objects."),
        (dict.fromkeys(range(41), 5), STROKES, "Found 40 numbers, from 1 to 40."),
    ],
)
def test_what_was_found_in_a_line(counts, annotation, line) -> None:
    assert describe_counts(counts, annotation) == line


def test_long_lists_are_shortened() -> None:
    assert listed([3, 1]) == "1 and 3"
    assert listed(range(1, 20)) == "1, 2, 3, 4, 5 and 14 more"

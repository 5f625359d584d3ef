"""What is said about figures that mean little."""

import numpy as np
import pytest

from napari_tessera.config.model import ClassSpec
from napari_tessera.config.training import Annotation
from napari_tessera.nn.samples import IGNORED, Sample
from napari_tessera.nn.validation import Score
from napari_tessera.pipeline.learning.trust import describe_held_out, with_score

CLASSES = (
    ClassSpec(id=0, name="background", color="#808080"),
    ClassSpec(id=2, name="cell", color="#ff0000"),
)


def score(error: float) -> Score:
    return Score(loss=0.1, dice=1 - error, weakest_dice=1 - error, error=error, quality=1 - error)


def painted(*bars: tuple[int, int, int]) -> Sample:
    """Return a sample with horizontal bars: class, row, length."""
    target = np.full((60, 200), IGNORED, np.uint8)
    for index, row, length in bars:
        target[row, :length] = index
    return Sample(np.zeros((1, *target.shape), np.float32), target)


def test_enough_in_several_places_is_not_doubted() -> None:
    sample = painted((0, 1, 80), (0, 5, 80), (1, 10, 70), (1, 20, 70))
    held_out = describe_held_out([sample], CLASSES, Annotation.SCRIBBLES)
    assert held_out is not None
    assert (held_out.pixels, held_out.strokes, held_out.doubt) == ({0: 160, 2: 140}, 4, "")


@pytest.mark.parametrize(
    ("bars", "pixels", "strokes"),
    [
        (((0, 1, 80), (0, 5, 80), (1, 10, 20), (1, 20, 20)), 200, 4),
        (((0, 1, 80), (0, 5, 80), (1, 10, 150)), 310, 3),
        (((0, 1, 80), (0, 5, 80)), 160, 2),
    ],
)
def test_too_few_pixels_or_strokes_are_said_with_their_count(
    bars: tuple[tuple[int, int, int], ...], pixels: int, strokes: int
) -> None:
    held_out = describe_held_out([painted(*bars)], CLASSES, Annotation.SCRIBBLES)
    assert held_out is not None
    assert f"Only {pixels} pixels in {strokes} strokes" in held_out.doubt
    assert "too few of cell to say" in held_out.doubt
    assert with_score(held_out, score(0.0)).doubt == held_out.doubt


def test_complete_annotation_has_no_strokes_to_count() -> None:
    held_out = describe_held_out([painted((0, 1, 150), (1, 10, 150))], CLASSES, Annotation.DENSE)
    assert held_out is not None
    assert not held_out.doubt


def test_what_is_all_right_is_too_easy() -> None:
    held_out = describe_held_out(
        [painted((0, 1, 150), (0, 3, 9), (1, 9, 150), (1, 30, 9))], CLASSES, Annotation.OBJECTS
    )
    assert held_out is not None
    assert "All 318 held-out pixels are right" in with_score(held_out, score(0.0)).doubt
    assert with_score(held_out, score(0.01)) == held_out
    assert with_score(held_out, None) == held_out


def test_nothing_held_out_is_nothing_to_describe() -> None:
    assert describe_held_out([], CLASSES, Annotation.SCRIBBLES) is None

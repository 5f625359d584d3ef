"""What painted numbers mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_tessera.config.training import Annotation, TrainingConfig
from napari_tessera.core.errors import AnnotationError, InvalidInputError
from napari_tessera.core.image import ImageSource
from napari_tessera.io.opening import open_image
from napari_tessera.nn.samples import IGNORED
from napari_tessera.nn.tasks.classes import make_target
from napari_tessera.pipeline.learning.annotation import (
    class_numbers,
    describe_classes,
    find_painted,
    fit_labels,
)


@given(arrays(np.uint8, (6, 7), elements=st.integers(0, 4)))
def test_scribbles_ignore_zero_and_count_from_one(pixels: np.ndarray) -> None:
    target = make_target(pixels, (1, 2, 4), Annotation.SCRIBBLES)
    expected = {0: IGNORED, 1: 0, 2: 1, 3: IGNORED, 4: 2}
    assert target.tolist() == [[expected[int(number)] for number in row] for row in pixels]


@given(arrays(np.int64, (6, 7), elements=st.sampled_from([0, 5, 100_000])))
def test_dense_counts_every_pixel(pixels: np.ndarray) -> None:
    target = make_target(pixels, (0, 5, 100_000), Annotation.DENSE)
    assert np.array_equal(np.array([0, 5, 100_000])[target], pixels)


@pytest.mark.parametrize("dtype", ["bool", "u1", "u2", "u4", "i1", "i2", "i8"])
def test_large_pieces_become_what_small_ones_do(dtype: str) -> None:
    """Of small types a table is looked up where that is worth it."""
    most = 1 if dtype == "bool" else 120
    pixels = np.random.default_rng(0).integers(0, most + 1, (300, 300)).astype(dtype)
    for numbers, annotation in (((0, 1, 7, 119), Annotation.DENSE), ((0, 1), Annotation.OBJECTS)):
        rows = [make_target(row, numbers, annotation) for row in pixels]
        assert np.array_equal(make_target(pixels, numbers, annotation), np.stack(rows))
    assert find_painted([open_image(pixels)]) == tuple(range(most + 1))


def test_objects_become_one_class() -> None:
    pixels = np.array([[0, 7, 70_000]], dtype=np.uint32)
    numbers = class_numbers((0, 7, 70_000), Annotation.OBJECTS)
    assert numbers == (0, 1)
    assert make_target(pixels, numbers, Annotation.OBJECTS).tolist() == [[0, 1, 1]]


@pytest.mark.parametrize(
    ("painted", "annotation", "message"),
    [
        ((), "scribbles", "empty"),
        ((0,), "scribbles", "empty"),
        ((0,), "dense", "empty"),
        ((0, 1), "scribbles", "one class only"),
        ((0, 2), "scribbles", "one class only"),
        ((3,), "dense", "one class only"),
        ((1, 2), "objects", "one class only"),
        (tuple(range(300)), "dense", "annotation kind objects"),
    ],
)
def test_annotation_that_teaches_nothing_is_refused(painted, annotation, message) -> None:
    with pytest.raises(AnnotationError, match=message):
        class_numbers(painted, Annotation(annotation))


def test_negative_numbers_are_refused() -> None:
    with pytest.raises(AnnotationError, match="negative number -3"):
        find_painted([open_image(np.array([[0, 1], [2, -3]]))])


def test_labels_of_another_shape_are_refused() -> None:
    image = open_image(np.zeros((3, 20, 30)), axes="cyx")
    fit_labels(image, open_image(np.zeros((20, 30), dtype=int)))
    with pytest.raises(AnnotationError, match="needs"):
        fit_labels(image, open_image(np.zeros((20, 31), dtype=int)))


def calibrated(shape: tuple[int, ...], scale: float, unit: str | None) -> ImageSource:
    return open_image(np.ones(shape, np.uint8), axes="yx", scale=(scale, scale), units=(unit, unit))


def test_labels_of_another_pixel_size_are_refused() -> None:
    image = calibrated((20, 30), 0.325, "micrometer")
    for scale, unit in ((0.325, "micrometer"), (0.3251, "micrometer"), (1.0, None)):
        fit_labels(image, calibrated((20, 30), scale, unit))
    with pytest.raises(AnnotationError, match=r"0\.65 micrometer along y"):
        fit_labels(image, calibrated((20, 30), 0.65, "micrometer"))


def test_guessed_axes_follow_the_image() -> None:
    image = open_image(np.zeros((4, 3, 20, 30)), axes="tcyx")
    labels = open_image(np.zeros((4, 20, 30), dtype=int))
    assert (labels.axes, fit_labels(image, labels).axes) == ("zyx", "tyx")


def test_fractional_labels_are_refused() -> None:
    with pytest.raises(AnnotationError, match="float64"):
        fit_labels(open_image(np.zeros((4, 4))), open_image(np.zeros((4, 4))))


def test_background_is_zero_in_every_mode() -> None:
    scribbles = describe_classes((1, 2, 5), TrainingConfig(annotation="scribbles"))
    assert [entry.id for entry in scribbles] == [0, 2, 5]
    assert [entry.name for entry in scribbles] == ["background", "class 2", "class 5"]
    dense = describe_classes((0, 3), TrainingConfig(annotation="dense"))
    assert [entry.id for entry in dense] == [0, 3]


def test_names_and_colours_follow_the_settings() -> None:
    config = TrainingConfig(annotation="scribbles", class_names={2: "nucleus"}, class_colors={2: "#112233"})
    assert describe_classes((1, 2), config)[1].model_dump() == {"id": 2, "name": "nucleus", "color": "#112233"}
    with pytest.raises(InvalidInputError, match="Class 2 is named but not annotated"):
        describe_classes((1, 3), config)


@pytest.mark.parametrize("axes", ["czyx", "tczyx", "yx", "cyx"])
def test_labels_may_lack_axes_of_length_one_and_have_others(axes: str) -> None:
    image = open_image(np.zeros((2, 1, 5, 6)), axes="czyx", scale=(1, 3, 2, 2))
    pixels = np.arange(30).reshape([*(1,) * (len(axes) - 2), 5, 6])
    labels = fit_labels(image, open_image(pixels, axes=axes))
    assert (labels.axes, labels.shape) == ("zyx", (1, 5, 6))
    region = (slice(0, 1), slice(1, 3), slice(2, 6))
    assert np.array_equal(labels.read(region), pixels.reshape(1, 5, 6)[region])


def test_labels_of_two_channels_fit_no_image() -> None:
    image = open_image(np.zeros((2, 5, 6)), axes="cyx")
    with pytest.raises(AnnotationError, match="needs"):
        fit_labels(image, open_image(np.zeros((2, 5, 6), int), axes="cyx"))


def test_labels_are_compared_in_one_unit_and_by_their_place() -> None:
    pixels = np.zeros((6, 7), np.uint8)
    um, nm = {"units": ("micrometer",) * 2}, {"units": ("nanometer",) * 2}
    image = open_image(pixels, scale=(0.5, 0.5), translate=(10, 20), **um)
    assert fit_labels(image, open_image(pixels, scale=(500, 500), **nm)).shape == (6, 7)
    assert fit_labels(image, open_image(pixels, scale=(500, 500), translate=(1e4, 2e4), **nm)).shape == (6, 7)
    with pytest.raises(AnnotationError, match=r"pixels of 5000 nanometer along y but .* have 0.5 micrometer"):
        fit_labels(image, open_image(pixels, scale=(5000, 5000), **nm))
    with pytest.raises(AnnotationError, match=r"begin at 25 micrometer along x but .* at 20 micrometer"):
        fit_labels(image, open_image(pixels, scale=(0.5, 0.5), translate=(10, 25), **um))

"""An annotation is learnt where it is seen: of another pixel size, shifted, a part; or it is refused."""

import dask.array
import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_tessera.config.training import Annotation
from napari_tessera.core.errors import AnnotationError
from napari_tessera.core.jobs import CancelToken
from napari_tessera.napari_plugin.home import current_home
from napari_tessera.napari_plugin.training.fitting import Fit, fit, take_over
from napari_tessera.napari_plugin.training.training_inputs import Pair, TrainingInputs

pytestmark = pytest.mark.gui

CLASSES = {1: ("background", "#ffff00"), 2: ("cell", "#ff0000")}


def seen(annotation, image, axes="yx"):
    """Return the number that lies under the centre of each pixel of a 2D image, found by asking the layers."""
    shape = image.data.shape
    found = np.zeros(shape, annotation.data.dtype)
    for index in np.ndindex(shape):
        own = np.floor(np.asarray(annotation.world_to_data(image.data_to_world(index))) + 0.5 + 1e-6).astype(int)
        if ((own >= 0) & (own < annotation.data.shape)).all():
            found[index] = annotation.data[tuple(own)]
    return found


def numbers(shape, high=5):
    return np.random.default_rng(3).integers(0, high, shape).astype(np.uint8)


PLACES = {
    "the same": ({}, {}, (12, 9)),
    "finer": ({}, {"scale": (0.325, 0.325)}, (40, 31)),
    "coarser": ({}, {"scale": (3, 2)}, (4, 5)),
    "coarser, corner on corner": ({}, {"scale": (2, 2), "translate": (0.5, 0.5)}, (6, 5)),
    "a part": ({"scale": (0.5, 0.5)}, {"scale": (0.5, 0.5), "translate": (1.5, 2)}, (4, 3)),
    "larger than the image": ({}, {"translate": (-3, -2)}, (30, 20)),
    "calibrated and moved": (
        {"scale": (0.2, 0.3), "translate": (10, 5)},
        {"scale": (0.4, 0.1), "translate": (10.2, 4)},
        (9, 40),
    ),
    "mirrored by its affine": ({}, {"affine": [[-1, 0, 8], [0, 1, 0], [0, 0, 1]]}, (12, 9)),
    "both turned alike": ({"rotate": 30, "scale": (2, 2)}, {"rotate": 30, "scale": (1, 1)}, (24, 18)),
}


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_what_is_seen_is_learnt(place, lazy):
    of_image, of_annotation, shape = PLACES[place]
    image = Image(np.zeros((12, 9)), **of_image)
    annotation = Labels(numbers(shape), **of_annotation)
    found = fit(annotation, image, "yx")
    assert isinstance(found, Fit), found
    data = dask.array.from_array(annotation.data, chunks=5) if lazy else annotation.data
    taken = np.asarray(take_over(data, found, CancelToken()))
    np.testing.assert_array_equal(taken, seen(annotation, image))
    assert taken.any()


def test_what_fits_is_not_copied():
    image = Image(np.zeros((12, 9)), scale=(2, 3), translate=(1, 1), rotate=20)
    annotation = Labels(numbers((12, 9)), scale=(2, 3), translate=(1, 1), rotate=20)
    assert take_over(annotation.data, fit(annotation, image, "yx"), CancelToken()) is annotation.data


def test_planes_and_channels():
    image = Image(np.zeros((3, 2, 8, 6)), scale=(4, 1, 2, 2), translate=(0, 0, 10, 10))
    one_plane = Labels(numbers((1, 4, 3)), scale=(4, 2, 2), translate=(8, 12, 14))
    found = fit(one_plane, image, "zcyx")
    assert found.region == (slice(2, 3), slice(1, 5), slice(2, 5))
    taken = take_over(one_plane.data, found, CancelToken())
    np.testing.assert_array_equal(taken[2, 1:5, 2:5], one_plane.data[0])
    assert not taken[:2].any()
    with_channel = Labels(numbers((3, 1, 8, 6)), scale=(4, 1, 2, 2), translate=(0, 0, 10, 10))
    taken = take_over(with_channel.data, fit(with_channel, image, "zcyx"), CancelToken())
    np.testing.assert_array_equal(taken, with_channel.data[:, 0])


REFUSED = {
    "rotated": ({}, {"rotate": 5}, "rotated or sheared"),
    "sheared": ({}, {"shear": [0.2]}, "rotated or sheared"),
    "an image rotated": ({"rotate": 90}, {}, "rotated or sheared"),
    "in other units": ({"units": ("um", "um")}, {"units": ("nm", "nm")}, "nanometer but 'cells' in micrometer"),
    "calibrated over an image that is not": ({}, {"scale": (0.325, 0.325), "units": ("um", "um")}, "same units"),
    "beside it": ({}, {"translate": (12, 0)}, "lies beside 'cells'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_taken_over_is_refused(case):
    of_image, of_annotation, sentence = REFUSED[case]
    image = Image(np.zeros((12, 9)), name="cells", **of_image)
    annotation = Labels(numbers((12, 9)), name="strokes", **of_annotation)
    problem = Pair(image, "yx", annotation).problem
    assert sentence in problem
    assert problem.endswith(", or press Lay it on the image.")
    with pytest.raises(AnnotationError, match="strokes"):
        inputs([Pair(image, "yx", annotation)])


def test_what_has_other_pixels_cannot_be_laid_on():
    problem = Pair(Image(np.zeros((12, 9))), "yx", Labels(numbers((6, 9)), rotate=5)).problem
    assert problem.endswith(", or press New annotation layer.")


def test_units_that_one_of_two_equal_layers_lacks_do_not_matter():
    image = Image(np.zeros((12, 9)), units=("um", "um"))
    assert fit(Labels(numbers((12, 9))), image, "yx").exact


def test_too_few_dimensions_are_refused():
    told = fit(Labels(numbers((12, 9))), Image(np.zeros((3, 12, 9))), "zyx")
    assert "needs (3, 12, 9)" in str(told)


def inputs(pairs, annotation=Annotation.SCRIBBLES, **options):
    session = current_home()
    return TrainingInputs(pairs, annotation, CLASSES, {}, session.models / "m", session, **options)


def arrays_of(prepared):
    request = prepared(CancelToken())
    opened = [(image.open(), labels.open()) for image, labels in zip(request.images, request.labels, strict=True)]
    read = [tuple(source.read(source.spec.full_region) for source in pair) for pair in opened]
    prepared.clean()
    return read, opened


def test_the_worker_gets_strokes_on_the_pixels_of_the_image():
    image = Image(numbers((12, 9), 200), scale=(2, 2))
    strokes = Labels(numbers((6, 6), 3), scale=(1, 1), translate=(4, 4))
    [(pixels, labels)], [(_, source)] = arrays_of(inputs([Pair(image, "yx", strokes)]))
    np.testing.assert_array_equal(pixels, image.data)
    np.testing.assert_array_equal(labels, seen(strokes, image))
    assert source.scale == (2, 2)


@pytest.mark.parametrize("kind", [Annotation.DENSE, Annotation.OBJECTS])
def test_beside_a_complete_mask_nothing_is_learnt(kind):
    image = Image(np.stack([numbers((12, 9), 200)] * 2), scale=(1, 2, 2), translate=(0, 1, 1))
    mask = Labels(numbers((4, 5), 2), scale=(2, 2), translate=(5, 3))
    prepared = inputs([Pair(image, "cyx", mask)], kind)
    [(pixels, labels)], [(source, _)] = arrays_of(prepared)
    np.testing.assert_array_equal(pixels, image.data[:, 2:6, 1:6])
    np.testing.assert_array_equal(labels, mask.data)
    assert prepared.starts == [(2, 1)]
    assert source.spec.translate == (0, 5, 3)


def test_complete_masks_over_different_parts_are_refused():
    image = Image(np.zeros((12, 9)))
    masks = [Labels(numbers((4, 4), 2), translate=(at, 0)) for at in (0, 6)]
    with pytest.raises(AnnotationError, match="different parts"):
        inputs([Pair(image, "yx", mask) for mask in masks], Annotation.DENSE)


def test_a_class_between_the_pixels_of_the_image_is_told():
    fine = np.ones((12, 12), np.uint8)
    fine[0::4], fine[2] = 2, 3  # only every fourth row lies on a pixel's centre
    pair = Pair(Image(np.zeros((3, 3)), scale=(4, 4)), "yx", Labels(fine, name="strokes"))
    with pytest.raises(AnnotationError, match="3 in 'strokes' is painted so thinly"):
        inputs([pair], sure=True)(CancelToken())

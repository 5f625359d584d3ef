import imagecodecs
import numpy as np
import pytest

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.pipeline.samples.overlay import TINT, draw_overlay, write_png


def test_classes_are_outlined_in_their_colour_and_tinted_inside():
    image = np.full((20, 20, 3), 100, np.uint8)
    labels = np.zeros((20, 20), np.uint8)
    labels[5:15, 5:15] = 2
    picture = draw_overlay(image, "yxc", labels, {2: "#ff0000"})
    np.testing.assert_array_equal(picture[5, 10], (255, 0, 0))
    tinted = (1 - TINT) * np.array([100, 100, 100]) + TINT * np.array([255, 0, 0])
    np.testing.assert_allclose(picture[10, 10], tinted, atol=1)
    np.testing.assert_array_equal(picture[0, 0], (100, 100, 100))


def test_grey_images_are_stretched_whatever_their_range():
    ramp = np.linspace(1000, 1200, 400).reshape(20, 20).astype(np.uint16)
    picture = draw_overlay(ramp, "yx", np.zeros((20, 20), np.uint8), {})
    assert picture.shape == (20, 20, 3)
    assert picture.min() == 0
    assert picture.max() == 255
    assert (np.diff(picture[..., 0].ravel().astype(int)) >= 0).all()


def test_background_and_unknown_colours_are_left_alone():
    image = np.full((8, 8, 3), 50, np.uint8)
    labels = np.arange(64).reshape(8, 8) % 3
    np.testing.assert_array_equal(draw_overlay(image, "yxc", labels, {0: "#ffffff", 9: "#00ff00"}), image)


def test_channels_may_stand_anywhere():
    image = np.random.default_rng(0).integers(0, 255, (3, 6, 7)).astype(np.uint8)
    labels = np.zeros((6, 7), np.uint8)
    np.testing.assert_array_equal(draw_overlay(image, "cyx", labels, {}), np.moveaxis(image, 0, -1))


def test_sizes_must_match():
    with pytest.raises(InvalidInputError):
        draw_overlay(np.zeros((4, 4)), "yx", np.zeros((4, 5), np.uint8), {})


def test_png_reads_back(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (9, 7, 3)).astype(np.uint8)
    write_png(tmp_path / "a.png", picture)
    np.testing.assert_array_equal(imagecodecs.png_decode((tmp_path / "a.png").read_bytes()), picture)

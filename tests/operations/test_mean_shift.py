"""Mean shift against a plain version of the definition."""

import numpy as np
import pytest

import napari_tessera as nt
from napari_tessera.io.opening import open_image

MeanShift = nt.operations.MeanShift


def shifted(values, start, radius, spread, iterations):
    """Move one pixel of (*space, c) as the definition says."""
    grid = np.indices(values.shape[:-1]).reshape(values.ndim - 1, -1).T
    colors = values.reshape(-1, values.shape[-1])
    place, color = np.array(start, float), values[start].astype(float)
    for _ in range(iterations):
        near = (((grid - place) ** 2).sum(1) <= radius**2) & (((colors - color) ** 2).sum(1) <= spread**2)
        new = grid[near].mean(0), colors[near].mean(0)
        moved = np.abs(new[0] - place).sum() + np.abs(new[1] - color).sum() / spread
        place, color = new
        if moved < 0.01:
            break
    return color


@pytest.mark.parametrize("shape", [(9, 11, 1), (8, 7, 3), (4, 6, 5, 2)])
def test_pixels_move_as_defined(shape):
    values = 100 * np.random.default_rng(0).random(shape)
    axes = {3: "yxc", 4: "zyxc"}[len(shape)]
    image = open_image(values[..., 0], axes="yx") if shape[-1] == 1 else open_image(values, axes=axes)
    result = nt.apply(MeanShift(radius=3, spread=40, iterations=3), image).reshape(shape)
    for start in np.ndindex(*shape[:-1]):
        np.testing.assert_allclose(result[start], shifted(values, start, 3, 40, 3), rtol=1e-9)


def test_two_regions_become_flat_and_their_edge_stays():
    rng = np.random.default_rng(1)
    truth = np.where(np.arange(40) < 20, 60, 180)[None].repeat(30, 0)
    image = (truth + rng.normal(0, 8, truth.shape)).astype(np.uint8)
    result = nt.apply(MeanShift(spread=40), image)
    assert result.dtype == np.uint8
    assert np.abs(result.astype(int) - truth).max() < 8
    assert (result - truth).std() < (image - truth).std() / 3


@pytest.mark.parametrize("image", [np.full((1, 1), 7, np.uint8), np.full((5, 6), 3.5, np.float32)])
def test_constants_stay(image):
    np.testing.assert_array_equal(nt.apply(MeanShift(), image), image)

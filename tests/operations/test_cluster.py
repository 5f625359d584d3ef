"""Clusters: the best division in one channel, scikit-learn in several, and the same however an image is cut."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage as ndi
from skimage import data
from sklearn import cluster, metrics, mixture

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block
from napari_tessera.operations.catalogue.cluster import GaussianMixture, KMeans
from napari_tessera.operations.thresholding.clustering import (
    by_brightness,
    fit_gaussians,
    kmeans,
    nearest_centres,
    sample_pixels,
    scores_of,
    thrown,
)
from napari_tessera.operations.whole import WholeFrame

COINS = data.coins()
RGB = data.astronaut()[::4, ::4]
VOLUME = ndi.gaussian_filter(np.random.default_rng(4).normal(size=(9, 24, 26)), 2)


def coloured(image=RGB):
    return nt.open_image(image, axes="yxc")


def same_on_tiles(operation, image, *tiles: int):
    whole = nt.apply(operation, image)
    for tile in tiles or (9, 50):
        np.testing.assert_array_equal(nt.apply(operation, image, tile=tile), whole)
    assert whole.dtype == np.uint8
    return whole


def blobs(random, n=3000, channels=2):
    """Return values (channels, n) around three centres of different spread, and which centre each belongs to."""
    truth = random.choice(3, n, p=[0.5, 0.3, 0.2])
    centres = np.array([[0, 0, 0], [6, 1, 2], [3, 9, 5]], float)[:, :channels]
    widths = np.array([1.0, 0.5, 1.5])
    return (centres[truth] + random.normal(size=(n, channels)) * widths[truth, None]).T, truth


def test_kmeans_of_one_channel_is_no_worse_than_scikit_learn():
    classes = same_on_tiles(KMeans(clusters=4), COINS)
    other = cluster.KMeans(4, n_init=5, random_state=0).fit(COINS.reshape(-1, 1).astype(float))
    values = COINS.astype(float)
    error = sum(((values[classes == k] - values[classes == k].mean()) ** 2).sum() for k in range(4))
    assert error <= other.inertia_ * (1 + 1e-9)
    assert metrics.adjusted_rand_score(classes.ravel(), other.labels_) > 0.95


@pytest.mark.parametrize("image", [VOLUME, VOLUME.astype(np.float32), (VOLUME * 1000).astype(np.int32)])
@pytest.mark.parametrize("operation", [KMeans(clusters=3), GaussianMixture(clusters=2)])
def test_volumes_of_one_channel(operation, image):
    classes = same_on_tiles(operation, image, 7)
    means = [image[classes == k].mean() for k in range(operation.clusters)]
    assert means == sorted(means)


@pytest.mark.parametrize("operation", [KMeans(clusters=3), GaussianMixture(clusters=3)])
@pytest.mark.parametrize("sample", [2000, 1_000_000])
def test_several_channels_on_tiles(operation, sample):
    operation = operation.with_overrides({"sample": sample})
    classes = same_on_tiles(operation, coloured())
    assert classes.shape == RGB.shape[:2]
    means = [RGB[classes == k].mean(axis=0).sum() for k in range(3)]
    assert means == sorted(means)


def test_channels_stand_anywhere():
    expected = nt.apply(KMeans(), coloured())
    first = nt.open_image(np.ascontiguousarray(RGB.transpose(2, 0, 1)), axes="cyx")
    np.testing.assert_array_equal(nt.apply(KMeans(), first), expected)
    volume = nt.open_image(np.stack([RGB, RGB]), axes="zyxc")
    # twice the pixels, another sample
    np.testing.assert_array_equal(
        nt.apply(KMeans(sample=1_000_000), volume)[1], nt.apply(KMeans(sample=1_000_000), coloured())
    )


def test_one_channel_with_an_axis_of_its_own():
    alone = nt.open_image(COINS[..., None], axes="yxc")
    for operation in (KMeans(), GaussianMixture()):
        np.testing.assert_array_equal(nt.apply(operation, alone), nt.apply(operation, COINS))


def test_kmeans_of_several_channels_equals_scikit_learn():
    values, _ = blobs(np.random.default_rng(1), channels=3)
    centres = kmeans(values, np.ones(values.shape[1]), 3, seed=0)
    other = cluster.KMeans(3, n_init=10, random_state=0).fit(values.T)
    order = by_brightness(other.cluster_centers_)
    np.testing.assert_allclose(centres[by_brightness(centres)], other.cluster_centers_[order], atol=1e-2)
    _, squares = nearest_centres(values, centres)
    assert squares.sum() <= other.inertia_ * (1 + 1e-4)


def test_weights_count_as_repetition():
    random = np.random.default_rng(2)
    values, _ = blobs(random, 400)
    counts = random.integers(1, 5, 400)
    # rows that occur several times, against weights: the optimum is the same, whatever the start
    one = kmeans(values, counts.astype(float), 3, 0)
    other = kmeans(np.repeat(values, counts, axis=1), np.ones(counts.sum()), 3, 0)
    np.testing.assert_allclose(one[by_brightness(one)], other[by_brightness(other)])


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_mixture_equals_scikit_learn(channels):
    values, _ = blobs(np.random.default_rng(3), channels=channels)
    ours = fit_gaussians(values, np.ones(values.shape[1]), 3, seed=0)
    other = mixture.GaussianMixture(3, random_state=0, n_init=3, tol=1e-6, max_iter=500).fit(values.T)
    mine, theirs = by_brightness(ours.means), by_brightness(other.means_)
    np.testing.assert_allclose(ours.means[mine], other.means_[theirs], atol=0.1)
    np.testing.assert_allclose(ours.shares[mine], other.weights_[theirs], atol=0.02)
    np.testing.assert_allclose(ours.covariances[mine], other.covariances_[theirs], atol=0.15)
    scores = scores_of(values, ours)
    constant = channels / 2 * np.log(2 * np.pi)
    likelihood = np.log(np.exp(scores).sum(axis=0)).mean() - constant
    assert likelihood > other.score(values.T) - 1e-3


def test_mixture_finds_a_wide_cluster_beside_a_narrow_one():
    random = np.random.default_rng(5)
    truth = np.zeros((128, 128), bool)
    truth[:64] = True
    image = np.where(truth, random.normal(115, 25, truth.shape), random.normal(50, 3, truth.shape))
    image = np.clip(image, 0, 255).astype(np.uint8)
    found = nt.apply(GaussianMixture(clusters=2), image)
    assert (found == truth).mean() > 0.98
    assert (nt.apply(KMeans(clusters=2), image) == truth).mean() < 0.95


def test_equal_weights_bring_out_a_dim_channel():
    random = np.random.default_rng(6)
    truth = np.zeros((64, 64), np.uint8)
    truth[:, 32:] = 1
    bright = random.normal(1000, 100, truth.shape)
    dim = truth * 4 + random.normal(10, 0.5, truth.shape)
    image = nt.open_image(np.stack([bright, dim]), axes="cyx")
    equal = nt.apply(KMeans(clusters=2), image)
    as_is = nt.apply(KMeans(clusters=2, equal_weights=False), image)
    assert max((equal == truth).mean(), (equal != truth).mean()) > 0.95
    assert 0.3 < (as_is == truth).mean() < 0.7


def test_seed_and_repetition():
    one = nt.apply(KMeans(clusters=5, sample=1000), coloured())
    np.testing.assert_array_equal(nt.apply(KMeans(clusters=5, sample=1000), coloured()), one)
    assert (nt.apply(KMeans(clusters=5, sample=1000, seed=1), coloured()) != one).any()


@given(st.integers(1000, 20_000), st.integers(0, 2**32 - 1))
def test_sample_has_about_the_size_asked_for(size, seed):
    image = np.arange(3 * 128 * 150, dtype=np.int32).reshape(3, 128, 150)
    spec = ImageSpec(axes="cyx", shape=image.shape, dtype=image.dtype)
    values = sample_pixels(WholeFrame(Block(image, spec, spec.full_region)), size, seed)
    count = values.shape[1]
    if size >= 128 * 150:
        assert count == 128 * 150
    else:
        assert abs(count - size) < 6 * np.sqrt(size)
    # pixels keep their channels together, in raster order, each once
    assert (np.diff(values[0]) > 0).all()
    np.testing.assert_array_equal(values[1] - values[0], 128 * 150)


class Pieces(WholeFrame):
    """A survey of single columns, from the last to the first."""

    def reduce(self, measure, combine):
        block = self.block
        result = None
        for at in reversed(range(block.image.shape[-1])):
            region = (*block.region[:-1], slice(at, at + 1))
            value = measure(replace(block, image=block.image[region], region=region))
            result = value if result is None else combine(result, value)
        return result


@pytest.mark.parametrize("size", [1000, 10**6])
def test_sample_is_the_same_in_pieces(size):
    image = np.random.default_rng(0).random((2, 40, 50))
    spec = ImageSpec(axes="cyx", shape=image.shape, dtype=image.dtype)
    block = Block(image, spec, spec.full_region)
    np.testing.assert_array_equal(sample_pixels(Pieces(block), size, 3), sample_pixels(WholeFrame(block), size, 3))


def test_scrambled_numbers_are_even():
    numbers = thrown(np.arange(100_000), 0)
    assert np.unique(numbers).size == 100_000
    counts = np.bincount((numbers >> np.uint64(56)).astype(np.intp), minlength=256)
    assert abs(counts - 100_000 / 256).max() < 6 * np.sqrt(100_000 / 256)


@pytest.mark.parametrize("operation", [KMeans(clusters=3), GaussianMixture(clusters=3)])
def test_more_clusters_than_intensities_are_refused(operation):
    for image in (np.eye(20, dtype=np.uint8), coloured(np.dstack([np.eye(20, dtype=np.uint8)] * 3))):
        with pytest.raises(InvalidInputError, match=r"2 (grey levels|different intensities) and cannot be divided"):
            nt.apply(operation, image)
    with pytest.raises(InvalidInputError, match=r"1 (grey level|different intensity) and cannot be divided"):
        nt.apply(operation, np.full((9, 9), 3.5))


@pytest.mark.parametrize("operation", [KMeans(), GaussianMixture()])
def test_nan_is_refused(operation):
    image = np.ones((20, 20), np.float32)
    image[2, 2] = np.nan
    with pytest.raises(InvalidInputError, match="NaN"):
        nt.apply(operation, image)


def test_mixture_of_as_many_clusters_as_levels():
    image = np.repeat(np.array([[0, 100, 255]], np.uint8), 5, axis=0)
    np.testing.assert_array_equal(nt.apply(GaussianMixture(clusters=3), image), np.digitize(image, [50, 200]))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_intensities_whose_squares_overflow_are_refused():
    image = np.random.default_rng(0).random((20, 20)) * 1e200
    with pytest.raises(InvalidInputError, match=r"too large to compute with.*'rescale'"):
        nt.apply(GaussianMixture(clusters=3), image)

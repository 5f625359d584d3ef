"""Noise: the right distribution, the same in any tile, other for another seed, time point and channel."""

import numpy as np
import pytest
from scipy import stats

import napari_tessera as nt
from napari_tessera.io.opening import open_image
from napari_tessera.operations.base import Operation
from napari_tessera.operations.catalogue.noise import GaussianNoise, PoissonNoise, SaltAndPepper
from napari_tessera.operations.noise.simulation import uniform


def test_random_numbers_are_uniform_and_independent_of_neighbours() -> None:
    numbers = uniform((slice(0, 300), slice(0, 300)), (300, 300), 3, 0)
    assert stats.kstest(numbers.ravel(), "uniform").pvalue > 1e-3
    for axis in (0, 1):
        moved = np.roll(numbers, 1, axis)
        assert abs(np.corrcoef(numbers.ravel(), moved.ravel())[0, 1]) < 0.015
    other = uniform((slice(0, 300), slice(0, 300)), (300, 300), 4, 0)
    assert abs(np.corrcoef(numbers.ravel(), other.ravel())[0, 1]) < 0.015


def test_gaussian_noise_is_normal() -> None:
    noise = nt.apply(GaussianNoise(sigma=3), np.full((300, 300), 100.0)) - 100
    assert stats.kstest(noise.ravel() / 3, "norm").pvalue > 1e-3


def test_gaussian_noise_of_integers_is_rounded_and_clipped() -> None:
    result = nt.apply(GaussianNoise(sigma=20), np.zeros((100, 100), np.uint8))
    assert result.dtype == np.uint8
    assert (result == 0).mean() == pytest.approx(stats.norm.cdf(0.5 / 20), abs=0.02)


@pytest.mark.parametrize("mean", [0.3, 4, 9.9, 10, 37, 5000])
def test_poisson_noise_has_poisson_counts(mean: float) -> None:
    counts = nt.apply(PoissonNoise(), np.full((200, 200), mean)).ravel()
    np.testing.assert_array_equal(counts, np.rint(counts))
    error = np.sqrt(mean / counts.size)
    assert counts.mean() == pytest.approx(mean, abs=5 * error)
    assert counts.var() == pytest.approx(mean, rel=0.05)
    edges = np.unique(stats.poisson.ppf(np.linspace(0.05, 0.95, 10), mean))
    expected = np.diff(np.concatenate([[0], stats.poisson.cdf(edges, mean), [1]])) * counts.size
    found = np.bincount(np.searchsorted(edges, counts), minlength=edges.size + 1)
    assert stats.chisquare(found, expected).pvalue > 1e-4


def test_poisson_noise_counts_photons_and_leaves_the_dark_alone() -> None:
    result = nt.apply(PoissonNoise(photons=25), np.full((200, 200), 40.0))
    assert result.var() == pytest.approx(40 / 25, rel=0.05)
    assert (nt.apply(PoissonNoise(), np.full((9, 9), -3.0)) == 0).all()
    assert (nt.apply(PoissonNoise(), np.zeros((9, 9), np.uint8)) == 0).all()


def test_salt_and_pepper_hits_so_many_pixels() -> None:
    image = np.tile(np.arange(1, 101, dtype=np.uint8), (100, 1))
    result = nt.apply(SaltAndPepper(amount=35, salt=20, over="type"), image)
    assert (result == 255).mean() == pytest.approx(0.07, abs=0.01)
    assert (result == 0).mean() == pytest.approx(0.28, abs=0.02)
    untouched = (result != 0) & (result != 255)
    np.testing.assert_array_equal(result[untouched], image[untouched])
    of_image = nt.apply(SaltAndPepper(amount=100), image)
    assert np.unique(of_image).tolist() == [1, 100]


OPERATIONS = [GaussianNoise(sigma=9), PoissonNoise(), SaltAndPepper()]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name())
def test_noise_is_the_same_in_any_tile_and_again(operation: Operation) -> None:
    for axes, shape in (("yx", (61, 70)), ("zyx", (9, 20, 21)), ("tyxc", (3, 20, 21, 2))):
        image = open_image((np.random.default_rng(0).random(shape) * 200).astype(np.uint16), axes=axes)
        whole = nt.apply(operation, image, tile=1000)
        np.testing.assert_array_equal(nt.apply(operation, image, tile=8), whole)
        np.testing.assert_array_equal(nt.apply(operation, image), whole)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name())
def test_noise_differs_between_seeds_times_and_channels(operation: Operation) -> None:
    array = np.full((2, 30, 31, 2), 100, np.uint8)
    array[:, 0, 0], array[:, 0, 1] = 0, 255
    result = nt.apply(operation, open_image(array, axes="tyxc"))
    assert (result[0] != result[1]).any()
    assert (result[..., 0] != result[..., 1]).any()
    other = nt.apply(operation.with_overrides({"seed": 1}), open_image(array, axes="tyxc"))
    assert (other != result).any()

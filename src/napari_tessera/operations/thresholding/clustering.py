"""Pixels grouped by intensity: k-means and mixtures of Gaussians, in one or several channels.

Both work on weighted values: all grey levels of one channel with their counts, or a sample of pixels chosen by a hash
of their place, which is the same however an image is cut. Sums are numpy's own, not a linear algebra library's: the
result does not depend on the number of threads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import NoContrastError
from napari_tessera.operations.base import Block, Survey
from napari_tessera.operations.noise.scrambling import GOLDEN, scrambled
from napari_tessera.operations.reductions.statistics import check_overflow

RESTARTS = 5
ROUNDS = 300
TOLERANCE = 1e-6
FLOOR = 1e-6
"""Smallest variance of a Gaussian, as part of the variance of all values."""

Values = NDArray[np.float64]
"""Shape (channels, n)."""


@dataclass(frozen=True)
class Gaussians:
    """A mixture of Gaussians.

    Attributes
    ----------
    shares
        Shape (k,): part of all pixels; they sum to 1.
    means
        Shape (k, channels).
    covariances
        Shape (k, channels, channels).
    """

    shares: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]


def sample_pixels(survey: Survey, size: int, seed: int) -> Values:
    """Return about `size` pixels of a frame, or all if there are no more.

    Parameters
    ----------
    survey
        Of a frame with axis ``c`` first, or without.
    size
        How many.
    seed
        Another one chooses other pixels.

    Returns
    -------
    Shape (channels, n), in raster order of the pixels.
    """
    spec = survey.spec.without("c")
    total = int(np.prod(spec.shape))
    # Every pixel has a number of 64 bits of its own; those with a low one are taken.
    limit = np.uint64(min(2**64 - 1, size * 2**64 // total))

    def measure(block: Block) -> tuple[NDArray[np.int64], Values]:
        channels = block.image if "c" in block.spec.axes else block.image[None]
        region = block.region[1:] if "c" in block.spec.axes else block.region
        places = _places(region, spec.shape)
        taken = np.flatnonzero(thrown(places, seed) <= limit) if size < total else np.arange(places.size)
        flat = channels.reshape(len(channels), -1)
        return places[taken], flat[:, taken].astype(np.float64)

    places, values = survey.reduce(
        measure,
        lambda one, other: (np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]], axis=1)),
    )
    return values[:, np.argsort(places)]


def thrown(numbers: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Return a number of 64 bits for each number, as if thrown by dice."""
    return scrambled(numbers.astype(np.uint64) * np.uint64(GOLDEN) + np.uint64(seed * GOLDEN % 2**64))


def check_distinct(values: Values, clusters: int) -> None:
    """Raise NoContrastError if there are fewer different values than `clusters`."""
    distinct = np.unique(values, axis=1).shape[1]
    if distinct < clusters:
        raise NoContrastError(
            f"The image has {distinct} different intensit{'y' if distinct == 1 else 'ies'} and cannot be divided into "
            f"{clusters} clusters: choose fewer, or another image."
        )


def kmeans(values: Values, weights: NDArray[np.float64], clusters: int, seed: int) -> NDArray[np.float64]:
    """Return the centres of clusters that minimise the squared distances of values from the nearest centre.

    Parameters
    ----------
    values
        Shape (channels, n); at least `clusters` different ones.
    weights
        Shape (n,): how often each occurs.
    clusters
        Number of clusters.
    seed
        Of the random start; the best of a few is returned.

    Returns
    -------
    Shape (clusters, channels).

    References
    ----------
    S. P. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28 (1982); D. Arthur and
    S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA (2007), for the start.
    """
    random = np.random.default_rng(seed)
    best, least = None, np.inf
    for _ in range(RESTARTS):
        centres = _lloyd(values, weights, _spread_centres(values, weights, clusters, random))
        _, squares = nearest_centres(values, centres)
        error = float((squares * weights).sum())
        check_overflow(error)
        if error < least:
            best, least = centres, error
    assert best is not None
    return best


def nearest_centres(values: NDArray[Any], centres: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Return which centre each value is nearest to, of equals the first, and its squared distance.

    Parameters
    ----------
    values
        Shape (channels, …).
    centres
        Shape (k, channels), k at most 256.
    """
    shape = values.shape[1:]
    classes, least = np.zeros(shape, np.uint8), np.full(shape, np.inf)
    for number, centre in enumerate(centres):
        squares = np.zeros(shape)
        for channel, middle in zip(values, centre, strict=True):
            squares += (channel - middle) ** 2
        nearer = squares < least
        classes[nearer] = number
        np.minimum(least, squares, out=least)
    return classes, least


def fit_gaussians(
    values: Values, weights: NDArray[np.float64], clusters: int, seed: int, check: Callable[[], None] = lambda: None
) -> Gaussians:
    """Return the mixture of Gaussians under which the values are likely (expectation maximisation from k-means).

    Parameters are those of `kmeans`; `check` raises if nobody waits for the result any more.

    References
    ----------
    A. P. Dempster, N. M. Laird and D. B. Rubin, "Maximum likelihood from incomplete data via the EM algorithm",
    J. R. Stat. Soc. B 39 (1977).
    """
    classes, _ = nearest_centres(values, kmeans(values, weights, clusters, seed))
    shares = np.stack([classes == number for number in range(clusters)]).astype(np.float64)
    floor = FLOOR * _variances(values, weights)
    total, before = weights.sum(), -np.inf
    for _ in range(ROUNDS):
        check()
        mixture = _maximise(values, weights * shares, floor)
        scores = scores_of(values, mixture)
        highest = scores.max(axis=0)
        scores -= highest
        np.exp(scores, out=scores)
        sums = scores.sum(axis=0)
        likelihood = float(((np.log(sums) + highest) * weights).sum() / total)
        if abs(likelihood - before) < TOLERANCE:
            break
        before = likelihood
        shares = scores / sums
    return mixture


def scores_of(values: NDArray[Any], mixture: Gaussians) -> NDArray[np.float64]:
    """Return the logarithm, up to a constant, of each Gaussian's share of the density at the values.

    Parameters
    ----------
    values
        Shape (channels, …).

    Returns
    -------
    Shape (k, …).
    """
    scores = np.empty((len(mixture.means), *values.shape[1:]))
    for score, share, mean, covariance in zip(scores, mixture.shares, mixture.means, mixture.covariances, strict=True):
        whitening = np.linalg.inv(np.linalg.cholesky(covariance))
        squares = np.zeros(values.shape[1:])
        offsets = [channel - middle for channel, middle in zip(values, mean, strict=True)]
        for row, weights in enumerate(whitening):
            part = offsets[0] * weights[0]
            for column in range(1, row + 1):
                part += offsets[column] * weights[column]
            part *= part
            squares += part
        constant = np.log(max(share, np.finfo(float).tiny)) + np.log(np.diag(whitening)).sum()
        np.subtract(constant, squares / 2, out=score)
    return scores


def by_brightness(means: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the order of clusters with `means`, shape (k, channels), from the darkest to the brightest."""
    return np.lexsort((*means.T[::-1], means.sum(axis=1)))


def _places(region: tuple[slice, ...], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the flat index in `shape` of every pixel of `region`, in raster order."""
    places = np.zeros((), np.int64)
    for piece, length in zip(region, shape, strict=True):
        places = np.add.outer(places * length, np.arange(piece.start, piece.stop))
    return places.reshape(-1)


def _variances(values: Values, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variance of each channel; 1 where there is none."""
    total = weights.sum()
    means = (values * weights).sum(axis=1) / total
    found = ((values - means[:, None]) ** 2 * weights).sum(axis=1) / total
    return np.where(found > 0, found, 1.0)


def _spread_centres(
    values: Values, weights: NDArray[np.float64], clusters: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return values drawn one by one, each the likelier the farther from those before."""
    chances = weights
    chosen: list[int] = []
    while len(chosen) < clusters:
        steps = np.cumsum(chances)
        drawn = int(np.searchsorted(steps, random.random() * steps[-1], side="right"))
        chosen.append(min(drawn, int(np.flatnonzero(chances)[-1])))
        _, squares = nearest_centres(values, values[:, chosen].T)
        chances = squares * weights
    return values[:, chosen].T.copy()


def _lloyd(values: Values, weights: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    clusters = len(centres)
    previous: NDArray[np.uint8] | None = None
    for _ in range(ROUNDS):
        classes, _ = nearest_centres(values, centres)
        if previous is not None and np.array_equal(classes, previous):
            break
        previous = classes
        totals = np.bincount(classes, weights=weights, minlength=clusters)
        for channel, middles in zip(values, centres.T, strict=True):
            sums = np.bincount(classes, weights=weights * channel, minlength=clusters)
            # A cluster that has lost all its values stays where it is.
            np.divide(sums, totals, out=middles, where=totals > 0)
    return centres


def _maximise(values: Values, shares: NDArray[np.float64], floor: NDArray[np.float64]) -> Gaussians:
    """Return the Gaussians of values that belong to each by parts `shares`, shape (k, n)."""
    totals = np.maximum(shares.sum(axis=1), np.finfo(float).tiny)
    channels = len(values)
    means = np.stack([(shares * channel).sum(axis=1) / totals for channel in values], axis=1)
    covariances = np.empty((len(shares), channels, channels))
    for number, (share, mean) in enumerate(zip(shares, means, strict=True)):
        offsets = values - mean[:, None]
        for row in range(channels):
            weighted = share * offsets[row]
            for column in range(row + 1):
                covariance = (weighted * offsets[column]).sum() / totals[number]
                covariances[number, row, column] = covariances[number, column, row] = covariance
        covariances[number][np.diag_indices(channels)] += floor
    return Gaussians(totals / totals.sum(), means, covariances)

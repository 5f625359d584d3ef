"""Noise that depends on a seed and on where a pixel lies, and on nothing else: the same in any tile.

Random numbers are made by counting, not by a running generator: the index of a pixel in its frame is scrambled together
with the seed (the finaliser of SplitMix64; Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators").
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.regions import Region
from napari_tessera.operations.casting import fit_into
from napari_tessera.operations.noise.scrambling import GOLDEN, scrambled

_ALL_BITS = 2**64 - 1


def random_bits(region: Region, shape: tuple[int, ...], seed: int, stream: int) -> NDArray[np.uint64]:
    """Return 64 random bits for each pixel of a piece of a frame.

    Parameters
    ----------
    region
        Where the piece lies.
    shape
        Of the frame.
    seed
        Any integer.
    stream
        Another stream gives other numbers for the same pixel.
    """
    index = np.zeros((1,) * len(shape), np.uint64)
    for axis, part in enumerate(region):
        stride = math.prod(shape[axis + 1 :])
        places = np.arange(part.start, part.stop, dtype=np.uint64) * np.uint64(stride)
        index = index + places.reshape((1,) * axis + (-1,) + (1,) * (len(shape) - axis - 1))
    key = int(scrambled(np.array([(seed * 16 + stream) & _ALL_BITS], np.uint64))[0])
    return scrambled(index * np.uint64(GOLDEN) + np.uint64(key))


def uniform(region: Region, shape: tuple[int, ...], seed: int, stream: int) -> NDArray[np.float64]:
    """Return a random number above 0 and below 1 for each pixel; parameters as for `random_bits`."""
    return np.asarray(((random_bits(region, shape, seed, stream) >> np.uint64(12)) + 0.5) * 2.0**-52)


def add_gaussian(image: NDArray[Any], region: Region, shape: tuple[int, ...], sigma: float, seed: int) -> NDArray[Any]:
    """Add normally distributed noise of standard deviation `sigma`; integers are rounded and clipped."""
    from scipy.special import ndtri

    return fit_into(ndtri(uniform(region, shape, seed, 0)) * sigma + image, image.dtype)


def make_poisson(
    image: NDArray[Any], region: Region, shape: tuple[int, ...], photons: float, seed: int
) -> NDArray[Any]:
    """Replace each pixel by a Poisson count of mean ``image · photons``, divided by `photons`; below 0 counts as 0."""
    from napari_tessera.operations.noise.poisson_kernels import poisson

    mean = np.maximum(image.astype(np.float64), 0) * photons
    counts = poisson(mean.ravel(), random_bits(region, shape, seed, 1).ravel()).reshape(image.shape)
    return fit_into(counts / photons, image.dtype)


def add_salt_and_pepper(
    image: NDArray[Any],
    region: Region,
    shape: tuple[int, ...],
    *,
    amount: float,
    salt: float,
    low: float,
    high: float,
    seed: int,
) -> NDArray[Any]:
    """Set a share `amount` of the pixels to `high` (a share `salt` of these) or `low`; shares from 0 to 1."""
    chance = uniform(region, shape, seed, 2)
    result = image.copy()
    result[chance < amount] = image.dtype.type(low)
    result[chance < amount * salt] = image.dtype.type(high)
    return result

"""Compiled Poisson counts from random bits per pixel."""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation
from napari_tessera.operations.noise.scrambling import GOLDEN, scrambled

announce_compilation()

_scrambled = njit(nogil=True)(scrambled)


@njit(cache=True, nogil=True, error_model="numpy")
def poisson(means: NDArray[np.float64], bits: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return a Poisson count for each of `means`, made from the random `bits` of that pixel alone.

    Below a mean of 10 uniform numbers are multiplied until their product is small enough, above it PTRS is used
    (Hörmann 1993, "The transformed rejection method for generating Poisson random variables").
    """
    counts = np.empty(means.size, np.float64)
    for index in range(means.size):
        mean = means[index]
        counts[index] = _by_product(mean, bits[index]) if mean < 10 else _by_rejection(mean, bits[index])
    return counts


@njit(nogil=True, error_model="numpy")
def _uniform(bits: Any, draw: int) -> float:
    """Return the number above 0 and below 1 that is number `draw` of a pixel."""
    mixed = _scrambled(bits + np.uint64(draw) * np.uint64(GOLDEN))
    return (np.float64(mixed >> np.uint64(12)) + 0.5) * 2.0**-52


@njit(nogil=True, error_model="numpy")
def _by_product(mean: float, bits: Any) -> float:
    limit = math.exp(-mean)
    product = _uniform(bits, 0)
    draw = 0
    while product > limit:
        draw += 1
        product *= _uniform(bits, draw)
    return float(draw)


@njit(nogil=True, error_model="numpy")
def _by_rejection(mean: float, bits: Any) -> float:
    width = 0.931 + 2.53 * math.sqrt(mean)
    slope = -0.059 + 0.02483 * width
    inverse_alpha = 1.1239 + 1.1328 / (width - 3.4)
    accepted = 0.9277 - 3.6224 / (width - 2)
    draw = 0
    while True:
        place = _uniform(bits, draw) - 0.5
        chance = _uniform(bits, draw + 1)
        draw += 2
        edge = 0.5 - abs(place)
        count = math.floor((2 * slope / edge + width) * place + mean + 0.43)
        if edge >= 0.07 and chance <= accepted:
            return float(count)
        if count < 0 or (edge < 0.013 and chance > edge):
            continue
        left = math.log(chance * inverse_alpha / (slope / (edge * edge) + width))
        if left <= count * math.log(mean) - mean - math.lgamma(count + 1.0):
            return float(count)

"""Numbers that look random and depend on nothing but what goes in: the finaliser of SplitMix64."""

import numpy as np
from numpy.typing import NDArray

GOLDEN = 0x9E3779B97F4A7C15

_GOLDEN, _FIRST, _SECOND = np.uint64(GOLDEN), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)


def scrambled(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return 64 bits for each 64 bits, as if thrown by dice; no two become the same.

    Compiled by numba it takes a single number as well.

    References
    ----------
    G. L. Steele, D. Lea and C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA (2014).
    """
    bits = bits + _GOLDEN
    bits = (bits ^ (bits >> _30)) * _FIRST
    bits = (bits ^ (bits >> _27)) * _SECOND
    return bits ^ (bits >> _31)

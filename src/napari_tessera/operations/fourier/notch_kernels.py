"""Compiled loops over spectra."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_tessera.operations.compiling import announce_compilation
from napari_tessera.operations.fourier.checking import Spectrum

announce_compilation()


def pass_butterworth_notches(spectrum: Spectrum, offsets: Sequence[Sequence[NDArray[Any]]], order: int) -> None:
    """Multiply `spectrum` by 1 − ∏ (1 − 1 / (1 + d^2n)), in place.

    Parameters
    ----------
    spectrum
        Contiguous, one to three dimensions.
    offsets
        For each notch, along each axis, the distance from its centre in units of its radius; d is their norm.
    order
        n.
    """
    real = spectrum.real.dtype
    squares = [[np.asarray(axis, np.float64) ** 2 for axis in notch] for notch in offsets]
    empty = np.zeros((len(squares), 1))
    axes = [np.stack([notch[axis] for notch in squares]) for axis in range(spectrum.ndim)]
    z, y, x = (values.astype(real) for values in [empty] * (3 - spectrum.ndim) + axes)
    volume = spectrum.reshape((1,) * (3 - spectrum.ndim) + spectrum.shape)
    _pass_butterworth(volume.view(real), z, y, x, order, np.ones(x.shape[1], real))


@njit(cache=True, error_model="numpy")
def _pass_butterworth(pairs: Any, z2: Any, y2: Any, x2: Any, order: int, reject: Any) -> None:
    one = reject[0]
    for z in range(z2.shape[1]):
        for y in range(y2.shape[1]):
            reject[:] = one
            for k in range(x2.shape[0]):
                base = z2[k, z] + y2[k, y]
                for x in range(reject.size):
                    distance2 = base + x2[k, x]
                    power = distance2
                    for _ in range(order - 1):
                        power *= distance2
                    reject[x] *= one - one / (one + power)
            for x in range(reject.size):
                gain = one - reject[x]
                pairs[z, y, 2 * x] *= gain
                pairs[z, y, 2 * x + 1] *= gain

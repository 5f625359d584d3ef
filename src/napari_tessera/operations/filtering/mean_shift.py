"""Mean shift: every pixel moves uphill to where pixels of its place and intensity lie densest."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.operations.casting import fit_into


def mean_shift(channels: NDArray[Any], radius: int, spread: float, iterations: int) -> NDArray[Any]:
    """Return what intensities become if each pixel moves to the mean of those near it in place and intensity.

    A pixel looks at what lies within `radius` of its place and within `spread` of its intensities (of all channels
    together, Euclidean), moves to their mean in both, and looks again, until it stands still or has moved `iterations`
    times. Nothing beyond the borders counts.

    Parameters
    ----------
    channels
        (c, y, x) or (c, z, y, x), integer or float.
    radius
        In pixels.
    spread
        In grey levels.
    iterations
        Most moves; none goes farther than `radius`.

    Returns
    -------
    Same shape and dtype.

    References
    ----------
    D. Comaniciu and P. Meer, "Mean shift: a robust approach toward feature space analysis", IEEE Trans. Pattern Anal.
    Mach. Intell. 24 (2002); with the flat (Epanechnikov) kernel.
    """
    from napari_tessera.operations.filtering.mean_shift_kernels import shift_all

    lead = (1,) * (4 - channels.ndim)
    values = np.ascontiguousarray(channels, np.float64).reshape(channels.shape[0], *lead, *channels.shape[1:])
    reach = 0 if channels.ndim == 3 else radius
    out = np.empty_like(values)
    shift_all(np.ascontiguousarray(np.moveaxis(values, 0, -1)), radius, reach, spread, iterations, out)
    return fit_into(out.reshape(channels.shape), channels.dtype)

"""Holes of a region."""

import numpy as np
from numpy.typing import NDArray


def fill_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill what a region encloses: what is not joined to the outside by faces.

    Parameters
    ----------
    mask
        Shape (y, x) or (z, y, x).

    Returns
    -------
    A new mask in the same shape.
    """
    from napari_tessera.operations.growing.engine.click_kernels import mark_outside

    marks = np.pad(mask.view(np.uint8), 1)
    strides = np.array([int(s) for s in marks.strides], np.int64)
    mark_outside(
        marks.reshape(-1), np.concatenate([-strides, strides]), np.empty(marks.size, np.int32), int(strides[0])
    )
    return np.asarray(marks[(slice(1, -1),) * mask.ndim] != 2)

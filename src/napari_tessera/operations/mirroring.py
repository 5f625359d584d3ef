"""Where positions beyond an axis lie once it is continued by mirroring, its ends repeated (scipy's ``reflect``)."""

import numpy as np
from numpy.typing import NDArray


def mirrored_all(positions: NDArray[np.integer], length: int) -> NDArray[np.integer]:
    """Return where whole `positions` of any shape and integer type lie on an axis of `length`."""
    folded = positions % (2 * length)
    return np.asarray(np.minimum(folded, 2 * length - 1 - folded))

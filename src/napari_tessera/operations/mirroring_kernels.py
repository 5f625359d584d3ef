"""Where positions beyond an axis lie once it is continued by mirroring, for compiled code; see `mirroring`."""

from numba import njit


@njit(cache=True, nogil=True, inline="always")
def mirrored(index: int, length: int) -> int:
    """Return where `index` lies on an axis of `length`."""
    index %= 2 * length
    return index if index < length else 2 * length - 1 - index

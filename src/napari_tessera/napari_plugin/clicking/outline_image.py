"""The outline of a mask as it is seen through a camera: made of screen pixels, so as thin when zoomed in as zoomed out.

What it costs depends on how much of the screen the region takes up, not on how many pixels it has.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

INNER, OUTER = 0xFFFFE000, 0xFF000000
"""Colours as 0xAARRGGBB: yellow within black is seen on any image."""

_PALETTE = np.array([0, INNER, OUTER], np.uint32)
_LONGEST = 2**15 - 1
"""Longest side of an image that OpenCV warps."""


@dataclass(frozen=True)
class Picture:
    """Screen pixels and where they are.

    Attributes
    ----------
    left, top
        Screen pixel of the first.
    pixels
        Shape (y, x), uint32 as 0xAARRGGBB, opacity multiplied in.
    """

    left: int
    top: int
    pixels: NDArray[np.uint32]


def outline_picture(mask: NDArray[np.bool_], matrix: NDArray[np.float64], size: tuple[int, int]) -> Picture | None:
    """Return the outline of a mask on a screen, one bright pixel inside and one dark pixel outside.

    Parameters
    ----------
    mask
        Shape (y, x).
    matrix
        Shape (2, 3): maps (x, y, 1), in pixels of the mask with the first pixel's corner at 0, to screen pixels (x, y).
    size
        Height and width of the screen.

    Returns
    -------
    What is to be drawn; None if nothing of the mask is on the screen.
    """
    import cv2

    height, width = mask.shape
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], float) @ matrix.T
    # Two screen pixels more on each side: the dark line, and what it is computed from.
    low = np.maximum(np.floor(corners.min(0)) - 2, -2).astype(int)
    high = np.minimum(np.ceil(corners.max(0)) + 2, np.array(size[::-1]) + 2).astype(int)
    if (high - low <= 2).any() or abs(np.linalg.det(matrix[:, :2])) < 1e-12:
        return None
    plane, to_plane = _seen(mask, matrix, low, high)
    if plane.size == 0:
        return None
    # OpenCV speaks of centres of pixels, the matrix of corners.
    to_plane[:, 2] += to_plane[:, :2] @ (low + 0.5) - 0.5
    seen = cv2.warpAffine(
        plane.view(np.uint8),
        to_plane,
        tuple(int(n) for n in high - low),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    wide, narrow = cv2.dilate(seen, cross), cv2.erode(seen, cross)
    kinds = (seen - narrow) + 2 * (wide - seen)
    kinds = kinds[1:-1, 1:-1]  # the border has been compared with nothing
    return Picture(int(low[0]) + 1, int(low[1]) + 1, _PALETTE.take(kinds))


def _seen(
    mask: NDArray[np.bool_], matrix: NDArray[np.float64], low: NDArray[Any], high: NDArray[Any]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return what of a mask is on screen, thinned where the screen shows less, and the matrix from the screen to it."""
    inverse = np.linalg.inv(matrix[:, :2])
    back = np.hstack([inverse, -inverse @ matrix[:, 2:]])
    screen = np.array([[x, y, 1] for x in (low[0], high[0]) for y in (low[1], high[1])], float) @ back.T
    step = np.maximum(1, np.floor(np.abs(inverse).max(1) / 2).astype(int))
    shape = np.array(mask.shape[::-1])
    first = np.clip(np.floor(screen.min(0)).astype(int) - 2, 0, shape)
    last = np.clip(np.ceil(screen.max(0)).astype(int) + 2, first, shape)
    step = np.maximum(step, -(-(last - first) // _LONGEST))
    part = np.ascontiguousarray(mask[first[1] : last[1] : step[1], first[0] : last[0] : step[0]])
    back[:, 2] -= first
    return part, back / step[:, None]

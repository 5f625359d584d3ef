"""Outlines of what may lie round a point: closed paths that run where grey levels change most.

From the point, rays go to all sides. The image is looked at in polar coordinates with logarithmic radii, and the path
round the point is sought that runs along the steepest rise, or fall, as seen from there, and changes its radius little:
by dynamic programming. What is steeper than about half of the rays are anywhere counts no more than that, so that a
bright neighbour does not draw the outline to itself. What lies inside may be as it likes.

References
----------
D. H. Ballard and J. Sklansky, "A ladder-structured decision tree for recognizing tumors in chest radiographs", IEEE
Trans. Computers C-25 (1976), for outlines by dynamic programming in polar coordinates.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RAYS = 48
NEAREST, GROWTH = 1.5, 1.066
"""The least radius, and by what factor radii grow."""
JUMP, PRICE = 2, 0.05
"""By how many radii an outline may change from a ray to the next, and what each of them costs."""
USUAL = 0.55
"""Which part of the rays has nowhere a steeper place than what counts in full."""
BORDER = 0.3
"""What it is worth, per ray, to run where the image ends."""


@dataclass(frozen=True)
class Outline:
    """A closed path round a point.

    Attributes
    ----------
    mask, around
        Shape of the plane: what it encloses and may be entered, and what lies next to it.
    contrast
        Median rise across it, per unit of length.
    worth
        Of it, per ray: 1 if each crosses it where it counts in full.
    usual
        The rise that counts in full.
    cut_short
        The part of it that runs as far away as it may.
    """

    mask: NDArray[np.bool_]
    around: NDArray[np.bool_]
    contrast: float
    worth: float
    usual: float
    cut_short: float


def star_outlines(
    plane: NDArray[np.float32], known: NDArray[np.bool_], at: tuple[int, int], sides: tuple[float, float], reach: float
) -> tuple[Outline, Outline]:
    """Return the outline across which the grey levels rise, and that across which they fall.

    Parameters
    ----------
    plane
        Shape (rows, columns): smoothed grey levels; all are numbers.
    known
        Which of them count.
    at
        Row and column of the point.
    sides
        Of a pixel.
    reach
        The greatest radius, in units of `sides`.
    """
    from napari_tessera.operations.growing.guess.outline_kernels import rises

    angles = np.arange(RAYS) * (2 * math.pi / RAYS)
    rays = np.stack([np.sin(angles) / sides[0], np.cos(angles) / sides[1]], axis=1)
    count = int(math.log(reach / NEAREST) / math.log(GROWTH)) + 1
    radii = NEAREST * GROWTH ** np.arange(count, dtype=np.float64)
    slopes, within = rises(np.ascontiguousarray(plane), np.ascontiguousarray(known), np.array(at), rays, radii)
    beyond = np.arange(radii.size) >= within[:, None]
    rising, falling = (_outline(sign * slopes, beyond, rays, radii, known, at) for sign in (1.0, -1.0))
    return rising, falling


def _outline(
    rise: NDArray[np.float64],
    beyond: NDArray[np.bool_],
    rays: NDArray[np.float64],
    radii: NDArray[np.float64],
    known: NDArray[np.bool_],
    at: tuple[int, int],
) -> Outline:
    """Return the outline across which `rise`, shape (rays, radii), is most; `beyond`: where the image has ended."""
    from napari_tessera.operations.growing.guess.outline_kernels import closed_path

    half = int(USUAL * RAYS)
    usual = float(np.partition(rise.max(axis=1), half)[half])
    usual = usual if usual > 0 else 1.0
    worth = np.minimum(rise / usual, 1)
    worth[beyond] = BORDER
    path, along = closed_path(worth, JUMP, PRICE), np.arange(RAYS)
    outside = beyond[along, path]
    across = rise[along, path][~outside]
    return Outline(
        *_filled(at, rays * radii[path][:, None], known),
        contrast=float(np.median(across)) if across.size else 0.0,
        worth=float(worth[along, path].mean()),
        usual=usual,
        cut_short=float(np.mean((path == radii.size - 1) & ~outside)),
    )


def _filled(
    at: tuple[int, int], corners: NDArray[np.float64], known: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return what of `known` a polygon encloses, with the pixels that it runs through, and what lies next to that.

    Its corners are rows and columns from `at`, shape (corners, 2).
    """
    import cv2

    mask = np.zeros(known.shape, np.uint8)
    cv2.fillPoly(mask, [((corners + at)[:, ::-1] * 16).round().astype(np.int32)], 1, cv2.LINE_8, 4)
    around = cv2.dilate(mask, np.ones((3, 3), np.uint8)) - mask
    return mask.view(np.bool_) & known, around.view(np.bool_) & known

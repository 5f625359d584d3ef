"""Pictures of a prediction: the image in grey or colour with the classes drawn over it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import find_boundaries

from napari_tessera.core.atomic import write_atomically
from napari_tessera.core.axes import move_axes
from napari_tessera.core.errors import InvalidInputError

TINT = 0.25
"""Share of the class colour inside a class; its outline has it in full."""


def draw_overlay(
    image: NDArray[Any], axes: str, labels: NDArray[np.integer[Any]], colors: Mapping[int, str]
) -> NDArray[np.uint8]:
    """Draw class labels over an image of one plane.

    Parameters
    ----------
    image
        Pixels of any dtype with the dimensions `axes`: ``y``, ``x``, and ``c`` where there are channels. Three channels
        of uint8 are taken for red, green and blue; otherwise the mean over the channels is shown in grey.
    axes
        Axis letters of `image`.
    labels
        Class labels ``(y, x)``; 0 is left as it is.
    colors
        ``#rrggbb`` by class; a class without a colour is left as it is.

    Returns
    -------
    ndarray
        ``uint8 (y, x, 3)``.

    Raises
    ------
    InvalidInputError
        If image and labels differ in size.
    """
    pixels = move_axes(image, axes, "yxc")
    if pixels.shape[:2] != labels.shape:
        raise InvalidInputError(f"An image of {pixels.shape[:2]} and labels of {labels.shape} do not fit: match them.")
    if pixels.shape[2] == 3 and pixels.dtype == np.uint8:
        picture = pixels.astype(np.float64)
    else:
        grey = _stretch(pixels.mean(axis=2, dtype=np.float64))
        picture = np.repeat(grey[..., np.newaxis], 3, axis=2)
    for number, color in colors.items():
        inside = labels == number
        if number == 0 or not inside.any():
            continue
        rgb = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)])
        picture[inside] = (1 - TINT) * picture[inside] + TINT * rgb
        picture[find_boundaries(inside, mode="inner")] = rgb
    return np.rint(picture).astype(np.uint8)


def write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write ``uint8 (y, x)`` or ``(y, x, 3)`` as a PNG file, in one step.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    write_atomically(path, bytes(imagecodecs.png_encode(np.ascontiguousarray(picture))))


def _stretch(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return intensities from 0 to 255, dim ones raised as a screen would show them."""
    low, high = np.percentile(grey, (1, 99.8))
    stretched: NDArray[np.float64] = 255 * np.clip((grey - low) / max(high - low, 1e-12), 0, 1) ** 0.6
    return stretched

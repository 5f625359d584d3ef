"""What a click works on: the layers and settings that are chosen, and where the mouse is in them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.napari_plugin.clicking.click_grid import match_grids
from napari_tessera.napari_plugin.clicking.click_source import ClickSource, LabelsFrame, click_source, labels_frame
from napari_tessera.napari_plugin.clicking.options import ClickOptions
from napari_tessera.napari_plugin.layers.images import possible_axes
from napari_tessera.napari_plugin.painting.label_writing import check_writable


@dataclass(frozen=True)
class Mouse:
    """Where the mouse is, and what is held.

    Attributes
    ----------
    world
        Position, one coordinate per dimension of the viewer.
    canvas
        The same in pixels of the canvas, x first.
    modifiers
        ``"Shift"``, ``"Control"``, ``"Alt"``.
    button
        1: left, 2: right.
    """

    world: tuple[float, ...]
    canvas: tuple[float, float]
    modifiers: frozenset[str]
    button: int = 1


@dataclass(frozen=True)
class Target:
    """The chosen layers and settings.

    Attributes
    ----------
    image, axes
        The image and what its dimensions are; None where nothing but labels is needed.
    labels
        The Labels layer.
    """

    viewer: ViewerModel
    image: Layer | None
    axes: str
    labels: Labels
    options: ClickOptions

    def source(self) -> ClickSource:
        """Return the pixels that a click grows in.

        Raises
        ------
        InvalidInputError
            If layers or view do not allow any.
        """
        _check_usable(self.labels)
        if self.image is None:
            raise InvalidInputError("Open an image to grow regions in: drop a file into napari.")
        options = self.options
        return click_source(self.viewer, self.image, self.axes, self.labels, options.extent, options.channels)

    def frame(self) -> LabelsFrame:
        """Return the plane or volume of the labels, for tools that look at no image.

        Raises
        ------
        InvalidInputError
            If the labels cannot be changed, or nothing of them is on screen.
        """
        _check_usable(self.labels)
        return labels_frame(self.viewer, self.labels, self.axes_of_labels(), self.options.extent)

    def axes_of_labels(self) -> str:
        """Return what the dimensions of the labels are: those of the image, if they lie on it."""
        if self.image is not None:
            try:
                return match_grids(self.image, self.axes, self.labels).axes
            except InvalidInputError:
                pass  # labels may be corrected without their image
        return possible_axes(self.labels)[0]


def _check_usable(labels: Labels) -> None:
    """Raise InvalidInputError if `labels` cannot be changed, or what changes in them would not be seen."""
    check_writable(labels)
    if not labels.visible:
        raise InvalidInputError(f"{labels.name!r} is hidden: press the eye beside it in the layer list.")


def place_in(frame: LabelsFrame, mouse: Mouse) -> NDArray[np.float64]:
    """Return where the mouse is in `frame`, in pixels; it may lie outside."""
    index = np.asarray(frame.layer.world_to_data(np.asarray(mouse.world)), float)
    return np.asarray(frame.point(index[-frame.layer.ndim :]), float)


def pixel_in(frame: LabelsFrame, mouse: Mouse) -> NDArray[np.int64]:
    """Return the pixel of `frame` under the mouse.

    Raises
    ------
    InvalidInputError
        If there is none.
    """
    place = place_in(frame, mouse)
    if not frame.holds(place):
        raise InvalidInputError(f"The mouse is outside of {frame.layer.name!r} or of the image: click on both.")
    return np.round(place).astype(np.int64)


def label_at(frame: LabelsFrame, pixel: NDArray[Any]) -> int:
    """Return the label of a pixel of `frame`."""
    return int(frame.read(regions.pixel(pixel)).item())

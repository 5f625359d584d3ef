"""Operations that change intensities pixel by pixel."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_tessera.operations.base import Block, Fitted, Local, PlaneOrVolume, Survey
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.registry import register
from napari_tessera.operations.statistics import value_range

GROUP = "Intensity"


@register
class Invert(PlaneOrVolume, Fitted):
    """Turn bright into dark: the negative.

    Integers are mirrored within their type (255 − x for uint8, −1 − x for signed ones), floats within the range of
    the image (lowest + highest − x).
    """

    title: ClassVar = "Invert"
    group: ClassVar = GROUP

    def fit(self, survey: Survey) -> Local:
        """Find what pixels are subtracted from."""
        dtype = survey.spec.dtype
        if dtype.kind != "f":
            limits = np.iinfo(dtype)
            return SubtractFrom(top=int(limits.min) + int(limits.max))
        low, high = value_range(survey)
        return SubtractFrom(top=low + high)


class SubtractFrom(Local):
    """Subtract pixels from a value."""

    top: float | int = parameter(..., "What pixels are subtracted from.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return top − x in the dtype of the image."""
        return np.asarray(block.image.dtype.type(self.top) - block.image)

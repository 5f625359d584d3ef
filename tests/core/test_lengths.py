"""Lengths of pixels along several axes: in one unit, or refused."""

import numpy as np
import pytest

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.lengths import pixel_lengths, require_one_unit


def spec_of(units: tuple[str | None, ...], scale: tuple[float, ...] = (0.5, -100.0, 100.0)) -> ImageSpec:
    return ImageSpec(axes="zyx", shape=(3, 4, 5), dtype=np.dtype(np.uint8), scale=scale, units=units)


def test_lengths_are_in_the_unit_of_the_last_axis() -> None:
    assert pixel_lengths(spec_of(("um", "nm", "nanometer"))) == (500.0, 100.0, 100.0)
    assert pixel_lengths(spec_of((None, "nm", "nm")), "yx") == (100.0, 100.0)
    assert pixel_lengths(spec_of((None, None, None))) == (0.5, 100.0, 100.0)
    assert pixel_lengths(spec_of(("furlong",) * 3)) == (0.5, 100.0, 100.0)


@pytest.mark.parametrize("units", [(None, "nm", "nm"), ("nm", "nm", None), ("furlong", "nm", "nm"), ("s", "nm", "nm")])
def test_what_cannot_be_compared_is_refused_with_the_remedy(units: tuple[str | None, ...]) -> None:
    for check in (pixel_lengths, require_one_unit):
        with pytest.raises(InvalidInputError, match=r"different units .*--pixel-size Z,Y,X --pixel-unit nanometer"):
            check(spec_of(units))


def test_the_unit_of_the_image_has_to_be_one() -> None:
    require_one_unit(spec_of(("micron", "um", "micrometer")))
    with pytest.raises(InvalidInputError, match="micrometer, nanometer"):
        require_one_unit(spec_of(("um", "nm", "nm")))

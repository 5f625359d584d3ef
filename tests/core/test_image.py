import numpy as np
import pytest

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec


def _spec(**changes: object) -> ImageSpec:
    fields: dict[str, object] = {
        "axes": "czyx",
        "shape": (2, 3, 4, 5),
        "dtype": np.uint8,
        "scale": (1, 2, 0.5, 0.5),
        "translate": (0, 10, 20, 30),
        "units": (None, "micrometer", "micrometer", "micrometer"),
        "channel_names": ("DNA", "actin"),
    }
    return ImageSpec(**{**fields, **changes})  # type: ignore[arg-type]


def test_what_is_not_said_has_defaults() -> None:
    spec = ImageSpec(axes="yx", shape=(4, 5), dtype=np.float32)
    assert spec.scale == (1.0, 1.0)
    assert spec.translate == (0.0, 0.0)
    assert spec.units == (None, None)
    assert spec.channels == 1


def test_sizes_channels_and_spatial_axes_are_found_by_letter() -> None:
    spec = _spec()
    assert spec.sizes == {"c": 2, "z": 3, "y": 4, "x": 5}
    assert spec.channels == 2
    assert spec.spatial == "zyx"
    assert spec.full_region == (slice(0, 2), slice(0, 3), slice(0, 4), slice(0, 5))


def test_taking_out_an_axis_takes_its_calibration_with_it() -> None:
    spec = _spec().without("c")
    assert (spec.axes, spec.shape) == ("zyx", (3, 4, 5))
    assert spec.scale == (2.0, 0.5, 0.5)
    assert spec.translate == (10.0, 20.0, 30.0)
    assert spec.units == ("micrometer",) * 3
    assert spec.channel_names == ()


def test_taking_out_another_axis_keeps_the_channel_names() -> None:
    assert _spec().without("z").channel_names == ("DNA", "actin")
    assert _spec().without("t") == _spec()


def test_a_leading_axis_is_added_without_unit() -> None:
    spec = _spec().without("c").with_leading("c", 3, ("a", "b", "c"))
    assert (spec.axes, spec.shape) == ("czyx", (3, 3, 4, 5))
    assert spec.scale == (1.0, 2.0, 0.5, 0.5)
    assert spec.units == (None, "micrometer", "micrometer", "micrometer")
    assert spec.channel_names == ("a", "b", "c")
    assert _spec().without("z").with_leading("z", 7).channel_names == ("DNA", "actin")


def test_another_dtype_changes_nothing_else() -> None:
    assert _spec().with_dtype("uint16") == _spec(dtype=np.uint16)


def test_the_name_is_not_part_of_what_an_image_is() -> None:
    assert _spec(name="a") == _spec(name="b")


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": (3, 4, 5)},
        {"scale": (1, 2)},
        {"translate": (1,)},
        {"units": (None,)},
        {"scale": (1, 1, 0, 1)},
        {"scale": (1, 1, np.nan, 1)},
        {"axes": "czyy"},
    ],
)
def test_a_specification_that_contradicts_itself_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        _spec(**wrong)

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
    return ImageSpec(**{**fields, **changes})


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


FULL = ImageSpec(
    axes="czyx",
    shape=(2, 5, 6, 7),
    dtype=np.dtype(np.uint8),
    scale=(1, 2, 0.5, 0.25),
    translate=(0, 10, 20, 30),
    units=(None, "micrometer", "micrometer", "nanometer"),
    channel_names=("DNA", "actin"),
)


def test_a_specification_in_another_order_of_axes() -> None:
    turned = FULL.ordered("xyzc")
    assert (turned.axes, turned.shape, turned.scale) == ("xyzc", (7, 6, 5, 2), (0.25, 0.5, 2, 1))
    assert (turned.translate, turned.units) == ((30, 20, 10, 0), ("nanometer", "micrometer", "micrometer", None))
    assert turned.channel_names == FULL.channel_names
    assert turned.ordered("czyx") == FULL


def test_axes_that_are_left_out_and_axes_that_are_new() -> None:
    plane = FULL.ordered("tyx")
    assert (plane.shape, plane.scale, plane.translate) == ((1, 6, 7), (1, 0.5, 0.25), (0, 20, 30))
    assert (plane.units, plane.channel_names) == ((None, "micrometer", "nanometer"), ())


def test_a_crop_stays_where_it_lies() -> None:
    part = FULL.cropped((slice(0, 1), slice(1, 3), slice(2, 6), slice(0, 7)))
    assert (part.shape, part.translate, part.scale) == ((1, 2, 4, 7), (0, 12, 21, 30), FULL.scale)


def test_values_under_the_letters_of_the_axes() -> None:
    assert FULL.by_axis(FULL.scale) == {"c": 1, "z": 2, "y": 0.5, "x": 0.25}
    with pytest.raises(ValueError, match="shorter"):
        FULL.by_axis((1, 2, 3))


def test_fewer_larger_steps_cover_the_same_ground():
    spec = ImageSpec(axes="yx", shape=(9, 8), dtype=np.dtype("u1"), scale=(0.5, -2.0), translate=(10.0, 3.0))
    means = spec.scaled((3, 2), (3, 4))
    assert (means.shape, means.scale, means.translate) == ((3, 4), (1.5, -4.0), (10.5, 2.0))
    first = spec.scaled((3, 2), (3, 4), centred=False)
    assert (first.shape, first.scale, first.translate) == ((3, 4), (1.5, -4.0), (10.0, 3.0))
    with pytest.raises(ValueError, match="shorter"):
        spec.scaled((3,), (3, 4))

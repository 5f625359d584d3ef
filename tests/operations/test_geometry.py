"""Geometry: pixels against scipy and scikit-image, and physical positions that stay true."""

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import data, measure, transform

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.io.opening import open_image
from napari_tessera.operations.base import Block, Operation
from napari_tessera.operations.catalogue.geometry import (
    Affine,
    AffineLabels,
    LensDistortion,
    LensDistortionLabels,
    Projective,
    ProjectiveLabels,
)
from napari_tessera.operations.catalogue.resampling import (
    Bin,
    Crop,
    CropLabels,
    Flip,
    FlipLabels,
    ResampleIsotropic,
    ResampleIsotropicLabels,
    Resize,
    ResizeLabels,
    Rotate90,
    Rotate90Labels,
)
from napari_tessera.operations.registry import all_operations


def smooth(shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
    return (ndimage.gaussian_filter(np.random.default_rng(0).random(shape), 2) * 250).astype(dtype)


def spot_position(image: np.ndarray, spec: ImageSpec) -> np.ndarray:
    """Return the physical centre of mass of an image."""
    return np.array(ndimage.center_of_mass(image)) * spec.scale + spec.translate


SPEC = ImageSpec(axes="yx", shape=(41, 50), dtype=np.float64, scale=(0.5, 0.25), translate=(3, -2))


def block_result(operation: Operation, image: np.ndarray, spec: ImageSpec) -> tuple[np.ndarray, ImageSpec]:
    from napari_tessera.operations.whole import run_whole

    return run_whole(operation, Block(image, spec, spec.full_region)), operation.output_spec(spec)


@pytest.mark.parametrize("interpolation", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_doing_nothing_changes_nothing(interpolation: str, dtype: str) -> None:
    image = smooth((21, 24), dtype)
    for operation in (Affine, Projective, LensDistortion):
        result = nt.apply(operation(interpolation=interpolation), image)
        assert result.dtype == dtype
        np.testing.assert_allclose(result, image, rtol=1e-6)
    np.testing.assert_array_equal(nt.apply(Resize(factor=1, interpolation=interpolation), image), image)


@pytest.mark.parametrize("interpolation", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rotating_by_quarter_turns_is_numpys(interpolation: str, turns: int) -> None:
    image = smooth((21, 24), "uint8")
    operation = Affine(rotate=90 * turns, canvas="grow", interpolation=interpolation)
    np.testing.assert_array_equal(nt.apply(operation, image), np.rot90(image, turns))
    np.testing.assert_array_equal(nt.apply(Rotate90(turns=turns), image), np.rot90(image, turns))
    volume = smooth((3, 12, 17), "uint16")
    np.testing.assert_array_equal(nt.apply(Rotate90(turns=turns), volume), np.rot90(volume, turns, (1, 2)))


def test_rotation_is_scikit_images() -> None:
    image = smooth((41, 41))
    expected = transform.rotate(image, 30, order=1, preserve_range=True)
    np.testing.assert_allclose(nt.apply(Affine(rotate=30), image)[8:-8, 8:-8], expected[8:-8, 8:-8], atol=1e-9)


def test_moving_by_whole_pixels() -> None:
    image = smooth((21, 24), "uint8")
    result = nt.apply(Affine(move_x=3, move_y=-2, fill=7), image)
    np.testing.assert_array_equal(result[:-2, 3:], image[2:, :-3])
    assert (result[-2:] == 7).all()
    assert (result[:, :3] == 7).all()


def test_shear_slants_upright_lines_to_the_right() -> None:
    image = np.zeros((41, 41))
    image[:, 20] = 1
    result = nt.apply(Affine(shear=45, interpolation="nearest"), image)
    np.testing.assert_array_equal(result, np.flipud(np.eye(41)))


@settings(max_examples=40, deadline=None)
@given(st.floats(-180, 180), st.floats(0.6, 1.6), st.floats(-30, 30), st.sampled_from(["keep", "grow"]))
def test_affine_keeps_the_physical_centre(rotate: float, scale: float, shear: float, canvas: str) -> None:
    image = np.zeros(SPEC.shape)
    image[20, 24:26] = 1  # the centre of the frame
    operation = Affine(rotate=rotate, scale_y=scale, scale_x=1 / scale, shear=shear, canvas=canvas)
    image = ndimage.gaussian_filter(image, 2, truncate=3)
    result, spec = block_result(operation, image, SPEC)
    assert result.shape == spec.shape
    np.testing.assert_allclose(spot_position(result, spec), spot_position(image, SPEC), atol=0.02)


def test_angles_are_true_where_pixels_are_not_square() -> None:
    image = np.zeros(SPEC.shape)
    image[19:22, 35:38] = 1  # 11.5 columns of 0.25 to the right of the centre
    image = ndimage.gaussian_filter(image, 2)
    centre = spot_position(np.ones(SPEC.shape), SPEC)
    result, spec = block_result(Affine(rotate=90, canvas="grow", interpolation="linear"), image, SPEC)
    np.testing.assert_allclose(spot_position(result, spec) - centre, [-11.5 * 0.25, 0], atol=0.02)


def test_a_moved_grown_canvas_moves_in_space() -> None:
    image = smooth(SPEC.shape)
    result, spec = block_result(Affine(move_y=4, move_x=-3, canvas="grow"), image, SPEC)
    np.testing.assert_allclose(result, image)
    assert spec.translate == (3 + 4 * 0.5, -2 - 3 * 0.25)


def test_volumes_are_scaled_along_z() -> None:
    image = smooth((8, 12, 13))
    result = nt.apply(Affine(scale_z=2, canvas="grow"), image)
    assert result.shape == (16, 12, 13)
    np.testing.assert_allclose(result[3], image[1] * 0.75 + image[2] * 0.25)


def test_projective_matrix_is_scikit_images() -> None:
    image = smooth((40, 50))
    matrix = np.array([[1.1, 0.1, -3], [0.05, 0.9, 2], [0.001, 0.0005, 1]])
    text = "; ".join(" ".join(map(str, row)) for row in matrix)
    expected = transform.warp(image, transform.ProjectiveTransform(matrix).inverse, order=1, preserve_range=True)
    result = nt.apply(Projective(matrix=text), image)
    inside = (expected > 1) & (result > 1)
    inside = ndimage.binary_erosion(inside, iterations=2)
    assert inside.sum() > 900
    np.testing.assert_allclose(result[inside], expected[inside], atol=1e-6)


def test_four_corners_are_straightened() -> None:
    image = smooth((60, 70))
    corners = np.array([[10.0, 12.0], [8.0, 55.0], [50.0, 60.0], [45.0, 9.0]])
    text = "; ".join(f"{y} {x}" for y, x in corners)
    result = nt.apply(Projective(corners=text, interpolation="nearest"), image)
    for value, (y, x) in zip((result[0, 0], result[0, -1], result[-1, -1], result[-1, 0]), corners, strict=True):
        assert value == image[int(y), int(x)]
    np.testing.assert_array_equal(nt.apply(Projective(interpolation="nearest"), image, corners=corners), result)


@pytest.mark.parametrize(
    "fields",
    [
        {"matrix": "1 0 0; 0 1 0"},
        {"matrix": "1 0 0; 2 0 0; 0 0 1"},
        {"matrix": "1 0 0; 0 1 0; 0 0 nan"},
        {"corners": "0 0; 1 1"},
        {"corners": "a"},
    ],
)
def test_unusable_perspectives_are_refused(fields: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError):
        Projective.parse(fields)


def test_corners_on_a_line_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="line"):
        nt.apply(Projective(corners="0 0; 0 5; 0 9; 9 0"), smooth((20, 20)))
    with pytest.raises(InvalidInputError, match="out of order"):
        nt.apply(Projective(corners="0 0; 9 9; 0 9; 9 0"), smooth((20, 20)))
    with pytest.raises(InvalidInputError, match="four"):
        nt.apply(Projective(), smooth((20, 20)), corners=np.zeros((3, 2)))


def test_lens_distortion_takes_back_the_lens() -> None:
    shape, k1, k2 = (81, 101), -0.2, 0.05
    truth = ndimage.gaussian_filter(data.camera()[200:281, 200:301].astype(float), 2)
    centre, half = np.array([40, 50]), np.hypot(*shape) / 2
    # What the lens shows at r (1 + k1 r² + k2 r⁴) belongs at r: found by iterating for every pixel of the picture.
    seen_at = np.indices(shape) - centre[:, np.newaxis, np.newaxis]
    true_at = seen_at.astype(float)
    for _ in range(60):
        squared = (true_at**2).sum(axis=0) / half**2
        true_at = seen_at / (1 + k1 * squared + k2 * squared**2)
    seen = ndimage.map_coordinates(truth, true_at + centre[:, np.newaxis, np.newaxis], order=3, mode="nearest")
    result = nt.apply(LensDistortion(k1=k1, k2=k2, interpolation="cubic"), seen)
    core = np.s_[10:-10, 10:-10]
    assert np.abs(seen - truth)[core].mean() > 3
    np.testing.assert_allclose(result[core], truth[core], atol=0.5)


@pytest.mark.parametrize("factor", [0.5, 0.3, 2, 1.7])
@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_resize_is_scikit_images(factor: float, interpolation: str) -> None:
    image = smooth((40, 50))
    result = nt.apply(Resize(factor=factor, interpolation=interpolation), image)
    shape = (round(40 * factor), round(50 * factor))
    order = {"linear": 1, "cubic": 3}[interpolation]
    expected = transform.resize(image, shape, order=order, mode="symmetric", anti_aliasing=factor < 1, clip=False)
    assert result.shape == shape
    np.testing.assert_allclose(result, expected, atol=0.3)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.2, 3), st.integers(5, 40), st.integers(5, 40))
def test_resize_keeps_the_physical_extent(factor: float, height: int, width: int) -> None:
    spec = ImageSpec(axes="yx", shape=(height, width), dtype=np.uint8, scale=(0.5, 2), translate=(1, -7))
    result = Resize(factor=factor).output_spec(spec)
    for one, other in ((spec, result), (result, spec)):
        starts = np.array(one.translate) - np.array(one.scale) / 2
        np.testing.assert_allclose(starts, np.array(other.translate) - np.array(other.scale) / 2)
        extents = np.array(one.shape) * one.scale
        np.testing.assert_allclose(extents, np.array(other.shape) * other.scale)


def test_isotropic_pixels_have_the_true_scale() -> None:
    spec = ImageSpec(
        axes="zyx",
        shape=(9, 20, 22),
        dtype=np.float64,
        scale=(2, 0.5, 0.5),
        translate=(1, 0, 0),
        units=("micrometer",) * 3,
    )
    z, y, _ = np.indices(spec.shape)
    image = z * 2.0 + y * 0.5
    result, new = block_result(ResampleIsotropic(), image, spec)
    assert new.shape == (36, 20, 22) == result.shape
    assert new.scale == (0.5, 0.5, 0.5)
    assert new.translate == (0.25, 0, 0)
    planes = np.arange(36) * 0.5 + new.translate[0] - 1
    np.testing.assert_allclose(result[4:-4, 3, 3], (planes + 1.5)[4:-4])
    with pytest.raises(InvalidInputError, match="different units"):
        mixed = ImageSpec(axes="zyx", shape=(9, 20, 22), dtype=np.uint8, units=(None, "micrometer", "micrometer"))
        ResampleIsotropic().check_frame(mixed)
    assert ResampleIsotropic(voxel=1).output_spec(spec).shape == (18, 10, 11)


@pytest.mark.parametrize("statistic", ["mean", "sum", "max", "min"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_bin_is_scikit_images(statistic: str, dtype: str) -> None:
    image = (np.random.default_rng(0).random((23, 30)) * 250).astype(dtype)
    expected = measure.block_reduce(image[:21].astype(float), 3, getattr(np, statistic))
    if statistic == "mean" and dtype != "float32":
        expected = np.rint(expected)
    result = nt.apply(Bin(factor=3, statistic=statistic), image)
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    spec = Bin(factor=3).output_spec(SPEC)
    assert (spec.scale, spec.translate) == ((1.5, 0.75), (3.5, -1.75))
    with pytest.raises(InvalidInputError, match="Nothing would be left"):
        nt.apply(Bin(factor=24), image)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_bins_of_large_integers_are_exact(dtype: str) -> None:
    limits = np.iinfo(dtype)
    image = np.random.default_rng(1).integers(limits.min, limits.max, (6, 9), dtype, endpoint=True)
    image[:3, :3] = limits.max
    blocks = image.reshape(2, 3, 3, 3).transpose(0, 2, 1, 3).reshape(2, 3, 9).astype(object)
    expected = np.array([[round(Fraction(int(block.sum()), 9)) for block in row] for row in blocks], object)
    np.testing.assert_array_equal(nt.apply(Bin(factor=3), image, tile=1), expected.astype(dtype))
    with pytest.raises(InvalidInputError, match="sum is more than"):
        nt.apply(Bin(factor=3, statistic="sum"), image)


def test_the_sum_of_a_large_block_does_not_wrap_around() -> None:
    image = np.full((260, 300), 65_535, np.uint16)
    assert nt.apply(Bin(factor=260, statistic="sum"), image) == 260 * 260 * 65_535


def test_flip_and_crop() -> None:
    image = smooth((5, 12, 13), "uint8")
    for at, axis in enumerate("zyx"):
        np.testing.assert_array_equal(nt.apply(Flip(axis=axis), image), np.flip(image, at))
    with pytest.raises(InvalidInputError, match="no axis"):
        nt.apply(Flip(axis="z"), image[0])
    cut = Crop(left=1, right=2, top=3, bottom=4, first_planes=1, last_planes=2)
    np.testing.assert_array_equal(nt.apply(cut, image), image[1:-2, 3:-4, 1:-2])
    assert Crop(left=4, top=2).output_spec(SPEC).translate == (3 + 2 * 0.5, -2 + 4 * 0.25)
    with pytest.raises(InvalidInputError, match="Nothing would be left"):
        nt.apply(Crop(top=12), image)


def test_quarter_turns_keep_the_physical_centre() -> None:
    result, spec = block_result(Rotate90(), np.ones(SPEC.shape), SPEC)
    assert (spec.shape, spec.scale) == ((50, 41), (0.25, 0.5))
    np.testing.assert_allclose(spot_position(result, spec), spot_position(np.ones(SPEC.shape), SPEC))


LABELS = [
    AffineLabels(rotate=33, scale_x=1.4),
    ProjectiveLabels(matrix="1 0.1 0; 0 1 0; 0.001 0 1"),
    LensDistortionLabels(k1=-0.1),
    ResizeLabels(factor=1.6),
    ResampleIsotropicLabels(voxel=0.7),
    FlipLabels(),
    Rotate90Labels(),
    CropLabels(left=2),
]


@pytest.mark.parametrize("operation", LABELS, ids=lambda operation: operation.name())
@pytest.mark.parametrize("dtype", ["uint8", "uint32", "int64"])
def test_labels_stay_labels(operation: Operation, dtype: str) -> None:
    ids = np.array([0, 3, 100, 4_000_000_000 if dtype != "uint8" else 255], dtype)
    labels = np.repeat(np.repeat(ids[np.random.default_rng(0).integers(0, 4, (6, 7))], 5, 0), 5, 1)
    result = nt.apply(operation, labels)
    assert (operation.output, result.dtype) == ("labels", dtype)
    assert set(np.unique(result)) <= set(ids.tolist())
    assert len(np.unique(result)) == 4


def test_every_geometric_operation_but_binning_has_a_variant_for_labels() -> None:
    geometric = {n for n, o in all_operations().items() if o.group == "Geometry" and n != "bin"}
    for name in geometric:
        partner = name.removesuffix("_labels") if name.endswith("_labels") else f"{name}_labels"
        assert partner in geometric
        assert all_operations()[name].menu == "transform"


def test_labels_follow_their_image() -> None:
    labels = measure.label(ndimage.gaussian_filter(np.random.default_rng(0).random((40, 50)), 2) > 0.5).astype(
        np.uint32
    )
    parameters = {"rotate": 20.0, "scale_x": 1.3, "canvas": "grow"}
    as_image = nt.apply(Affine(**parameters, interpolation="nearest"), labels)
    np.testing.assert_array_equal(nt.apply(AffineLabels(**parameters), labels), as_image)


# -- tiles of any shape, of any of them --------------------------------------------------------------------------------

EVERY = [
    *(
        Affine(rotate=33, scale_x=1.4, shear=5, move_y=2.5, interpolation=i, fill=3)
        for i in ("nearest", "linear", "cubic")
    ),
    Affine(rotate=-20, canvas="grow", interpolation="cubic", fill=9),
    *(Projective(matrix="1.1 0.1 -3; 0.05 0.9 2; 0.01 0.005 1", interpolation=i) for i in ("linear", "cubic")),
    Projective(matrix="1 0 0; 0 1 0; -0.04 0.01 1"),  # with the horizon in the image
    *(LensDistortion(k1=-0.3, k2=0.2, interpolation=i) for i in ("linear", "cubic")),
    LensDistortion(k1=-2, centre_x=0, centre_y=100),
    *(Resize(factor=f, interpolation=i) for f in (0.3, 1.7) for i in ("nearest", "linear", "cubic")),
    ResampleIsotropic(step_xy=0.7, voxel=1.1, interpolation="cubic"),
    Bin(factor=3),
    Flip(),
    Rotate90(turns=1),
    Rotate90(turns=3),
    Crop(left=3, top=7, right=1),
    *LABELS,
]


@pytest.mark.parametrize("operation", EVERY, ids=lambda operation: operation.name())
@pytest.mark.parametrize("dtype", ["uint16", "float64"])
def test_a_part_comes_from_its_source_region_alone(operation: Any, dtype: str) -> None:
    """What lies outside the region that an operation names has no say, bit for bit, wherever the part lies."""
    if operation.output == "labels" and dtype == "float64":
        dtype = "uint32"
    image = (np.random.default_rng(0).random((130, 141)) * 60_000).astype(dtype)
    spec = ImageSpec(axes="yx", shape=image.shape, dtype=image.dtype)
    whole = operation.compute(Block(image, spec, spec.full_region))
    rng = np.random.default_rng(1)
    for _ in range(25):
        starts = [int(rng.integers(0, length)) for length in whole.shape]
        part = tuple(slice(s, int(rng.integers(s + 1, n + 1))) for s, n in zip(starts, whole.shape, strict=True))
        region = operation.source_region(part, spec, {})
        pixels = operation.compute_part(Block(image[region].copy(), spec, region), part)
        np.testing.assert_array_equal(pixels, whole[part])
        assert pixels.tobytes() == np.ascontiguousarray(whole[part]).tobytes()


@pytest.mark.parametrize("operation", EVERY, ids=lambda operation: operation.name())
def test_small_parts_do_not_need_the_whole(operation: Any) -> None:
    spec = ImageSpec(axes="yx", shape=(20_000, 20_000), dtype=np.uint8)
    shape = operation.output_spec(spec).shape
    part = tuple(slice(length // 2, length // 2 + 64) for length in shape)
    if isinstance(operation, Projective):  # shrinks more and more
        part = (slice(10, 74), slice(5, 69))
    region = operation.source_region(part, spec, {})
    assert math.prod(p.stop - p.start for p in region) < 20_000**2 / 100


def test_a_tile_that_comes_from_much_is_made_in_pieces() -> None:
    from napari_tessera.pipeline.applying.frames import make_frames
    from napari_tessera.pipeline.applying.inputs import gather_inputs
    from napari_tessera.pipeline.applying.mapped import MappedTiles

    image = smooth((40, 44))
    for operation in (Affine(rotate=45, interpolation="cubic"), EVERY[6], Resize(factor=0.1), Bin(factor=10)):
        frames = make_frames(operation, gather_inputs(operation, {"image": image}))
        tiles = MappedTiles(operation, frames, most=200)
        np.testing.assert_array_equal(tiles.compute({}, tiles.output.full_region), nt.apply(operation, image))


def test_what_is_cropped_away_is_not_looked_at() -> None:
    image = smooth((40, 50))
    image[0, 0] = np.nan
    with pytest.raises(InvalidInputError, match="NaN"):
        nt.apply(Bin(), image)
    np.testing.assert_array_equal(nt.apply(Flip(), image), image[:, ::-1])
    np.testing.assert_array_equal(nt.apply(Crop(left=1), image, tile=7), image[:, 1:])


def test_isotropic_pixels_without_a_scale_are_refused_or_measured() -> None:
    volume = smooth((6, 20, 22))
    with pytest.raises(InvalidInputError, match=r"does not say how long.*'step_z'"):
        nt.apply(ResampleIsotropic(), volume)
    with pytest.raises(InvalidInputError, match="set its scale"):
        nt.apply(ResampleIsotropicLabels(), volume.astype(np.uint16))
    spec = ImageSpec(axes="zyx", shape=volume.shape, dtype=volume.dtype)
    made = ResampleIsotropic(step_z=2, step_xy=0.5).output_spec(spec)
    assert (made.shape, made.scale) == ((24, 20, 22), (0.5, 0.5, 0.5))
    measured = nt.open_image(volume, axes="zyx", scale=(2, 0.5, 0.5))
    given = nt.apply(ResampleIsotropic(step_z=2, step_xy=0.5), volume)
    np.testing.assert_array_equal(given, nt.apply(ResampleIsotropic(), measured))


def test_labels_of_an_ome_zarr_are_not_blended(tmp_path: Path) -> None:
    image = nt.apply(Flip(), smooth((40, 50), "uint16"), out=tmp_path / "image.ome.zarr")
    labels = np.kron(np.arange(20).reshape(4, 5), np.ones((10, 10))).astype(np.uint32)
    path = nt.apply(FlipLabels(), labels, out=image / "labels" / "nuclei")
    for source in (path, path / "0", nt.open_image(path, name="nuclei")):
        with pytest.raises(InvalidInputError, match=r"mixes neighbouring pixels, and .* 'affine_labels'"):
            nt.apply(Affine(rotate=5), source)
    with pytest.raises(InvalidInputError, match="'resize_labels'"):
        nt.apply(Bin(), path)
    nt.apply(Bin(statistic="max"), path)
    nt.apply(Affine(rotate=5, interpolation="nearest"), path)
    nt.apply(AffineLabels(rotate=5), path)
    nt.apply(Affine(rotate=5), image)


def test_angles_hold_where_the_units_of_y_and_x_differ() -> None:
    image = np.zeros((40, 40), np.float32)
    image[18:22, 5:35] = 1
    same = open_image(image, scale=(0.1, 0.1), units=("um", "um"))
    mixed = open_image(image, scale=(0.1, 100), units=("um", "nm"))
    turned = nt.apply(Affine(rotate=45), same)
    assert turned.sum() > 0.95 * image.sum()
    np.testing.assert_allclose(nt.apply(Affine(rotate=45), mixed), turned, atol=1e-5)
    with pytest.raises(InvalidInputError, match="different units"):
        nt.apply(Affine(rotate=45), open_image(image, units=("um", None)))
    nt.apply(Affine(move_x=2), open_image(image, units=("um", None)))  # no angle, no length


def test_labels_shorter_than_half_a_voxel_become_one_pixel() -> None:
    image = np.zeros((3, 5), np.uint8)
    image[1, 2] = 5
    labels = open_image(image, scale=(1, 1), units=("um", "um"))
    for voxel in (11, 12, 13, 100):
        np.testing.assert_array_equal(nt.apply(ResampleIsotropicLabels(voxel=voxel), labels), [[5]])

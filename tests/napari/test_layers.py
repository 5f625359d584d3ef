"""Layers as images and results as layers."""

from dataclasses import replace

import dask.array
import numpy as np
import pytest
import tifffile
import zarr
from napari.layers import Image, Labels, Points, Shapes
from napari.layers._source import layer_source

from napari_tessera.config.model import ClassSpec
from napari_tessera.core.errors import AnnotationError, InvalidInputError, JobCancelledError
from napari_tessera.core.jobs import CancelToken
from napari_tessera.io.arrays import ArraySource
from napari_tessera.io.opening import open_image
from napari_tessera.napari_plugin.jobs import inputs as inputs_module
from napari_tessera.napari_plugin.jobs.inputs import blocks, count_numbers, source_path, stored_path, write_input
from napari_tessera.napari_plugin.layers.images import (
    displaced,
    hex_color,
    labels_layer,
    layer_image,
    placement,
    possible_axes,
    probability_layers,
)
from napari_tessera.napari_plugin.layers.notes import METADATA_KEY
from napari_tessera.napari_plugin.training.rasterize import draw_marks, read_marks
from napari_tessera.pipeline.recipes.identity import identify_image

pytestmark = pytest.mark.gui

CLASSES = (ClassSpec(id=0, name="background", color="#808080"), ClassSpec(id=2, name="nucleus", color="#ff8000"))


def ramp(shape, dtype=np.uint16):
    return (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)


LAYERS = {
    "2D": (lambda: Image(ramp((12, 9))), None, "yx"),
    "z stack": (lambda: Image(ramp((4, 12, 9))), None, "zyx"),
    "time": (lambda: Image(ramp((4, 12, 9))), "tyx", "tyx"),
    "channels by choice": (lambda: Image(ramp((2, 12, 9))), "cyx", "cyx"),
    "channels by labels": (lambda: Image(ramp((12, 9, 2)), axis_labels=("y", "x", "c")), None, "yxc"),
    "2D+t": (lambda: Image(ramp((3, 4, 12, 9))), None, "tzyx"),
    "RGB": (lambda: Image(ramp((12, 9, 3), np.uint8), rgb=True), None, "yxc"),
    "RGBA": (lambda: Image(ramp((12, 9, 4), np.uint8), rgb=True), None, "yxc"),
    "RGB stack": (lambda: Image(ramp((4, 12, 9, 3), np.uint8), rgb=True), None, "zyxc"),
    "anisotropic": (lambda: Image(ramp((4, 12, 9)), scale=(2, 0.5, 0.25), units=("um",) * 3), None, "zyx"),
    "translated": (lambda: Image(ramp((12, 9)), scale=(2, 3), translate=(10, -5)), None, "yx"),
    "multiscale": (lambda: Image([ramp((12, 8)), ramp((6, 4))]), None, "yx"),
    "dask": (lambda: Image(dask.array.from_array(ramp((12, 9)), chunks=5)), None, "yx"),
    "uint8": (lambda: Image(ramp((12, 9), np.uint8)), None, "yx"),
    "float32": (lambda: Image(ramp((12, 9), np.float32)), None, "yx"),
    "float64": (lambda: Image(ramp((12, 9), np.float64)), None, "yx"),
    "bool": (lambda: Image(ramp((12, 9)) > 100), None, "yx"),
    "not contiguous": (lambda: Image(ramp((24, 18))[::2, ::-2]), None, "yx"),
    "Fortran order": (lambda: Image(np.asfortranarray(ramp((12, 9)))), None, "yx"),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_the_worker_reads_what_the_layer_shows(kind, tmp_path):
    make, chosen, axes = LAYERS[kind]
    layer = make()
    image = layer_image(layer, chosen)
    assert image.spec.axes == axes
    source = write_input(image, tmp_path / "image", CancelToken()).open()
    expected = layer.data[0] if layer.multiscale else np.asarray(layer.data)
    if getattr(layer, "rgb", False):
        expected = expected[..., :3]
    np.testing.assert_array_equal(source.read(source.spec.full_region), expected)
    assert source.dtype == expected.dtype
    assert source.axes == axes
    own = len(layer.scale)
    assert source.scale[:own] == tuple(layer.scale)
    assert source.spec.translate[:own] == tuple(layer.translate)
    assert source.name == layer.name
    if kind == "anisotropic":
        assert source.units == ("micrometer",) * 3


@pytest.mark.parametrize("kind", LAYERS)
def test_results_lie_where_the_image_does(kind):
    make, chosen, axes = LAYERS[kind]
    layer = make()
    spec = layer_image(layer, chosen).spec
    shape = spec.without("c").shape
    result = labels_layer(np.ones(shape, np.uint8), placement(layer, axes), CLASSES, "result", {})
    kept = [i for i, axis in enumerate(axes[: layer.ndim]) if axis != "c"]
    for index in [np.zeros(len(shape)), np.array(shape) - 1.0]:
        where = np.zeros(layer.ndim)
        where[kept] = index
        np.testing.assert_allclose(result.data_to_world(index), np.asarray(layer.data_to_world(where))[kept])
    assert [str(unit) for unit in result.units] == [str(layer.units[i]) for i in kept]


def test_a_rotated_and_sheared_image_keeps_its_result_on_it():
    layer = Image(ramp((12, 9)), scale=(2, 3), translate=(5, 7), rotate=30, shear=[0.2], affine=np.diag([2.0, 1, 1]))
    placed = placement(layer, "yx")
    result = Labels(np.ones((12, 9), np.uint8), **placed)
    part = Labels(np.ones((3, 3), np.uint8), **displaced(placed, (4, 2)))
    np.testing.assert_allclose(result.data_to_world((4, 2)), layer.data_to_world((4, 2)))
    np.testing.assert_allclose(part.data_to_world((1, 1)), layer.data_to_world((5, 3)))


def test_shear_is_kept_beside_a_channel_axis():
    layer = Image(ramp((2, 12, 9)), scale=(1, 2, 3), shear=[0, 0, 0.2])
    result = Labels(np.ones((12, 9), np.uint8), **placement(layer, "cyx"))
    np.testing.assert_allclose(result.data_to_world((4, 2)), layer.data_to_world((0, 4, 2))[1:])


def test_layers_without_names_for_their_dimensions_leave_a_choice():
    assert possible_axes(Image(ramp((4, 12, 9)))) == ("zyx", "tyx", "cyx")
    assert possible_axes(Image(ramp((4, 12, 9)), axis_labels=("t", "y", "x"))) == ("tyx",)
    with pytest.raises(InvalidInputError, match="2 to 5"):
        possible_axes(Image(np.zeros((1,) * 6)))


def test_class_labels_bring_colours_and_names():
    layer = labels_layer(np.array([[0, 2]], np.uint8), {}, CLASSES, "nuclei · model", {"role": "prediction"})
    assert hex_color(layer, 2) == "#ff8000"
    assert layer.get_color(0) is None or layer.get_color(0)[3] == 0
    assert layer.metadata["tessera"]["classes"][2] == {"name": "nucleus", "color": "#ff8000"}


def test_probabilities_become_one_layer_per_class_but_background():
    (layer,) = probability_layers(np.full((2, 3, 4), 255, np.uint8), {}, CLASSES, "nuclei", {})
    assert layer.name == "nuclei · probability of nucleus"
    assert tuple(layer.contrast_limits) == (0, 255)
    assert layer.data.shape == (3, 4)
    np.testing.assert_allclose(layer.colormap.colors, [[0, 0, 0, 0], [1, 128 / 255, 0, 1]], atol=1e-6)


def test_a_zarr_array_on_disk_is_passed_by_path(tmp_path):
    stored = zarr.create_array(tmp_path / "a.zarr", shape=(40, 30), chunks=(16, 16), dtype="uint16")
    stored[:] = ramp((40, 30))
    lazy = dask.array.from_zarr(tmp_path / "a.zarr")
    assert stored_path(stored) == tmp_path / "a.zarr"
    assert stored_path(lazy) == tmp_path / "a.zarr"
    source = write_input(layer_image(Image(lazy)), tmp_path / "copy", CancelToken()).open()
    np.testing.assert_array_equal(source.read(source.spec.full_region), ramp((40, 30)))
    assert not list(tmp_path.glob("copy*"))


def lazy_tiff(tmp_path, change=lambda a: a, shape=(40, 30)):
    """Return a layer of a TIFF file, read lazily as napari's readers of large files do."""
    tifffile.imwrite(tmp_path / "a.tif", ramp(shape), tile=(16, 16))
    with tifffile.imread(tmp_path / "a.tif", aszarr=True) as store:
        lazy = dask.array.from_zarr(zarr.open(store, mode="r"))
    with layer_source(path=str(tmp_path / "a.tif")):
        return Image(change(lazy))


def test_a_lazy_layer_of_a_file_is_passed_by_its_path(tmp_path):
    request = write_input(layer_image(lazy_tiff(tmp_path)), tmp_path / "copy", CancelToken())
    assert request.path == tmp_path / "a.tif"
    source = request.open()
    np.testing.assert_array_equal(source.read(source.spec.full_region), ramp((40, 30)))


@pytest.mark.parametrize("change", [lambda a: a + 1, lambda a: a[::-1], lambda a: a.astype(float), lambda a: a[5:]])
def test_a_changed_layer_of_a_file_is_copied(tmp_path, change):
    assert source_path(layer_image(lazy_tiff(tmp_path, change))) is None


def test_a_file_that_holds_something_else_by_now_is_not_taken(tmp_path):
    image = layer_image(lazy_tiff(tmp_path))
    other = ramp((40, 30))
    other[39, 29] += 1
    tifffile.imwrite(tmp_path / "b.tif", other, tile=(16, 16))
    assert source_path(replace(image, path=tmp_path / "b.tif")) is None
    assert source_path(replace(image, path=tmp_path / "gone.tif")) is None


CHANGES = (lambda a: a + 1, lambda a: a[::-1], lambda a: a[:, ::-1], lambda a: a.T[:30, :30], lambda a: a[5:])


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_lazy_array_is_copied(tmp_path, change):
    stored = zarr.create_array(tmp_path / "a.zarr", shape=(40, 30), chunks=(16, 16), dtype="uint16")
    stored[:] = ramp((40, 30))
    lazy = change(dask.array.from_zarr(tmp_path / "a.zarr"))
    assert stored_path(lazy) is None
    source = write_input(layer_image(Image(lazy)), tmp_path / "copy", CancelToken()).open()
    np.testing.assert_array_equal(source.read(source.spec.full_region), lazy.compute())


@pytest.mark.parametrize("shape", [(1,), (7,), (5, 3), (4, 5, 6), (1, 1, 9), (3, 1, 2, 2)])
@pytest.mark.parametrize("size", [1, 4, 7, 1000])
def test_blocks_follow_each_other_in_memory_order(shape, size, monkeypatch):
    monkeypatch.setattr(inputs_module, "BLOCK", size)
    array = np.arange(np.prod(shape)).reshape(shape)
    pieces = [array[region].ravel() for region in blocks(shape)]
    np.testing.assert_array_equal(np.concatenate(pieces), array.ravel())
    assert max(len(piece) for piece in pieces) <= size


def test_copying_stops_when_cancelled(tmp_path):
    cancel = CancelToken()
    cancel.cancel()
    for array in (ramp((9, 9)), dask.array.from_array(ramp((9, 9)), chunks=3)):
        with pytest.raises(JobCancelledError):
            write_input(layer_image(Image(array)), tmp_path / "x", cancel)
    assert not (tmp_path / "x.zarr").exists()


@pytest.mark.parametrize(("names", "known"), [(["DNA", "actin"], ("DNA", "actin")), (["DNA"], ()), ("DNA", ())])
def test_channels_keep_the_names_that_their_file_gave_them(tmp_path, names, known):
    layer = Image(ramp((2, 8, 9)), metadata={METADATA_KEY: {"channel_names": names}})
    image = layer_image(layer, "cyx")
    assert image.spec.channel_names == known
    assert write_input(image, tmp_path / "x", CancelToken()).open().spec.channel_names == known
    assert layer_image(layer, "zyx").spec.channel_names == ()


def test_all_values_are_counted():
    array = np.zeros((300, 5000), np.int32)
    array[299, 4999], array[0, 1] = 7, -3
    assert count_numbers(array, CancelToken()) == {0: array.size - 2, 7: 1, -3: 1}


def test_points_become_discs_of_their_size():
    image = Image(np.zeros((40, 50)), scale=(2, 2), translate=(10, 20))
    points = Points([[10, 12], [30, 40]], size=[8, 4], scale=(2, 2), translate=(10, 20))
    labels = np.zeros((40, 50), np.uint8)
    draw_marks(read_marks(points, image, "yx", 3), labels)
    assert set(np.unique(labels)) == {0, 3}
    assert labels[10, 12] == labels[13, 12] == labels[30, 40] == 3
    assert labels[10, 17] == 0
    assert abs((labels[:20] == 3).sum() - np.pi * 16) < 8


def test_points_of_another_scale_land_where_they_are_seen():
    image = Image(np.zeros((40, 50)), scale=(2, 2), translate=(10, 20))
    points = Points([[30, 44]], size=8)  # in world coordinates: pixel (10, 12), diameter 4
    labels = np.zeros((40, 50), np.uint8)
    draw_marks(read_marks(points, image, "yx", 2), labels)
    assert labels[10, 12] == 2
    assert abs((labels == 2).sum() - np.pi * 4) < 5


def test_points_in_a_stack_with_channels_mark_their_plane():
    image = Image(np.zeros((3, 2, 20, 20)))
    points = Points([[1, 0, 5, 5], [2, 1, 8, 8], [9, 0, 1, 1]], size=1, features={"class": [1, 2, 2]})
    labels = np.zeros((3, 20, 20), np.uint8)
    draw_marks(read_marks(points, image, "zcyx", 7), labels)
    assert labels[1, 5, 5] == 1
    assert labels[2, 8, 8] == 2
    assert np.count_nonzero(labels) == 2


def test_shapes_are_filled_and_lines_have_their_width():
    image = Image(np.zeros((60, 60)))
    shapes = Shapes()
    shapes.add_rectangles([[5, 5], [5, 15], [15, 15], [15, 5]])
    shapes.add_ellipses([[20, 20], [20, 40], [40, 40], [40, 20]])
    shapes.add_lines([[50, 5], [50, 55]], edge_width=4)
    labels = np.zeros((60, 60), np.uint8)
    draw_marks(read_marks(shapes, image, "yx", 2), labels)
    assert labels[10, 10] == labels[30, 30] == labels[50, 30] == labels[49, 30] == 2
    assert labels[21, 21] == labels[46, 30] == 0
    assert abs((labels[18:42, 18:42] == 2).sum() - np.pi * 100) < 40


def test_marks_that_do_not_fit_are_refused():
    image = Image(np.zeros((3, 20, 20)))
    with pytest.raises(AnnotationError, match="2 dimensions"):
        read_marks(Points([[1, 1]]), image, "zyx", 2)
    with pytest.raises(AnnotationError, match="class numbers"):
        read_marks(Points([[0, 1, 1]], features={"class": ["a"]}), image, "zyx", 2)
    with pytest.raises(AnnotationError, match="use 1 and above"):
        read_marks(Points([[0, 1, 1]], features={"class": [0]}), image, "zyx", 2)


def test_colours_with_opacity_are_the_same_image_as_a_layer_and_as_a_file(tmp_path):
    rgba = ramp((12, 9, 4), np.uint8)
    tifffile.imwrite(tmp_path / "colours.tif", rgba, photometric="rgb", extrasamples=["UNASSALPHA"])
    layer = layer_image(Image(tifffile.imread(tmp_path / "colours.tif"), rgb=True, name="colours"))
    assert identify_image(ArraySource(layer.array, layer.spec)) == identify_image(open_image(tmp_path / "colours.tif"))

"""napari's own reader and writer: what a file says reaches the layer, and what the layer has reaches a file."""

from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import tifffile
import zarr
from napari.layers import Image, Labels
from napari.settings import get_settings
from napari.utils import cancelable_progress, notifications
from qtpy.QtCore import QTimer

import napari_tessera as nt
from napari_tessera.core.errors import InvalidInputError, JobCancelledError, OutputExistsError, StorageError
from napari_tessera.core.image import ImageSpec
from napari_tessera.io.channel_colors import read_channel_colors
from napari_tessera.io.creating import create_image
from napari_tessera.io.opening import open_image
from napari_tessera.napari_plugin import answering
from napari_tessera.napari_plugin.calibrating import calibrate
from napari_tessera.napari_plugin.jobs.inputs import stored_path
from napari_tessera.napari_plugin.layers.images import color_map, color_of_map, layer_image
from napari_tessera.napari_plugin.layers.notes import METADATA_KEY
from napari_tessera.napari_plugin.reading import get_reader, read_layers
from napari_tessera.napari_plugin.writing import MANY, write_image, write_image_with_labels, write_labels

pytestmark = pytest.mark.gui

PLUGIN = "napari-tessera"
MICROMETERS = ("micrometer", "micrometer")
RNG = np.random.default_rng(0)


def _write(path: Path, pixels: np.ndarray, axes: str, **fields: Any) -> Path:
    version = fields.pop("version", "0.5")
    metadata = fields.pop("metadata", None)
    spec = ImageSpec(axes=axes, shape=pixels.shape, dtype=pixels.dtype, **fields)
    sink = create_image(path, spec, ngff_version=version, metadata=metadata)
    sink.write(spec.full_region, pixels)
    sink.finish()
    return path


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """A volume of two channels with two levels and two label images, as other programs write them (0.4)."""
    path = tmp_path / "cells.ome.zarr"
    axes = [{"name": "t", "type": "time", "unit": "second"}, {"name": "c", "type": "channel"}]
    axes += [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    levels = [
        {"path": str(at), "coordinateTransformations": [{"type": "scale", "scale": [2, 1, 0.5, step, step]}]}
        for at, step in enumerate((0.2, 0.4))
    ]
    omero = {"channels": [{"label": "DNA", "color": "0000FF"}, {"label": "actin", "color": "00FF00"}]}
    entry = {"version": "0.4", "axes": axes, "datasets": levels}
    group = zarr.create_group(str(path), zarr_format=2, attributes={"multiscales": [entry], "omero": omero})
    pixels = RNG.integers(0, 999, (2, 2, 3, 20, 30)).astype(np.uint16)
    group.create_array("0", data=pixels, chunks=(1, 1, 3, 10, 10))
    group.create_array("1", data=pixels[..., ::2, ::2], chunks=(1, 1, 3, 10, 10))
    inner = group.create_group("labels", attributes={"labels": ["nuclei"]})
    one = {**entry, "datasets": levels[:1]}
    nuclei = inner.create_group("nuclei", attributes={"multiscales": [one], "image-label": {"version": "0.4"}})
    nuclei.create_array("0", data=(pixels[:, :1] > 500).astype(np.uint8), chunks=(1, 1, 3, 10, 10))
    return path


def test_an_ome_zarr_opens_calibrated_with_levels_and_labels(viewer: Any, cells: Path) -> None:
    layers = viewer.open(str(cells), plugin=PLUGIN)
    image, labels = layers
    assert isinstance(image, Image)
    assert image.multiscale
    assert [level.shape for level in image.data] == [(2, 2, 3, 20, 30), (2, 2, 3, 10, 15)]
    assert all(isinstance(level, dask.array.Array) for level in image.data)
    assert image.axis_labels == ("c", "t", "z", "y", "x")  # labels without channels lie on all of them
    assert tuple(image.scale) == (1, 2, 0.5, 0.2, 0.2)
    assert [str(unit) for unit in image.units] == ["pixel", "second", *("micrometer",) * 3]
    assert isinstance(labels, Labels)
    assert (labels.name, labels.axis_labels) == ("nuclei", ("t", "z", "y", "x"))
    assert (labels.data.shape, tuple(labels.scale)) == ((2, 3, 20, 30), (2, 0.5, 0.2, 0.2))
    stored = np.asarray(zarr.open_array(str(cells / "0"), mode="r")[...])
    assert np.array_equal(np.asarray(image.data[0]), np.moveaxis(stored, 1, 0))
    labels.paint((0, 0, 3, 3), 7)  # napari paints into arrays in memory only
    assert labels.data[0, 0, 3, 3] == 7


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_image_that_is_shown_as_it_is_stored_is_read_by_jobs_from_its_file(tmp_path: Path, version: str) -> None:
    pixels = RNG.random((3, 8, 9)).astype(np.float32)
    path = _write(tmp_path / "a.zarr", pixels, "zyx", scale=(2, 1, 1), translate=(0, 5, 6), version=version)
    (data, fields, kind) = read_layers(str(path))[0]
    assert (kind, fields["axis_labels"], fields["translate"]) == ("image", ["z", "y", "x"], [0, 5, 6])
    assert stored_path(data) == path / "0"
    assert np.array_equal(np.asarray(data), pixels)
    assert np.array_equal(np.asarray(data[1, 2:5, ::2]), pixels[1, 2:5, ::2])


@pytest.mark.parametrize("suffix", [".ome.tif", ".ome.tiff"])
def test_an_ome_tiff_opens_with_its_scale(viewer: Any, tmp_path: Path, suffix: str) -> None:
    pixels = RNG.integers(0, 999, (4, 12, 9)).astype(np.uint16)
    sizes = {"PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1, "PhysicalSizeZ": 0.3}
    units = {f"{size}Unit": "µm" for size in sizes}
    path = tmp_path / f"stack{suffix}"
    tifffile.imwrite(path, pixels, ome=True, metadata={"axes": "ZYX", **sizes, **units})
    (layer,) = viewer.open(str(path), plugin=PLUGIN)
    assert (layer.name, layer.axis_labels, tuple(layer.scale)) == ("stack", ("z", "y", "x"), (0.3, 0.1, 0.1))
    assert {str(unit) for unit in layer.units} == {"micrometer"}
    assert np.array_equal(np.asarray(layer.data), pixels)


def test_colours_are_shown_as_such(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 255, (6, 7, 3)).astype(np.uint8)
    data, fields, _ = read_layers(str(_write(tmp_path / "a.ome.tif", pixels, "yxc", scale=(2, 2, 1))))[0]
    assert fields["rgb"]
    assert (fields["scale"], fields["axis_labels"]) == ([2, 2], ["y", "x"])
    assert np.array_equal(np.asarray(data), pixels)


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        ({"operation": "otsu"}, "labels"),
        ({"operation": "median"}, "image"),
        ({"layer": "labels"}, "labels"),
        ({}, "image"),
    ],
)
def test_our_own_results_are_labels_where_they_were(tmp_path: Path, metadata: dict[str, Any], kind: str) -> None:
    pixels = RNG.integers(0, 9, (6, 7)).astype(np.uint8)
    assert read_layers(str(_write(tmp_path / "a.zarr", pixels, "yx", metadata=metadata)))[0][2] == kind
    assert read_layers(str(_write(tmp_path / "a.ome.tif", pixels, "yx", metadata=metadata)))[0][2] == kind


def test_other_files_are_none_of_ours(tmp_path: Path) -> None:
    for name in ("a.tif", "a.png", "folder"):
        assert get_reader(str(tmp_path / name)) is None
    assert get_reader([str(tmp_path / "a.ome.tif")]) is None
    assert get_reader("https://example.org/a.zarr") is None
    assert get_reader(str(tmp_path / "a.OME.TIF")) is read_layers


def test_a_broken_file_is_told_in_one_sentence(tmp_path: Path, cells: Path) -> None:
    with pytest.raises(StorageError, match=r"a\.ome\.tif is empty: copy or export it again"):
        (tmp_path / "a.ome.tif").write_bytes(b"")
        read_layers(str(tmp_path / "a.ome.tif"))
    (cells / "0" / ".zarray").unlink()
    with pytest.raises(StorageError, match="lacks its level 0"):
        read_layers(str(cells))


def test_damage_is_told_when_it_is_met(cells: Path) -> None:
    data = read_layers(str(cells))[0][0]
    (cells / "0" / "0.0.0.0.0").write_bytes(b"nonsense")
    with pytest.raises(StorageError, match=r"cells\.ome\.zarr.*damaged"):
        np.asarray(data[0])


def test_labels_that_are_broken_do_not_keep_the_image_from_opening(cells: Path) -> None:
    said: list[str] = []
    (cells / "labels" / "nuclei" / "0" / ".zarray").unlink()
    notifications.notification_manager.notification_ready.connect(lambda notice: said.append(notice.message))
    assert [kind for _, _, kind in read_layers(str(cells))] == ["image"]
    assert any("lacks its level 0" in text for text in said)


SAVED = {
    "µm": {"scale": (0.5, 0.2), "translate": (3, 4), "units": MICROMETERS, "axis_labels": ("y", "x")},
    "pixels": {},
}


@pytest.mark.parametrize("fields", SAVED.values(), ids=SAVED)
@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif"])
@pytest.mark.parametrize("kind", ["image", "labels"])
def test_what_is_saved_opens_as_it_was(viewer: Any, tmp_path: Path, kind: str, suffix: str, fields: Any) -> None:
    pixels = RNG.integers(0, 9, (20, 30)).astype(np.uint16)
    layer = getattr(viewer, f"add_{kind}")(pixels, name="my cells", **fields)
    out = tmp_path / f"out{suffix}"
    assert viewer.layers.save(str(out), plugin=PLUGIN) == [str(out)]
    (opened,) = viewer.open(str(out), plugin=PLUGIN)
    assert type(opened) is type(layer)
    assert np.array_equal(np.asarray(opened.data), pixels)
    for name in ("scale", "translate", "units"):
        assert np.array_equal(getattr(opened, name), getattr(layer, name)), name
    assert nt.open_image(out).axes == "yx"


def test_an_image_is_saved_with_its_labels(viewer: Any, tmp_path: Path) -> None:
    pixels = RNG.random((20, 30)).astype(np.float32)
    viewer.add_image(pixels, name="cells", scale=(2, 2), axis_labels=("y", "x"))
    viewer.add_labels((pixels > 0.5).astype(np.uint8), name="nuclei", scale=(2, 2), axis_labels=("y", "x"))
    out = tmp_path / "out.ome.zarr"
    viewer.layers.save(str(out), plugin=PLUGIN)
    viewer.layers.clear()
    image, labels = viewer.open(str(out), plugin=PLUGIN)
    assert (image.name, labels.name) == ("out", "nuclei")
    assert np.array_equal(np.asarray(image.data), pixels)
    assert np.array_equal(labels.data, pixels > 0.5)


def test_an_ome_zarr_is_never_replaced_and_never_written_into_itself(tmp_path: Path) -> None:
    pixels = RNG.random((6, 7)).astype(np.float32)
    path = _write(tmp_path / "a.ome.zarr", pixels, "yx")
    with pytest.raises(OutputExistsError, match="is not replaced: choose another name"):
        write_image(str(path), pixels, {"name": "b"})
    data, fields, _ = read_layers(str(path))[0]
    for place in (path, path / "0"):
        with pytest.raises(InvalidInputError):
            write_image(str(place), data, fields)
    assert np.array_equal(np.asarray(data), pixels)


def test_a_tiff_that_a_layer_is_read_from_is_not_replaced(tmp_path: Path) -> None:
    pixels = RNG.random((6, 7)).astype(np.float32)
    path = _write(tmp_path / "a.ome.tif", pixels, "yx")
    data, fields, _ = read_layers(str(path))[0]
    with pytest.raises(InvalidInputError, match="made of"):
        write_image(str(path), data, fields)
    write_image(str(path), pixels + 1, {})  # a file dialog has asked
    assert np.array_equal(tifffile.imread(path), pixels + 1)


def test_channels_and_classes_keep_their_names(tmp_path: Path, cells: Path) -> None:
    data, fields, _ = read_layers(str(cells))[0]
    write_image(str(tmp_path / "out.ome.zarr"), data, {**fields, "multiscale": True})
    assert nt.open_image(tmp_path / "out.ome.zarr").spec.channel_names == ("DNA", "actin")
    classes = {2: {"name": "nucleus", "color": "#ff8000"}}
    write_labels(
        str(tmp_path / "l.ome.tif"), np.eye(4, dtype=np.uint8) * 2, {"metadata": {"tessera": {"classes": classes}}}
    )
    pixels, fields, kind = read_layers(str(tmp_path / "l.ome.tif"))[0]
    assert kind == "labels"
    assert fields["metadata"]["tessera"]["classes"] == classes
    assert layer_image(Labels(pixels, **fields)).spec.axes == "yx"


def test_a_layer_that_napari_has_read_takes_the_calibration_of_its_file(viewer: Any, tmp_path: Path) -> None:
    pixels = RNG.integers(0, 999, (4, 12, 9)).astype(np.uint16)
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, pixels, imagej=True, resolution=(2, 2), metadata={"axes": "ZYX", "spacing": 3, "unit": "um"})
    (layer,) = viewer.open(str(path), plugin="napari")
    assert tuple(layer.scale) == (1, 1, 1)
    assert calibrate(layer) == "stack: z 3 micrometer, y 0.5 micrometer, x 0.5 micrometer, as its file says."
    assert (tuple(layer.scale), layer.axis_labels) == ((3, 0.5, 0.5), ("z", "y", "x"))
    assert {str(unit) for unit in layer.units} == {"micrometer"}
    with pytest.raises(InvalidInputError, match="not opened from an image file"):
        calibrate(Image(pixels))
    layer.data = pixels[:2]
    with pytest.raises(InvalidInputError, match=r"holds an image of shape \(4, 12, 9\)"):
        calibrate(layer)


def test_labels_of_one_name_are_refused(tmp_path: Path) -> None:
    image = (np.zeros((4, 4)), {}, "image")
    labels = (np.zeros((4, 4), np.uint8), {"name": "a"}, "labels")
    with pytest.raises(InvalidInputError, match="rename one"):
        write_image_with_labels(str(tmp_path / "out.zarr"), [image, labels, labels])
    assert not (tmp_path / "out.zarr").exists()


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif"])
def test_channels_keep_their_colours(tmp_path: Path, suffix: str) -> None:
    one, two = tmp_path / f"one{suffix}", tmp_path / f"two{suffix}"
    pixels = RNG.integers(0, 99, (2, 40, 30)).astype(np.uint8)
    colors = {"channel_colors": ["#00ff7f", "#ff0080"], "channel_names": ["DNA", "actin"]}
    write_image(str(one), pixels[0], {"name": "one", "colormap": color_map("#00ff7f")})
    labels = {"name": "two", "axis_labels": ("c", "y", "x"), "metadata": {METADATA_KEY: colors}}
    write_image(str(two), pixels, labels)
    assert read_channel_colors(one) == ("#00ff7f",)
    assert read_channel_colors(two) == ("#00ff7f", "#ff0080")
    shown = Image(*read_layers(str(one))[0][:1], **read_layers(str(one))[0][1])
    assert color_of_map(shown.colormap) == "#00ff7f"
    known = read_layers(str(two))[0][1]["metadata"][METADATA_KEY]
    assert {name: known[name] for name in colors} == colors
    write_image(str(tmp_path / f"grey{suffix}"), pixels[0], {"name": "grey"})
    assert "colormap" not in read_layers(str(tmp_path / f"grey{suffix}"))[0][1]


def test_colours_of_other_programs_are_read(tmp_path: Path) -> None:
    path = tmp_path / "other.ome.tif"
    channel = {"Name": ["GFP"], "Color": [16711935]}  # 0x00ff00ff, green
    tifffile.imwrite(path, np.zeros((20, 30), np.uint8), ome=True, metadata={"axes": "YX", "Channel": channel})
    assert color_of_map(read_layers(str(path))[0][1]["colormap"]) == "#00ff00"


def large(tmp_path: Path) -> tuple[Path, np.ndarray]:
    return tmp_path / "large.ome.tif", np.arange(MANY * 12, dtype=np.uint8).reshape(MANY, 3, 4)


def test_the_window_lives_while_a_large_image_is_saved(viewer: Any, tmp_path: Path) -> None:
    path, pixels = large(tmp_path)
    drawn: list[bool] = []
    QTimer.singleShot(0, lambda: drawn.append(path.exists()))
    write_image(str(path), pixels, {"name": "large"})
    assert drawn == [False]  # before it was complete
    np.testing.assert_array_equal(open_image(path).read(open_image(path).spec.full_region), pixels)


def test_saving_that_is_cancelled_leaves_nothing(viewer: Any, tmp_path: Path) -> None:
    path, pixels = large(tmp_path)
    QTimer.singleShot(0, lambda: [bar.cancel() for bar in list(cancelable_progress._all_instances)])
    with pytest.raises(JobCancelledError, match="nothing was saved"):
        write_image(str(path), pixels, {"name": "large"})
    assert list(tmp_path.glob("*large*")) == []


def test_which_plugin_opens_a_file_is_answered_once(
    viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(answering, "show_info", told.append)
    pixels = RNG.integers(0, 99, (20, 30)).astype(np.uint8)
    files = [
        _write(tmp_path / f"cells{suffix}", pixels, "yx", scale=(0.5, 0.5), units=MICROMETERS)
        for suffix in (".zarr", ".ome.zarr", ".ome.tif", ".ome.tiff")
    ]
    plugins = get_settings().plugins
    before = plugins.extension2reader
    try:
        answering.open_always()
        layers = [layer for path in files for layer in viewer.open(path, plugin=None)]
    finally:
        plugins.extension2reader = before
    assert [tuple(layer.scale) for layer in layers] == [(0.5, 0.5)] * 4
    assert "Preferences ▸ Plugins" in told[0]

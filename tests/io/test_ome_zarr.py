import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_tessera.core.errors import InvalidInputError, StorageError
from napari_tessera.core.image import ImageSpec
from napari_tessera.io.creating import create_image
from napari_tessera.io.opening import notes_about, open_image, open_levels

PIXELS = np.random.default_rng(0).integers(0, 999, (2, 40, 60)).astype(np.uint16)


def _multiscale(**changes: Any) -> dict[str, Any]:
    """Metadata of two levels, written out by hand as another program would."""
    scale = {"type": "scale", "scale": [1.0, 0.5, 0.25]}
    return {
        "axes": [
            {"name": "c", "type": "channel"},
            {"name": "y", "type": "space", "unit": "micrometer"},
            {"name": "x", "type": "space", "unit": "nanometer"},
        ],
        "datasets": [
            {"path": "s0", "coordinateTransformations": [scale]},
            {
                "path": "s1",
                "coordinateTransformations": [
                    {"type": "scale", "scale": [1.0, 1.0, 0.5]},
                    {"type": "translation", "translation": [0.0, 0.25, 0.125]},
                ],
            },
        ],
        **changes,
    }


def _store(
    path: Path, version: str, multiscale: dict[str, Any], extra: dict[str, Any] | None = None, **options: Any
) -> Path:
    inner = {"multiscales": [multiscale], **(extra or {})}
    if version == "0.4":
        group = zarr.create_group(str(path), zarr_format=2, attributes=inner)
        options["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
    else:
        group = zarr.create_group(str(path), zarr_format=3, attributes={"ome": {"version": version, **inner}})
    for name, array in (("s0", PIXELS), ("s1", PIXELS[:, ::2, ::2])):
        group.create_array(name, data=array, chunks=(1, 10, 15), **options)
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_levels_with_their_calibration(tmp_path: Path, version: str) -> None:
    omero = {"omero": {"channels": [{"label": "DNA"}, {"label": "actin"}]}}
    path = _store(tmp_path / "a.ome.zarr", version, _multiscale(), omero)
    first, second = [level.spec for level in open_levels(path)]
    assert first == ImageSpec(
        axes="cyx",
        shape=(2, 40, 60),
        dtype=np.dtype(np.uint16),
        scale=(1, 0.5, 0.25),
        units=(None, "micrometer", "nanometer"),
        channel_names=("DNA", "actin"),
    )
    assert (second.shape, second.scale, second.translate) == ((2, 20, 30), (1, 1, 0.5), (0, 0.25, 0.125))
    assert first.name == "a"
    image = open_image(path, level=1)
    assert np.array_equal(image.read(image.spec.full_region), PIXELS[:, ::2, ::2])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_level_can_be_part_of_the_path(tmp_path: Path, version: str) -> None:
    path = _store(tmp_path / "a.ome.zarr", version, _multiscale())
    image = open_image(path / "s1")
    assert image.spec == open_levels(path)[1].spec
    assert np.array_equal(image.read(image.spec.full_region), PIXELS[:, ::2, ::2])


def test_shards_are_read(tmp_path: Path) -> None:
    path = _store(tmp_path / "a.ome.zarr", "0.5", _multiscale(), shards=(2, 20, 30))
    image = open_image(path)
    region = (slice(1, 2), slice(7, 33), slice(20, 60))
    assert np.array_equal(image.read(region), PIXELS[region])


def test_a_transformation_for_all_levels_comes_on_top(tmp_path: Path) -> None:
    whole = [{"type": "scale", "scale": [1, 2, 2]}, {"type": "translation", "translation": [0, 5, 6]}]
    path = _store(tmp_path / "a.ome.zarr", "0.4", _multiscale(coordinateTransformations=whole))
    second = open_levels(path)[1].spec
    assert second.scale == (1, 2, 1)
    assert second.translate == (0, 5.5, 6.25)


def test_axes_of_version_0_3_are_plain_names(tmp_path: Path) -> None:
    path = _store(tmp_path / "a.ome.zarr", "0.4", _multiscale(axes=["c", "y", "x"]))
    assert open_image(path).axes == "cyx"
    assert open_image(path).units == (None, None, None)


def test_axes_are_known_by_type_too(tmp_path: Path) -> None:
    axes = [{"name": "wavelength", "type": "channel"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    path = _store(tmp_path / "a.ome.zarr", "0.4", _multiscale(axes=axes))
    assert open_image(path).axes == "cyx"


def test_a_converted_file_keeps_its_image_in_group_0(tmp_path: Path) -> None:
    zarr.create_group(str(tmp_path / "a.zarr"), zarr_format=2, attributes={"bioformats2raw.layout": 3})
    _store(tmp_path / "a.zarr" / "0", "0.4", _multiscale())
    assert open_image(tmp_path / "a.zarr").shape == PIXELS.shape
    assert notes_about(open_image(tmp_path / "a.zarr")) == ()
    _store(tmp_path / "a.zarr" / "1", "0.4", _multiscale())
    assert "holds 2 images, of which the first is read" in notes_about(open_image(tmp_path / "a.zarr"))[0]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_plain_array(tmp_path: Path, zarr_format: Any) -> None:
    zarr.create_array(str(tmp_path / "a.zarr"), data=PIXELS, zarr_format=zarr_format)
    image = open_image(tmp_path / "a.zarr")
    assert image.axes == "zyx"
    assert np.array_equal(image.read(image.spec.full_region), PIXELS)


def test_a_plain_array_may_name_its_dimensions(tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path / "a.zarr"), data=PIXELS, dimension_names=["t", "y", "x"])
    assert open_image(tmp_path / "a.zarr").axes == "tyx"
    assert open_image(tmp_path / "a.zarr", axes="cyx").axes == "cyx"


def test_labels_are_read_by_their_path(tmp_path: Path) -> None:
    path = _store(tmp_path / "a.ome.zarr", "0.5", _multiscale())
    spec = ImageSpec(axes="yx", shape=(40, 60), dtype=np.dtype(np.uint8), scale=(0.5, 0.5))
    sink = create_image(path / "labels" / "nuclei", spec)
    sink.write(spec.full_region, np.full(spec.shape, 3, np.uint8))
    sink.finish()
    for inside in ("labels/nuclei", "labels/nuclei/0"):
        labels = open_image(path / inside)
        assert labels.spec == spec
        assert (labels.read(spec.full_region) == 3).all()
    assert np.array_equal(open_image(path).read((slice(0, 2), slice(0, 40), slice(0, 60))), PIXELS)


def test_a_group_without_an_image_names_what_is_inside(tmp_path: Path) -> None:
    zarr.create_group(str(tmp_path / "plate.zarr"))
    _store(tmp_path / "plate.zarr" / "A1", "0.5", _multiscale())
    with pytest.raises(InvalidInputError, match=r"choose one of plate\.zarr/A1"):
        open_image(tmp_path / "plate.zarr")


def test_a_level_that_is_missing_is_reported(tmp_path: Path) -> None:
    multiscale = _multiscale()
    multiscale["datasets"][1]["path"] = "lost"
    path = _store(tmp_path / "a.ome.zarr", "0.5", multiscale)
    with pytest.raises(StorageError, match="lacks its level lost"):
        open_image(path)


DAMAGED = {
    "empty": "",
    "cut": "{",
    "list": "[]",
    "fields": '{"zarr_format": 3, "node_type": "array"}',
    "nested": "[" * 100_000,
    "digits": f'{{"zarr_format": 3, "node_type": "array", "shape": [{"9" * 6000}]}}',
    "shape": '{"zarr_format": 3, "node_type": "array", "shape": "wide"}',
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_metadata_are_reported_without_words_of_python(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text(content)
    with pytest.raises(StorageError, match="copy or export it again") as caught:
        open_image(tmp_path / "a.zarr")
    for word in ("recursion", "digits", "argument", "object", "subscriptable", "iterable", "NoneType"):
        assert word not in str(caught.value)


def test_a_format_of_zarr_that_is_not_known_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text('{"zarr_format": 9}')
    with pytest.raises(InvalidInputError, match=r"the zarr format 9.*export it as OME-Zarr"):
        open_image(tmp_path / "a.zarr")


def test_a_damaged_chunk_is_reported_when_it_is_read(tmp_path: Path) -> None:
    path = _store(tmp_path / "a.ome.zarr", "0.5", _multiscale())
    (path / "s0" / "c" / "0" / "0" / "0").write_bytes(b"nonsense")
    image = open_image(path)
    with pytest.raises(StorageError, match="damaged"):
        image.read(image.spec.full_region)


def test_metadata_of_other_shapes_than_the_array_is_not_trusted(tmp_path: Path) -> None:
    axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    path = _store(tmp_path / "a.ome.zarr", "0.4", _multiscale(axes=axes))
    assert open_image(path).axes == "zyx"
    assert open_image(path).scale == (1, 1, 1)
    assert json.loads((path / ".zattrs").read_text())["multiscales"]

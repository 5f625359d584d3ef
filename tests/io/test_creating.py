import errno
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_tessera.core.errors import InvalidInputError, OutputExistsError, StorageError
from napari_tessera.core.image import ImageSink, ImageSpec
from napari_tessera.core.tiles import TileGrid
from napari_tessera.io.creating import check_output, create_image
from napari_tessera.io.opening import open_image
from napari_tessera.io.writing import RegionFile

FORMATS = [".tif", ".npy", ".png", ".ome.zarr"]
SPEC = ImageSpec(axes="yx", shape=(50, 70), dtype=np.dtype(np.uint16), scale=(0.5, 0.5), units=("micrometer",) * 2)
PIXELS = np.random.default_rng(0).integers(0, 60_000, SPEC.shape).astype(np.uint16)


def _write(path: Path, pixels: np.ndarray = PIXELS, **options: object) -> None:
    sink = create_image(path, SPEC, **options)
    sink.write(SPEC.full_region, pixels)
    sink.finish()


def _read(path: Path) -> np.ndarray:
    image = open_image(path)
    return image.read(image.spec.full_region)


@pytest.mark.parametrize("suffix", FORMATS)
def test_nothing_has_the_final_name_before_the_end(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    sink = create_image(path, SPEC)
    assert isinstance(sink, ImageSink)
    assert sink.spec == SPEC
    sink.write(SPEC.full_region, PIXELS)
    assert not path.exists()
    sink.finish()
    assert np.array_equal(_read(path), PIXELS)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".png"])
def test_an_aborted_file_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    sink = create_image(tmp_path / f"out{suffix}", SPEC)
    sink.write(SPEC.full_region, PIXELS)
    sink.abort()
    assert not list(tmp_path.iterdir())


def test_an_aborted_zarr_keeps_what_is_finished_under_another_name(tmp_path: Path) -> None:
    sink = create_image(tmp_path / "out.ome.zarr", SPEC)
    done = (slice(0, 20), slice(0, 70))
    sink.write(done, PIXELS[done])
    sink.abort()
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.ome.zarr.partial"]
    kept = _read(tmp_path / "out.ome.zarr.partial")
    assert np.array_equal(kept[:20], PIXELS[:20])
    assert not kept[20:].any()
    with pytest.raises(OutputExistsError, match=r"out\.ome\.zarr\.partial exists.*--overwrite"):
        create_image(tmp_path / "out.ome.zarr", SPEC)
    assert np.array_equal(_read(tmp_path / "out.ome.zarr.partial"), kept)
    _write(tmp_path / "out.ome.zarr", overwrite=True)  # a new run begins afresh
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.ome.zarr"]
    assert np.array_equal(_read(tmp_path / "out.ome.zarr"), PIXELS)


def test_a_run_that_still_writes_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.ome.zarr"
    sink = create_image(path, SPEC)
    sink.write(SPEC.full_region, PIXELS)
    for overwrite in (False, True):
        with pytest.raises(OutputExistsError, match="another run" if overwrite else "--overwrite"):
            create_image(path, SPEC, overwrite=overwrite)
    sink.finish()
    assert np.array_equal(_read(path), PIXELS)
    assert sorted(entry.name for entry in path.iterdir()) == ["0", "zarr.json"]


def test_a_run_that_died_no_longer_holds_its_output(tmp_path: Path) -> None:
    path = tmp_path / "out.ome.zarr"
    code = (
        "import os, sys; from napari_tessera.io.creating import create_image; "
        "from napari_tessera.core.image import ImageSpec; "
        "sink = create_image(sys.argv[1], ImageSpec(axes='yx', shape=(9, 9), dtype='uint8')); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert (tmp_path / "out.ome.zarr.partial").is_dir()
    _write(path, overwrite=True)
    assert np.array_equal(_read(path), PIXELS)


def test_a_folder_of_ours_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "out.zarr.partial").mkdir()
    (tmp_path / "out.zarr.partial" / "thesis.txt").write_text("years of work")
    with pytest.raises(InvalidInputError, match="in the way"):
        create_image(tmp_path / "out.zarr", SPEC)
    assert (tmp_path / "out.zarr.partial" / "thesis.txt").exists()


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_exists_is_replaced_only_on_request_and_only_at_the_end(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    _write(path)
    with pytest.raises(OutputExistsError, match="--overwrite"):
        create_image(path, SPEC)
    sink = create_image(path, SPEC, overwrite=True)
    sink.write(SPEC.full_region, PIXELS // 2)
    assert np.array_equal(_read(path), PIXELS)
    sink.finish()
    assert np.array_equal(_read(path), PIXELS // 2)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_output_that_appears_meanwhile_is_not_replaced(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    late = create_image(path, SPEC)
    other = tmp_path / f"other{suffix}"
    _write(other)
    other.rename(path)
    with pytest.raises(OutputExistsError):
        late.finish()
    assert np.array_equal(_read(path), PIXELS)


def test_a_folder_that_is_no_zarr_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "results.zarr").mkdir()
    with pytest.raises(InvalidInputError, match="name a file in it"):
        check_output(tmp_path / "results.zarr", overwrite=True)
    check_output(tmp_path / "new.tif")


@pytest.mark.parametrize("name", ["out.jpg", "out", "out.ome"])
def test_an_unknown_suffix_lists_what_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match=r"\.tif, \.npy, \.png or \.ome\.zarr"):
        create_image(tmp_path / name, SPEC)


@pytest.mark.parametrize(
    "spec",
    [SPEC.with_dtype(np.float32), SPEC.with_dtype(bool), SPEC.with_leading("z", 3), SPEC.with_leading("c", 3)],
)
def test_png_is_for_flat_images_of_8_or_16_bits(tmp_path: Path, spec: ImageSpec) -> None:
    with pytest.raises(InvalidInputError, match=r"name it \.tif"):
        create_image(tmp_path / "out.png", spec)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", FORMATS)
def test_unwritten_regions_are_zero_and_folders_are_made(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / "folder" / f"out{suffix}"
    sink = create_image(path, SPEC)
    sink.write((slice(3, 5), slice(60, 70)), PIXELS[3:5, 60:])
    sink.finish()
    expected = np.zeros_like(PIXELS)
    expected[3:5, 60:] = PIXELS[3:5, 60:]
    assert np.array_equal(_read(path), expected)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("tile", [16, 13])
def test_regions_may_come_from_several_threads(tmp_path: Path, suffix: str, tile: int) -> None:
    """13 does not divide the chunks of 16, so neighbours share them."""
    path = tmp_path / f"out{suffix}"
    sink = create_image(path, SPEC, chunks=(16, 16))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda tile: sink.write(tile.inner, PIXELS[tile.inner]), TileGrid(SPEC.shape, (tile, tile))))
    sink.finish()
    assert np.array_equal(_read(path), PIXELS)


@pytest.mark.parametrize("suffix", FORMATS)
def test_pixels_that_do_not_fit_are_refused(tmp_path: Path, suffix: str) -> None:
    sink = create_image(tmp_path / f"out{suffix}", SPEC)
    with pytest.raises(InvalidInputError, match="float32 do not fit"):
        sink.write(SPEC.full_region, PIXELS.astype(np.float32))
    with pytest.raises(InvalidInputError, match="does not lie within"):
        sink.write((slice(0, 51), slice(0, 70)), PIXELS)
    sink.abort()


def _no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_a_disk_that_fills_is_said_in_one_sentence(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = create_image(tmp_path / f"out{suffix}", SPEC)
    monkeypatch.setattr(RegionFile, "_write_all", _no_space)
    with pytest.raises(StorageError, match=r"disk is full.*free space"):
        sink.write(SPEC.full_region, PIXELS)
    sink.abort()
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_under_a_zarr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = create_image(tmp_path / "out.ome.zarr", SPEC)
    monkeypatch.setattr(zarr.Array, "__setitem__", _no_space)
    with pytest.raises(StorageError, match=r"disk is full.*free space"):
        sink.write(SPEC.full_region, PIXELS)
    sink.abort()
    assert not (tmp_path / "out.ome.zarr").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_device_that_is_full_raises_and_does_not_kill(tmp_path: Path) -> None:
    """A memory map would end the process here."""
    path = tmp_path / "raw"
    path.write_bytes(bytes(100))
    file = RegionFile(path, 0, (10, 10), np.dtype(np.uint8))
    file._file.close()
    with Path("/dev/full").open("rb+", buffering=0) as file._file, pytest.raises(OSError, match="No space left"):
        file.write((slice(0, 2), slice(0, 10)), np.ones((2, 10), np.uint8))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        _write(tmp_path / "file" / f"out{suffix}")


def test_zarr_metadata_is_that_of_ngff_0_5(tmp_path: Path) -> None:
    spec = ImageSpec(
        axes="yxc",
        shape=(600, 70, 2),
        dtype=np.dtype(np.uint8),
        scale=(0.5, 0.25, 1),
        translate=(3, 4, 0),
        units=("micrometer", "micrometer", None),
        channel_names=("a", "b"),
        name="cells",
    )
    sink = create_image(tmp_path / "out.ome.zarr", spec, metadata={"model": "nuclei"})
    sink.finish()
    attributes = json.loads((tmp_path / "out.ome.zarr" / "zarr.json").read_text())["attributes"]
    assert attributes["napari-tessera"] == {"model": "nuclei"}
    assert attributes["ome"]["version"] == "0.5"
    assert [channel["label"] for channel in attributes["ome"]["omero"]["channels"]] == ["a", "b"]
    assert attributes["ome"]["multiscales"] == [
        {
            "name": "cells",
            "axes": [
                {"name": "c", "type": "channel"},
                {"name": "y", "type": "space", "unit": "micrometer"},
                {"name": "x", "type": "space", "unit": "micrometer"},
            ],
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [
                        {"type": "scale", "scale": [1.0, 0.5, 0.25]},
                        {"type": "translation", "translation": [0.0, 3.0, 4.0]},
                    ],
                }
            ],
        }
    ]
    array = json.loads((tmp_path / "out.ome.zarr" / "0" / "zarr.json").read_text())
    assert array["dimension_names"] == ["c", "y", "x"]
    assert array["chunk_grid"]["configuration"]["chunk_shape"] == [1, 512, 70]
    blosc = next(codec for codec in array["codecs"] if codec["name"] == "blosc")
    assert blosc["configuration"]["shuffle"] == "bitshuffle"


def test_ngff_0_4_on_request_and_inside_a_store_of_0_4(tmp_path: Path) -> None:
    path = tmp_path / "out.ome.zarr"
    _write(path, ngff_version="0.4")
    assert json.loads((path / ".zattrs").read_text())["multiscales"][0]["version"] == "0.4"
    assert json.loads((path / "0" / ".zarray").read_text())["dimension_separator"] == "/"
    for name in ("b", "a"):
        _write(path / "labels" / name)
    assert json.loads((path / "labels" / ".zattrs").read_text())["labels"] == ["a", "b"]
    assert json.loads((path / "labels" / "a" / ".zattrs").read_text())["image-label"]["version"] == "0.4"
    assert not list(path.rglob("zarr.json"))
    assert np.array_equal(_read(path / "labels" / "a"), PIXELS)


def test_labels_inside_a_store_are_listed_once(tmp_path: Path) -> None:
    path = tmp_path / "out.ome.zarr"
    _write(path)
    _write(path / "labels" / "nuclei")
    _write(path / "labels" / "nuclei", overwrite=True)
    attributes = json.loads((path / "labels" / "zarr.json").read_text())["attributes"]
    assert attributes["ome"] == {"version": "0.5", "labels": ["nuclei"]}


@pytest.mark.parametrize("chunks", [(16,), (0, 16), (16, 16, 16)])
def test_chunks_that_do_not_fit_are_refused(tmp_path: Path, chunks: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInputError, match="Chunks"):
        create_image(tmp_path / "out.zarr", SPEC, chunks=chunks)


def test_tiff_can_be_read_by_other_programs(tmp_path: Path) -> None:
    spec = ImageSpec(
        axes="zcyx",
        shape=(3, 2, 50, 70),
        dtype=np.dtype(np.uint16),
        scale=(2, 1, 0.5, 0.25),
        units=("micrometer", None, "micrometer", "micrometer"),
        channel_names=("DNA", "actin"),
    )
    pixels = np.random.default_rng(0).integers(0, 60_000, spec.shape).astype(np.uint16)
    sink = create_image(tmp_path / "out.tif", spec, metadata={"model": "nuclei"})
    sink.write(spec.full_region, pixels)
    sink.finish()
    assert np.array_equal(tifffile.imread(tmp_path / "out.tif"), pixels.swapaxes(0, 1))
    with tifffile.TiffFile(tmp_path / "out.tif") as tif:
        assert tif.series[0].axes == "CZYX"  # the order in which all our files store their planes
        fields = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
        assert (fields["PhysicalSizeZ"], fields["PhysicalSizeY"], fields["PhysicalSizeX"]) == (2, 0.5, 0.25)
        assert fields["PhysicalSizeXUnit"] == "µm"
        numerator, denominator = tif.pages[0].tags["XResolution"].value
        assert numerator / denominator == pytest.approx(40_000)
        assert "nuclei" in (tif.ome_metadata or "")


def test_a_note_that_no_longer_fits_is_ignored(tmp_path: Path) -> None:
    """Another program may crop an image and keep its description."""
    _write(tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as tif:
        description = tif.pages[0].description
    changed = description.replace('SizeX="70"', 'SizeX="30"')
    tifffile.imwrite(tmp_path / "cropped.tif", PIXELS[:, :30], description=changed.encode(), metadata=None)
    image = open_image(tmp_path / "cropped.tif")
    assert image.shape == (50, 30)
    assert image.scale == (0.5, 0.5)
    assert np.array_equal(image.read(image.spec.full_region), PIXELS[:, :30])


def test_a_type_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    with pytest.raises(InvalidInputError, match=r"not of a type that can be written: use \.tif"):
        check_output(tmp_path / "out.jpg")
    check_output(tmp_path / "out.TIF")

import gc
import logging
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_tessera.core.errors import InvalidInputError, StorageError
from napari_tessera.io.arrays import ArraySource
from napari_tessera.io.opening import notes_about, open_image, open_levels
from napari_tessera.io.tiff import name_axes

STACK = np.random.default_rng(0).integers(0, 60_000, (3, 2, 70, 90)).astype(np.uint16)


@pytest.fixture(autouse=True)
def _quiet_tifffile(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="tifffile")


def test_imagej_calibration(tmp_path: Path) -> None:
    path = tmp_path / "imagej.tif"
    metadata = {"axes": "ZCYX", "spacing": 2.5, "unit": "um", "xorigin": 10.0}
    tifffile.imwrite(path, STACK, imagej=True, metadata=metadata, resolution=(4, 2))
    image = open_image(path)
    assert image.axes == "zcyx"
    assert image.scale == (2.5, 1.0, 0.5, 0.25)
    assert image.units == ("micrometer", None, "micrometer", "micrometer")
    assert image.spec.translate == (0.0, 0.0, 0.0, -2.5)
    assert np.array_equal(image.read(image.spec.full_region), STACK)


@pytest.mark.parametrize("unit", ["\\u00B5m", "micron", "µm"])
def test_the_ways_to_write_micrometer(tmp_path: Path, unit: str) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", STACK[0, 0], ome=True, metadata={"PhysicalSizeX": 2.0, "PhysicalSizeXUnit": "µm"}
    )
    tifffile.imwrite(
        tmp_path / "b.tif",
        STACK[0, 0],
        imagej=True,
        metadata={"unit": unit.replace("µ", "\\u00B5")},
        resolution=(0.5, 0.5),
    )
    for name in "ab":
        image = open_image(tmp_path / f"{name}.tif")
        assert image.scale[1] == 2.0
        assert image.units[1] == "micrometer"


def test_an_imagej_stack_whose_axes_have_units_of_their_own(tmp_path: Path) -> None:
    metadata = {"axes": "ZYX", "unit": "micron", "yunit": "nm", "zunit": "mm", "spacing": 0.5}
    tifffile.imwrite(tmp_path / "s.tif", STACK[:, 0], imagej=True, metadata=metadata, resolution=(4, 0.004))
    image = open_image(tmp_path / "s.tif")
    assert image.units == ("millimeter", "nanometer", "micrometer")
    np.testing.assert_allclose(image.scale, (0.5, 250, 0.25), rtol=1e-6)


def test_an_imagej_time_series(tmp_path: Path) -> None:
    metadata = {"axes": "TYX", "finterval": 30.0, "unit": "pixel"}
    tifffile.imwrite(tmp_path / "t.tif", STACK[:, 0], imagej=True, metadata=metadata, resolution=(72, 72))
    image = open_image(tmp_path / "t.tif")
    assert image.axes == "tyx"
    assert image.scale == (30.0, 1.0, 1.0)
    assert image.units == ("second", None, None)


def test_ome_calibration_and_channel_names(tmp_path: Path) -> None:
    metadata = {
        "axes": "ZCYX",
        "PhysicalSizeX": 0.1,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 100,
        "PhysicalSizeYUnit": "nm",
        "PhysicalSizeZ": 1.5,
        "Channel": {"Name": ["007", "1.10"]},
    }
    tifffile.imwrite(tmp_path / "image.ome.tif", STACK, ome=True, metadata=metadata, compression="zlib", tile=(32, 32))
    image = open_image(tmp_path / "image.ome.tif")
    assert image.name == "image"
    assert image.axes == "zcyx"
    assert image.scale == (1.5, 1.0, 100.0, 0.1)
    assert image.units == ("micrometer", None, "nanometer", "micrometer")
    assert image.spec.channel_names == ("007", "1.10")
    assert np.array_equal(image.read(image.spec.full_region), STACK)


def test_pixels_per_centimetre_count_and_pixels_per_inch_do_not(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "cm.tif", STACK[0, 0], resolution=(5e3, 1e4), resolutionunit="CENTIMETER")
    tifffile.imwrite(tmp_path / "inch.tif", STACK[0, 0], resolution=(72, 72), resolutionunit="INCH")
    assert open_image(tmp_path / "cm.tif").scale == (1.0, 2.0)
    assert open_image(tmp_path / "cm.tif").units == ("micrometer", "micrometer")
    assert open_image(tmp_path / "inch.tif").scale == (1.0, 1.0)
    assert open_image(tmp_path / "inch.tif").units == (None, None)


@pytest.mark.parametrize(
    ("letters", "axes"),
    [
        ("YX", "yx"),
        ("YXS", "yxc"),
        ("SYX", "cyx"),
        ("TZCYX", "tzcyx"),
        ("IYX", "zyx"),
        ("QQYX", "tzyx"),
        ("QZYX", "tzyx"),
        ("TIYXS", "tzyxc"),
        ("CYXS", None),
        ("QTZYX", None),
        ("QX", None),
    ],
)
def test_dimension_letters_become_axes(letters: str, axes: str | None) -> None:
    assert name_axes(letters) == axes


def test_dimensions_that_cannot_be_named_are_asked_for(tmp_path: Path) -> None:
    array = np.zeros((2, 3, 2, 8, 9), np.uint8)
    tifffile.imwrite(tmp_path / "odd.tif", array, photometric="minisblack", metadata={"axes": "QRIYX"})
    with pytest.raises(InvalidInputError, match="name its axes"):
        open_image(tmp_path / "odd.tif")
    assert open_image(tmp_path / "odd.tif", axes="tczyx").shape == array.shape


def test_rgb(tmp_path: Path) -> None:
    color = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    tifffile.imwrite(tmp_path / "rgb.tif", color, photometric="rgb", compression="zlib")
    image = open_image(tmp_path / "rgb.tif")
    assert image.axes == "yxc"
    assert np.array_equal(image.read((slice(3, 9), slice(0, 30), slice(1, 2))), color[3:9, :, 1:2])


@pytest.mark.parametrize(
    "options", [{}, {"tile": (16, 32)}, {"compression": "lzw", "rowsperstrip": 5}, {"byteorder": ">"}]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, bool])
def test_storage_does_not_matter(tmp_path: Path, options: dict[str, object], dtype: type) -> None:
    if dtype is bool:  # one bit per pixel is stored in strips
        options = {key: value for key, value in options.items() if key != "tile"}
    array = (STACK[:, 0] % 2).astype(dtype) if dtype is bool else STACK[:, 0].astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack", **options)
    image = open_image(tmp_path / "a.tif")
    assert image.dtype == np.dtype(dtype)
    region = (slice(1, 3), slice(10, 41), slice(5, 90))
    assert np.array_equal(image.read(region), array[region])


def test_uncompressed_files_are_mapped_and_not_read(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK)
    image = open_image(tmp_path / "a.tif")
    assert isinstance(image, ArraySource)
    assert isinstance(image.array, np.memmap)


def test_a_pyramid_has_calibrated_levels(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 255, (256, 128), np.uint8)
    metadata = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    with tifffile.TiffWriter(tmp_path / "p.ome.tif") as tif:
        tif.write(array, subifds=1, tile=(64, 64), metadata=metadata)
        tif.write(array[::2, ::2], subfiletype=1, tile=(64, 64))
    levels = [level.spec for level in open_levels(tmp_path / "p.ome.tif")]
    assert [spec.shape for spec in levels] == [(256, 128), (128, 64)]
    assert [spec.scale for spec in levels] == [(0.5, 0.5), (1.0, 1.0)]
    assert levels[1].translate == (0.25, 0.25)
    low = open_image(tmp_path / "p.ome.tif", level=1)
    gc.collect()  # the level that is no longer used must not close the file
    assert np.array_equal(low.read(low.spec.full_region), array[::2, ::2])
    with pytest.raises(InvalidInputError, match="choose one of 0 to 1"):
        open_image(tmp_path / "p.ome.tif", level=2)


def test_compressed_files_can_be_read_in_threads(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK, compression="zlib", tile=(16, 16), photometric="minisblack")
    image = open_image(tmp_path / "a.tif", axes="zcyx")
    with ThreadPoolExecutor(4) as pool:
        rows = list(
            pool.map(lambda y: image.read((*image.spec.full_region[:2], slice(y, y + 1), slice(0, 90))), range(70))
        )
    assert np.array_equal(np.concatenate(rows, axis=2), STACK)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"imagej": True}, {"tile": (16, 16)}])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float, options: dict[str, object]) -> None:
    tifffile.imwrite(tmp_path / "whole.tif", STACK[:, 0], photometric="minisblack", **options)
    content = (tmp_path / "whole.tif").read_bytes()
    (tmp_path / "half.tif").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(StorageError, match="copy or export it again"):
        open_image(tmp_path / "half.tif")


def test_a_page_list_that_ends_in_a_circle_is_no_harm(tmp_path: Path) -> None:
    """Some instruments write such files, and all their pixels are there."""
    path = tmp_path / "circle.tif"
    tifffile.imwrite(path, STACK[0, 0], compression="zlib")
    with tifffile.TiffFile(path) as tif:
        offset, tags = tif.pages[0].offset, len(tif.pages[0].tags)
    with path.open("rb+") as file:
        file.seek(offset + 2 + tags * 12)
        file.write(offset.to_bytes(4, "little"))
    image = open_image(path)
    assert np.array_equal(image.read(image.spec.full_region), STACK[0, 0])


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_an_image_in_several_files_is_read(tmp_path: Path, compression: str | None) -> None:
    """The file that describes the image is smaller than the positions of the pixels in the other."""
    big = np.random.default_rng(1).integers(0, 60_000, (2, 200, 300)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "other.ome.tif", big, ome=True, metadata={"axes": "ZYX"}, compression=compression)
    with tifffile.TiffFile(tmp_path / "other.ome.tif") as tif:
        xml = tif.ome_metadata
        uuid = xml.split('UUID="')[1].split('"')[0]
    data = "".join(
        f'<TiffData IFD="{z}" FirstZ="{z}" PlaneCount="1"><UUID FileName="other.ome.tif">{uuid}</UUID></TiffData>'
        for z in range(2)
    )
    start, end = xml.index("<TiffData"), xml.index("</Pixels>")
    described = (xml[:start] + data + xml[end:]).replace(f'UUID="{uuid}"', 'UUID="urn:uuid:0"', 1)
    tifffile.imwrite(tmp_path / "main.ome.tif", big[0, :8, :8], description=described.encode(), metadata=None)
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        image = open_image(tmp_path / "main.ome.tif")
        assert image.shape == big.shape
        assert np.array_equal(image.read(image.spec.full_region), big)
        del image
        gc.collect()
    assert not [warning for warning in caught if issubclass(warning.category, ResourceWarning)]


def test_a_damaged_strip_is_reported_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0, 0], compression="zlib")
    with tifffile.TiffFile(path) as tif:
        offset = tif.pages[0].dataoffsets[0]
    with path.open("rb+") as file:
        file.seek(offset)
        file.write(b"\xff" * 50)
    image = open_image(path)
    with pytest.raises(StorageError, match="damaged"):
        image.read(image.spec.full_region)


def test_no_file_is_left_open(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK, compression="zlib")
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        image = open_image(tmp_path / "a.tif")
        image.read(image.spec.full_region)
        del image
        gc.collect()
    assert not [warning for warning in caught if issubclass(warning.category, ResourceWarning)]


def test_a_negative_distance_of_planes_is_told_of_and_taken_as_positive(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    metadata = {"axes": "ZYX", "unit": "micron", "spacing": -0.5}
    tifffile.imwrite(path, np.zeros((3, 4, 5), np.uint8), imagej=True, resolution=(4, 4), metadata=metadata)
    image = open_image(path)
    assert image.scale == (0.5, 0.25, 0.25)
    (note,) = notes_about(image)
    assert "stack.tif gives the distance of its planes as -0.5, of which 0.5 is taken" in note


def test_an_image_whose_lowest_number_is_white_says_so(tmp_path: Path) -> None:
    pixels = np.arange(20, dtype=np.uint8).reshape(4, 5)
    for kind, told in (("miniswhite", 1), ("minisblack", 0)):
        tifffile.imwrite(tmp_path / f"{kind}.tif", pixels, photometric=kind)
        image = open_image(tmp_path / f"{kind}.tif")
        assert np.array_equal(image.read(image.spec.full_region), pixels)
        assert sum("min is white" in note for note in notes_about(image)) == told
